/* test_increment.c - what an incremental backup holds is what lay there, and it read no more than
 * it had to. */
#include "tests/unit/backup/increment_world.h"

/* ---- unchanged ---- */

static void what_did_not_change_is_not_read(void **state)
{
    struct world *w = *state;
    struct stored large, small;

    data_pages(&w->dir, "base/5/1", 0, 150);
    data_pages(&w->dir, "base/5/2", 0, 3);
    data_write(&w->dir, "base/5/3", "", 0);
    data_resize(&w->dir, "base/5/1", 160 * PAGE);
    back_up(w);
    back_up(w);
    right(w, 0);
    large = stored(w, "base/5/1");
    small = stored(w, "base/5/2");
    assert_int_equal(large.pages[1], 0);
    assert_int_equal(large.pages[2], 150);
    assert_int_equal(large.pages[0], 10);
    assert_false(large.crc_unknown || small.crc_unknown);
    assert_int_equal(small.place, PLACE_BUNDLE);
    assert_int_equal(small.set, 2);
    assert_int_equal(stored(w, "base/5/3").place, PLACE_EMPTY);
    assert_true(set_stored_bytes(w->a.set) < 4000);
}

/* Proof that the count of bytes is no lie: what changed without the WAL is not seen. */
static void what_the_wal_does_not_tell_is_taken_from_the_base(void **state)
{
    AUTO(buf_free) struct buf was = BUF_INIT, large = BUF_INIT, small = BUF_INIT;
    struct world *w = *state;
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 150);
    data_pages(&w->dir, "base/5/2", 0, 3);
    back_up(w);
    OK(fs_read_file(w->dir.fd, "base/5/1", 1 << 30, &was, &err), &err);
    write_page(w, "base/5/1", 70, 9);
    write_page(w, "base/5/2", 1, 9);
    back_up(w);
    read_just(w, 0);
    assert_true(back_one(w->repo.repo, w->a.label, "data/base/5/1", &large));
    assert_int_equal(large.len, was.len);
    assert_memory_equal(large.p, was.p, was.len);
    assert_true(back_one(w->repo.repo, w->a.label, "data/base/5/2", &small));
    assert_memory_equal(small.p, was.p, 3 * PAGE); /* equal pages, as data_pages() makes them */
}

/* Progress counts what need not be read as done. */
static void progress_goes_to_the_end(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 150);
    data_pages(&w->dir, "base/5/2", 0, 150);
    data_pages(&w->dir, "base/5/3", 0, 3);
    back_up(w);
    change(w, "base/5/1", 3, 1);
    back_up(w);
    assert_int_equal(atomic_load(&w->a.progress.bytes_done), 303 * PAGE + 3);
    assert_int_equal(atomic_load(&w->a.progress.files_done), 4);
}

/* ---- some blocks ---- */

static void of_a_changed_file_only_the_changed_pages_are_read(void **state)
{
    static const uint32_t blocks[] = {0, 1, 7, 63, 64, 65, 130, 131, 132, 200, 255, 399};
    struct world *w = *state;
    struct stored s;

    data_pages(&w->dir, "base/5/1", 0, 400);
    data_pages(&w->dir, "base/5/2", 0, 400);
    back_up(w);
    for (size_t i = 0; i < LENGTH(blocks); i++)
        change(w, "base/5/1", blocks[i], 5);
    back_up(w);
    right(w, LENGTH(blocks));
    s = stored(w, "base/5/1");
    assert_true(s.crc_unknown);
    assert_int_equal(s.pages[1], LENGTH(blocks));
    assert_int_equal(s.pages[2], 400 - LENGTH(blocks));
    assert_false(stored(w, "base/5/2").crc_unknown);
}

/* More than a chunk holds, in one run and scattered, and every page. */
static void very_many_changed_pages_fill_several_chunks(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 1000);
    data_pages(&w->dir, "base/5/2", 0, 1000);
    data_pages(&w->dir, "base/5/3", 0, 200);
    back_up(w);
    change_run(w, "base/5/1", 300, 150, 2);
    for (uint32_t i = 1; i < 1000; i += 3)
        change(w, "base/5/2", i, 2);
    change_run(w, "base/5/3", 0, 200, 2);
    back_up(w);
    right(w, 150 + 333 + 200);
    assert_int_equal(stored(w, "base/5/1").pages[2], 850);
    assert_int_equal(stored(w, "base/5/2").pages[1], 333);
    assert_int_equal(stored(w, "base/5/3").pages[2], 0);
}

