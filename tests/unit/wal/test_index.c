/* test_index.c - the index of a segment says what its records say; indexes of a range join up. */
#include "wal/index/index.h"

#include <stdlib.h>

#include "base/mem.h"
#include "postgres/version.h"
#include "tests/lib/test.h"
#include "tests/lib/wal_make.h"

enum { SEGSZ = 1 << 20 };
static const uint64_t sysid = UINT64_C(7300000000000000001);
static const int64_t noon = INT64_C(1795348800123456);
static const struct wal_locator table = {1663, 5, 16384}, second = {1663, 5, 16400},
                                third = {1663, 5, 16500};

static void begin(struct wal_make *m, unsigned major)
{
    wal_make_init(m, major, sysid, 1, SEGSZ, 3);
}

static void build(struct wal_make *m, size_t i, struct wal_index *ix)
{
    struct wal_expect want = {.system_id = sysid, .start = m->start + i * SEGSZ, .tli = m->tli};
    struct err err;

    wal_index_init(ix);
    OK(wal_index_build(wal_make_segment(m, i), SEGSZ, &want, ix, &err), &err);
}

static void a_segment_is_described(void **state)
{
    (void)state;
    for (unsigned major = PG_MAJOR_MIN; major <= PG_MAJOR_MAX; major++) {
        AUTO(wal_make_free) struct wal_make m;
        AUTO(wal_index_free) struct wal_index ix;
        uint64_t first, late, early, rp, last;

        begin(&m, major);
        first = wal_make_checkpoint(&m, true, noon);
        wal_make_change(&m, table, 7);
        wal_make_commit(&m, 700, noon);
        late = wal_make_commit(&m, 702, noon + 9000000);
        early = wal_make_commit(&m, 701, noon - 1);
        wal_make_abort(&m, 703, noon + 10000000);
        rp = wal_make_restore_point(&m, "one", noon + 5);
        last = wal_make_switch(&m);
        build(&m, 0, &ix);

        assert_int_equal(ix.major, major);
        assert_int_equal(ix.flags, WAL_INDEX_SWITCH);
        assert_true(wal_index_has_blocks(&ix) && wal_index_has_history(&ix));
        assert_int_equal(ix.start, 3 * SEGSZ);
        assert_int_equal(ix.first_lsn, first);
        assert_int_equal(ix.last_lsn, last);
        assert_int_equal(ix.end_of_data, last + 24);
        assert_int_equal(ix.records, 8);
        assert_int_equal(ix.commits, 3);
        assert_int_equal(ix.commit_max.lsn, late);
        assert_int_equal(ix.commit_min.lsn, early);
        assert_int_equal(ix.commit_last.lsn, early);
        assert_int_equal(ix.commit_first.xid, 700);
        assert_int_equal(ix.abort_min.time_us, noon + 10000000);
        assert_int_equal(ix.xid_low, 700);
        assert_int_equal(ix.xid_high, 703);
        assert_int_equal(ix.n_events, 2);
        assert_int_equal(ix.events[1].lsn, rp);
        assert_string_equal(ix.events[1].name, "one");
        assert_int_equal(ix.n_timelines, 1);
        assert_int_equal(ix.n_rels, 1);
        assert_int_equal(ix.runs[0].first, 7);
        assert_int_equal(ix.head_len, 0);
        assert_int_equal(ix.tail_total, 0);
    }
}

