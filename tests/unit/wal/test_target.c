/* test_target.c - where recovery of a backup towards a target stops, on one timeline. */
#include "tests/unit/wal/target_rig.h"

/* A backup complete at noon, then commits of transactions 701, 702, ... at these minutes. */
struct day {
    struct rig rig;
    struct wal_make m;
    uint64_t commit[16], after[16];
};

static void day_begin(struct day *d, const int *minutes, size_t n, bool spread)
{
    rig_begin(&d->rig, 15);
    rig_make(&d->m, 15);
    wal_make_commit(&d->m, 700, NOON - MINUTE);
    rig_backup(&d->rig, &d->m, NOON);
    for (size_t i = 0; i < n; i++) {
        d->commit[i] = wal_make_commit(&d->m, 701 + (uint32_t)i, NOON + minutes[i] * MINUTE);
        d->after[i] = d->m.end;
        if (spread)
            wal_make_switch(&d->m);
    }
    if (!spread)
        wal_make_switch(&d->m);
    rig_put_all(&d->rig, &d->m);
}

static void day_end(struct day *d)
{
    rig_end(&d->rig);
    wal_make_free(&d->m);
}

/* Commit times are taken before their records are written, so they do not ascend. */
static void a_time_stops_before_the_first_later_commit_in_order_of_lsn(void **state)
{
    static const int minutes[] = {10, 30, 20, 40};
    static const struct {
        int minute;
        bool exclusive;
        size_t before; /* the commit it stops before */
        int last;
    } cases[] = {
        {15, false, 1, 10}, {25, false, 1, 10}, {29, false, 1, 10}, {30, false, 3, 20},
        {39, false, 3, 20}, {10, false, 1, 10}, {30, true, 1, 10},  {31, true, 3, 20},
        {40, true, 3, 20},  {10, true, 0, -1},  {5, false, 0, -1},
    };
    (void)state;

    for (int spread = 0; spread < 2; spread++) {
        struct day d;

        day_begin(&d, minutes, LENGTH(minutes), spread == 1);
        for (size_t i = 0; i < LENGTH(cases); i++) {
            struct reach r = rig_reach(
                &d.rig, 0, time_target(NOON + cases[i].minute * MINUTE, cases[i].exclusive));
            REACHED(r);
            assert_int_equal(r.end_lsn, d.commit[cases[i].before]);
            assert_int_equal(r.stop_xid, 701 + cases[i].before);
            assert_int_equal(r.last_commit_us,
                             cases[i].last < 0 ? 0 : NOON + cases[i].last * MINUTE);
            assert_int_equal(r.timeline, 1);
            assert_int_equal(r.first_segno, 3);
            assert_int_equal(r.last_segno, spread == 1 ? 3 + cases[i].before : 3);
            assert_true(r.wal_bytes > 0);
        }
        day_end(&d);
    }
}

static void an_abort_stops_a_time_as_well(void **state)
{
    static const int minutes[] = {10};
    struct day d;
    struct reach r;
    uint64_t abort;
    (void)state;

    day_begin(&d, minutes, 1, true);
    abort = wal_make_abort(&d.m, 800, NOON + 30 * MINUTE);
    wal_make_switch(&d.m);
    rig_put(&d.rig, &d.m, 1, 1, WITH_INDEX);
    r = rig_reach(&d.rig, 0, time_target(NOON + 20 * MINUTE, false));
    REACHED(r);
    assert_int_equal(r.end_lsn, abort);
    assert_int_equal(r.stop_xid, 800);
    assert_int_equal(r.last_commit_us, NOON + 10 * MINUTE);
    day_end(&d);
}

/* PostgreSQL would end with "recovery ended before configured recovery target was reached". */
static void a_time_behind_all_commits_is_not_reached(void **state)
{
    static const int minutes[] = {10, 30, 20};
    struct day d;
    struct reach r;
    (void)state;

    day_begin(&d, minutes, LENGTH(minutes), true);
    r = rig_reach(&d.rig, 0, time_target(NOON + 30 * MINUTE, false));
    NOT_REACHED(r, "no commit or abort after it is archived");
    SAYS(r.why, "2026-11-22 12:30:00+00");
    SAYS(r.why, "--target latest");
    assert_true(r.wal_ends);
    assert_int_equal(r.nearest_before_us, NOON + 30 * MINUTE - 1);
    assert_int_equal(r.nearest_after_us, 0);
    /* What is said to be near can be reached. */
    r = rig_reach(&d.rig, 0, time_target(r.nearest_before_us, false));
    REACHED(r);
    assert_int_equal(r.end_lsn, d.commit[1]);
    r = rig_reach(&d.rig, 0, time_target(NOON + 31 * MINUTE, true));
    assert_false(r.reachable);
    r = rig_reach(&d.rig, 0, lsn_target(r.nearest_before_lsn, false));
    REACHED(r);
    day_end(&d);
}