static void blocks_of_a_later_segment_are_counted_in_the_relation(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1.1", 0, 100);
    data_pages(&w->dir, "base/5/1.2", 0, 100);
    data_pages(&w->dir, "base/5/1", 0, 100);
    back_up(w);
    change(w, "base/5/1.1", 20, 3);
    change(w, "base/5/1.2", 99, 3);
    back_up(w);
    right(w, 2);
    assert_int_equal(stored(w, "base/5/1").pages[1], 0);
    assert_int_equal(stored(w, "base/5/1.1").pages[1], 1);
    assert_int_equal(stored(w, "base/5/1.2").pages[1], 1);
}

static void relations_of_other_tablespaces_are_known(void **state)
{
    struct world *w = *state;
    AUTO(mem_free) char *location = xasprintf("%s/elsewhere", w->dir.top);
    static const char name[] = "pg_tblspc/16400/PG_15_202209061/5/1";

    data_text(&w->dir, "../elsewhere/PG_15_202209061/5/PG_VERSION", "15\n");
    data_link(&w->dir, "pg_tblspc/16400", location);
    data_pages(&w->dir, name, 0, 100);
    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "global/1", 0, 100);
    back_up(w);
    change(w, name, 5, 1);
    change(w, "global/1", 6, 1);
    back_up(w);
    as_it_lies_there(w);
    read_just(w, 2 * PAGE + 3); /* its PG_VERSION */
    assert_int_equal(stored(w, name).pages[2], 99);
    assert_int_equal(stored(w, "global/1").pages[2], 99);
}

static void zero_pages_come_and_go(void **state)
{
    struct world *w = *state;
    struct stored s;

    data_pages(&w->dir, "base/5/1", 0, 50);
    data_resize(&w->dir, "base/5/1", 70 * PAGE); /* 50 to 69 are zeros */
    data_pages(&w->dir, "base/5/1", 70, 30);
    data_write(&w->dir, "base/5/2", "", 0);
    data_resize(&w->dir, "base/5/2", 100 * PAGE);
    data_pages(&w->dir, "base/5/3", 0, 100);
    back_up(w);
    zero(w, "base/5/1", 10);
    change(w, "base/5/1", 11, 2);
    zero(w, "base/5/1", 12);
    change(w, "base/5/1", 13, 2);
    change(w, "base/5/1", 60, 2);
    zero(w, "base/5/1", 65); /* told, and zeros as before */
    zero(w, "base/5/1", 99);
    change(w, "base/5/2", 99, 2);
    for (uint32_t i = 0; i < 100; i++)
        zero(w, "base/5/3", i);
    back_up(w);
    right(w, 7 + 1 + 100);
    s = stored(w, "base/5/1");
    assert_int_equal(s.pages[0], 19 + 3);
    assert_int_equal(s.pages[1], 3);
    assert_int_equal(s.pages[2], 75);
    assert_int_equal(stored(w, "base/5/2").pages[1], 1);
    assert_int_equal(stored(w, "base/5/3").pages[0], 100);
}

/* Runs of zeros in what is read at once: pages behind them move up. */
static void pages_between_zero_pages_keep_their_places(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 300);
    back_up(w);
    for (uint32_t i = 100; i < 300; i++)
        if (i % 3 == 0 || i % 17 < 5)
            zero(w, "base/5/1", i);
        else
            change(w, "base/5/1", i, 4);
    back_up(w);
    right(w, 200);
}

/* Names that are the beginning of others: list and base must be gone along in one order. */
static void names_are_found_in_whatever_order_they_stand(void **state)
{
    static const char *const dirs[] = {"base/4", "base/50", "base/500", "base/51"};
    static const char *const files[] = {"1", "1.1", "1.10", "1.2", "10", "10.1", "100", "11", "2"};
    struct world *w = *state;

    for (size_t d = 0; d < LENGTH(dirs); d++) {
        data_mkdir(&w->dir, dirs[d]);
        for (size_t f = 0; f < LENGTH(files); f++) {
            AUTO(mem_free) char *name = xasprintf("%s/%s", dirs[d], files[f]);

            data_pages(&w->dir, name, 0, f % 2 == 0 ? 10 : 2);
        }
    }
    back_up(w);
    back_up(w);
    right(w, 0);
    for (size_t f = 0; f < LENGTH(files); f += 2) {
        AUTO(mem_free) char *name = xasprintf("base/50/%s", files[f]);

        change(w, name, (uint32_t)f, 2);
        data_remove(&w->dir, f % 4 == 0 ? "base/500/1" : "base/51");
    }
    back_up(w);
    right(w, (LENGTH(files) + 1) / 2);
}

