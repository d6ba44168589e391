/* test_spill.c - lists and results come back as they were written, whatever their number. */
#include "backup/spill.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/lib/test.h"

enum { MANY = 30000 };

static void add(struct list_writer *w, unsigned i)
{
    char path[400], target[64];
    struct err err = {0};
    struct listed e = {.path = path,
                       .target = i % 7 == 0 ? target : NULL,
                       .type = i % 7 == 0 ? ENTRY_LINK : ENTRY_FILE,
                       .mode = i & 07777,
                       .uid = i,
                       .gid = UINT32_MAX - i,
                       .size = (uint64_t)i << 20,
                       .mtime_s = (int64_t)i - 5000};

    snprintf(path, sizeof path, "data/%0*u", (int)(i % 300 + 1), i);
    snprintf(target, sizeof target, "../%u", i);
    OK(list_add(w, &e, &err), &err);
}

static void check(const struct listed *e, unsigned i)
{
    char path[400], target[64];

    snprintf(path, sizeof path, "data/%0*u", (int)(i % 300 + 1), i);
    snprintf(target, sizeof target, "../%u", i);
    assert_int_equal(e->number, i);
    assert_string_equal(e->path, path);
    assert_string_equal(e->target, i % 7 == 0 ? target : "");
    assert_int_equal(e->type, i % 7 == 0 ? ENTRY_LINK : ENTRY_FILE);
    assert_int_equal(e->mode, i & 07777);
    assert_int_equal(e->uid, i);
    assert_int_equal(e->gid, UINT32_MAX - i);
    assert_int_equal(e->size, (uint64_t)i << 20);
    assert_int_equal(e->mtime_s, (int64_t)i - 5000);
}

static void a_long_list_is_read_back_by_two_readers_at_once(void **state)
{
    AUTO(list_free) struct list_writer w = {.fd = -1};
    AUTO(list_end) struct list_reader a, b;
    struct err err = {0};
    struct listed e;

    (void)state;
    OK(list_create(&w, "/tmp", &err), &err);
    for (unsigned i = 0; i < MANY; i++)
        add(&w, i);
    OK(list_flush(&w, &err), &err);
    assert_true(w.written > 3 << 20); /* several times what is read at once */
    assert_int_equal(w.count, MANY);
    assert_int_equal(w.files, MANY - (MANY + 6) / 7);
    list_begin(&a, &w);
    list_begin(&b, &w);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(list_next(&a, &e, &err), 1);
        check(&e, i);
        if (i % 2 == 0)
            continue;
        for (unsigned k = i - 1; k <= i; k++) {
            assert_int_equal(list_next(&b, &e, &err), 1);
            check(&e, k);
        }
    }
    assert_int_equal(list_next(&a, &e, &err), 0);
    assert_int_equal(list_next(&b, &e, &err), 0);
    assert_int_equal(list_next(&b, &e, &err), 0);
}

static void the_longest_path_and_target_fit(void **state)
{
    AUTO(list_free) struct list_writer w = {.fd = -1};
    AUTO(list_end) struct list_reader r = {.fd = -1};
    AUTO(mem_free) char *path = xmalloc(4097);
    struct err err = {0};
    struct listed e;

    (void)state;
    memset(path, 'x', 4096);
    path[4096] = '\0';
    e = (struct listed){.path = path, .target = path, .type = ENTRY_LINK};
    OK(list_create(&w, "/tmp", &err), &err);
    for (int i = 0; i < 300; i++)
        OK(list_add(&w, &e, &err), &err);
    OK(list_flush(&w, &err), &err);
    list_begin(&r, &w);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(list_next(&r, &e, &err), 1);
        assert_string_equal(e.path, path);
        assert_string_equal(e.target, path);
    }
    assert_int_equal(list_next(&r, &e, &err), 0);
}

static void an_empty_list_ends_at_once(void **state)
{
    AUTO(list_free) struct list_writer w = {.fd = -1};
    AUTO(list_end) struct list_reader r = {.fd = -1};
    struct err err = {0};
    struct listed e;

    (void)state;
    OK(list_create(&w, "/tmp", &err), &err);
    OK(list_flush(&w, &err), &err);
    list_begin(&r, &w);
    assert_int_equal(list_next(&r, &e, &err), 0);
}

static void a_list_that_was_cut_is_noticed(void **state)
{
    AUTO(list_free) struct list_writer w = {.fd = -1};
    AUTO(list_end) struct list_reader r = {.fd = -1};
    struct err err = {0};
    struct listed e;

    (void)state;
    OK(list_create(&w, "/tmp", &err), &err);
    add(&w, 1);
    add(&w, 2);
    OK(list_flush(&w, &err), &err);
    assert_int_equal(ftruncate(w.fd, (off_t)w.written - 1), 0);
    list_begin(&r, &w);
    assert_int_equal(list_next(&r, &e, &err), 1);
    FAILS(list_next(&r, &e, &err), &err, ERR_FAILED);
}