static void limits_follow_creation_truncation_and_drop(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_index_free) struct wal_index ix;
    const struct wal_index_rel *r;
    (void)state;

    begin(&m, 15);
    wal_make_create(&m, table, FORK_MAIN);
    wal_make_change(&m, table, 0);
    for (uint32_t b = 0; b < 10; b++)
        wal_make_change(&m, second, b);
    wal_make_truncate(&m, second, 4);
    wal_make_change(&m, second, 4);
    wal_make_change(&m, third, 9);
    wal_make_commit_drop(&m, 800, noon, third);
    build(&m, 0, &ix);

    r = wal_index_rel(&ix, &table);
    assert_int_equal(r->what, WAL_REL_CREATED);
    assert_int_equal(r->fork[FORK_MAIN].limit, 0);
    assert_int_equal(r->fork[FORK_MAIN].n_runs, 1);
    r = wal_index_rel(&ix, &second);
    assert_int_equal(r->what, WAL_REL_TRUNCATED);
    assert_int_equal(r->fork[FORK_MAIN].limit, 4);
    assert_int_equal(r->fork[FORK_MAIN].n_runs, 1);
    assert_int_equal(ix.runs[r->fork[FORK_MAIN].first_run].count, 5);
    assert_int_equal(r->forks, 1 << FORK_MAIN | 1 << FORK_FSM | 1 << FORK_VM);
    r = wal_index_rel(&ix, &third);
    assert_int_equal(r->what, WAL_REL_DROPPED);
    assert_int_equal(r->fork[FORK_MAIN].limit, 0);
    assert_int_equal(r->fork[FORK_MAIN].n_runs, 0);
    assert_int_equal(ix.flags, WAL_INDEX_ENDS);
    assert_int_equal(ix.end_of_data, m.end);
}

/* Records crossing at both ends, at all distances: the chain finds each exactly once. */
static void records_that_cross_are_finished_from_both_sides(void **state)
{
    (void)state;
    for (size_t room = 136; room < 1200; room += 8) {
        AUTO(wal_make_free) struct wal_make m;
        AUTO(wal_chain_free) struct wal_chain c;
        uint64_t records = 0, commits = 0;
        unsigned crossed = 0;

        begin(&m, 17);
        wal_chain_init(&c);
        for (int i = 0; i < 2; i++) {
            wal_make_fill(&m, room);
            for (uint32_t k = 0; wal_make_count(&m) < (size_t)i + 2; k++)
                wal_make_commit(&m, 900 + k, noon);
        }
        for (size_t i = 0; i < wal_make_count(&m); i++) {
            AUTO(wal_index_free) struct wal_index ix;
            AUTO(wal_index_free) struct wal_index crossing = {0};
            enum wal_crossing what;
            struct err err;
            build(&m, i, &ix);
            OK(wal_chain_add(&c, &ix, &what, &crossing, &err), &err);
            records += ix.records + crossing.records;
            commits += ix.commits + crossing.commits;
            crossed += what == WAL_CROSSING_DONE;
            assert_int_equal(what == WAL_CROSSING_DONE, i > 0 && ix.head_len > 0);
            if (what == WAL_CROSSING_DONE)
                assert_int_equal(crossing.commit_first.lsn, crossing.first_lsn);
        }
        assert_int_equal(c.last, m.last);
        assert_true(crossed <= 2);
        {
            AUTO(wal_walk_free) struct wal_walk w;
            struct wal_record rec;
            struct err err;
            wal_walk_init(&w);
            for (size_t i = 0; i < wal_make_count(&m); i++) {
                OK(wal_walk_feed(&w, wal_make_segment(&m, i), SEGSZ, 1, &err), &err);
                while (wal_walk_next(&w, &rec) == WAL_RECORD) {
                    records--;
                    commits -= rec.rmid == WAL_RM_XACT;
                }
            }
        }
        assert_int_equal(records, 0);
        assert_int_equal(commits, 0);
    }
}

static void a_record_over_three_segments_is_finished(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_chain_free) struct wal_chain c;
    enum wal_crossing seen[4];
    uint64_t lsn;
    (void)state;

    begin(&m, 17);
    wal_chain_init(&c);
    wal_make_fill(&m, 2000);
    lsn = wal_make_noise(&m, SEGSZ + 40000);
    wal_make_commit(&m, 5, noon);
    for (size_t i = 0; i < 3; i++) {
        AUTO(wal_index_free) struct wal_index ix;
        AUTO(wal_index_free) struct wal_index crossing = {0};
        struct err err;
        build(&m, i, &ix);
        OK(wal_chain_add(&c, &ix, &seen[i], &crossing, &err), &err);
        if (i == 1) { /* all of it is the middle of the record, too long to be kept */
            assert_int_equal(ix.first_lsn, 0);
            assert_int_equal(ix.records, 0);
            assert_int_equal(ix.flags, WAL_INDEX_HEAD_OMITTED);
            assert_int_equal(c.carry_lsn, lsn);
        }
    }
    assert_int_equal(seen[0], WAL_CROSSING_NONE);
    assert_int_equal(seen[1], WAL_CROSSING_NONE);
    assert_int_equal(seen[2], WAL_CROSSING_NOT_KEPT);
}

