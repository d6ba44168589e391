/* test_sums.c - sums of WAL indexes: they say what the indexes say, and save requests. */
#include "tests/unit/wal/sums_world.h"

/* ---- any WAL ---- */

static uint32_t any(struct world *w, uint32_t n)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((w->random >> 33) % n);
}

static uint64_t database(struct wal_make *m, uint8_t info, uint32_t db)
{
    uint8_t bytes[16] = {0};

    put_u32(bytes, db);
    if (info == 0x00) { /* created as a copy: database, tablespace, source, its tablespace */
        put_u32(bytes + 4, 1663);
        put_u32(bytes + 8, 1);
        put_u32(bytes + 12, 1663);
        return wal_make_record(m, WAL_RM_DBASE, info, 900, NULL, 0, bytes, 16);
    }
    put_u32(bytes + 4, 1); /* dropped: database, number of tablespaces, these */
    put_u32(bytes + 8, 1663);
    return wal_make_record(m, WAL_RM_DBASE, info, 900, NULL, 0, bytes, 12);
}

static uint64_t any_change(struct world *w)
{
    static const uint32_t longest[] = {100, 100, 100, 3000, 9000, FRAGMENT, 3 * FRAGMENT};
    uint8_t fork = any(w, 5) == 0 ? FORK_VM : FORK_MAIN;

    return long_change(&w->wal, rel_of(any(w, RELS)), fork, any(w, BLOCKS),
                       30 + any(w, longest[any(w, LENGTH(longest))]));
}

static uint64_t any_record(struct world *w)
{
    struct wal_locator rel = rel_of(any(w, RELS));
    uint32_t what = any(w, 60);
    int64_t time = NOON + (int64_t)any(w, 1000000);

    if (what == 0)
        return wal_make_truncate(&w->wal, rel, any(w, BLOCKS));
    if (what == 1 && any(w, 4) == 0)
        return wal_make_commit_drop(&w->wal, 800 + any(w, 9), time, rel);
    if (what == 2 && any(w, 4) == 0)
        return wal_make_create(&w->wal, rel, FORK_MAIN);
    if (what == 3 && any(w, 8) == 0)
        return database(&w->wal, w->rig.major == 14 || w->rig.major == 13 ? 0x10 : 0x20, 6);
    if (what == 4)
        return wal_make_restore_point(&w->wal, "here", time);
    if (what == 5)
        return wal_make_checkpoint(&w->wal, false, time);
    if (what < 16)
        return wal_make_commit(&w->wal, 800 + any(w, 500), time);
    if (what < 19)
        return wal_make_abort(&w->wal, 800 + any(w, 500), time);
    return any_change(w);
}

/* Few records, then the segment is switched, or its end is crossed by a record. */
static void any_segment(struct world *w)
{
    for (uint32_t k = any(w, 12); k > 0; k--)
        note(w, any_record(w));
    if (any(w, 3) == 0) {
        note(w, wal_make_switch(&w->wal));
        return;
    }
    wal_make_fill(&w->wal, 30 + any(w, any(w, 2) == 0 ? 400 : 100000));
    for (size_t n = wal_make_count(&w->wal); wal_make_count(&w->wal) == n;)
        note(w, any_change(w));
    if (any(w, 12) == 0) /* one that is longer than a segment */
        note(w, long_change(&w->wal, rel_of(1), FORK_MAIN, 60, RIG_SEGSZ + any(w, RIG_SEGSZ)));
}

/* All of it but the last segment, which has only begun, is archived. */
static void any_wal(struct world *w, size_t segments)
{
    while (wal_make_count(&w->wal) <= segments)
        any_segment(w);
    rig_put_range(&w->rig, &w->wal, 0, wal_make_count(&w->wal) - 2, w->wal.tli);
}

static uint64_t last_archived(const struct world *w)
{
    return FIRST + wal_make_count(&w->wal) - 2;
}

/* ---- making ---- */

