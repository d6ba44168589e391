/* test_copy.c - what was copied is what lay there, whatever happens to files meanwhile. */
#include "tests/unit/backup/attempt.h"

struct world {
    struct data_dir dir;
    struct sample_repo repo;
    struct attempt a;
};

static int begin_with(void **state, bool encrypted)
{
    struct world *w = xcalloc(1, sizeof *w);

    sample_repo_begin(&w->repo, encrypted, 1 << 20); /* several packs */
    data_begin(&w->dir);
    w->a = (struct attempt){.dir = &w->dir, .repo = w->repo.repo};
    *state = w;
    return 0;
}

static int begin(void **state)
{
    return begin_with(state, false);
}

static int begin_encrypted(void **state)
{
    return begin_with(state, true);
}

static int end(void **state)
{
    struct world *w = *state;

    attempt_free(&w->a);
    data_end(&w->dir);
    sample_repo_end(&w->repo);
    free(w);
    return 0;
}

static struct back_count backed_up(struct world *w)
{
    struct err err = {0};

    OK(attempt_all(&w->a, &err), &err);
    return back_same(w->repo.repo, w->a.label, &w->dir);
}

/* Bytes that are no pages: size of them, none zero. */
static void add_file(struct world *w, const char *name, size_t size)
{
    AUTO(mem_free) uint8_t *bytes = xmalloc(size + 1);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i % 251 + 1);
    data_write(&w->dir, name, bytes, size);
}

/* ---- every way a file can be stored ---- */

static void files_of_every_size_come_back_byte_for_byte(void **state)
{
    static const size_t sizes[] = {
        0,     1,         100,       8191,          8192,    8193,          65535,        65536,
        65537, 16 * PAGE, 64 * PAGE, 64 * PAGE + 1, 1 << 20, (1 << 20) + 5, (3 << 20) - 1};
    struct world *w = *state;
    struct back_count n;

    for (size_t i = 0; i < LENGTH(sizes); i++) {
        AUTO(mem_free) char *name = xasprintf("base/5/%zu", 16384 + i);
        add_file(w, name, sizes[i]);
    }
    n = backed_up(w);
    assert_int_equal(n.files, LENGTH(sizes) + 2);
    assert_int_equal(n.empty, 1);
    assert_int_equal(n.mapped, 8); /* from 64 KiB on */
    assert_int_equal(w->a.finished.files, n.files);
}

static void many_small_files_share_bundles(void **state)
{
    struct world *w = *state;
    struct back_count n;
    size_t packs;

    for (unsigned i = 0; i < 3000; i++) {
        char name[40];

        snprintf(name, sizeof name, "base/%u/%u", i % 3 + 1, 16384 + i);
        add_file(w, name, i % 11 == 0 ? 0 : i * 37 % 5000);
    }
    n = backed_up(w);
    assert_int_equal(n.files, 3002);
    assert_int_equal(n.mapped, 0);
    set_packs(w->a.set, &packs);
    assert_true(packs < 20);
}

static void zero_pages_are_not_stored_and_come_back(void **state)
{
    static const struct {
        uint32_t first, n;
    } runs[] = {{3, 1}, {63, 2}, {70, 40}, {127, 1}, {200, 130}, {399, 1}};
    struct world *w = *state;
    struct back_count n;

    data_mkdir(&w->dir, "base/5");
    for (size_t i = 0; i < LENGTH(runs); i++)
        data_pages(&w->dir, "base/5/1", runs[i].first, runs[i].n);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_resize(&w->dir, "base/5/2", 300 * PAGE); /* zeros at the end */
    data_text(&w->dir, "base/5/3", "");
    data_resize(&w->dir, "base/5/3", 500 * PAGE); /* nothing else */
    data_text(&w->dir, "base/5/4", "");
    data_resize(&w->dir, "base/5/4", 9 * PAGE + 100); /* a short page of zeros is data */
    n = backed_up(w);
    assert_int_equal(n.mapped, 4);
    assert_true(set_stored_bytes(w->a.set) < 300 * PAGE);
}