/* ---- sizes ---- */

static void a_file_that_grew_is_read_where_the_base_has_nothing(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 20);
    data_pages(&w->dir, "base/5/2", 0, 20);
    data_pages(&w->dir, "base/5/3", 0, 20);
    back_up(w);
    data_pages(&w->dir, "base/5/1", 20, 80); /* none of it was told */
    change_run(w, "base/5/2", 18, 82, 3);
    change(w, "base/5/2", 3, 3);
    data_resize(&w->dir, "base/5/3", 60 * PAGE); /* by zeros */
    back_up(w);
    right(w, 80 + 83 + 40);
    assert_int_equal(stored(w, "base/5/1").pages[2], 20);
    assert_int_equal(stored(w, "base/5/2").pages[2], 17);
    assert_int_equal(stored(w, "base/5/3").pages[0], 40);
}

static void a_file_that_shrank_keeps_what_is_left(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_pages(&w->dir, "base/5/3", 0, 100);
    back_up(w);
    truncate_to(w, "base/5/1", 60);
    change(w, "base/5/1", 3, 1);
    tell(w, "base/5/1", 99); /* before it was cut off */
    truncate_to(w, "base/5/2", 70);
    data_resize(&w->dir, "base/5/3", 80 * PAGE); /* not told: cut off while the base was made */
    back_up(w);
    right(w, 1);
    assert_int_equal(stored(w, "base/5/2").size, 70 * PAGE);
    assert_int_equal(stored(w, "base/5/2").pages[2], 70);
}

/* All behind the limit may be other pages, told or not. */
static void behind_a_limit_everything_is_read(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_pages(&w->dir, "base/5/3", 0, 100);
    back_up(w);
    truncate_to(w, "base/5/1", 40);
    for (uint32_t i = 40; i < 90; i++)
        write_page(w, "base/5/1", i, 7);
    tell_limit(w, "base/5/2", 95);
    write_page(w, "base/5/2", 97, 7);
    tell_limit(w, "base/5/3", 0);
    back_up(w);
    right(w, 50 + 5 + 100);
    assert_int_equal(stored(w, "base/5/1").pages[2], 40);
    assert_int_equal(stored(w, "base/5/3").pages[2], 0);
    assert_false(stored(w, "base/5/3").crc_unknown); /* all of it was read */
}

static void a_file_of_less_than_pages_is_read_whole(void **state)
{
    struct world *w = *state;

    add_file(w, "base/5/1", 100 * PAGE + 17, 0);
    add_file(w, "base/5/2", 100 * PAGE, 0);
    add_file(w, "base/5/3", 100, 0);
    add_file(w, "base/5/4", 100 * PAGE + 17, 0);
    back_up(w);
    add_file(w, "base/5/4", 101 * PAGE, 3);
    add_file(w, "base/5/1", 100 * PAGE + 17, 3);
    add_file(w, "base/5/2", 100 * PAGE + 17, 3);
    add_file(w, "base/5/3", 100, 3);
    back_up(w);
    as_it_lies_there(w);
    read_just(w, 200 * PAGE + 17 + 17 + 100 + 101 * PAGE);
}

