/* test_target_lines.c - targets across timelines: forks, branches that were left, windows. */
#include "tests/unit/wal/target_rig.h"

/*
 * Timeline 1: backup 0 in segment 3, commits, segments 3 to 6. Timeline 2 leaves it in segment 5,
 * at fork[0], and goes on to 8 with backup 1. Timeline 3 leaves 2 in segment 7, at fork[1], and
 * goes on to 9. Of 1 and 2 also the segments behind the forks are stored, as after a restore in
 * place.
 */
struct tree {
    struct rig rig;
    struct wal_make one, two, three;
    uint64_t fork[2];
    uint64_t last_one, last_two, last_three; /* commits that only these timelines have */
};

static void fill(struct wal_make *m, uint32_t xid, int64_t us, size_t until)
{
    while (wal_make_count(m) < until) {
        wal_make_commit(m, xid++, us);
        us += MINUTE / 10;
        wal_make_fill(m, 2000);
        wal_make_noise(m, 4000);
    }
}

static void grow(struct tree *t)
{
    fill(&t->one, 700, NOON + MINUTE, 3); /* into segment 5 */
    wal_make_commit(&t->one, 720, NOON + 5 * MINUTE);
    t->fork[0] = t->one.end;
    rig_fork(&t->one, &t->two, 2);
    wal_make_commit(&t->one, 721, NOON + 6 * MINUTE);
    fill(&t->one, 722, NOON + 7 * MINUTE, 4);
    t->last_one = wal_make_commit(&t->one, 729, NOON + 9 * MINUTE);
    wal_make_switch(&t->one);

    wal_make_end_of_recovery(&t->two, 1, NOON + 20 * MINUTE);
    fill(&t->two, 730, NOON + 21 * MINUTE, 4); /* into 6 */
    rig_backup(&t->rig, &t->two, NOON + 25 * MINUTE);
    fill(&t->two, 740, NOON + 26 * MINUTE, 5); /* into 7 */
    wal_make_commit(&t->two, 750, NOON + 30 * MINUTE);
    t->fork[1] = t->two.end;
    rig_fork(&t->two, &t->three, 3);
    wal_make_commit(&t->two, 751, NOON + 31 * MINUTE);
    fill(&t->two, 752, NOON + 32 * MINUTE, 6);
    t->last_two = wal_make_commit(&t->two, 759, NOON + 35 * MINUTE);
    wal_make_switch(&t->two);

    wal_make_end_of_recovery(&t->three, 2, NOON + 40 * MINUTE);
    fill(&t->three, 760, NOON + 41 * MINUTE, 7); /* into 9 */
    t->last_three = wal_make_commit(&t->three, 770, NOON + 45 * MINUTE);
    wal_make_switch(&t->three);
}

static void histories(struct tree *t)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    rig_line(&b, 1, t->fork[0]);
    rig_history(&t->rig, 2, buf_text(&b));
    rig_line(&b, 2, t->fork[1]);
    rig_history(&t->rig, 3, buf_text(&b));
}

static void tree_begin(struct tree *t)
{
    memset(t, 0, sizeof *t);
    rig_begin(&t->rig, 15);
    rig_make(&t->one, 15);
    rig_backup(&t->rig, &t->one, NOON);
    grow(t);
}

/* Everything is stored. */
static void tree_whole(struct tree *t)
{
    tree_begin(t);
    rig_put_range(&t->rig, &t->one, 0, 3, 1);
    rig_put_range(&t->rig, &t->two, 2, 5, 2);
    rig_put_range(&t->rig, &t->three, 4, 6, 3);
    histories(t);
}

static void tree_end(struct tree *t)
{
    rig_end(&t->rig);
    wal_make_free(&t->one);
    wal_make_free(&t->two);
    wal_make_free(&t->three);
}

static struct target on_line(struct target t, uint32_t timeline)
{
    t.line = LINE_NUMBER;
    t.timeline = timeline;
    return t;
}