/* Longer than two parts, and sparse, so that it is quickly made and read. */
static void a_file_of_several_parts_comes_back_whole(void **state)
{
    struct world *w = *state;
    const uint32_t part = PART_SIZE / PAGE;
    struct back_count n;

    data_mkdir(&w->dir, "base/5");
    data_pages(&w->dir, "base/5/1", 0, 3);
    data_pages(&w->dir, "base/5/1", part - 2, 4); /* across the border */
    data_pages(&w->dir, "base/5/1", 2 * part - 1, 1);
    data_pwrite(&w->dir, "base/5/1", (uint64_t)2 * PART_SIZE, "a short last page", 17);
    n = backed_up(w);
    assert_int_equal(n.mapped, 1);
    assert_int_equal(w->a.list.bytes, w->a.finished.bytes);
}

static void configuration_outside_is_copied_too(void **state)
{
    struct world *w = *state;
    AUTO(mem_free) char *conf = xasprintf("%s/etc/postgresql.conf", w->dir.top);
    char *outside[] = {conf};

    data_text(&w->dir, "../etc/postgresql.conf", "port = 5432\n");
    w->a.outside = outside;
    w->a.n_outside = 1;
    assert_int_equal(backed_up(w).files, 3);
}

/* ---- files that change between listing and copying ---- */

static void change_while_listed(struct world *w, void (*change)(struct world *w))
{
    struct err err = {0};

    OK(attempt_list(&w->a, &err), &err);
    change(w);
    OK(attempt_copy(&w->a, &err), &err);
    OK(attempt_commit(&w->a, &err), &err);
}

static void grow(struct world *w)
{
    add_file(w, "base/5/1", 300000);         /* small: beyond the border */
    add_file(w, "base/5/2", 7000);           /* small: still small */
    add_file(w, "base/5/4", PART_SIZE / 64); /* large: within its part */
    add_file(w, "base/5/5", 100);            /* not listed at all */
}

static void a_file_that_grew_is_stored_as_it_was_found(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w = *state;

    add_file(w, "base/5/1", 100);
    add_file(w, "base/5/2", 100);
    add_file(w, "base/5/3", 100);
    add_file(w, "base/5/4", 100000);
    change_while_listed(w, grow);
    assert_int_equal(back_same(w->repo.repo, w->a.label, &w->dir).files, 6);
    assert_false(back_one(w->repo.repo, w->a.label, "data/base/5/5", &bytes));
}

static void fill_up(struct world *w)
{
    add_file(w, "base/5/1", 500);
}

/* What an empty file got since is in the WAL: reading it can be spared. */
static void a_file_that_was_empty_may_stay_so(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w = *state;

    add_file(w, "base/5/1", 0);
    change_while_listed(w, fill_up);
    assert_true(back_one(w->repo.repo, w->a.label, "data/base/5/1", &bytes));
    assert_int_equal(bytes.len, 0);
}

static void shrink(struct world *w)
{
    data_resize(&w->dir, "base/5/1", 0);
    data_resize(&w->dir, "base/5/2", 10);
    data_resize(&w->dir, "base/5/3", 0);
    data_resize(&w->dir, "base/5/4", 3 * PAGE);
    data_resize(&w->dir, "base/5/5", PART_SIZE / 2 + 77);
    data_resize(&w->dir, "base/5/6", PART_SIZE);
}

static void a_file_that_shrank_ends_where_it_was_found_to_end(void **state)
{
    struct world *w = *state;

    add_file(w, "base/5/1", 100);
    add_file(w, "base/5/2", 100);
    add_file(w, "base/5/3", 100000);
    add_file(w, "base/5/4", 100000);
    data_pages(&w->dir, "base/5/5", 0, 5);
    data_pages(&w->dir, "base/5/5", 3 * PART_SIZE / PAGE, 2);
    data_pages(&w->dir, "base/5/6", PART_SIZE / PAGE - 1, 2);
    change_while_listed(w, shrink);
    assert_int_equal(back_same(w->repo.repo, w->a.label, &w->dir).files, 8);
}

static void drop(struct world *w)
{
    data_remove(&w->dir, "base/5/1");
    data_remove(&w->dir, "base/5/2");
    data_remove(&w->dir, "base/7");
}