static void forget_sums(struct world *w)
{
    AUTO(sum_list_free) struct sum_list l = sums_of(w);

    for (size_t i = 0; i < l.n; i++) {
        AUTO(buf_free) struct buf key = BUF_INIT;
        const char *name = name_sum(&key, "pg-test", RIG_SYSID, w->rig.major, &l.items[i]);

        OK(store_delete(w->rig.store, &name, 1, &err), &err);
    }
}

/* The stored form, or nothing where there can be no sum. */
static void merged(struct world *w, uint64_t first, uint64_t last, const struct sum_list *smaller,
                   struct buf *out)
{
    AUTO(wal_sum_free) struct wal_sum s;
    struct wal_place place = place_of(w);

    buf_clear(out);
    wal_sum_init(&s);
    if (sum_merge(&place, 1, first, last, smaller, NULL, &s, &err) == 0)
        wal_sum_write(&s, out);
    err_clear(&err);
}

static void put(struct world *w, uint64_t first, uint64_t last)
{
    AUTO(wal_sum_free) struct wal_sum s;
    struct wal_place place = place_of(w);
    bool made;

    wal_sum_init(&s);
    if (sum_merge(&place, 1, first, last, NULL, NULL, &s, &err) == 0)
        OK(wal_sum_put(w->rig.repo, &s, &made, &err), &err);
    err_clear(&err);
}

static void any_sums(struct world *w)
{
    uint64_t last = last_archived(w), segno = FIRST + any(w, 2);

    while (segno < last) {
        uint64_t n = 2 + any(w, 4);

        if (segno + n - 1 <= last && any(w, 3) != 0)
            put(w, segno, segno + n - 1);
        segno += 1 + any(w, 4);
    }
}

/* ---- with and without ---- */

enum { SEEDS = 200, RANGES = 10 };

static void any_range(struct world *w, uint64_t *from, uint64_t *to)
{
    size_t i = any(w, (uint32_t)w->n_starts - 1);
    size_t k = i + 1 + any(w, (uint32_t)(w->n_starts - i - 1));

    *from = w->starts[i];
    *to = w->starts[k];
    while (k > i + 1 && *to / RIG_SEGSZ > last_archived(w))
        *to = w->starts[--k];
}

static void of_any_wal_sums_tell_the_same(void **state)
{
    size_t used = 0, told = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct changed *without[RANGES];
        uint64_t from[RANGES], to[RANGES];
        struct err doubts[RANGES], doubt;
        struct world w;

        world_begin(&w, seed);
        any_wal(&w, 3 + any(&w, 10));
        for (size_t i = 0; i < RANGES; i++) {
            any_range(&w, &from[i], &to[i]);
            without[i] = collected(&w, from[i], to[i], &doubts[i]);
        }
        if (seed % 2 == 0)
            any_sums(&w);
        else
            make(&w, 2, 4);
        for (size_t i = 0; i < RANGES; i++) {
            AUTO(changed_free) struct changed *with = collected(&w, from[i], to[i], &doubt);

            same_set(without[i], with);
            assert_string_equal(doubts[i].msg, doubt.msg);
            told += with != NULL;
            changed_free(&without[i]);
        }
        {
            AUTO(sum_list_free) struct sum_list l = sums_of(&w);
            used += l.n;
        }
        world_end(&w);
    }
    assert_true(used > SEEDS);
    assert_true(told > SEEDS * RANGES / 2);
}

/* In whatever steps segments are merged, the same comes out. */
static void a_sum_of_sums_is_the_sum_of_all(void **state)
{
    size_t compared = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= 100; seed++) {
        AUTO(buf_free) struct buf direct = BUF_INIT, by_sums = BUF_INIT;
        AUTO(sum_list_free) struct sum_list smaller = {0};
        struct world w;
        uint64_t first, last;

        world_begin(&w, 1000 + seed);
        any_wal(&w, 6 + any(&w, 10));
        first = FIRST + any(&w, 2);
        last = last_archived(&w) - any(&w, 2);
        merged(&w, first, last, NULL, &direct);
        for (uint64_t s = first; s < last;) {
            uint64_t n = 1 + any(&w, 4);

            if (n > 1 && s + n - 1 <= last && n <= last - first)
                put(&w, s, s + n - 1);
            s += n;
        }
        smaller = sums_of(&w);
        merged(&w, first, last, &smaller, &by_sums);
        assert_int_equal(direct.len, by_sums.len);
        if (direct.len != 0)
            assert_memory_equal(direct.p, by_sums.p, direct.len);
        compared += direct.len != 0 && smaller.n != 0;
        world_end(&w);
    }
    assert_true(compared > 50);
}