static void what_is_stored_is_known_by_timeline(void **state)
{
    struct tree t;
    const struct wal_stretch *s;
    size_t n;
    (void)state;

    tree_whole(&t);
    s = wal_map_stretches(rig_map(&t.rig), &n);
    assert_int_equal(n, 3);
    assert_int_equal(s[0].timeline, 1);
    assert_int_equal(s[0].first_segno, 3);
    assert_int_equal(s[0].last_segno, 6);
    assert_int_equal(s[2].first_segno, 7);
    assert_true(s[2].stored_bytes > 0);
    assert_true(wal_map_has(t.rig.map, 2, 5));
    assert_false(wal_map_has(t.rig.map, 2, 4));
    assert_false(wal_map_has(t.rig.map, 4, 5));
    assert_int_equal(wal_map_history(t.rig.map, 3)->count, 3);
    assert_int_equal(wal_map_history(t.rig.map, 1)->count, 1);
    assert_null(wal_map_history(t.rig.map, 4));
    assert_int_equal(wal_map_latest(t.rig.map, 1, t.fork[0]), 3);
    assert_int_equal(wal_map_latest(t.rig.map, 1, t.fork[0] + 1), 1);
    assert_int_equal(wal_map_latest(t.rig.map, 2, t.fork[1] + 1), 2);
    tree_end(&t);
}

static void recovery_follows_the_newest_timeline_through_its_ancestors(void **state)
{
    struct target latest = {.kind = TARGET_LATEST};
    struct tree t;
    struct reach r;
    (void)state;

    tree_whole(&t);
    r = rig_reach(&t.rig, 0, latest);
    REACHED(r);
    assert_int_equal(r.timeline, 3);
    assert_int_equal(r.end_lsn, t.three.end);
    assert_int_equal(r.last_commit_us, NOON + 45 * MINUTE);
    assert_int_equal(r.last_segno, 9);
    assert_string_equal(r.note, "");
    r = rig_reach(&t.rig, 1, latest);
    REACHED(r);
    assert_int_equal(r.timeline, 3);
    r = rig_reach(&t.rig, 0, xid_target(770, true));
    REACHED(r);
    assert_int_equal(r.end_lsn, t.last_three);
    r = rig_reach(&t.rig, 0, xid_target(751, false)); /* on the branch that was left */
    NOT_REACHED(r, "neither committed nor aborted");
    r = rig_reach(&t.rig, 0, time_target(NOON + 7 * MINUTE, false));
    REACHED(r); /* timeline 1 had commits then, but this way leaves it before */
    assert_int_equal(r.last_commit_us, NOON + 5 * MINUTE);
    assert_int_equal(r.last_segno, 5);
    tree_end(&t);
}

static void a_timeline_can_be_named(void **state)
{
    struct target latest = {.kind = TARGET_LATEST};
    struct tree t;
    struct reach r;
    size_t index;
    (void)state;

    tree_whole(&t);
    r = rig_reach(&t.rig, 0, on_line(latest, 1));
    REACHED(r);
    assert_int_equal(r.timeline, 1);
    assert_int_equal(r.last_commit_us, NOON + 9 * MINUTE);
    r = rig_reach(&t.rig, 0, on_line(latest, 2));
    REACHED(r);
    assert_int_equal(r.last_commit_us, NOON + 35 * MINUTE);
    r = rig_reach(&t.rig, 1, on_line(latest, 1));
    NOT_REACHED(r, "timeline 1 does not descend from");
    r = rig_reach(&t.rig, 0, on_line(latest, 7));
    NOT_REACHED(r, "timeline 7 cannot be followed: its history file is not stored");
    r = rig_choose(&t.rig, on_line(time_target(NOON + 6 * MINUTE, true), 1), &index);
    REACHED(r);
    assert_int_equal(index, 0);
    latest.line = LINE_CURRENT;
    r = rig_choose(&t.rig, latest, &index);
    assert_int_equal(index, 1);
    assert_int_equal(r.timeline, 2);
    tree_end(&t);
}

