/* test_wal_reader.c - walking WAL: pages, segments, switches, crashes, tails, damage. */
#include "postgres/wal_reader.h"

#include <stdlib.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "postgres/version.h"
#include "postgres/wal_record.h"
#include "tests/lib/test.h"
#include "tests/lib/wal_make.h"

enum { SEGSZ = 1 << 20 };
static const uint64_t sysid = UINT64_C(7300000000000000001);
static const struct wal_locator table = {1663, 5, 16384};

static void begin(struct wal_make *m, unsigned major)
{
    wal_make_init(m, major, sysid, 1, SEGSZ, 3);
}

static void feed(struct wal_walk *w, struct wal_make *m, size_t index)
{
    struct err err = {0};

    OK(wal_walk_feed(w, wal_make_segment(m, index), SEGSZ, WAL_ANY, &err), &err);
}

/* Walks all segments of m; returns the number of records. */
static unsigned walk_all(struct wal_make *m, struct wal_walk *w)
{
    struct wal_record rec;
    unsigned n = 0;

    for (size_t i = 0; i < wal_make_count(m); i++) {
        feed(w, m, i);
        while (wal_walk_next(w, &rec) == WAL_RECORD)
            n++;
    }
    return n;
}

static void every_record_comes_out_as_it_was_written(void **state)
{
    (void)state;
    for (unsigned major = PG_MAJOR_MIN; major <= PG_MAJOR_MAX; major++) {
        AUTO(wal_make_free) struct wal_make m;
        AUTO(wal_walk_free) struct wal_walk w;
        struct wal_record rec;
        uint64_t lsn[3000], end[3000];

        begin(&m, major);
        wal_walk_init(&w);
        for (size_t i = 0; i < LENGTH(lsn); i++) {
            lsn[i] = wal_make_noise(&m, 30 + i * 37 % 3000);
            end[i] = m.end;
        }
        assert_true(wal_make_count(&m) > 2);
        for (size_t i = 0, n = 0; i < wal_make_count(&m); i++) {
            feed(&w, &m, i);
            assert_int_equal(w.segment.major, major);
            while (wal_walk_next(&w, &rec) == WAL_RECORD) {
                assert_int_equal(rec.lsn, lsn[n]);
                assert_int_equal(rec.end, end[n]);
                assert_int_equal(rec.prev, n == 0 ? 0 : lsn[n - 1]);
                assert_int_equal(rec.rmid, 21);
                assert_int_equal(rec.tli, 1);
                n++;
            }
            assert_int_equal(n == LENGTH(lsn), i + 1 == wal_make_count(&m));
        }
        assert_int_equal(w.stop, WAL_STOP_ZEROS);
        assert_int_equal(w.end, m.end);
    }
}

static void a_record_may_fill_several_segments(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_walk_free) struct wal_walk w;
    struct wal_record rec;
    uint64_t lsn;
    (void)state;

    begin(&m, 16);
    wal_walk_init(&w);
    wal_make_noise(&m, 100);
    lsn = wal_make_noise(&m, 3 * SEGSZ);
    wal_make_commit(&m, 7, 0);
    feed(&w, &m, 0);
    assert_int_equal(wal_walk_next(&w, &rec), WAL_RECORD);
    for (size_t i = 1; i < wal_make_count(&m); i++) {
        assert_int_equal(wal_walk_next(&w, &rec), WAL_MORE);
        assert_int_equal(w.part_lsn, lsn);
        feed(&w, &m, i);
    }
    assert_int_equal(wal_walk_next(&w, &rec), WAL_RECORD);
    assert_int_equal(rec.lsn, lsn);
    assert_int_equal(rec.total_len, 3 * SEGSZ);
    assert_int_equal(wal_walk_next(&w, &rec), WAL_RECORD);
    assert_int_equal(rec.prev, lsn);
    assert_int_equal(rec.rmid, WAL_RM_XACT);
}

static void records_end_at_every_distance_from_a_page_end(void **state)
{
    (void)state;
    for (size_t left = 8; left <= 80; left += 8) {
        AUTO(wal_make_free) struct wal_make m;
        AUTO(wal_walk_free) struct wal_walk w;

        begin(&m, 14);
        wal_walk_init(&w);
        wal_make_noise(&m, WAL_PAGE - WAL_LONG_HEADER - left);
        assert_int_equal(WAL_PAGE - m.bytes.len % WAL_PAGE, left);
        wal_make_commit(&m, 5, 1);
        wal_make_commit(&m, 6, 2);
        assert_int_equal(walk_all(&m, &w), 3);
        assert_int_equal(w.end, m.end);
    }
}