static void a_target_before_the_backup_was_complete_needs_an_older_one(void **state)
{
    struct rig rig;
    struct wal_make m;
    uint64_t start, during, second;
    struct reach r;
    size_t index;
    (void)state;

    rig_begin(&rig, 15);
    rig_make(&m, 15);
    rig_backup(&rig, &m, NOON);
    wal_make_commit(&m, 701, NOON + 5 * MINUTE);
    wal_make_switch(&m);
    second = wal_make_commit(&m, 702, NOON + 10 * MINUTE);
    start = rig_backup_start(&m);
    during = wal_make_commit(&m, 703, NOON + 20 * MINUTE);
    rig_backup_stop(&rig, &m, start, NOON + 30 * MINUTE);
    wal_make_commit(&m, 704, NOON + 40 * MINUTE);
    wal_make_switch(&m);
    rig_put_all(&rig, &m);

    r = rig_reach(&rig, 1, time_target(NOON + 15 * MINUTE, false));
    NOT_REACHED(r, "before backup 20261122T123000Z-F-000001 was complete");
    assert_int_equal(r.nearest_after_us, NOON + 30 * MINUTE);
    assert_int_equal(r.nearest_after_lsn, rig.items[1].stop_lsn);
    r = rig_choose(&rig, time_target(NOON + 15 * MINUTE, false), &index);
    REACHED(r);
    assert_int_equal(index, 0);
    assert_int_equal(r.end_lsn, during);
    r = rig_choose(&rig, time_target(NOON + 7 * MINUTE, false), &index);
    assert_int_equal(index, 0);
    assert_int_equal(r.end_lsn, second);
    r = rig_choose(&rig, time_target(NOON + 35 * MINUTE, false), &index);
    REACHED(r);
    assert_int_equal(index, 1);
    assert_int_equal(r.last_commit_us, NOON + 20 * MINUTE);
    r = rig_choose(&rig, xid_target(703, false), &index);
    assert_int_equal(index, 0);
    r = rig_choose(&rig, lsn_target(during, true), &index);
    assert_int_equal(index, 0);
    r = rig_choose(&rig, lsn_target(1, false), &index);
    NOT_REACHED(r, "it lies before");
    assert_int_equal(index, SIZE_MAX);
    assert_int_equal(r.nearest_after_lsn, rig.items[0].stop_lsn);
    rig_end(&rig);
    wal_make_free(&m);
}

/* PostgreSQL would not refuse: it has no record to stop at, and comes up with what was committed
 * between the target and the backup. */
static void a_time_before_the_backup_was_complete_is_refused_where_recovery_would_not(void **state)
{
    static const int minutes[] = {30};
    struct day d;
    struct reach r;
    (void)state;

    for (int spread = 0; spread < 2; spread++) {
        day_begin(&d, minutes, 1, spread == 1);
        r = rig_reach(&d.rig, 0, time_target(NOON - 1, false));
        NOT_REACHED(r, "it lies before backup");
        assert_int_equal(r.nearest_after_us, NOON);
        r = rig_reach(&d.rig, 0, time_target(NOON, false));
        REACHED(r);
        /* Its clock was behind: a commit before its start gives it away. */
        d.rig.items[0].stop_us = NOON - 2 * MINUTE;
        r = rig_reach(&d.rig, 0, time_target(NOON - MINUTE - 1, false));
        NOT_REACHED(r, "before backup");
        r = rig_reach(&d.rig, 0, time_target(NOON - MINUTE, false));
        REACHED(r);
        day_end(&d);
    }
}

