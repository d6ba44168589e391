/* test_verify.c - which WAL is missing, and which backups suffer from it. */
#include "tests/unit/wal/target_rig.h"
#include "wal/reach/verify.h"

struct world {
    struct rig rig;
    struct wal_make wal; /* segments 3 and on; one checkpoint and a switch each */
    struct wal_span spans[4];
    struct wal_gap *gaps;
    size_t n;
};

static int begin(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);

    rig_begin(&w->rig, 15);
    rig_make(&w->wal, 15);
    for (int i = 0; i < 12; i++) {
        wal_make_checkpoint(&w->wal, false, NOON + i * MINUTE);
        wal_make_switch(&w->wal);
    }
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    free(w->gaps);
    wal_make_free(&w->wal);
    rig_end(&w->rig);
    free(w);
    return 0;
}

static uint64_t inside(uint64_t segno)
{
    return segno * RIG_SEGSZ + 0x100;
}

/* A backup of these segments on timeline 1. */
static struct pubinfo *add_backup(struct world *w, uint64_t first, uint64_t last)
{
    size_t i = w->rig.backups.n++;
    struct pubinfo *p = &w->rig.items[i];

    w->spans[i] = (struct wal_span){1, inside(first), inside(last)};
    *p = (struct pubinfo){.system_id = RIG_SYSID,
                          .pg_version = 150004,
                          .timeline = 1,
                          .start_lsn = inside(first),
                          .stop_lsn = inside(last),
                          .wal_segment_size = RIG_SEGSZ,
                          .spans = &w->spans[i],
                          .n_spans = 1};
    snprintf(p->label, sizeof p->label, "20261122T12000%zuZ-F-000000", i % 10);
    return p;
}

static void find(struct world *w)
{
    struct err err = {0};

    OK(wal_find_gaps(w->rig.repo, &w->rig.backups, &w->gaps, &w->n, &err), &err);
}

static void assert_gap(const struct world *w, size_t i, uint32_t timeline, uint64_t first,
                       uint64_t last, const char *label)
{
    assert_true(i < w->n);
    assert_int_equal(w->gaps[i].system_id, RIG_SYSID);
    assert_int_equal(w->gaps[i].major, 15);
    assert_int_equal(w->gaps[i].timeline, timeline);
    assert_int_equal(w->gaps[i].first_segno, first);
    assert_int_equal(w->gaps[i].last_segno, last);
    assert_int_equal(w->gaps[i].segment_size, RIG_SEGSZ);
    assert_string_equal(w->gaps[i].label, label);
}

static void an_archive_without_holes_has_no_gaps(void **state)
{
    struct world *w = *state;

    rig_put_range(&w->rig, &w->wal, 0, 9, 1);
    add_backup(w, 4, 5);
    find(w);
    assert_int_equal(w->n, 0);
}

static void without_backups_nobody_misses_anything(void **state)
{
    struct world *w = *state;

    rig_put(&w->rig, &w->wal, 0, 1, WITH_INDEX);
    rig_put(&w->rig, &w->wal, 5, 1, WITH_INDEX);
    find(w);
    assert_int_equal(w->n, 0);
}

static void a_hole_between_backups_stops_recovery_across_it(void **state)
{
    struct world *w = *state;

    rig_put_range(&w->rig, &w->wal, 0, 3, 1);
    rig_put_range(&w->rig, &w->wal, 6, 9, 1); /* without 7 and 8 */
    add_backup(w, 4, 5);
    add_backup(w, 10, 10);
    find(w);
    assert_int_equal(w->n, 1);
    assert_gap(w, 0, 1, 7, 8, "");
}

static void a_hole_inside_a_backup_names_it(void **state)
{
    struct world *w = *state;
    const struct pubinfo *hurt;

    rig_put_range(&w->rig, &w->wal, 0, 3, 1);
    rig_put_range(&w->rig, &w->wal, 6, 9, 1);
    add_backup(w, 4, 5);
    hurt = add_backup(w, 6, 9);
    find(w);
    assert_int_equal(w->n, 2);
    assert_gap(w, 0, 1, 7, 8, "");
    assert_gap(w, 1, 1, 7, 8, hurt->label);
}