static uint64_t records_inside(struct world *w, size_t i)
{
    AUTO(wal_index_free) struct wal_index ix;
    struct wal_expect want = {RIG_SYSID, w->wal.start + i * RIG_SEGSZ, 1};

    wal_index_init(&ix);
    OK(wal_index_build(wal_make_segment(&w->wal, i), RIG_SEGSZ, &want, &ix, &err), &err);
    return ix.records;
}

/* What the whole stretch would say if it were one segment: that it is read back is part of it. */
static void a_sum_counts_what_the_indexes_and_the_records_between_them_say(void **state)
{
    AUTO(wal_sum_free) struct wal_sum s, again;
    AUTO(buf_free) struct buf bytes = BUF_INIT, twice = BUF_INIT;
    struct sum_name name = {1, 3 * RIG_SEGSZ, 6 * RIG_SEGSZ};
    struct wal_place place;
    struct world w;
    uint64_t first, last, records = 0;
    (void)state;

    world_begin(&w, 2); /* 15 */
    first = wal_make_commit(&w.wal, 700, NOON + 5);
    long_change(&w.wal, rel_of(0), FORK_MAIN, 1, 30);
    wal_make_fill(&w.wal, 700);
    wal_make_commit(&w.wal, 701, NOON + 3);
    long_change(&w.wal, rel_of(0), FORK_MAIN, 2, 900); /* crosses */
    wal_make_truncate(&w.wal, rel_of(0), 1);
    long_change(&w.wal, rel_of(0), FORK_MAIN, 5, 30);
    wal_make_switch(&w.wal);
    wal_make_abort(&w.wal, 690, NOON + 4);
    wal_make_restore_point(&w.wal, "here", NOON);
    last = wal_make_commit(&w.wal, 702, NOON + 4);
    wal_make_switch(&w.wal);
    wal_make_noise(&w.wal, 50);
    rig_put_range(&w.rig, &w.wal, 0, 2, 1);
    place = place_of(&w);
    wal_sum_init(&s);
    wal_sum_init(&again);
    OK(sum_merge(&place, 1, 3, 5, NULL, NULL, &s, &err), &err);
    for (size_t i = 0; i < 3; i++)
        records += records_inside(&w, i);
    assert_int_equal(s.ix.records, records + 1);
    assert_int_equal(s.ix.first_lsn, first);
    assert_true(s.ix.last_lsn > last);
    assert_int_equal(s.ix.commits, 3);
    assert_int_equal(s.ix.aborts, 1);
    assert_int_equal(s.ix.commit_first.time_us, NOON + 5);
    assert_int_equal(s.ix.commit_last.lsn, last);
    assert_int_equal(s.ix.commit_min.time_us, NOON + 3);
    assert_int_equal(s.ix.commit_max.lsn, first);
    assert_int_equal(s.ix.xid_low, 690);
    assert_int_equal(s.ix.xid_high, 702);
    assert_int_equal(s.ix.n_events, 1);
    assert_int_equal(s.ix.n_rels, 1);
    assert_int_equal(s.ix.rels[0].fork[FORK_MAIN].limit, 1);
    assert_int_equal(s.ix.rels[0].fork[FORK_MAIN].n_runs, 1); /* 1 and 2 are void since */
    assert_int_equal(s.ix.runs[0].first, 5);
    assert_true(s.ix.flags & WAL_INDEX_SWITCH);
    wal_sum_write(&s, &bytes);
    OK(wal_sum_read(bytes.p, bytes.len, &name, RIG_SYSID, 15, &again, &err), &err);
    wal_sum_write(&again, &twice);
    assert_int_equal(bytes.len, twice.len);
    assert_memory_equal(bytes.p, twice.p, bytes.len);
    world_end(&w);
}