/* After a restore in place to a moment before it, the newest backup leads nowhere. */
static void a_backup_on_a_branch_that_was_left_is_passed_over(void **state)
{
    struct target latest = {.kind = TARGET_LATEST}, immediate = {.kind = TARGET_IMMEDIATE};
    struct tree t;
    struct reach r;
    size_t index, aside;
    (void)state;

    tree_begin(&t);
    aside = rig_backup(&t.rig, &t.two, NOON + 50 * MINUTE); /* behind fork[1] */
    rig_put_range(&t.rig, &t.one, 0, 3, 1);
    rig_put_range(&t.rig, &t.two, 2, 6, 2);
    rig_put_range(&t.rig, &t.three, 4, 6, 3);
    histories(&t);

    r = rig_reach(&t.rig, aside, latest);
    NOT_REACHED(r, "which the way to timeline 3 leaves at");
    SAYS(r.why, "use --target-timeline 2");
    r = rig_choose(&t.rig, latest, &index);
    REACHED(r);
    assert_int_equal(index, 1);
    assert_int_equal(r.timeline, 3);
    r = rig_choose(&t.rig, immediate, &index);
    REACHED(r);
    assert_int_equal(index, 1);
    r = rig_reach(&t.rig, aside, immediate);
    REACHED(r);
    assert_int_equal(r.timeline, 2);
    r = rig_choose(&t.rig, on_line(latest, 2), &index);
    REACHED(r);
    assert_int_equal(index, aside);
    tree_end(&t);
}

/* A standby that followed its new primary to another timeline while it was backed up. */
static void a_backup_may_cross_a_change_of_timeline(void **state)
{
    struct target latest = {.kind = TARGET_LATEST};
    struct tree t;
    struct pubinfo *p;
    struct reach r;
    (void)state;

    tree_whole(&t);
    p = &t.rig.items[1];
    struct wal_span spans[] = {{1, t.rig.items[0].start_lsn, t.fork[0]},
                               {2, t.fork[0], p->stop_lsn}};
    p->spans = spans;
    p->n_spans = 2;
    p->start_lsn = spans[0].start;
    r = rig_reach(&t.rig, 1, latest);
    REACHED(r);
    assert_int_equal(r.first_segno, 3);
    spans[0].stop = spans[1].start = t.fork[0] + 8; /* not the way of this timeline */
    r = rig_reach(&t.rig, 1, latest);
    NOT_REACHED(r, "was complete at");
    tree_end(&t);
}

static void in_the_segment_of_a_fork_the_childs_file_counts(void **state)
{
    struct target latest = {.kind = TARGET_LATEST};
    struct tree t;
    struct reach r;
    (void)state;

    tree_begin(&t);
    rig_put_range(&t.rig, &t.one, 0, 3, 1); /* has segment 5, too, as the parent wrote it */
    rig_put_range(&t.rig, &t.two, 3, 5, 2); /* but 2 lacks its own */
    rig_put_range(&t.rig, &t.three, 4, 6, 3);
    histories(&t);
    r = rig_reach(&t.rig, 0, time_target(NOON + 22 * MINUTE, false));
    NOT_REACHED(r, "\"000000020000000000000005\" is missing, later WAL is stored");
    assert_false(r.wal_ends);
    r = rig_reach(&t.rig, 0, latest);
    NOT_REACHED(r, "recovery would take that of timeline 1 for it");
    r = rig_reach(&t.rig, 0, on_line(latest, 1));
    REACHED(r);
    tree_end(&t);
}

/* The usual moment after a fail-over: the parent's last segment is archived as .partial only. */
static void a_timeline_without_wal_yet_is_told(void **state)
{
    struct target latest = {.kind = TARGET_LATEST};
    struct tree t;
    struct reach r;
    (void)state;

    tree_begin(&t);
    rig_put_range(&t.rig, &t.one, 0, 1, 1);
    rig_put_file(&t.rig, "000000010000000000000005.partial", wal_make_segment(&t.one, 2), RIG_SEGSZ,
                 NULL);
    histories(&t);
    r = rig_reach(&t.rig, 0, on_line(latest, 2));
    REACHED(r);
    assert_true(r.end_lsn <= segno_lsn(5, RIG_SEGSZ));
    SAYS(r.note, "timeline 2 begins at");
    SAYS(r.note, "\"000000020000000000000005\" is missing");
    tree_end(&t);
}