static void a_chain_begins_inside_a_record(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_chain_free) struct wal_chain c;
    AUTO(wal_index_free) struct wal_index crossing = {0};
    (void)state;

    begin(&m, 14);
    wal_chain_init(&c);
    wal_make_fill(&m, 2000);
    wal_make_noise(&m, SEGSZ + 40000);
    wal_make_commit(&m, 5, noon);
    for (size_t i = 1; i < 3; i++) {
        AUTO(wal_index_free) struct wal_index ix;
        enum wal_crossing what;
        struct err err;
        build(&m, i, &ix);
        OK(wal_chain_add(&c, &ix, &what, &crossing, &err), &err);
        assert_int_equal(what, WAL_CROSSING_NO_START);
    }
    assert_int_equal(c.last, m.last);
}

/* The crash leaves `lost` bytes of a record behind; the next WAL begins at the page after them. */
static void a_record_lost_in_a_crash_never_happened(void **state)
{
    static const size_t pages_left[] = {1, 3, SEGSZ / WAL_PAGE, SEGSZ / WAL_PAGE + 2};
    (void)state;

    for (size_t k = 0; k < LENGTH(pages_left); k++) {
        AUTO(wal_make_free) struct wal_make m;
        AUTO(wal_chain_free) struct wal_chain c;
        uint64_t before, commits = 0;

        begin(&m, 15);
        wal_chain_init(&c);
        wal_make_fill(&m, 2000);
        before = wal_make_commit(&m, 4, noon);
        wal_make_noise(&m, 3 * SEGSZ);
        m.bytes.len = SEGSZ + (pages_left[k] - 1) * WAL_PAGE;
        m.last = before;
        m.flags = WAL_PAGE_OVERWRITE;
        wal_make_commit(&m, 5, noon);
        wal_make_switch(&m);
        wal_make_commit(&m, 6, noon);
        for (size_t i = 0; i < wal_make_count(&m); i++) {
            AUTO(wal_index_free) struct wal_index ix;
            AUTO(wal_index_free) struct wal_index crossing = {0};
            enum wal_crossing what;
            struct err err;
            build(&m, i, &ix);
            commits += ix.commits;
            OK(wal_chain_add(&c, &ix, &what, &crossing, &err), &err);
            assert_int_equal(what, WAL_CROSSING_NONE);
        }
        assert_int_equal(commits, 3);
        assert_int_equal(c.last, m.last);
    }
}

static int add_to(struct wal_chain *c, const struct wal_index *ix, struct err *err)
{
    AUTO(wal_index_free) struct wal_index crossing = {0};
    enum wal_crossing what;

    return wal_chain_add(c, ix, &what, &crossing, err);
}