/* The next record begins 8 bytes before the segment ends: not even its header is whole there. */
static void leave_eight_bytes(struct wal_make *m)
{
    size_t left;

    wal_make_fill(m, 100);
    left = RIG_SEGSZ - m->bytes.len % RIG_SEGSZ;
    wal_make_noise(m, left - 8);
    assert_int_equal(m->bytes.len % RIG_SEGSZ, RIG_SEGSZ - 8);
}

/* One that begins there, and takes all of the next segment but 8 bytes. */
static void fill_the_next(struct wal_make *m)
{
    wal_make_noise(m, RIG_SEGSZ - 40 - (RIG_SEGSZ / WAL_PAGE - 1) * 24);
    assert_int_equal(m->bytes.len % RIG_SEGSZ, RIG_SEGSZ - 8);
}

static void sum_of(struct world *w, uint64_t first, uint64_t last, struct wal_sum *s)
{
    struct wal_place place = place_of(w);
    bool made;

    wal_sum_init(s);
    OK(sum_merge(&place, 1, first, last, NULL, NULL, s, &err), &err);
    OK(wal_sum_put(w->rig.repo, s, &made, &err), &err);
}

/* The only record that starts in a segment may be one whose header, which names the one before it,
 * is in the next. */
static void a_header_that_is_cut_off_at_an_end_breaks_no_chain(void **state)
{
    AUTO(changed_free) struct changed *without = NULL;
    struct err doubt;
    struct world w;
    (void)state;

    world_begin(&w, 2);
    note(&w, wal_make_change(&w.wal, rel_of(0), 0));
    for (uint32_t i = 0; i < 2; i++) { /* 3 and 4, 5 and 6 */
        wal_make_change(&w.wal, rel_of(0), 10 * i + 1);
        leave_eight_bytes(&w.wal);
        fill_the_next(&w.wal);
        wal_make_change(&w.wal, rel_of(0), 10 * i + 2);
        wal_make_change(&w.wal, rel_of(0), 10 * i + 3);
    }
    wal_make_switch(&w.wal); /* 7 */
    note(&w, wal_make_noise(&w.wal, 50));
    rig_put_range(&w.rig, &w.wal, 0, 5, 1);
    without = collected(&w, w.starts[0], w.starts[1], &doubt);
    if (without == NULL)
        fail_msg("%s", doubt.msg);
    for (uint64_t first = 4; first <= 5; first++) {
        AUTO(changed_free) struct changed *with = NULL;
        AUTO(wal_sum_free) struct wal_sum s;

        sum_of(&w, first, first + 1, &s);
        assert_true(s.ix.first_prev != 0);
        assert_true(s.ix.last_prev != 0);
        with = collected(&w, w.starts[0], w.starts[1], &doubt);
        if (with == NULL)
            fail_msg("from %d: %s", (int)first, doubt.msg);
        same_set(without, with);
        forget_sums(&w);
    }
    world_end(&w);
}

/* ---- which are made ---- */

static bool has_sum(struct world *w, uint64_t first, uint64_t n)
{
    AUTO(sum_list_free) struct sum_list l = sums_of(w);
    bool found = false;

    for (size_t i = 0; i < l.n; i++)
        found |= l.items[i].start == first * RIG_SEGSZ &&
                 l.items[i].end == (first + n) * RIG_SEGSZ && l.items[i].timeline == 1;
    return found;
}