static void a_walk_begins_behind_the_rest_of_an_earlier_record(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_walk_free) struct wal_walk w;
    struct wal_record rec;
    uint64_t commit;
    (void)state;

    begin(&m, 17);
    wal_walk_init(&w);
    wal_make_fill(&m, 300);
    wal_make_noise(&m, 20000);
    commit = wal_make_commit(&m, 9, 0);
    feed(&w, &m, 1);
    assert_int_equal(wal_walk_next(&w, &rec), WAL_RECORD);
    assert_int_equal(rec.lsn, commit);
    assert_true(w.head_len > 19000 && w.head_len < 20000);
    assert_int_equal(w.head_seen, w.head_len);
    assert_int_equal(w.head.len, w.head_len);
}

static void a_switch_ends_the_segment_and_the_next_one_follows(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_walk_free) struct wal_walk w;
    struct wal_record rec;
    uint64_t lsn;
    (void)state;

    begin(&m, 13);
    wal_walk_init(&w);
    wal_make_commit(&m, 9, 0);
    lsn = wal_make_switch(&m);
    wal_make_commit(&m, 10, 0);
    feed(&w, &m, 0);
    assert_int_equal(wal_walk_next(&w, &rec), WAL_RECORD);
    assert_int_equal(wal_walk_next(&w, &rec), WAL_RECORD);
    assert_int_equal(rec.lsn, lsn);
    assert_int_equal(rec.end, UINT64_C(4) * SEGSZ);
    assert_int_equal(w.data_end, lsn + 24);
    assert_int_equal(wal_walk_next(&w, &rec), WAL_MORE);
    assert_true(w.switched);
    feed(&w, &m, 1);
    assert_int_equal(wal_walk_next(&w, &rec), WAL_RECORD);
    assert_int_equal(rec.prev, lsn);
}

/* After a crash inside a long record its pages stay, and a page flag says that it is void. */
static void a_record_lost_in_a_crash_is_dropped(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_walk_free) struct wal_walk w;
    struct wal_record rec;
    uint64_t before, lost, after;
    (void)state;

    begin(&m, 15);
    wal_walk_init(&w);
    before = wal_make_commit(&m, 9, 0);
    lost = wal_make_noise(&m, 60000);
    m.bytes.len = 3 * WAL_PAGE; /* the crash */
    m.last = before;
    m.flags = WAL_PAGE_OVERWRITE;
    after = wal_make_commit(&m, 10, 0);
    feed(&w, &m, 0);
    assert_int_equal(wal_walk_next(&w, &rec), WAL_RECORD);
    assert_int_equal(wal_walk_next(&w, &rec), WAL_RECORD);
    assert_int_equal(rec.lsn, after);
    assert_int_equal(w.abandons, 1);
    assert_int_equal(w.abandoned, lost);
    assert_int_equal(wal_walk_next(&w, &rec), WAL_STOPPED);
    assert_int_equal(w.stop, WAL_STOP_ZEROS);
}

static void the_rest_of_a_recycled_file_is_not_read(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_make_free) struct wal_make old;
    AUTO(wal_walk_free) struct wal_walk w;
    size_t used;
    (void)state;

    wal_make_init(&old, 15, sysid, 1, SEGSZ, 2);
    wal_make_fill(&old, 100);
    begin(&m, 15);
    wal_walk_init(&w);
    for (int i = 0; i < 50; i++)
        wal_make_noise(&m, 1000);
    used = (m.bytes.len + WAL_PAGE - 1) / WAL_PAGE * WAL_PAGE;
    memcpy(wal_make_segment(&m, 0) + used, wal_make_segment(&old, 0) + used, SEGSZ - used);
    m.bytes.len = SEGSZ;
    assert_int_equal(walk_all(&m, &w), 50);
    assert_int_equal(w.stop, WAL_STOP_ZEROS);
    assert_int_equal(w.end, m.end);

    /* The page that would come next is old, too, when the last record fills its page. */
    wal_walk_free(&w);
    m.bytes.len = 0;
    m.last = 0;
    wal_make_noise(&m, WAL_PAGE - WAL_LONG_HEADER);
    memcpy(wal_make_segment(&m, 0) + WAL_PAGE, wal_make_segment(&old, 0) + WAL_PAGE,
           SEGSZ - WAL_PAGE);
    m.bytes.len = SEGSZ;
    assert_int_equal(walk_all(&m, &w), 1);
    assert_int_equal(w.stop, WAL_STOP_OLD_PAGE);
    assert_true(wal_stop_is_end(w.stop));
}