static void files_that_vanished_are_left_out_and_counted(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w = *state;

    add_file(w, "base/5/1", 100);
    data_pages(&w->dir, "base/5/2", PART_SIZE / PAGE, 2);
    add_file(w, "base/5/3", 100);
    add_file(w, "base/7/1", 100);
    change_while_listed(w, drop);
    assert_int_equal(back_same(w->repo.repo, w->a.label, &w->dir).files, 3);
    assert_int_equal(atomic_load(&w->a.copied.vanished), 3);
    assert_false(back_one(w->repo.repo, w->a.label, "data/base/5/1", &bytes));
}

static void without_pg_version_there_is_no_backup(void **state)
{
    struct world *w = *state;
    struct err err = {0};

    OK(attempt_list(&w->a, &err), &err);
    data_remove(&w->dir, "PG_VERSION");
    FAILS(attempt_copy(&w->a, &err), &err, ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "data/PG_VERSION"));
}

static void a_file_map_that_stays_torn_is_not_stored(void **state)
{
    struct world *w = *state;
    struct err err = {0};

    add_file(w, "global/pg_filenode.map", 512);
    OK(attempt_list(&w->a, &err), &err);
    FAILS(attempt_copy(&w->a, &err), &err, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "global/pg_filenode.map"));
}

/* ---- pages ---- */

static size_t suspicions(const struct copy_made *made)
{
    size_t n = 0;

    for (unsigned i = 0; i < made->workers; i++)
        n += made->suspects[i].pages;
    return n;
}

static void damage(struct world *w, const char *name, uint32_t block)
{
    data_pwrite(&w->dir, name, (uint64_t)block * PAGE + 5000, "damage", 6);
}

static void pages_that_do_not_fit_are_noted_with_their_blocks(void **state)
{
    struct world *w = *state;
    const struct suspects *s;

    data_mkdir(&w->dir, "base/5");
    data_pages(&w->dir, "base/5/1", 0, 7);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_pages(&w->dir, "base/5/3", 0, 3);
    data_write(&w->dir, "base/5/pg_internal", "\1\2\3", 3); /* no relation: not checked */
    data_resize(&w->dir, "base/5/pg_internal", 20 * PAGE);
    damage(w, "base/5/1", 6);
    damage(w, "base/5/2", 64);
    damage(w, "base/5/2", 99);
    w->a.check_pages = true;
    w->a.workers = 1;
    backed_up(w); /* as it lies there, damage included */
    s = &w->a.copied.suspects[0];
    assert_int_equal(suspicions(&w->a.copied), 3);
    assert_int_equal(s->n, 2);
    for (size_t i = 0; i < s->n; i++) {
        bool small = strcmp(s->files[i].path, "base/5/1") == 0;

        assert_int_equal(s->files[i].n, small ? 1 : 2);
        assert_int_equal(s->files[i].pages[0].block, small ? 6 : 64);
    }
}

static void pages_of_a_later_segment_are_checked_by_their_block_in_the_relation(void **state)
{
    struct world *w = *state;
    uint8_t page[PAGE];

    data_mkdir(&w->dir, "base/5");
    data_page(page, PG_RELSEG_PAGES + 1, 0x1000000, 1);
    data_pwrite(&w->dir, "base/5/1.1", PAGE, page, sizeof page);
    w->a.check_pages = true;
    backed_up(w);
    assert_int_equal(suspicions(&w->a.copied), 0);
}

static void pages_written_since_the_start_may_be_torn(void **state)
{
    struct world *w = *state;
    uint8_t page[PAGE];

    data_mkdir(&w->dir, "base/5");
    data_page(page, 0, START_LSN, 1);
    page[PAGE - 1] ^= 1;
    data_pwrite(&w->dir, "base/5/1", 0, page, sizeof page);
    data_page(page, 1, INSERT_LSN + 1, 1); /* beyond the end of WAL: cannot be */
    data_pwrite(&w->dir, "base/5/1", PAGE, page, sizeof page);
    w->a.check_pages = true;
    backed_up(w);
    assert_int_equal(suspicions(&w->a.copied), 1);
}

static void without_data_checksums_nothing_is_suspected(void **state)
{
    struct world *w = *state;

    data_mkdir(&w->dir, "base/5");
    data_pages(&w->dir, "base/5/1", 0, 7);
    damage(w, "base/5/1", 6);
    backed_up(w);
    assert_int_equal(suspicions(&w->a.copied), 0);
}

/* ---- interruptions ---- */