static void what_is_complete_is_summed_up_once(void **state)
{
    struct sums_made made;
    struct world w;
    (void)state;

    world_begin(&w, 2);
    plain_wal(&w, 22); /* 3 to 24 */
    rig_put_range(&w.rig, &w.wal, 0, 20, 1);
    made = make(&w, 4, 8);
    assert_int_equal(made.made, 5 + 2);
    for (uint64_t s = 4; s < 24; s += 4)
        assert_true(has_sum(&w, s, 4));
    assert_true(has_sum(&w, 8, 8));
    assert_true(has_sum(&w, 16, 8));
    made = make(&w, 4, 8);
    assert_int_equal(made.made, 0);
    assert_int_equal(made.refused, 0);
    forget_sums(&w);
    {
        struct sums_request q = {
            .place = place_of(&w), .small = 4, .large = 8, .from = 12 * RIG_SEGSZ + 40};

        OK(sums_make(&q, &made, &err), &err);
        assert_int_equal(made.made, 3 + 1); /* 12 to 23, 16 to 23 */
        assert_false(has_sum(&w, 8, 4));
    }
    world_end(&w);
}

static void unknown_record(struct wal_make *m)
{
    wal_make_record(m, 22, 0x00, 0, NULL, 0, "x", 1);
}

static void of_wal_that_does_not_tell_all_there_is_no_sum(void **state)
{
    enum { MISSING, NO_INDEX, UNKNOWN, UNKNOWN_BETWEEN, MINIMAL, ENDS, BREAK, WAYS };
    (void)state;

    for (int way = 0; way < WAYS; way++) {
        struct sums_made made;
        struct world w;

        world_begin(&w, 2);
        for (size_t i = 0; i < 10; i++) { /* 3 to 12; 6 is the bad one */
            wal_make_change(&w.wal, rel_of(0), 1);
            if (way == UNKNOWN && i == 3)
                unknown_record(&w.wal);
            if (way == MINIMAL && i == 3) {
                uint8_t level[32] = {0}; /* wal_level 0 in XLOG_PARAMETER_CHANGE */
                wal_make_record(&w.wal, WAL_RM_XLOG, 0x60, 0, NULL, 0, level, sizeof level);
            }
            if (way == BREAK && i == 3)
                w.wal.last -= 8;
            if (way == UNKNOWN_BETWEEN && i == 2) {
                wal_make_fill(&w.wal, 40);
                while (RIG_SEGSZ - w.wal.bytes.len % RIG_SEGSZ > 40)
                    wal_make_noise(&w.wal, 27);
                wal_make_record(&w.wal, 22, 0x00, 0, NULL, 0, (const uint8_t[60]){0}, 60);
                continue;
            }
            if (way == ENDS && i == 3)
                wal_make_noise(&w.wal, 300);
            wal_make_switch(&w.wal);
        }
        for (size_t i = 0; i < 10; i++) {
            if (way == ENDS && i == 3) {
                uint8_t *segment = wal_make_segment(&w.wal, i);
                memset(segment + 300, 0, RIG_SEGSZ - 300);
            }
            if (way != MISSING || i != 3)
                rig_put(&w.rig, &w.wal, i, 1,
                        way == NO_INDEX && i == 3 ? WITHOUT_INDEX : WITH_INDEX);
        }
        made = make(&w, 2, 4);
        /* what is between two is nowhere but in the pieces that each of them keeps */
        if (has_sum(&w, 6, 2) != (way == UNKNOWN_BETWEEN) || has_sum(&w, 4, 4))
            fail_msg("way %d: a sum was made", way);
        if (!has_sum(&w, 4, 2) || !has_sum(&w, 8, 4))
            fail_msg("way %d: others were not made: %s", way, made.why.msg);
        assert_int_equal(made.refused, way != MISSING);
        world_end(&w);
    }
}