/* The clock again, and a commit while the backup ran. */
static void a_stop_before_the_backup_is_consistent_is_refused(void **state)
{
    struct rig rig;
    struct wal_make m;
    uint64_t start;
    struct reach r;
    (void)state;

    for (int spread = 0; spread < 2; spread++) {
        rig_begin(&rig, 15);
        rig_make(&m, 15);
        start = rig_backup_start(&m);
        wal_make_commit(&m, 701, NOON);
        rig_backup_stop(&rig, &m, start, NOON - 2 * MINUTE);
        if (spread == 1)
            wal_make_switch(&m);
        wal_make_commit(&m, 702, NOON + MINUTE);
        wal_make_switch(&m);
        rig_put_all(&rig, &m);
        r = rig_reach(&rig, 0, time_target(NOON - MINUTE, false));
        NOT_REACHED(r, "before backup");
        r = rig_reach(&rig, 0, time_target(NOON, false));
        REACHED(r);
        rig_end(&rig);
        wal_make_free(&m);
    }
}

static void a_transaction_stops_after_its_end_or_before_it(void **state)
{
    static const int minutes[] = {10, 20, 30};
    struct day d;
    struct reach r;
    (void)state;

    for (int spread = 0; spread < 2; spread++) {
        day_begin(&d, minutes, LENGTH(minutes), spread == 1);
        r = rig_reach(&d.rig, 0, xid_target(702, false));
        REACHED(r);
        assert_int_equal(r.end_lsn, d.after[1]);
        assert_int_equal(r.stop_xid, 702);
        assert_int_equal(r.last_commit_us, NOON + 20 * MINUTE);
        r = rig_reach(&d.rig, 0, xid_target(702, true));
        REACHED(r);
        assert_int_equal(r.end_lsn, d.commit[1]);
        assert_int_equal(r.last_commit_us, NOON + 10 * MINUTE);
        r = rig_reach(&d.rig, 0, xid_target(900, false));
        NOT_REACHED(r, "it neither committed nor aborted between");
        assert_true(r.wal_ends);
        r = rig_reach(&d.rig, 0, xid_target(700, false));
        NOT_REACHED(r, "it neither committed nor aborted between"); /* before the start */
        day_end(&d);
    }
}

static void pg_time(struct buf *b, int64_t us)
{
    buf_u64(b, (uint64_t)us - (uint64_t)INT64_C(946684800000000));
}

static void a_prepared_transaction_is_found_by_its_own_xid(void **state)
{
    static const int minutes[] = {10};
    AUTO(buf_free) struct buf b = BUF_INIT;
    struct day d;
    struct reach r;
    uint64_t lsn;
    (void)state;

    day_begin(&d, minutes, 1, true);
    pg_time(&b, NOON + 20 * MINUTE);
    buf_u32(&b, 0x010); /* xinfo: a prepared transaction */
    buf_u32(&b, 750);
    lsn = wal_make_record(&d.m, WAL_RM_XACT, 0x30 | 0x80, 0, NULL, 0, b.p, b.len);
    wal_make_switch(&d.m);
    rig_put(&d.rig, &d.m, 1, 1, WITH_INDEX);
    r = rig_reach(&d.rig, 0, xid_target(750, true));
    REACHED(r);
    assert_int_equal(r.end_lsn, lsn);
    assert_int_equal(r.stop_xid, 750);
    day_end(&d);
}

static uint64_t commit_with_subxacts(struct wal_make *m, uint32_t xid, int64_t us, uint32_t first,
                                     uint32_t n)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    pg_time(&b, us);
    buf_u32(&b, 0x002);
    buf_u32(&b, n);
    for (uint32_t i = 0; i < n; i++)
        buf_u32(&b, first + i);
    return wal_make_record(m, WAL_RM_XACT, 0x80, xid, NULL, 0, b.p, b.len);
}

static void a_subtransaction_is_named_but_never_stops(void **state)
{
    static const int minutes[] = {10};
    struct day d;
    struct reach r;
    size_t index;
    (void)state;

    day_begin(&d, minutes, 1, true);
    commit_with_subxacts(&d.m, 760, NOON + 20 * MINUTE, 761, 3);
    wal_make_switch(&d.m);
    rig_put(&d.rig, &d.m, 1, 1, WITH_INDEX);
    r = rig_reach(&d.rig, 0, xid_target(762, false));
    NOT_REACHED(r, "a subtransaction of 760");
    r = rig_choose(&d.rig, xid_target(762, false), &index); /* now by what is remembered */
    NOT_REACHED(r, "a subtransaction of 760");
    assert_int_equal(index, SIZE_MAX);
    assert_int_equal(r.nearest_before_lsn, 0);
    day_end(&d);
}