static void a_gap_in_the_row_of_histories_hides_what_comes_after(void **state)
{
    struct target latest = {.kind = TARGET_LATEST};
    AUTO(buf_free) struct buf b = BUF_INIT;
    struct tree t;
    struct reach r;
    (void)state;

    tree_begin(&t);
    rig_put_range(&t.rig, &t.one, 0, 3, 1);
    rig_put_range(&t.rig, &t.two, 2, 5, 2);
    rig_put_range(&t.rig, &t.three, 4, 6, 3);
    rig_line(&b, 1, t.fork[0]);
    rig_line(&b, 2, t.fork[1]);
    rig_history(&t.rig, 3, buf_text(&b)); /* 2's is not stored */
    r = rig_reach(&t.rig, 0, latest);
    REACHED(r);
    assert_int_equal(r.timeline, 1); /* as PostgreSQL would */
    r = rig_reach(&t.rig, 1, latest);
    REACHED(r);
    assert_int_equal(r.timeline, 3);
    r = rig_reach(&t.rig, 1, on_line(latest, 2));
    NOT_REACHED(r, "its history file is not stored");
    tree_end(&t);
}

static void a_damaged_history_stops_the_search_instead_of_leading_to_an_older_state(void **state)
{
    struct target latest = {.kind = TARGET_LATEST};
    struct tree t;
    struct reach r;
    (void)state;

    tree_begin(&t);
    rig_put_range(&t.rig, &t.one, 0, 3, 1);
    rig_history(&t.rig, 2, "rubbish\n");
    r = rig_reach(&t.rig, 0, latest);
    NOT_REACHED(r, "timeline 2 cannot be followed");
    r = rig_reach(&t.rig, 0, on_line(latest, 1));
    REACHED(r);
    tree_end(&t);
}

/* Recovery along 2 that stopped before 2 had begun: 3's history names both, 2 with a later switch.
 */
static void a_history_that_goes_backwards_is_followed_as_the_server_does(void **state)
{
    struct target latest = {.kind = TARGET_LATEST};
    AUTO(buf_free) struct buf b = BUF_INIT, both = BUF_INIT;
    struct rig rig;
    struct wal_make one, two, three;
    uint64_t early, late;
    struct reach r;
    (void)state;

    rig_begin(&rig, 15);
    rig_make(&one, 15);
    rig_backup(&rig, &one, NOON);
    wal_make_commit(&one, 701, NOON + MINUTE);
    early = one.end;
    rig_fork(&one, &three, 3);
    wal_make_commit(&one, 702, NOON + 2 * MINUTE);
    late = one.end;
    rig_fork(&one, &two, 2);
    wal_make_commit(&two, 703, NOON + 3 * MINUTE);
    wal_make_switch(&two);
    wal_make_commit(&three, 704, NOON + 4 * MINUTE);
    wal_make_switch(&three);
    rig_put_all(&rig, &one);
    rig_put_all(&rig, &two);
    rig_put_all(&rig, &three);
    rig_line(&b, 1, late);
    rig_history(&rig, 2, buf_text(&b));
    rig_line(&both, 1, late);
    rig_line(&both, 2, early);
    rig_history(&rig, 3, buf_text(&both));

    r = rig_reach(&rig, 0, latest);
    REACHED(r);
    assert_int_equal(r.timeline, 3);
    assert_int_equal(r.last_commit_us, NOON + 4 * MINUTE);
    r = rig_reach(&rig, 0, on_line(latest, 2));
    REACHED(r);
    assert_int_equal(r.last_commit_us, NOON + 3 * MINUTE);
    rig_end(&rig);
    wal_make_free(&one);
    wal_make_free(&two);
    wal_make_free(&three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stored_is_known_by_timeline),
        cmocka_unit_test(recovery_follows_the_newest_timeline_through_its_ancestors),
        cmocka_unit_test(a_timeline_can_be_named),
        cmocka_unit_test(a_backup_on_a_branch_that_was_left_is_passed_over),
        cmocka_unit_test(a_backup_may_cross_a_change_of_timeline),
        cmocka_unit_test(in_the_segment_of_a_fork_the_childs_file_counts),
        cmocka_unit_test(a_timeline_without_wal_yet_is_told),
        cmocka_unit_test(a_gap_in_the_row_of_histories_hides_what_comes_after),
        cmocka_unit_test(a_damaged_history_stops_the_search_instead_of_leading_to_an_older_state),
        cmocka_unit_test(a_history_that_goes_backwards_is_followed_as_the_server_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