static void small_files_become_large_and_large_ones_small(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 3);
    data_pages(&w->dir, "base/5/2", 0, 7);
    data_pages(&w->dir, "base/5/3", 0, 100);
    data_pages(&w->dir, "base/5/4", 0, 100);
    data_pages(&w->dir, "base/5/5", 0, 2);
    data_write(&w->dir, "base/5/6", "", 0);
    data_pages(&w->dir, "base/5/7", 0, 100);
    data_pages(&w->dir, "base/5/8", 0, 8); /* just large */
    back_up(w);
    data_pages(&w->dir, "base/5/1", 3, 97); /* bundled, and large now */
    data_pages(&w->dir, "base/5/2", 7, 1);
    truncate_to(w, "base/5/3", 7); /* large, and bundled now */
    truncate_to(w, "base/5/4", 0);
    change(w, "base/5/5", 1, 2);
    data_pages(&w->dir, "base/5/5", 2, 1); /* bundled still */
    data_pages(&w->dir, "base/5/6", 0, 20);
    truncate_to(w, "base/5/7", 8);
    change(w, "base/5/8", 7, 2);
    back_up(w);
    right(w, 100 + 8 + 7 + 0 + 3 + 20 + 0 + 1);
    assert_int_equal(stored(w, "base/5/1").pages[1], 100);
    assert_int_equal(stored(w, "base/5/3").place, PLACE_BUNDLE);
    assert_int_equal(stored(w, "base/5/3").set, 1);
    assert_int_equal(stored(w, "base/5/4").place, PLACE_EMPTY);
    assert_int_equal(stored(w, "base/5/7").pages[2], 8);
    data_pages(&w->dir, "base/5/3", 7, 93);
    change(w, "base/5/1", 50, 2);
    back_up(w);
    right(w, 100 + 1);
}

/* ---- what comes and goes ---- */

static void what_is_new_is_read_whole_and_what_is_gone_is_gone(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w = *state;

    data_pages(&w->dir, "base/5/10", 0, 100);
    data_pages(&w->dir, "base/5/30", 0, 100);
    data_pages(&w->dir, "base/5/50", 0, 3);
    back_up(w);
    data_remove(&w->dir, "base/5/10");
    data_remove(&w->dir, "base/5/50");
    data_mkdir(&w->dir, "base/4");
    data_mkdir(&w->dir, "base/6");
    data_pages(&w->dir, "base/4/5", 0, 10); /* before, among and behind the others */
    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/20", 0, 3);
    data_pages(&w->dir, "base/5/9", 0, 100);
    data_pages(&w->dir, "base/6/5", 0, 10);
    back_up(w);
    right(w, 10 + 100 + 3 + 100 + 10);
    assert_false(back_one(w->repo.repo, w->a.label, "data/base/5/10", &bytes));
    assert_int_equal(stored(w, "base/5/30").pages[2], 100);
}

static void what_was_made_again_under_its_number_is_read_whole(void **state)
{
    struct world *w = *state;
    struct wal_locator rel;

    data_mkdir(&w->dir, "base/7");
    data_mkdir(&w->dir, "base/8");
    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/1.1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 5);
    data_pages(&w->dir, "base/7/1", 0, 100);
    data_pages(&w->dir, "base/8/1", 0, 100);
    back_up(w);
    rel_of("base/5/1", &rel);
    wal_changes_drop(w->told, &rel);
    for (uint32_t i = 0; i < 100; i++) {
        write_page(w, "base/5/1", i, 5); /* same size, nothing told */
        write_page(w, "base/5/1.1", i, 5);
        write_page(w, "base/7/1", i, 5);
    }
    w->events[w->n_events++] =
        (struct wal_event){.kind = WAL_EVENT_DB_CREATE_COPY, .spc = SPC_DEFAULT, .db = 7};
    back_up(w);
    right(w, 300);
}

static void a_name_that_was_no_file_before_is_read_whole(void **state)
{
    struct world *w = *state;

    data_mkdir(&w->dir, "base/5/1");
    data_link(&w->dir, "base/5/2", "nowhere");
    data_pages(&w->dir, "base/5/3", 0, 20);
    back_up(w);
    data_remove(&w->dir, "base/5/1");
    data_remove(&w->dir, "base/5/2");
    data_pages(&w->dir, "base/5/1", 0, 20);
    data_pages(&w->dir, "base/5/2", 0, 20);
    back_up(w);
    right(w, 40);
}

/* ---- what the WAL cannot vouch for ---- */

