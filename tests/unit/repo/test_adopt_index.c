/* test_adopt_index.c - the lookup finds what was added and nothing else, wherever it lies. */
#include "repo/reuse/adopt_index.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"
#include "tests/lib/test.h"

static char work[64];

static int make_work(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, LOG_ERROR);
    strcpy(work, "/tmp/pgbr-test-adopt-XXXXXX");
    return mkdtemp(work) == NULL ? -1 : 0;
}

static int remove_work(void **state)
{
    struct err err;

    (void)state;
    return fs_remove_tree(AT_FDCWD, work, false, &err);
}

static struct adopt_entry entry_of(uint64_t i)
{
    struct hash128 hash = hash128(&i, sizeof i);

    return (struct adopt_entry){hash64(&i, sizeof i), hash, i};
}

static void add_range(struct adopt_index *ix, uint64_t from, uint64_t to)
{
    for (; from < to; from++) {
        struct adopt_entry e = entry_of(from);
        assert_true(adopt_index_add(ix, &e, 1));
    }
}

static bool finds(const struct adopt_index *ix, uint64_t i)
{
    struct adopt_entry e = entry_of(i);
    uint64_t value = ~i;

    return adopt_index_find(ix, e.key, &e.hash, &value) && value == i;
}

/* Those below n are there, as many above are not. */
static void check_range(const struct adopt_index *ix, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (!finds(ix, i))
            fail_msg("entry %llu of %llu is not found", (unsigned long long)i,
                     (unsigned long long)n);
    for (uint64_t i = n; i < 2 * n + 10; i++)
        assert_false(finds(ix, i));
}

static void every_number_of_entries_is_found(void **state)
{
    static const size_t counts[] = {0, 1, 64, 65, 128, 129, 1000, 20000};

    (void)state;
    for (size_t i = 0; i < LENGTH(counts); i++)
        for (int files = 0; files < 2; files++) {
            AUTO(adopt_index_free)
            struct adopt_index *ix =
                adopt_index_new(files ? work : NULL, files ? 10 : 1 << 20, 1 << 20);
            add_range(ix, 0, counts[i]);
            adopt_index_build(ix);
            check_range(ix, counts[i]);
        }
}

/* Enough for full runs in every part. */
static void many_entries_in_files_are_found(void **state)
{
    AUTO(adopt_index_free) struct adopt_index *ix = adopt_index_new(work, 1000, 1000);
    const size_t n = 1200000, step = 3000;
    AUTO(mem_free) struct adopt_entry *some = xcalloc(step, sizeof *some);

    (void)state;
    for (size_t i = 0; i < n; i += step) {
        for (size_t k = 0; k < step; k++)
            some[k] = entry_of(i + k);
        assert_true(adopt_index_add(ix, some, step));
    }
    adopt_index_build(ix);
    check_range(ix, n);
}

static void no_file_is_left_or_seen(void **state)
{
    AUTO(adopt_index_free) struct adopt_index *ix = NULL;
    AUTO(mem_free) char *dir = xasprintf("%s/deep/state", work);
    struct stat st;

    (void)state;
    ix = adopt_index_new(dir, 1, 1);
    add_range(ix, 0, 5000);
    adopt_index_build(ix);
    check_range(ix, 5000);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, true, &(struct err){0}), 0);
    check_range(ix, 5000); /* nothing there was needed */
}

static void without_a_directory_the_rest_is_dropped(void **state)
{
    AUTO(adopt_index_free) struct adopt_index *ix = adopt_index_new(NULL, 10, 100);
    struct adopt_entry two[2] = {entry_of(99), entry_of(100)};

    (void)state;
    add_range(ix, 0, 99);
    assert_false(adopt_index_add(ix, two, 2)); /* all or none */
    assert_true(adopt_index_add(ix, two, 1));
    assert_false(adopt_index_add(ix, two + 1, 1));
    adopt_index_build(ix);
    check_range(ix, 100);
}