static void a_timeline_may_begin_inside_but_never_go_back(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_walk_free) struct wal_walk w;
    struct wal_record rec;
    struct err err;
    (void)state;

    begin(&m, 15);
    wal_walk_init(&w);
    wal_make_noise(&m, 1000);
    m.tli = 3;
    wal_make_noise(&m, 9000);
    wal_make_noise(&m, 50);
    OK(wal_walk_feed(&w, wal_make_segment(&m, 0), SEGSZ, 3, &err), &err);
    for (int i = 0; i < 3; i++)
        assert_int_equal(wal_walk_next(&w, &rec), WAL_RECORD);
    assert_int_equal(rec.tli, 3);
    assert_int_equal(w.n_timelines, 2);
    assert_int_equal(w.timelines[1].tli, 3);
    assert_int_equal(w.timelines[1].start, m.start + WAL_PAGE);

    /* In a file named for timeline 2 it is wrong. */
    wal_walk_free(&w);
    OK(wal_walk_feed(&w, wal_make_segment(&m, 0), SEGSZ, 2, &err), &err);
    while (wal_walk_next(&w, &rec) == WAL_RECORD)
        ;
    assert_int_equal(w.stop, WAL_STOP_TIMELINE);

    wal_walk_free(&w);
    m.tli = 2;
    wal_make_noise(&m, 9000);
    walk_all(&m, &w);
    assert_int_equal(w.stop, WAL_STOP_TIMELINE);
}

/* What is damaged, in the second page of a segment with records of 1000 bytes. */
static void damage_stops_the_walk_where_it_is(void **state)
{
    static const struct {
        const char *what;
        size_t at; /* in the segment */
        uint8_t flip;
        enum wal_stop stop;
        unsigned before; /* good records */
    } table_of_damage[] = {
        {"page magic", WAL_PAGE, 0xFF, WAL_STOP_PAGE, 8},
        {"unknown page flag", WAL_PAGE + 2, 0x10, WAL_STOP_PAGE, 8},
        {"continuation flag lost", WAL_PAGE + 2, 0x01, WAL_STOP_CONTRECORD, 8},
        {"long header in the middle", WAL_PAGE + 2, 0x02, WAL_STOP_PAGE, 8},
        {"timeline", WAL_PAGE + 4, 0x01, WAL_STOP_TIMELINE, 8},
        {"later page address", WAL_PAGE + 11, 0x80, WAL_STOP_PAGE, 8},
        {"remaining length", WAL_PAGE + 16, 0x08, WAL_STOP_CONTRECORD, 8},
        {"a byte of a crossing record", WAL_PAGE + 30, 0x01, WAL_STOP_CRC, 8},
        {"length of the first record", WAL_LONG_HEADER, 0x08, WAL_STOP_CRC, 0},
        {"length of the first record, by more", WAL_LONG_HEADER + 1, 0x03, WAL_STOP_CRC, 0},
        {"length beyond all pages", WAL_LONG_HEADER + 3, 0x7F, WAL_STOP_CONTRECORD, 0},
        {"prev-link of the first record", WAL_LONG_HEADER + 15, 0x80, WAL_STOP_PREV, 0},
        {"prev-link of the second record", WAL_LONG_HEADER + 1000 + 8, 0x08, WAL_STOP_PREV, 1},
        {"transaction id", WAL_LONG_HEADER + 4, 0x01, WAL_STOP_CRC, 0},
        {"resource manager", WAL_LONG_HEADER + 17, 0x01, WAL_STOP_CRC, 0},
        {"CRC itself", WAL_LONG_HEADER + 20, 0x01, WAL_STOP_CRC, 0},
        {"a byte of the body", WAL_LONG_HEADER + 500, 0x40, WAL_STOP_CRC, 0},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table_of_damage); i++) {
        AUTO(wal_make_free) struct wal_make m;
        AUTO(wal_walk_free) struct wal_walk w;
        struct wal_record rec;
        unsigned n;

        begin(&m, 18);
        wal_walk_init(&w);
        for (int k = 0; k < 30; k++)
            wal_make_noise(&m, 1000);
        wal_make_segment(&m, 0)[table_of_damage[i].at] ^= table_of_damage[i].flip;
        n = walk_all(&m, &w);
        if (w.stop != table_of_damage[i].stop || n != table_of_damage[i].before)
            fail_msg("%s: stopped with \"%s\" after %u records", table_of_damage[i].what,
                     wal_stop_text(w.stop), n);
        assert_false(wal_stop_is_end(w.stop));
        assert_int_equal(wal_walk_next(&w, &rec), WAL_STOPPED); /* for good */
    }
}