static void other_forks_and_other_files_are_always_read(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"base/5/1_vm",  "base/5/1_fsm",      "base/5/9_init",
                                        "pg_xact/0000", "pg_stat/db_5.stat", "base/5/pg_internal",
                                        "base/5/1_vm.1"};

    data_pages(&w->dir, "base/5/1", 0, 20);
    for (size_t i = 0; i < LENGTH(names); i++) {
        data_mkdir(&w->dir, "pg_xact");
        data_mkdir(&w->dir, "pg_stat");
        data_pages(&w->dir, names[i], 0, 10);
    }
    data_text(&w->dir, "postgresql.conf", "port = 1\n");
    back_up(w);
    for (size_t i = 0; i < LENGTH(names); i++)
        write_page(w, names[i], 9, 3);
    data_text(&w->dir, "postgresql.conf", "port = 2\n");
    back_up(w);
    assert_int_equal(stored(w, "base/5/1").pages[2], 20);
    assert_int_equal(stored(w, "base/5/1_vm").pages[2], 0);
    as_it_lies_there(w);
    read_just(w, LENGTH(names) * 10 * PAGE + strlen("port = 2\n"));
}

static void configuration_outside_is_read_again(void **state)
{
    struct world *w = *state;
    AUTO(mem_free) char *conf = xasprintf("%s/etc/postgresql.conf", w->dir.top);
    char *outside[] = {conf};
    struct err err = {0};

    data_text(&w->dir, "../etc/postgresql.conf", "port = 5432\n");
    for (int i = 0; i < 2; i++) {
        next_attempt(w);
        w->a.outside = outside;
        w->a.n_outside = 1;
        OK(attempt_all(&w->a, &err), &err);
        note_backup(w);
        as_it_lies_there(w);
        read_just(w, strlen("port = 5432\n"));
        data_text(&w->dir, "../etc/postgresql.conf", "port = 5433\n");
    }
}

static void a_file_with_damage_in_the_base_is_read_again(void **state)
{
    struct world *w = *state;
    static char large[] = "base/5/1", small[] = "base/5/3";
    struct page_error errors[] = {{large, 7}, {large, 8}, {small, 0}};
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_pages(&w->dir, "base/5/3", 0, 2);
    next_attempt(w);
    w->a.errors = errors;
    w->a.n_errors = LENGTH(errors);
    OK(attempt_all(&w->a, &err), &err);
    note_backup(w);
    write_page(w, "base/5/1", 7, 3); /* mended, past all WAL */
    write_page(w, "base/5/3", 0, 3);
    back_up(w);
    right(w, 102);
    back_up(w); /* this base has none */
    right(w, 0);
}

/* ---- generations ---- */

static void increments_build_on_increments(void **state)
{
    struct world *w = *state;
    struct stored s;

    data_pages(&w->dir, "base/5/1", 0, 300);
    data_pages(&w->dir, "base/5/2", 0, 3);
    data_pages(&w->dir, "base/5/3", 0, 3);
    back_up(w);
    for (unsigned g = 0; g < 6; g++) {
        for (uint32_t b = g; b < 300; b += 10)
            change(w, "base/5/1", b, g + 10);
        change(w, "base/5/1", 299, g + 10);
        change(w, "base/5/2", 1, g + 10);
        if (g == 0)
            change(w, "base/5/3", 1, g + 10);
        back_up(w);
        right(w, 31 + 3 + (g == 0 ? 3 : 0));
    }
    s = stored(w, "base/5/1");
    assert_int_equal(s.pages[1], 31);
    for (unsigned set = 2; set <= 6; set++)
        assert_int_equal(s.pages[set], 30);
    assert_int_equal(s.pages[7], 300 - 31 - 5 * 30);
    assert_int_equal(stored(w, "base/5/2").set, 1);
    assert_int_equal(stored(w, "base/5/3").set, 6); /* of the first incremental */
}

static void older_backups_stay_as_they_were(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w = *state;
    uint32_t crc[4];
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 100);
    for (unsigned g = 0; g < 4; g++) {
        back_up(w);
        buf_clear(&bytes);
        OK(fs_read_file(w->dir.fd, "base/5/1", 1 << 30, &bytes, &err), &err);
        crc[g] = crc32c(0, bytes.p, bytes.len);
        change_run(w, "base/5/1", g * 10, 30, g + 3);
    }
    for (unsigned g = 0; g < 4; g++) {
        assert_true(back_one(w->repo.repo, w->labels[g], "data/base/5/1", &bytes));
        assert_int_equal(crc32c(0, bytes.p, bytes.len), crc[g]);
    }
}

/* ---- against a simulation ---- */