static void a_directory_that_cannot_be_used_is_as_none(void **state)
{
    AUTO(adopt_index_free) struct adopt_index *ix = NULL;
    AUTO(mem_free) char *file = xasprintf("%s/file", work), *dir = xasprintf("%s/below", file);
    struct err err = {0};

    (void)state;
    OK(fs_replace(AT_FDCWD, file, "x", 1, 0600, &err), &err);
    ix = adopt_index_new(dir, 10, 1000);
    add_range(ix, 0, 1000);
    assert_false(adopt_index_add(ix, &(struct adopt_entry){.key = 1}, 1));
    adopt_index_build(ix);
    check_range(ix, 1000);
}

static void the_same_entry_again_is_one(void **state)
{
    (void)state;
    for (int files = 0; files < 2; files++) {
        AUTO(adopt_index_free)
        struct adopt_index *ix = adopt_index_new(files ? work : NULL, files ? 10 : 10000, 10000);
        for (int i = 0; i < 30; i++)
            add_range(ix, 0, 300);
        adopt_index_build(ix);
        check_range(ix, 300);
    }
}

/* Keys that a hostile repository chose to be equal: some entries are lost, nothing hangs. */
static void equal_keys_are_told_apart_by_their_hash(void **state)
{
    static const uint64_t keys[] = {0, 1, UINT64_MAX};

    (void)state;
    for (size_t k = 0; k < LENGTH(keys); k++)
        for (int files = 0; files < 2; files++) {
            AUTO(adopt_index_free)
            struct adopt_index *ix =
                adopt_index_new(files ? work : NULL, files ? 10 : 10000, 10000);
            unsigned found = 0;
            for (uint64_t i = 0; i < 5000; i++) {
                struct adopt_entry e = {keys[k], hash128(&i, sizeof i), i};
                assert_true(adopt_index_add(ix, &e, 1));
            }
            adopt_index_build(ix);
            for (uint64_t i = 0; i < 5000; i++) {
                struct hash128 hash = hash128(&i, sizeof i);
                uint64_t value;
                if (adopt_index_find(ix, keys[k], &hash, &value)) {
                    assert_int_equal(value, i);
                    found++;
                }
            }
            assert_in_range(found, 128, 256);
        }
}

static int add_many(void *ctx, unsigned index, struct err *err)
{
    (void)err;
    for (uint64_t i = index * UINT64_C(10000); i < (index + 1) * UINT64_C(10000); i++) {
        struct adopt_entry e = entry_of(i);
        if (!adopt_index_add(ctx, &e, 1))
            return err_set(err, ERR_FAILED, "entry is not taken");
    }
    return 0;
}

static int find_all(void *ctx, unsigned index, struct err *err)
{
    (void)index;
    for (uint64_t i = 0; i < 80000; i++)
        if (finds(ctx, i) != (i < 40000))
            return err_set(err, ERR_FAILED, "wrong answer for %llu", (unsigned long long)i);
    return 0;
}

static void many_threads_add_and_look_up(void **state)
{
    AUTO(adopt_index_free) struct adopt_index *ix = adopt_index_new(work, 5000, 5000);
    struct workers *w = NULL;
    struct err err = {0};

    (void)state;
    OK(workers_start(&w, 4, add_many, ix, NULL, &err), &err);
    OK(workers_join(&w, &err), &err);
    adopt_index_build(ix);
    OK(workers_start(&w, 4, find_all, ix, NULL, &err), &err);
    OK(workers_join(&w, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_entries_is_found),
        cmocka_unit_test(many_entries_in_files_are_found),
        cmocka_unit_test(no_file_is_left_or_seen),
        cmocka_unit_test(without_a_directory_the_rest_is_dropped),
        cmocka_unit_test(a_directory_that_cannot_be_used_is_as_none),
        cmocka_unit_test(the_same_entry_again_is_one),
        cmocka_unit_test(equal_keys_are_told_apart_by_their_hash),
        cmocka_unit_test(many_threads_add_and_look_up),
    };
    return cmocka_run_group_tests(tests, make_work, remove_work);
}