static void gaps_and_strangers_break_a_chain(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_make_free) struct wal_make stranger;
    AUTO(wal_chain_free) struct wal_chain c;
    AUTO(wal_index_free) struct wal_index one;
    AUTO(wal_index_free) struct wal_index two;
    AUTO(wal_index_free) struct wal_index three;
    AUTO(wal_index_free) struct wal_index other;
    struct err err;
    (void)state;

    begin(&m, 15);
    wal_chain_init(&c);
    wal_make_fill(&m, 500);
    wal_make_noise(&m, 3000);
    wal_make_fill(&m, 500);
    wal_make_noise(&m, 3000);
    build(&m, 0, &one);
    build(&m, 1, &two);
    build(&m, 2, &three);
    OK(add_to(&c, &one, &err), &err);
    FAILS(add_to(&c, &three, &err), &err, ERR_NOT_FOUND);
    FAILS(add_to(&c, &one, &err), &err, ERR_NOT_FOUND);

    wal_make_init(&stranger, 15, sysid, 1, SEGSZ, 4); /* begins with no continuation */
    wal_make_commit(&stranger, 5, noon);
    build(&stranger, 0, &other);
    FAILS(add_to(&c, &other, &err), &err, ERR_CORRUPT);
    other.system_id++;
    FAILS(add_to(&c, &other, &err), &err, ERR_FOREIGN);

    two.head.p[50] ^= 1; /* the joined record does not fit */
    FAILS(add_to(&c, &two, &err), &err, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "CRC"));
}

static void a_break_of_the_prev_link_is_found(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_chain_free) struct wal_chain c;
    AUTO(wal_index_free) struct wal_index one;
    AUTO(wal_index_free) struct wal_index two;
    struct err err;
    (void)state;

    begin(&m, 15);
    wal_chain_init(&c);
    wal_make_commit(&m, 5, noon);
    wal_make_switch(&m);
    m.last -= 8;
    wal_make_commit(&m, 6, noon);
    build(&m, 0, &one);
    build(&m, 1, &two);
    OK(add_to(&c, &one, &err), &err);
    FAILS(add_to(&c, &two, &err), &err, ERR_CORRUPT);
}

/* pg_resetwal, with pg_wal lost, begins in the segment behind the last checkpoint's; its first
 * record names none before it. Were it taken for a continuation, what the lost WAL changed would
 * be in no index. */
static void wal_that_begins_anew_is_no_continuation(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_chain_free) struct wal_chain c;
    AUTO(wal_index_free) struct wal_index one;
    AUTO(wal_index_free) struct wal_index two;
    struct err err;
    (void)state;

    begin(&m, 15);
    wal_chain_init(&c);
    wal_make_commit(&m, 5, noon);
    wal_make_switch(&m);
    m.last = 0;
    wal_make_checkpoint(&m, true, noon);
    build(&m, 0, &one);
    build(&m, 1, &two);
    assert_int_equal(two.first_prev, 0);
    OK(add_to(&c, &one, &err), &err);
    FAILS(add_to(&c, &two, &err), &err, ERR_CORRUPT);
}

/* Bytes of a record that goes from where the WAL is to there, between page headers. */
static size_t record_up_to(const struct wal_make *m, size_t to)
{
    size_t len = to - m->bytes.len;

    for (size_t at = (m->bytes.len / WAL_PAGE + 1) * WAL_PAGE; at < to; at += WAL_PAGE)
        len -= at % SEGSZ == 0 ? WAL_LONG_HEADER : WAL_SHORT_HEADER;
    return len;
}

/* Of the only record that starts in the second segment eight bytes are there: what it says of the
 * one before it is in the third. */
static void a_header_that_is_cut_off_breaks_nothing(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_chain_free) struct wal_chain c;
    uint64_t commits = 0;
    (void)state;

    begin(&m, 15);
    wal_chain_init(&c);
    wal_make_fill(&m, 2000);
    wal_make_noise(&m, record_up_to(&m, 2 * SEGSZ - 8));
    assert_int_equal(m.bytes.len, 2 * SEGSZ - 8);
    wal_make_commit(&m, 5, noon);
    wal_make_commit(&m, 6, noon);
    for (size_t i = 0; i < wal_make_count(&m); i++) {
        AUTO(wal_index_free) struct wal_index ix;
        AUTO(wal_index_free) struct wal_index crossing = {0};
        enum wal_crossing what;
        struct err err;

        build(&m, i, &ix);
        assert_true(i != 1 || (ix.first_lsn != 0 && ix.first_prev == 0 && ix.tail_seen == 8));
        OK(wal_chain_add(&c, &ix, &what, &crossing, &err), &err);
        commits += ix.commits + crossing.commits;
    }
    assert_int_equal(commits, 2);
    assert_int_equal(c.last, m.last);
}