static void a_length_below_a_header_stops_the_walk(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_walk_free) struct wal_walk w;
    (void)state;

    begin(&m, 18);
    wal_walk_init(&w);
    wal_make_noise(&m, 1000);
    put_u32(wal_make_segment(&m, 0) + WAL_LONG_HEADER, 23);
    assert_int_equal(walk_all(&m, &w), 0);
    assert_int_equal(w.stop, WAL_STOP_LENGTH);
}

static void a_file_may_be_incomplete(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    struct wal_record rec;
    struct err err;
    (void)state;

    begin(&m, 15);
    for (int i = 0; i < 100; i++)
        wal_make_noise(&m, 1000);
    for (size_t len = WAL_LONG_HEADER; len < 3 * WAL_PAGE; len += 509) {
        AUTO(wal_walk_free) struct wal_walk w;
        AUTO(mem_free) uint8_t *cut = xmalloc(len);
        unsigned n = 0;

        wal_walk_init(&w);
        memcpy(cut, wal_make_segment(&m, 0), len);
        OK(wal_walk_feed(&w, cut, len, 1, &err), &err);
        while (wal_walk_next(&w, &rec) == WAL_RECORD)
            n++;
        assert_int_equal(n, len / WAL_PAGE * WAL_PAGE / 1005);
        assert_int_equal(w.stop, WAL_STOP_NONE);
        FAILS(wal_walk_feed(&w, wal_make_segment(&m, 0), SEGSZ, 1, &err), &err, ERR_FAILED);
    }
}

static void only_the_next_segment_can_be_fed(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_make_free) struct wal_make other;
    AUTO(wal_walk_free) struct wal_walk w;
    struct wal_record rec;
    struct err err;
    (void)state;

    begin(&m, 15);
    wal_walk_init(&w);
    wal_make_fill(&m, 100);
    wal_make_noise(&m, 2 * SEGSZ);
    feed(&w, &m, 0);
    FAILS(wal_walk_feed(&w, wal_make_segment(&m, 1), SEGSZ, 1, &err), &err, ERR_FAILED);
    while (wal_walk_next(&w, &rec) == WAL_RECORD)
        ;
    FAILS(wal_walk_feed(&w, wal_make_segment(&m, 2), SEGSZ, 1, &err), &err, ERR_NOT_FOUND);
    FAILS(wal_walk_feed(&w, wal_make_segment(&m, 0), SEGSZ, 1, &err), &err, ERR_NOT_FOUND);

    wal_make_init(&other, 15, sysid + 1, 1, SEGSZ, 4);
    wal_make_noise(&other, 50);
    FAILS(wal_walk_feed(&w, wal_make_segment(&other, 0), SEGSZ, 1, &err), &err, ERR_FOREIGN);
    wal_make_free(&other);
    wal_make_init(&other, 16, sysid, 1, SEGSZ, 4);
    wal_make_noise(&other, 50);
    FAILS(wal_walk_feed(&w, wal_make_segment(&other, 0), SEGSZ, 1, &err), &err, ERR_CORRUPT);

    feed(&w, &m, 1); /* the refusals left the walk as it was */
    assert_int_equal(wal_walk_next(&w, &rec), WAL_MORE);
}

static void another_branch_of_the_wal_does_not_fit(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_make_free) struct wal_make other;
    AUTO(wal_walk_free) struct wal_walk w;
    struct wal_record rec;
    struct err err;
    (void)state;

    begin(&m, 15);
    wal_walk_init(&w);
    wal_make_commit(&m, 3, 0);
    wal_make_switch(&m);
    wal_make_init(&other, 15, sysid, 1, SEGSZ, 4);
    other.last = m.last - 8;
    wal_make_commit(&other, 4, 0);
    feed(&w, &m, 0);
    while (wal_walk_next(&w, &rec) == WAL_RECORD)
        ;
    OK(wal_walk_feed(&w, wal_make_segment(&other, 0), SEGSZ, 1, &err), &err);
    assert_int_equal(wal_walk_next(&w, &rec), WAL_STOPPED);
    assert_int_equal(w.stop, WAL_STOP_PREV);
}