static void a_position_stops_at_the_first_record_from_there_on(void **state)
{
    static const int minutes[] = {10, 20, 30};
    struct day d;
    struct reach r;
    (void)state;

    for (int spread = 0; spread < 2; spread++) {
        day_begin(&d, minutes, LENGTH(minutes), spread == 1);
        r = rig_reach(&d.rig, 0, lsn_target(d.commit[1], false));
        REACHED(r);
        assert_int_equal(r.end_lsn, d.after[1]);
        assert_int_equal(r.last_commit_us, NOON + 20 * MINUTE);
        r = rig_reach(&d.rig, 0, lsn_target(d.commit[1], true));
        REACHED(r);
        assert_int_equal(r.end_lsn, d.commit[1]);
        assert_int_equal(r.last_commit_us, NOON + 10 * MINUTE);
        r = rig_reach(&d.rig, 0, lsn_target(d.commit[1] - 8, false)); /* no record starts there */
        REACHED(r);
        assert_int_equal(r.end_lsn, d.after[1]);
        r = rig_reach(&d.rig, 0, lsn_target(d.m.end + 1, false));
        NOT_REACHED(r, "the archived WAL ends at");
        assert_true(r.wal_ends);
        r = rig_reach(&d.rig, 0, lsn_target(r.nearest_before_lsn, false));
        REACHED(r);
        day_end(&d);
    }
}

static void immediate_ends_where_the_backup_is_consistent(void **state)
{
    static const int minutes[] = {10, 20};
    struct target t = {.kind = TARGET_IMMEDIATE};
    struct day d;
    struct reach r;
    (void)state;

    for (int spread = 0; spread < 2; spread++) {
        day_begin(&d, minutes, LENGTH(minutes), spread == 1);
        r = rig_reach(&d.rig, 0, t);
        REACHED(r);
        assert_int_equal(r.end_lsn, d.rig.items[0].stop_lsn);
        assert_int_equal(r.last_commit_us, 0);
        assert_int_equal(r.first_segno, 3);
        assert_int_equal(r.last_segno, 3);
        day_end(&d);
    }
}

static void latest_goes_to_the_end_of_what_is_stored(void **state)
{
    static const int minutes[] = {10, 30, 20};
    struct target t = {.kind = TARGET_LATEST};
    struct day d;
    struct reach r;
    (void)state;

    day_begin(&d, minutes, LENGTH(minutes), true);
    r = rig_reach(&d.rig, 0, t);
    REACHED(r);
    assert_int_equal(r.end_lsn, segno_lsn(6, RIG_SEGSZ));
    assert_int_equal(r.last_commit_us, NOON + 20 * MINUTE);
    assert_int_equal(r.last_segno, 5);
    assert_string_equal(r.note, "");
    assert_string_equal(r.why, "");
    assert_false(r.wal_ends);
    day_end(&d);
}

static void latest_ends_with_the_last_record_of_a_segment_that_is_not_full(void **state)
{
    struct target t = {.kind = TARGET_LATEST};
    struct rig rig;
    struct wal_make m;
    struct reach r;
    (void)state;

    rig_begin(&rig, 17);
    rig_make(&m, 17);
    rig_backup(&rig, &m, NOON);
    wal_make_commit(&m, 701, NOON + MINUTE);
    rig_put_all(&rig, &m);
    r = rig_reach(&rig, 0, t);
    REACHED(r);
    assert_int_equal(r.end_lsn, m.end);
    r = rig_reach(&rig, 0, time_target(NOON + 2 * MINUTE, false));
    NOT_REACHED(r, "no commit or abort after it");
    assert_true(r.wal_ends);
    rig_end(&rig);
    wal_make_free(&m);
}

/* ---- restore points ---- */

static void names_begin(struct rig *rig, struct wal_make *m, uint64_t lsn[4], uint64_t end[4])
{
    static const char *const names[] = {"before_import", "after_import", "before_import", "last"};

    rig_begin(rig, 16);
    rig_make(m, 16);
    wal_make_restore_point(m, "ancient", NOON - MINUTE);
    rig_backup(rig, m, NOON);
    for (size_t i = 0; i < 4; i++) {
        lsn[i] = wal_make_restore_point(m, names[i], NOON + (int64_t)(i + 1) * MINUTE);
        end[i] = m->end;
        wal_make_commit(m, 701 + (uint32_t)i, NOON + (int64_t)(i + 1) * MINUTE);
        if (i == 2)
            rig_backup(rig, m, NOON + 3 * MINUTE + 1);
        wal_make_switch(m);
    }
    rig_put_all(rig, m);
}