enum { FILES = 12 };
struct model {
    uint64_t random, seed;
    uint32_t size[FILES]; /* pages; 0: the file is not there */
};

static uint32_t any(struct model *m, uint32_t n)
{
    m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((m->random >> 33) % n);
}

static char *name_of(unsigned i)
{
    return xasprintf("base/%u/%u%s", 5 + i % 2, 100 + i / 2, i % 5 == 4 ? ".1" : "");
}

static void any_pages(struct world *w, struct model *m, unsigned i, const char *name)
{
    static const uint32_t most[] = {1, 5, 70, 300};
    uint32_t first = any(m, m->size[i]), n = 1 + any(m, most[any(m, 4)]);

    m->seed++;
    for (uint32_t b = first; b < MIN_OF(m->size[i], first + n); b += 1 + any(m, 2))
        if (any(m, 6) == 0)
            zero(w, name, b);
        else
            change(w, name, b, m->seed);
}

static void any_change(struct world *w, struct model *m)
{
    unsigned i = any(m, FILES), what = any(m, 12);
    AUTO(mem_free) char *name = name_of(i);
    struct wal_locator rel;
    uint32_t was = m->size[i];

    if (was == 0 || what == 0) { /* it grows */
        m->size[i] += 1 + any(m, any(m, 3) == 0 ? 400 : 12);
        for (uint32_t b = was; b < m->size[i]; b++)
            write_page(w, name, b, m->seed + 1);
    } else if (what == 1) {
        m->size[i] = any(m, was + 1);
        truncate_to(w, name, m->size[i]);
    } else if (what == 2 && any(m, 2) == 0) {
        rel_of(name, &rel);
        data_remove(&w->dir, name);
        wal_changes_drop(w->told, &rel);
        m->size[i] = 0;
    } else if (what == 3) { /* grows by zeros */
        m->size[i] += 1 + any(m, 30);
        data_resize(&w->dir, name, (uint64_t)m->size[i] * PAGE);
    } else {
        any_pages(w, m, i, name);
    }
    m->seed++;
}

static void any_generation(struct world *w, struct model *m)
{
    for (uint32_t n = any(m, 25); n > 0; n--)
        any_change(w, m);
    back_up(w);
    as_it_lies_there(w);
}

static void of_any_changes_the_backup_is_right(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct model m = {.random = seed};
        struct world *w;

        begin_with((void **)&w, seed % 4 == 0);
        data_mkdir(&w->dir, "base/6");
        for (int i = 0; i < 12; i++)
            any_change(w, &m);
        while (w->n < GENERATIONS)
            any_generation(w, &m);
        end((void **)&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(what_did_not_change_is_not_read),
        PLAIN(what_the_wal_does_not_tell_is_taken_from_the_base),
        PLAIN(progress_goes_to_the_end),
        PLAIN(of_a_changed_file_only_the_changed_pages_are_read),
        ENCRYPTED(of_a_changed_file_only_the_changed_pages_are_read),
        PLAIN(very_many_changed_pages_fill_several_chunks),
        PLAIN(blocks_of_a_later_segment_are_counted_in_the_relation),
        PLAIN(relations_of_other_tablespaces_are_known),
        PLAIN(zero_pages_come_and_go),
        PLAIN(pages_between_zero_pages_keep_their_places),
        PLAIN(names_are_found_in_whatever_order_they_stand),
        PLAIN(a_file_that_grew_is_read_where_the_base_has_nothing),
        PLAIN(a_file_that_shrank_keeps_what_is_left),
        PLAIN(behind_a_limit_everything_is_read),
        PLAIN(a_file_of_less_than_pages_is_read_whole),
        PLAIN(small_files_become_large_and_large_ones_small),
        PLAIN(what_is_new_is_read_whole_and_what_is_gone_is_gone),
        PLAIN(what_was_made_again_under_its_number_is_read_whole),
        PLAIN(a_name_that_was_no_file_before_is_read_whole),
        PLAIN(other_forks_and_other_files_are_always_read),
        PLAIN(configuration_outside_is_read_again),
        PLAIN(a_file_with_damage_in_the_base_is_read_again),
        PLAIN(increments_build_on_increments),
        ENCRYPTED(increments_build_on_increments),
        PLAIN(older_backups_stay_as_they_were),
        cmocka_unit_test(of_any_changes_the_backup_is_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