/* Neither before the first nor behind the last stretch is a hole between two. */
static void a_backup_whose_wal_is_cut_off_names_it(void **state)
{
    struct world *w = *state;
    const struct pubinfo *early, *late;

    rig_put_range(&w->rig, &w->wal, 3, 5, 1); /* 6 to 8 */
    early = add_backup(w, 4, 6);
    late = add_backup(w, 8, 10);
    find(w);
    assert_int_equal(w->n, 2);
    assert_gap(w, 0, 1, 4, 5, early->label);
    assert_gap(w, 1, 1, 9, 10, late->label);
}

static void two_holes_in_one_backup_are_two(void **state)
{
    struct world *w = *state;
    const struct pubinfo *hurt = add_backup(w, 4, 9);

    rig_put(&w->rig, &w->wal, 1, 1, WITH_INDEX);
    rig_put(&w->rig, &w->wal, 3, 1, WITH_INDEX);
    rig_put(&w->rig, &w->wal, 6, 1, WITH_INDEX);
    find(w);
    assert_int_equal(w->n, 4);
    assert_gap(w, 2, 1, 5, 5, hurt->label);
    assert_gap(w, 3, 1, 7, 8, hurt->label);
}

/* Its last segment on timeline 1 is only archived as the first of timeline 2. */
static void where_a_timeline_was_left_the_next_ones_file_will_do(void **state)
{
    struct world *w = *state;
    struct pubinfo *p = add_backup(w, 4, 5);
    struct wal_make child;

    rig_put_range(&w->rig, &w->wal, 0, 1, 1); /* 3 and 4 */
    wal_make_init(&child, 15, RIG_SYSID, 2, RIG_SEGSZ, 5);
    wal_make_checkpoint(&child, false, NOON);
    wal_make_switch(&child);
    rig_put_all(&w->rig, &child);
    w->spans[1] = (struct wal_span){2, inside(5), inside(5) + 8};
    w->spans[0].stop = inside(5);
    p->n_spans = 2;
    p->timeline = 2;
    find(w);
    wal_make_free(&child);
    assert_int_equal(w->n, 0);
}

static void holes_of_another_identity_are_its_own(void **state)
{
    struct world *w = *state;
    struct pubinfo *other;
    struct err err = {0};

    rig_put_range(&w->rig, &w->wal, 0, 9, 1);
    add_backup(w, 4, 5);
    other = add_backup(w, 4, 4);
    other->system_id++;
    OK(repo_accept(w->rig.repo, RIG_SYSID + 1, 15, &err), &err);
    find(w);
    assert_int_equal(w->n, 1);
    assert_int_equal(w->gaps[0].system_id, RIG_SYSID + 1);
    assert_int_equal(w->gaps[0].first_segno, 4);
    assert_int_equal(w->gaps[0].last_segno, 4);
    assert_string_equal(w->gaps[0].label, other->label);
}

static void a_store_that_does_not_answer_is_an_error(void **state)
{
    struct world *w = *state;
    struct repo_options o = {.name = "main", .cluster = "pg-test", .level = 1};
    struct store *flaky = store_fault_new(w->rig.store, 30, FAULT_FOREVER);
    AUTO(repo_close) struct repo *r = NULL;
    struct store_entry e;
    struct err err = {0};

    add_backup(w, 4, 5);
    OK(repo_open(&r, flaky, &o, REPO_OPEN_FULL, &err), &err);
    while (store_fault_calls(flaky) < 30)
        assert_int_equal(store_stat(flaky, "x", &e, &err), -1);
    FAILS(wal_find_gaps(r, &w->rig.backups, &w->gaps, &w->n, &err), &err, ERR_UNREACHABLE);
}

#define WITH_WAL(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WAL(an_archive_without_holes_has_no_gaps),
        WITH_WAL(without_backups_nobody_misses_anything),
        WITH_WAL(a_hole_between_backups_stops_recovery_across_it),
        WITH_WAL(a_hole_inside_a_backup_names_it),
        WITH_WAL(a_backup_whose_wal_is_cut_off_names_it),
        WITH_WAL(two_holes_in_one_backup_are_two),
        WITH_WAL(where_a_timeline_was_left_the_next_ones_file_will_do),
        WITH_WAL(holes_of_another_identity_are_its_own),
        WITH_WAL(a_store_that_does_not_answer_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