static void a_name_stops_at_its_first_point_behind_the_backup(void **state)
{
    struct rig rig;
    struct wal_make m;
    uint64_t lsn[4], end[4];
    struct reach r;
    size_t index;
    (void)state;

    names_begin(&rig, &m, lsn, end);
    r = rig_reach(&rig, 0, name_target("after_import"));
    REACHED(r);
    assert_int_equal(r.end_lsn, end[1]);
    assert_int_equal(r.last_commit_us, NOON + MINUTE);
    assert_string_equal(r.note, "");
    r = rig_reach(&rig, 0, name_target("before_import"));
    REACHED(r);
    assert_int_equal(r.end_lsn, end[0]);
    SAYS(r.note, "1 more restore point of that name follows");
    r = rig_choose(&rig, name_target("after_import"), &index);
    REACHED(r);
    assert_int_equal(index, 0);
    r = rig_choose(&rig, name_target("last"), &index);
    REACHED(r);
    assert_int_equal(index, 1);
    assert_int_equal(r.end_lsn, end[3]);
    rig_end(&rig);
    wal_make_free(&m);
}

static void a_name_that_is_not_there_brings_those_that_are(void **state)
{
    struct rig rig;
    struct wal_make m;
    uint64_t lsn[4], end[4];
    struct reach r;
    size_t index;
    (void)state;

    names_begin(&rig, &m, lsn, end);
    r = rig_choose(&rig, name_target("befor_import"), &index);
    NOT_REACHED(r, "there is no such restore point");
    SAYS(r.why, "did you mean \"before_import\"?");
    SAYS(r.why, "\"last\" at 2026-11-22 12:04:00+00");
    r = rig_choose(&rig, name_target("ancient"), &index);
    NOT_REACHED(r, "there is no such restore point");
    assert_null(strstr(r.why, "\"ancient\""));
    rig_end(&rig);
    wal_make_free(&m);
}

static void an_older_point_of_the_same_name_is_told(void **state)
{
    struct rig rig;
    struct wal_make m;
    struct reach r;
    size_t index;
    (void)state;

    rig_begin(&rig, 16);
    rig_make(&m, 16);
    rig_backup(&rig, &m, NOON);
    wal_make_restore_point(&m, "twice", NOON + MINUTE);
    rig_backup(&rig, &m, NOON + 2 * MINUTE);
    wal_make_restore_point(&m, "twice", NOON + 3 * MINUTE);
    rig_put_all(&rig, &m);
    r = rig_choose(&rig, name_target("twice"), &index);
    REACHED(r);
    assert_int_equal(index, 1);
    assert_int_equal(r.end_lsn, m.end);
    SAYS(r.note, "--set 20261122T120000Z-F-000000");
    rig_end(&rig);
    wal_make_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_stops_before_the_first_later_commit_in_order_of_lsn),
        cmocka_unit_test(an_abort_stops_a_time_as_well),
        cmocka_unit_test(a_time_behind_all_commits_is_not_reached),
        cmocka_unit_test(a_target_before_the_backup_was_complete_needs_an_older_one),
        cmocka_unit_test(a_time_before_the_backup_was_complete_is_refused_where_recovery_would_not),
        cmocka_unit_test(a_stop_before_the_backup_is_consistent_is_refused),
        cmocka_unit_test(a_transaction_stops_after_its_end_or_before_it),
        cmocka_unit_test(a_prepared_transaction_is_found_by_its_own_xid),
        cmocka_unit_test(a_subtransaction_is_named_but_never_stops),
        cmocka_unit_test(a_position_stops_at_the_first_record_from_there_on),
        cmocka_unit_test(immediate_ends_where_the_backup_is_consistent),
        cmocka_unit_test(latest_goes_to_the_end_of_what_is_stored),
        cmocka_unit_test(latest_ends_with_the_last_record_of_a_segment_that_is_not_full),
        cmocka_unit_test(a_name_stops_at_its_first_point_behind_the_backup),
        cmocka_unit_test(a_name_that_is_not_there_brings_those_that_are),
        cmocka_unit_test(an_older_point_of_the_same_name_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