/* What cannot be understood is not tried for ever, and what is new comes first. */
static void making_ends_after_some_refusals_or_some_time(void **state)
{
    struct sums_made made;
    struct world w;
    (void)state;

    world_begin(&w, 2);
    for (size_t i = 0; i < 24; i++) { /* 3 to 26 */
        if (i < 18)
            unknown_record(&w.wal);
        wal_make_change(&w.wal, rel_of(0), 1);
        wal_make_switch(&w.wal);
    }
    wal_make_noise(&w.wal, 50);
    rig_put_range(&w.rig, &w.wal, 0, 23, 1);
    made = make(&w, 2, 4);
    assert_int_equal(made.made, 2); /* 24, 22 */
    assert_int_equal(made.refused, 4);
    assert_true(made.cut_short);
    SAYS(made.why.msg, "resource manager 22");
    {
        const struct sums_request q = {
            .place = place_of(&w), .small = 4, .large = 8, .time_limit_us = -1};

        OK(sums_make(&q, &made, &err), &err);
        assert_int_equal(made.made, 0);
        assert_true(made.cut_short);
    }
    world_end(&w);
}

/* ---- how they are used ---- */

static void sums_save_requests(void **state)
{
    struct world w;
    long without, with;
    (void)state;

    world_begin(&w, 2);
    plain_wal(&w, 70); /* 3 to 72 */
    rig_put_range(&w.rig, &w.wal, 0, 69, 1);
    without = calls_for(&w, w.starts[0], w.starts[138]);
    make(&w, 4, 16);
    with = calls_for(&w, w.starts[0], w.starts[138]);
    /* one listing of sums, one of the log; 3; 4..15 by 3; 16..63 by 3; 64..71 by 2; segment 72 */
    if (with * 4 > without)
        fail_msg("%ld calls with sums, %ld without", with, without);
    world_end(&w);
}

/* ---- hostile bytes ---- */

static void what_is_no_sum_is_refused(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(wal_sum_free) struct wal_sum s;
    struct sum_name name = {1, 4 * RIG_SEGSZ, 8 * RIG_SEGSZ}, other = name;
    struct world w;
    (void)state;

    with_sums(&w);
    wal_sum_init(&s);
    OK(wal_sum_load(w.rig.repo, RIG_SYSID, 15, &name, &bytes, &err), &err);
    OK(wal_sum_read(bytes.p, bytes.len, &name, RIG_SYSID, 15, &s, &err), &err);
    for (size_t len = 0; len < bytes.len; len++) {
        int rc = wal_sum_read(bytes.p, len, &name, RIG_SYSID, 15, &s, &err);

        if (rc == 0) /* cut between two parts: what is left has another meaning, but is one */
            assert_true(len > 4 * 17);
        err_clear(&err);
    }
    other.end += RIG_SEGSZ;
    FAILS(wal_sum_read(bytes.p, bytes.len, &other, RIG_SYSID, 15, &s, &err), &err, ERR_FOREIGN);
    FAILS(wal_sum_read(bytes.p, bytes.len, &name, RIG_SYSID + 1, 15, &s, &err), &err, ERR_FOREIGN);
    FAILS(wal_sum_read(bytes.p, bytes.len, &name, RIG_SYSID, 16, &s, &err), &err, ERR_FOREIGN);
    for (size_t i = 0; i < bytes.len; i++) {
        char was = bytes.p[i];

        for (unsigned bit = 0; bit < 8; bit++) {
            bytes.p[i] = (char)(was ^ (1 << bit));
            (void)!wal_sum_read(bytes.p, bytes.len, &name, RIG_SYSID, 15, &s, &err);
            err_clear(&err);
        }
        bytes.p[i] = was;
    }
    bytes.p[0] = 2;
    FAILS(wal_sum_read(bytes.p, bytes.len, &name, RIG_SYSID, 15, &s, &err), &err, ERR_UNSUPPORTED);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_any_wal_sums_tell_the_same),
        cmocka_unit_test(a_sum_of_sums_is_the_sum_of_all),
        cmocka_unit_test(a_sum_counts_what_the_indexes_and_the_records_between_them_say),
        cmocka_unit_test(a_header_that_is_cut_off_at_an_end_breaks_no_chain),
        cmocka_unit_test(what_is_complete_is_summed_up_once),
        cmocka_unit_test(of_wal_that_does_not_tell_all_there_is_no_sum),
        cmocka_unit_test(making_ends_after_some_refusals_or_some_time),
        cmocka_unit_test(sums_save_requests),
        cmocka_unit_test(what_is_no_sum_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