static void wal_that_ends_or_is_damaged_cannot_be_continued(void **state)
{
    static const struct {
        uint8_t flip;
        uint32_t flag;
        enum err_code code;
    } cases[] = {{0, WAL_INDEX_ENDS, ERR_NOT_FOUND}, {1, WAL_INDEX_STOPPED, ERR_CORRUPT}};
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(wal_make_free) struct wal_make m;
        AUTO(wal_chain_free) struct wal_chain c;
        AUTO(wal_index_free) struct wal_index one;
        AUTO(wal_index_free) struct wal_index two;
        uint64_t commit;
        struct err err;

        begin(&m, 15);
        wal_chain_init(&c);
        wal_make_noise(&m, 1000);
        commit = wal_make_commit(&m, 5, noon);
        wal_make_segment(&m, 0)[commit - m.start + 24] ^= cases[i].flip;
        m.bytes.len = SEGSZ;
        wal_make_commit(&m, 6, noon);
        build(&m, 0, &one);
        build(&m, 1, &two);
        assert_int_equal(one.flags, cases[i].flag);
        assert_int_equal(wal_index_has_blocks(&one), cases[i].flip == 0);
        assert_int_equal(one.end_of_data, cases[i].flip != 0 ? commit : commit + 40);
        assert_int_equal(one.records, cases[i].flip != 0 ? 1 : 2);
        OK(add_to(&c, &one, &err), &err);
        FAILS(add_to(&c, &two, &err), &err, cases[i].code);
    }
}

/* What a record is that the index cannot vouch for, and what must be said. */
static void doubts_are_flagged_with_their_reason(void **state)
{
    static const struct {
        const char *what;
        unsigned major;
        uint8_t rmid, info;
        uint8_t body[36];
        size_t len;
        uint32_t flags;
        const char *says;
    } doubts[] = {
        {"unknown resource manager",
         18,
         22,
         0,
         {255, 1, 9},
         3,
         WAL_INDEX_NO_BLOCKS,
         "unknown resource manager 22"},
        {"extension before 15", 14, 130, 0, {255, 1, 9}, 3, WAL_INDEX_NO_BLOCKS, "manager 130"},
        {"extension that changes files its own way",
         15,
         130,
         1,
         {255, 1, 9},
         3,
         WAL_INDEX_NO_BLOCKS,
         "130 changes relation files"},
        {"extension", 15, 130, 0, {255, 1, 9}, 3, 0, ""},
        {"record that does not add up",
         15,
         10,
         0,
         {255, 2, 9},
         3,
         WAL_INDEX_NO_BLOCKS | WAL_INDEX_NO_HISTORY,
         "do not add up"},
        {"commit of another layout",
         15,
         1,
         0,
         {255, 1, 9},
         3,
         WAL_INDEX_NO_BLOCKS | WAL_INDEX_NO_HISTORY,
         "commit or abort"},
        {"new change of relation files",
         15,
         2,
         0x40,
         {255, 1, 9},
         3,
         WAL_INDEX_NO_BLOCKS,
         "unknown change of relation files"},
        {"wal_level minimal",
         17,
         0,
         0xE0,
         {255, 4, 0, 0, 0, 0},
         6,
         WAL_INDEX_MINIMAL,
         "wal_level is minimal"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(doubts); i++) {
        AUTO(wal_make_free) struct wal_make m;
        AUTO(wal_index_free) struct wal_index ix;

        begin(&m, doubts[i].major);
        wal_make_raw(&m, doubts[i].rmid, doubts[i].info, 0, doubts[i].body, doubts[i].len);
        wal_make_commit(&m, 5, noon);
        wal_make_switch(&m);
        build(&m, 0, &ix);
        if (ix.flags != (doubts[i].flags | WAL_INDEX_SWITCH) ||
            strstr(ix.reason, doubts[i].says) == NULL)
            fail_msg("%s: flags 0x%x, \"%s\"", doubts[i].what, ix.flags, ix.reason);
        assert_int_equal(ix.commits, 1); /* reading went on */
    }
}

static void a_version_not_known_is_kept_with_an_empty_index(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_index_free) struct wal_index ix;
    AUTO(wal_index_free) struct wal_index seen = {0};
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err err;
    (void)state;

    begin(&m, 15);
    wal_make_commit(&m, 5, noon);
    put_u16(wal_make_segment(&m, 0), 0xD1FF);
    build(&m, 0, &ix);
    assert_int_equal(ix.major, 0);
    assert_false(wal_index_has_blocks(&ix) || wal_index_has_history(&ix));
    assert_non_null(strstr(ix.reason, "0xD1FF"));
    assert_int_equal(ix.records, 0);
    wal_index_write(&ix, &bytes);
    OK(wal_index_read(bytes.p, bytes.len, WAL_INDEX_ALL, &seen, &err), &err);
    assert_int_equal(seen.start, 3 * SEGSZ);
}