static void the_quick_check_refuses_what_cannot_be_this_segment(void **state)
{
    static const struct {
        const char *what;
        size_t at, len; /* what is overwritten */
        uint64_t value;
        enum err_code code; /* ERR_NONE: accepted */
        const char *says;
    } table_of_damage[] = {
        {"nothing", 0, 0, 0, ERR_NONE, ""},
        {"no long header", 2, 2, 0, ERR_CORRUPT, "no segment header"},
        {"system identifier", 24, 8, 77, ERR_FOREIGN, "system identifier 77, expected 7300"},
        {"segment size of the header", 32, 4, 2 * SEGSZ, ERR_CORRUPT, "header says 2097152"},
        {"impossible segment size", 32, 4, 1000000, ERR_CORRUPT, "segment size 1000000"},
        {"position", 8, 8, 4 * SEGSZ, ERR_CORRUPT, "the file name stands for 0/300000"},
        {"position inside a segment", 8, 8, 3 * SEGSZ + 8192, ERR_CORRUPT, "no segment of"},
        {"later timeline", 4, 4, 9, ERR_CORRUPT, "timeline 9, the file name stands for timeline 1"},
        {"timeline 0", 4, 4, 0, ERR_CORRUPT, "timeline 0"},
        {"unknown version", 0, 2, 0xD1FF, ERR_NONE, ""},
        {"zeros", 0, 4096, 0, ERR_CORRUPT, "no WAL segment header"},
    };
    const struct wal_expect want = {.system_id = sysid, .start = 3 * SEGSZ, .tli = 1};
    struct wal_segment_header h;
    struct err err;
    (void)state;

    for (size_t i = 0; i < LENGTH(table_of_damage); i++) {
        AUTO(wal_make_free) struct wal_make m;
        uint8_t value[8], *p;
        int result;

        begin(&m, 15);
        wal_make_noise(&m, 100);
        p = wal_make_segment(&m, 0);
        put_u64(value, table_of_damage[i].value);
        if (table_of_damage[i].len > sizeof value)
            memset(p, 0, table_of_damage[i].len);
        else
            memcpy(p + table_of_damage[i].at, value, table_of_damage[i].len);
        err_clear(&err);
        result = wal_segment_check(p, WAL_LONG_HEADER, SEGSZ, &want, &h, &err);
        if (err.code != table_of_damage[i].code || (result == 0) != (err.code == ERR_NONE) ||
            strstr(err.msg, table_of_damage[i].says) == NULL)
            fail_msg("%s: code %d, \"%s\"", table_of_damage[i].what, (int)err.code, err.msg);
    }
    FAILS(wal_segment_check("short", 5, 5, &want, &h, &err), &err, ERR_CORRUPT);
}

static void the_quick_check_knows_every_version_and_an_earlier_timeline(void **state)
{
    const struct wal_expect want = {.system_id = sysid, .start = 3 * SEGSZ, .tli = 5};
    struct wal_segment_header h;
    struct err err;
    (void)state;

    for (unsigned major = PG_MAJOR_MIN; major <= PG_MAJOR_MAX; major++) {
        AUTO(wal_make_free) struct wal_make m;

        begin(&m, major);
        wal_make_change(&m, table, 1);
        OK(wal_segment_check(wal_make_segment(&m, 0), SEGSZ, SEGSZ, &want, &h, &err), &err);
        assert_int_equal(h.major, major);
        assert_int_equal(h.tli, 1);
        FAILS(wal_segment_check(wal_make_segment(&m, 0), SEGSZ, SEGSZ / 2, &want, &h, &err), &err,
              ERR_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_comes_out_as_it_was_written),
        cmocka_unit_test(a_record_may_fill_several_segments),
        cmocka_unit_test(records_end_at_every_distance_from_a_page_end),
        cmocka_unit_test(a_walk_begins_behind_the_rest_of_an_earlier_record),
        cmocka_unit_test(a_switch_ends_the_segment_and_the_next_one_follows),
        cmocka_unit_test(a_record_lost_in_a_crash_is_dropped),
        cmocka_unit_test(the_rest_of_a_recycled_file_is_not_read),
        cmocka_unit_test(a_timeline_may_begin_inside_but_never_go_back),
        cmocka_unit_test(damage_stops_the_walk_where_it_is),
        cmocka_unit_test(a_length_below_a_header_stops_the_walk),
        cmocka_unit_test(a_file_may_be_incomplete),
        cmocka_unit_test(only_the_next_segment_can_be_fed),
        cmocka_unit_test(another_branch_of_the_wal_does_not_fit),
        cmocka_unit_test(the_quick_check_refuses_what_cannot_be_this_segment),
        cmocka_unit_test(the_quick_check_knows_every_version_and_an_earlier_timeline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