static void add_much(struct world *w)
{
    data_mkdir(&w->dir, "base/5");
    data_pages(&w->dir, "base/5/1", 0, 400);
    data_pages(&w->dir, "base/5/2", 0, 70);
    data_pages(&w->dir, "base/5/3", 5, 100); /* begins with zeros */
    for (unsigned i = 0; i < 300; i++) {
        char name[40];

        snprintf(name, sizeof name, "base/5/%u", 16384 + i);
        add_file(w, name, 100 + i * 13);
    }
}

static void what_an_interrupted_copy_stored_is_not_stored_again(void **state)
{
    struct world *w = *state;
    struct attempt first;
    struct err err = {0};

    add_much(w);
    OK(attempt_list(&w->a, &err), &err);
    OK(attempt_copy(&w->a, &err), &err); /* and never committed */
    first = w->a;
    w->a = (struct attempt){.dir = &w->dir, .repo = w->repo.repo};
    OK(attempt_all(&w->a, &err), &err);
    assert_int_equal(adopt_sets(w->a.adoption), 1);
    assert_int_equal(atomic_load(&w->a.copied.adopted_bytes),
                     w->a.finished.bytes - 5 * PAGE - strlen("copied by itself"));
    assert_true(set_stored_bytes(w->a.set) * 10 < set_stored_bytes(first.set));
    back_same(w->repo.repo, w->a.label, &w->dir);
    attempt_free(&first);
}

static void what_changed_since_is_stored_anew(void **state)
{
    struct world *w = *state;
    struct attempt first;
    struct err err = {0};

    add_much(w);
    OK(attempt_list(&w->a, &err), &err);
    OK(attempt_copy(&w->a, &err), &err);
    first = w->a;
    w->a = (struct attempt){.dir = &w->dir, .repo = w->repo.repo};
    damage(w, "base/5/1", 100);
    add_file(w, "base/5/16400", 77);
    OK(attempt_all(&w->a, &err), &err);
    assert_true(atomic_load(&w->a.copied.adopted_bytes) > 300 * PAGE);
    assert_true(atomic_load(&w->a.copied.adopted_bytes) < w->a.finished.bytes - 64 * PAGE);
    back_same(w->repo.repo, w->a.label, &w->dir);
    attempt_free(&first);
}

static void a_request_to_stop_ends_the_copy(void **state)
{
    struct world *w = *state;
    struct stop stop = {0};
    struct err err = {0};

    add_much(w);
    w->a.stop = &stop;
    OK(attempt_list(&w->a, &err), &err);
    atomic_store(&stop.signal, 15);
    FAILS(attempt_copy(&w->a, &err), &err, ERR_INTERRUPTED);
}

static void a_lost_session_ends_the_copy(void **state)
{
    struct world *w = *state;
    struct err lost = {0}, err = {0};

    add_much(w);
    err_set(&lost, ERR_UNREACHABLE, "the server closed the connection");
    OK(attempt_list(&w->a, &err), &err);
    w->a.tend_err = &lost;
    FAILS(attempt_copy(&w->a, &err), &err, ERR_UNREACHABLE);
}

static void the_rate_limit_holds(void **state)
{
    struct world *w = *state;
    int64_t begun = clock_monotonic_us();

    data_mkdir(&w->dir, "base/5");
    data_pages(&w->dir, "base/5/1", 0, 500);
    w->a.rate_limit = 8 << 20;
    backed_up(w);
    assert_true(clock_monotonic_us() - begun > 250000); /* 4 MB, the first one at once */
}

static void an_unreadable_file_ends_the_copy_with_its_name(void **state)
{
    struct world *w = *state;
    struct err err = {0};

    add_file(w, "base/5/1", 100);
    OK(attempt_list(&w->a, &err), &err);
    data_remove(&w->dir, "base/5/1");
    data_mkdir(&w->dir, "base/5/1"); /* root reads anything but this */
    assert_int_equal(attempt_copy(&w->a, &err), -1);
    assert_non_null(strstr(err.msg, "base/5/1"));
}

static void interrupted(const struct attempt *like)
{
    AUTO(attempt_free) struct attempt a = *like;
    struct err err = {0};

    OK(attempt_list(&a, &err), &err);
    OK(attempt_copy(&a, &err), &err);
}