static struct file_result result_of(uint64_t i)
{
    return (struct file_result){.fate = FATE_BUNDLE,
                                .size = i << 33,
                                .mtime_s = -(int64_t)i,
                                .crc32c = (uint32_t)i * 7,
                                .set = 3,
                                .pack = (uint32_t)i,
                                .chunk = 9,
                                .offset = 11};
}

static void results_come_back_by_number_in_whatever_order_they_were_put(void **state)
{
    AUTO(results_free) struct results r = {.fd = -1, .map_fd = -1};
    struct file_result batch[RESULTS_BATCH], f;
    struct err err = {0};

    (void)state;
    OK(results_create(&r, "/tmp", &err), &err);
    for (uint64_t first = 20 * RESULTS_BATCH; first > 0;) {
        first -= RESULTS_BATCH;
        for (uint64_t i = 0; i < RESULTS_BATCH; i++)
            batch[i] = result_of(first + i);
        OK(results_put(&r, first, batch, RESULTS_BATCH, &err), &err);
    }
    for (uint64_t i = 3; i < 20 * RESULTS_BATCH; i += 5) {
        struct file_result want = result_of(i);

        OK(results_get(&r, i, &f, &err), &err);
        assert_int_equal(f.fate, FATE_BUNDLE);
        assert_int_equal(f.size, want.size);
        assert_int_equal(f.mtime_s, want.mtime_s);
        assert_int_equal(f.crc32c, want.crc32c);
        assert_int_equal(f.set, 3);
        assert_int_equal(f.pack, want.pack);
        assert_int_equal(f.chunk, 9);
        assert_int_equal(f.offset, 11);
    }
}

static void what_nobody_put_has_no_fate(void **state)
{
    AUTO(results_free) struct results r = {.fd = -1, .map_fd = -1};
    struct file_result f = result_of(1);
    struct err err = {0};

    (void)state;
    OK(results_create(&r, "/tmp", &err), &err);
    OK(results_put(&r, 1, &f, 1, &err), &err);
    OK(results_get(&r, 0, &f, &err), &err);
    assert_int_equal(f.fate, FATE_NONE); /* a hole */
    OK(results_get(&r, 1, &f, &err), &err);
    assert_int_equal(f.fate, FATE_BUNDLE);
    OK(results_get(&r, 2, &f, &err), &err);
    assert_int_equal(f.fate, FATE_NONE); /* behind the end */
    OK(results_get(&r, 100000, &f, &err), &err);
    assert_int_equal(f.fate, FATE_NONE);
}

static void maps_come_back_and_a_lost_one_is_noticed(void **state)
{
    AUTO(results_free) struct results r = {.fd = -1, .map_fd = -1};
    AUTO(buf_free) struct buf map = BUF_INIT;
    struct file_result a = {.fate = FATE_MAP, .map_len = 5}, b = {.fate = FATE_MAP, .map_len = 3};
    struct err err = {0};

    (void)state;
    OK(results_create(&r, "/tmp", &err), &err);
    OK(results_put_map(&r, "first", 5, &a.map_at, &err), &err);
    OK(results_put_map(&r, "2nd", 3, &b.map_at, &err), &err);
    OK(results_get_map(&r, &b, &map, &err), &err);
    assert_int_equal(map.len, 3);
    assert_memory_equal(map.p, "2nd", 3);
    OK(results_get_map(&r, &a, &map, &err), &err);
    assert_int_equal(map.len, 5);
    assert_memory_equal(map.p, "first", 5);
    b.map_at++;
    FAILS(results_get_map(&r, &b, &map, &err), &err, ERR_FAILED);
}

static void a_directory_that_is_not_there_is_named(void **state)
{
    AUTO(list_free) struct list_writer w = {.fd = -1};
    struct err err = {0};

    (void)state;
    FAILS(list_create(&w, "/tmp/pgbr-no-such-directory", &err), &err, ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "/tmp/pgbr-no-such-directory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_list_is_read_back_by_two_readers_at_once),
        cmocka_unit_test(the_longest_path_and_target_fit),
        cmocka_unit_test(an_empty_list_ends_at_once),
        cmocka_unit_test(a_list_that_was_cut_is_noticed),
        cmocka_unit_test(results_come_back_by_number_in_whatever_order_they_were_put),
        cmocka_unit_test(what_nobody_put_has_no_fate),
        cmocka_unit_test(maps_come_back_and_a_lost_one_is_noticed),
        cmocka_unit_test(a_directory_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