static void only_what_is_no_segment_of_this_cluster_is_refused(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_index_free) struct wal_index ix;
    struct wal_expect want = {.system_id = sysid + 1};
    struct err err;
    uint8_t *p;
    (void)state;

    begin(&m, 15);
    wal_index_init(&ix);
    wal_make_commit(&m, 5, noon);
    p = wal_make_segment(&m, 0);
    FAILS(wal_index_build(p, SEGSZ, &want, &ix, &err), &err, ERR_FOREIGN);
    want.system_id = sysid;
    FAILS(wal_index_build(p, SEGSZ / 2, &want, &ix, &err), &err, ERR_CORRUPT);
    put_u16(p + 2, 0);
    FAILS(wal_index_build(p, SEGSZ, &want, &ix, &err), &err, ERR_CORRUPT);
}

static void an_index_survives_being_stored(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_index_free) struct wal_index ix;
    AUTO(wal_index_free) struct wal_index seen = {0};
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(buf_free) struct buf again = BUF_INIT;
    struct err err;
    (void)state;

    begin(&m, 18);
    wal_make_fill(&m, 1000);
    m.tli = 2;
    wal_make_end_of_recovery(&m, 1, noon);
    for (uint32_t i = 0; wal_make_count(&m) < 3; i++) {
        struct wal_locator rel = {1663, 5, 16384 + i % 40};
        wal_make_change(&m, rel, i * 7919 % 3000);
    }
    build(&m, 1, &ix);
    assert_true(ix.head_len > 0 && ix.tail_total > 0 && ix.n_rels == 40);
    wal_index_write(&ix, &bytes);
    OK(wal_index_read(bytes.p, bytes.len, WAL_INDEX_ALL, &seen, &err), &err);
    wal_index_write(&seen, &again);
    assert_int_equal(bytes.len, again.len);
    assert_memory_equal(bytes.p, again.p, bytes.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_is_described),
        cmocka_unit_test(limits_follow_creation_truncation_and_drop),
        cmocka_unit_test(records_that_cross_are_finished_from_both_sides),
        cmocka_unit_test(a_record_over_three_segments_is_finished),
        cmocka_unit_test(a_chain_begins_inside_a_record),
        cmocka_unit_test(a_record_lost_in_a_crash_never_happened),
        cmocka_unit_test(gaps_and_strangers_break_a_chain),
        cmocka_unit_test(a_break_of_the_prev_link_is_found),
        cmocka_unit_test(wal_that_begins_anew_is_no_continuation),
        cmocka_unit_test(a_header_that_is_cut_off_breaks_nothing),
        cmocka_unit_test(wal_that_ends_or_is_damaged_cannot_be_continued),
        cmocka_unit_test(doubts_are_flagged_with_their_reason),
        cmocka_unit_test(a_version_not_known_is_kept_with_an_empty_index),
        cmocka_unit_test(only_what_is_no_segment_of_this_cluster_is_refused),
        cmocka_unit_test(an_index_survives_being_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