/* One attempt after an interrupted one, with the nth call failing. False: there were fewer. */
static bool attempt_with_fault(struct world *w, long nth, enum store_fault_kind kind)
{
    struct sample_repo fresh;
    struct store *flaky;
    struct repo *repo = NULL;
    struct attempt a = {.dir = &w->dir, .list = {.fd = -1}, .results = {.fd = -1, .map_fd = -1}};
    struct manifest *seen = NULL;
    struct err err = {0};
    bool reached = true;

    sample_repo_begin(&fresh, false, 100 << 10);
    a.repo = fresh.repo;
    interrupted(&a);
    flaky = store_fault_new(fresh.store, nth, kind);
    if (repo_open(&repo, flaky, &fresh.options, REPO_OPEN_FULL, &err) == 0) {
        a.repo = repo;
        /* After a failure it may be there: the answer was lost, nothing else. */
        if (attempt_all(&a, &err) == 0 || manifest_open(&seen, fresh.repo, a.label, &err) == 0)
            back_same(fresh.repo, a.label, &w->dir);
        else
            assert_int_equal(err.code, ERR_NOT_FOUND);
        reached = store_fault_calls(flaky) > nth;
        attempt_free(&a);
    }
    manifest_close(&seen);
    repo_close(&repo);
    sample_repo_end(&fresh);
    return reached;
}

/* Whichever call of the store fails, there is a whole backup or none. */
static void whole_or_none(struct world *w, enum store_fault_kind kind)
{
    long nth = 0;

    data_mkdir(&w->dir, "base/5");
    data_pages(&w->dir, "base/5/1", 0, 30);
    add_file(w, "base/5/2", 100);
    add_file(w, "base/5/3", 60000);
    while (attempt_with_fault(w, nth, kind))
        nth++;
    assert_true(nth > 30);
}

static void a_store_whose_nth_call_fails_has_a_whole_backup_or_none(void **state)
{
    whole_or_none(*state, FAULT_BEFORE);
}

static void a_store_whose_nth_answer_is_lost_has_a_whole_backup_or_none(void **state)
{
    whole_or_none(*state, FAULT_AFTER);
}

static void a_store_that_goes_away_has_a_whole_backup_or_none(void **state)
{
    whole_or_none(*state, FAULT_FOREVER);
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, begin, end)
#define ENCRYPTED(test) cmocka_unit_test_setup_teardown(test, begin_encrypted, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(files_of_every_size_come_back_byte_for_byte),
        ENCRYPTED(files_of_every_size_come_back_byte_for_byte),
        PLAIN(many_small_files_share_bundles),
        PLAIN(zero_pages_are_not_stored_and_come_back),
        PLAIN(a_file_of_several_parts_comes_back_whole),
        PLAIN(configuration_outside_is_copied_too),
        PLAIN(a_file_that_grew_is_stored_as_it_was_found),
        PLAIN(a_file_that_was_empty_may_stay_so),
        PLAIN(a_file_that_shrank_ends_where_it_was_found_to_end),
        PLAIN(files_that_vanished_are_left_out_and_counted),
        PLAIN(without_pg_version_there_is_no_backup),
        PLAIN(a_file_map_that_stays_torn_is_not_stored),
        PLAIN(pages_that_do_not_fit_are_noted_with_their_blocks),
        PLAIN(pages_of_a_later_segment_are_checked_by_their_block_in_the_relation),
        PLAIN(pages_written_since_the_start_may_be_torn),
        PLAIN(without_data_checksums_nothing_is_suspected),
        PLAIN(what_an_interrupted_copy_stored_is_not_stored_again),
        ENCRYPTED(what_an_interrupted_copy_stored_is_not_stored_again),
        PLAIN(what_changed_since_is_stored_anew),
        PLAIN(a_request_to_stop_ends_the_copy),
        PLAIN(a_lost_session_ends_the_copy),
        PLAIN(the_rate_limit_holds),
        PLAIN(an_unreadable_file_ends_the_copy_with_its_name),
        PLAIN(a_store_whose_nth_call_fails_has_a_whole_backup_or_none),
        PLAIN(a_store_whose_nth_answer_is_lost_has_a_whole_backup_or_none),
        PLAIN(a_store_that_goes_away_has_a_whole_backup_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
