/* test_wal_index.c - the stored form of a WAL index: what is written is read, damage is refused. */
#include "repo/wal/wal_index.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "postgres/version.h"
#include "tests/lib/test.h"

static const int64_t noon = INT64_C(1795348800123456);
static const struct wal_locator table = {1663, 5, 16384}, second = {1663, 5, 16391},
                                shared = {1664, 0, 1262};

static uint64_t at(const struct wal_index *ix, uint32_t offset)
{
    return ix->start + offset;
}

static void add_xact(struct wal_index *ix, enum wal_xact_kind kind, uint32_t offset, uint32_t xid,
                     int64_t time_us)
{
    struct wal_xact x = {.kind = kind, .time_us = time_us, .xid = xid};

    wal_index_add_xact(ix, at(ix, offset), &x);
}

static void add_events(struct wal_index *ix)
{
    for (int kind = WAL_EVENT_RESTORE_POINT; kind <= WAL_EVENT_DB_DROP; kind++) {
        struct wal_event e = {.kind = (enum wal_event_kind)kind,
                              .lsn = at(ix, 1000 + (uint32_t)kind * 100),
                              .xid = 31,
                              .time_us = noon + kind,
                              .redo = 0x3000028,
                              .tli = 2,
                              .prev_tli = 1,
                              .wal_level = kind % 3,
                              .on = true,
                              .db = 20,
                              .spc = 1663,
                              .src_db = 1,
                              .src_spc = 1664,
                              .name = "v1.2 \"final\""};
        wal_index_add_event(ix, &e);
    }
}

static void add_changes(struct wal_index *ix)
{
    AUTO(wal_changes_free) struct wal_changes *c = wal_changes_new();

    for (uint32_t b = 100; b < 200; b++)
        wal_changes_block(c, &table, FORK_MAIN, b);
    for (uint32_t b = 1000; b < 1100; b += 2)
        wal_changes_block(c, &table, FORK_MAIN, b);
    wal_changes_block(c, &table, FORK_MAIN, WAL_NO_BLOCK - 1);
    wal_changes_block(c, &table, FORK_VM, 0);
    wal_changes_limit(c, &second, FORK_MAIN, 17, WAL_REL_TRUNCATED);
    wal_changes_block(c, &second, FORK_MAIN, 16);
    wal_changes_block(c, &second, FORK_MAIN, 18);
    wal_changes_drop(c, &shared);
    wal_index_set_blocks(ix, c);
}

/* An index with something of everything. */
static void make(struct wal_index *ix)
{
    wal_index_init(ix);
    ix->major = 16;
    ix->magic = pg_version_by_major(16)->wal_magic;
    ix->system_id = UINT64_C(7300000000000000001);
    ix->segment_size = 1 << 24;
    ix->start = UINT64_C(0x1703000000);
    ix->tli = 3;
    ix->end_of_data = ix->start + ix->segment_size;
    ix->timelines[0] = (struct wal_timeline){2, ix->start};
    ix->timelines[1] = (struct wal_timeline){3, at(ix, 0x6000)};
    ix->n_timelines = 2;
    ix->first_lsn = at(ix, 100 * 8);
    ix->first_prev = ix->start - 8000;
    ix->last_lsn = at(ix, 0xFFFF00);
    ix->last_prev = at(ix, 0xFFFE00);
    ix->records = 12345;
    ix->images = 77;
    add_xact(ix, WAL_XACT_COMMIT, 800, 4294967290u, noon);
    add_xact(ix, WAL_XACT_COMMIT, 880, 12, noon + 5000000);
    add_xact(ix, WAL_XACT_COMMIT, 960, 9, noon - 7000000);
    add_xact(ix, WAL_XACT_COMMIT, 1040, 10, noon + 1000000);
    add_xact(ix, WAL_XACT_ABORT, 1120, 11, noon - 9000000);
    add_xact(ix, WAL_XACT_ABORT, 1200, 14, noon + 9000000);
    add_xact(ix, WAL_XACT_PREPARE, 1280, 15, 0);
    add_events(ix);
    ix->head_len = ix->head_seen = 700;
    ix->tail_total = 8000;
    ix->tail_seen = 250;
    for (int i = 0; i < 700; i++)
        buf_u8(&ix->head, (uint8_t)(i * 3));
    for (int i = 0; i < 250; i++)
        buf_u8(&ix->tail, (uint8_t)(i * 5));
    wal_index_doubt(ix, WAL_INDEX_NO_BLOCKS, "resource manager %d", 77);
    wal_index_doubt(ix, WAL_INDEX_MINIMAL, "never seen");
    add_changes(ix);
}

static void moments_are_the_same(const struct wal_moment *a, const struct wal_moment *b)
{
    assert_int_equal(a->time_us, b->time_us);
    assert_int_equal(a->lsn, b->lsn);
    assert_int_equal(a->xid, b->xid);
}

static void summaries_are_the_same(const struct wal_index *a, const struct wal_index *b)
{
    assert_int_equal(a->major, b->major);
    assert_int_equal(a->magic, b->magic);
    assert_int_equal(a->system_id, b->system_id);
    assert_int_equal(a->start, b->start);
    assert_int_equal(a->segment_size, b->segment_size);
    assert_int_equal(a->tli, b->tli);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->end_of_data, b->end_of_data);
    assert_string_equal(a->reason, b->reason);
    assert_int_equal(a->n_timelines, b->n_timelines);
    for (unsigned i = 0; i < a->n_timelines; i++) {
        assert_int_equal(a->timelines[i].tli, b->timelines[i].tli);
        assert_int_equal(a->timelines[i].start, b->timelines[i].start);
    }
    assert_int_equal(a->first_lsn, b->first_lsn);
    assert_int_equal(a->first_prev, b->first_prev);
    assert_int_equal(a->last_lsn, b->last_lsn);
    assert_int_equal(a->last_prev, b->last_prev);
    assert_int_equal(a->records, b->records);
    assert_int_equal(a->images, b->images);
    assert_int_equal(a->commits, b->commits);
    assert_int_equal(a->aborts, b->aborts);
    assert_int_equal(a->prepares, b->prepares);
    moments_are_the_same(&a->commit_first, &b->commit_first);
    moments_are_the_same(&a->commit_last, &b->commit_last);
    moments_are_the_same(&a->commit_min, &b->commit_min);
    moments_are_the_same(&a->commit_max, &b->commit_max);
    moments_are_the_same(&a->abort_min, &b->abort_min);
    moments_are_the_same(&a->abort_max, &b->abort_max);
    assert_int_equal(a->xid_low, b->xid_low);
    assert_int_equal(a->xid_high, b->xid_high);
    assert_int_equal(a->head_len, b->head_len);
    assert_int_equal(a->head_seen, b->head_seen);
    assert_int_equal(a->head.len, b->head.len);
    assert_memory_equal(a->head.p, b->head.p, a->head.len);
    assert_int_equal(a->tail_total, b->tail_total);
    assert_int_equal(a->tail_seen, b->tail_seen);
    assert_int_equal(a->tail.len, b->tail.len);
    assert_memory_equal(a->tail.p, b->tail.p, a->tail.len);
}

static void all_that_is_written_is_read(void **state)
{
    AUTO(wal_index_free) struct wal_index ix;
    AUTO(wal_index_free) struct wal_index seen;
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(buf_free) struct buf again = BUF_INIT;
    struct err err;
    (void)state;

    make(&ix);
    wal_index_init(&seen);
    wal_index_write(&ix, &bytes);
    OK(wal_index_read(bytes.p, bytes.len, WAL_INDEX_ALL, &seen, &err), &err);
    summaries_are_the_same(&ix, &seen);
    assert_string_equal(seen.reason, "resource manager 77");
    assert_int_equal(seen.n_rels, 3);
    assert_int_equal(seen.n_runs, ix.n_runs);
    assert_memory_equal(seen.runs, ix.runs, ix.n_runs * sizeof *ix.runs);
    assert_int_equal(seen.rels[1].what, WAL_REL_TRUNCATED);
    assert_int_equal(seen.rels[1].fork[0].limit, 17);
    assert_int_equal(seen.rels[2].what, WAL_REL_DROPPED);
    assert_int_equal(wal_index_rel(&seen, &second)->fork[0].n_runs, 2);
    assert_null(wal_index_rel(&seen, &(struct wal_locator){1, 2, 3}));
    wal_index_write(&seen, &again);
    assert_int_equal(again.len, bytes.len);
    assert_memory_equal(again.p, bytes.p, bytes.len);
}

static void events_keep_what_their_kind_has(void **state)
{
    AUTO(wal_index_free) struct wal_index ix;
    AUTO(wal_index_free) struct wal_index seen;
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err err;
    (void)state;

    make(&ix);
    wal_index_init(&seen);
    wal_index_write(&ix, &bytes);
    OK(wal_index_read(bytes.p, bytes.len, WAL_INDEX_SUMMARY, &seen, &err), &err);
    assert_int_equal(seen.n_events, 12);
    for (uint32_t i = 0; i < seen.n_events; i++) {
        assert_int_equal(seen.events[i].kind, i + 1);
        assert_int_equal(seen.events[i].lsn, ix.events[i].lsn);
    }
    assert_string_equal(seen.events[0].name, "v1.2 \"final\"");
    assert_int_equal(seen.events[0].time_us, noon + 1);
    assert_int_equal(seen.events[1].redo, 0x3000028);
    assert_int_equal(seen.events[1].wal_level, 2);
    assert_int_equal(seen.events[4].prev_tli, 1);
    assert_int_equal(seen.events[6].on, true);
    assert_int_equal(seen.events[7].redo, 0x3000028);
    assert_int_equal(seen.events[8].time_us, noon + 9);
    assert_int_equal(seen.events[9].src_spc, 1664);
    assert_int_equal(seen.events[11].db, 20);
    assert_int_equal(seen.events[11].xid, 31);
}

static void the_summary_is_read_without_the_blocks(void **state)
{
    AUTO(wal_index_free) struct wal_index ix;
    AUTO(wal_index_free) struct wal_index seen;
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err err;
    (void)state;

    make(&ix);
    wal_index_init(&seen);
    wal_index_write(&ix, &bytes);
    OK(wal_index_read(bytes.p, bytes.len, WAL_INDEX_SUMMARY, &seen, &err), &err);
    summaries_are_the_same(&ix, &seen);
    assert_int_equal(seen.n_rels, 0);
    assert_null(seen.runs);
}

static void times_and_transactions_are_summed_up(void **state)
{
    AUTO(wal_index_free) struct wal_index ix;
    (void)state;

    make(&ix);
    assert_int_equal(ix.commits, 4);
    assert_int_equal(ix.commit_first.xid, 4294967290u);
    assert_int_equal(ix.commit_last.xid, 10);
    assert_int_equal(ix.commit_min.xid, 9);
    assert_int_equal(ix.commit_max.xid, 12);
    assert_int_equal(ix.abort_min.time_us, noon - 9000000);
    assert_int_equal(ix.abort_max.lsn, ix.start + 1200);
    assert_int_equal(ix.xid_low, 4294967290u); /* around the end of the 32 bits */
    assert_int_equal(ix.xid_high, 14);
    assert_int_equal(ix.prepares, 1);
}

static void the_stored_form_is_this(void **state)
{
    /* clang-format off */
    static const char want[] =
        "011c" "01" "10d1" "0f" "14" "01000000" "0807060504030201" "0000300000000000" "01" "d001"
        "0302" "01" "00"
        "0506" "28" "28" "78" "28" "03" "00"
        "0712" "01" "00" "00" "01" "07" "e807" "28" "07" "00" "28" "07" "00" "28" "07" "00" "28" "07"
        "0904" "07" "50" "01" "01"
        "0b05" "03" "03" "616263"
        "0f0d" "ff0c" "05" "01" "808001" "41" "04" "02" "14" "11" "03";
    /* clang-format on */
    AUTO(wal_index_free) struct wal_index ix;
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(buf_free) struct buf hex = BUF_INIT;
    AUTO(wal_changes_free) struct wal_changes *c = wal_changes_new();
    (void)state;

    wal_index_init(&ix);
    ix.major = 15;
    ix.magic = 0xD110;
    ix.segment_size = 1 << 20;
    ix.tli = 1;
    ix.system_id = UINT64_C(0x0102030405060708);
    ix.start = 3 << 20;
    ix.flags = WAL_INDEX_SWITCH;
    ix.end_of_data = ix.start + 208;
    ix.timelines[0] = (struct wal_timeline){1, ix.start};
    ix.n_timelines = 1;
    ix.first_lsn = ix.start + 40;
    ix.first_prev = ix.start + 40 - 40;
    ix.last_lsn = ix.first_lsn + 120;
    ix.last_prev = ix.last_lsn - 40;
    ix.records = 3;
    add_xact(&ix, WAL_XACT_COMMIT, 40, 7, PG_EPOCH_US + 500);
    wal_index_add_event(
        &ix,
        &(struct wal_event){.kind = WAL_EVENT_FULL_PAGE_WRITES, .lsn = ix.start + 80, .on = true});
    ix.head_len = ix.head_seen = 3;
    buf_adds(&ix.head, "abc");
    wal_changes_limit(c, &table, FORK_MAIN, 3, WAL_REL_TRUNCATED);
    wal_changes_block(c, &table, FORK_MAIN, 10);
    for (uint32_t b = 20; b < 25; b++)
        wal_changes_block(c, &table, FORK_MAIN, b);
    wal_index_set_blocks(&ix, c);
    wal_index_write(&ix, &bytes);
    buf_hex(&hex, bytes.p, bytes.len);
    assert_string_equal(buf_text(&hex), want);
}

static void every_truncation_is_refused(void **state)
{
    AUTO(wal_index_free) struct wal_index ix;
    AUTO(wal_index_free) struct wal_index seen;
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err err;
    unsigned whole = 0;
    (void)state;

    make(&ix);
    wal_index_init(&seen);
    wal_index_write(&ix, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        AUTO(mem_free) uint8_t *cut = xmalloc(len + 1);
        memcpy(cut, bytes.p, len);
        if (wal_index_read(cut, len, WAL_INDEX_ALL, &seen, &err) == 0)
            whole++; /* cut between two parts */
        else
            assert_int_equal(err.code, ERR_CORRUPT);
    }
    assert_int_equal(whole, 8);
}

/* Whatever one byte is changed to, the answer is an error or a struct that holds together. */
static void every_flipped_byte_is_survived(void **state)
{
    AUTO(wal_index_free) struct wal_index ix;
    AUTO(wal_index_free) struct wal_index seen;
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err err;
    unsigned refused = 0;
    (void)state;

    make(&ix);
    wal_index_init(&seen);
    wal_index_write(&ix, &bytes);
    for (size_t i = 0; i < bytes.len; i++)
        for (unsigned flip = 1; flip < 256; flip = flip * 2 + 1) {
            bytes.p[i] ^= (char)flip;
            if (wal_index_read(bytes.p, bytes.len, WAL_INDEX_ALL, &seen, &err) == 0) {
                AUTO(wal_changes_free) struct wal_changes *c = wal_changes_new();
                wal_index_add_blocks(&seen, c);
                wal_changes_sort(c);
            } else {
                refused++;
            }
            bytes.p[i] ^= (char)flip;
        }
    assert_true(refused > bytes.len / 2);
}

/* The first part of a valid index, then the given bytes. */
static void with_parts(struct buf *out, uint32_t flags, const uint8_t *parts, size_t len)
{
    AUTO(wal_index_free) struct wal_index ix;

    wal_index_init(&ix);
    ix.major = 15;
    ix.magic = 0xD110;
    ix.segment_size = 1 << 20;
    ix.start = 3 << 20;
    ix.end_of_data = ix.start;
    ix.flags = flags;
    wal_index_write(&ix, out);
    buf_add(out, parts, len);
}

static void impossible_parts_are_refused(void **state)
{
    static const struct {
        const char *what;
        uint32_t flags;
        enum err_code code;
        uint8_t bytes[24];
        size_t len;
    } bad[] = {
        {"unknown part that must be understood", 0, ERR_UNSUPPORTED, {17, 0}, 2},
        {"unknown flag", 1u << 20, ERR_UNSUPPORTED, {0}, 0},
        {"part twice", 0, ERR_CORRUPT, {2, 1, 'x', 2, 1, 'y'}, 6},
        {"parts out of order", 0, ERR_CORRUPT, {3, 2, 1, 0, 2, 1, 'x'}, 7},
        {"part longer than the rest", 0, ERR_CORRUPT, {2, 9, 'x'}, 3},
        {"NUL in the reason", 0, ERR_CORRUPT, {2, 2, 'x', 0}, 4},
        {"timelines that go back", 0, ERR_CORRUPT, {3, 4, 2, 0, 1, 1}, 6},
        {"page behind the segment", 0, ERR_CORRUPT, {3, 3, 1, 0x80, 1}, 5},
        {"record behind the segment", 0, ERR_CORRUPT, {5, 8, 0x80, 0x80, 0x40, 0, 0, 0, 0, 0}, 10},
        {"surplus in a part", 0, ERR_CORRUPT, {5, 7, 40, 40, 0, 40, 1, 0, 9}, 9},
        {"restore point with a long name length", 0, ERR_CORRUPT, {9, 4, 1, 8, 9, 0}, 6},
        {"NUL in a restore point's name", 0, ERR_CORRUPT, {9, 6, 1, 8, 3, 0, 'x', 0}, 8},
        {"no such wal_level", 0, ERR_CORRUPT, {9, 4, 6, 8, 1, 4}, 6},
        {"surplus in an event", 0, ERR_CORRUPT, {9, 5, 7, 8, 2, 1, 1}, 7},
        {"head shorter than told", 0, ERR_CORRUPT, {11, 4, 9, 3, 'x', 'x'}, 6},
        {"head longer than announced", 0, ERR_CORRUPT, {11, 4, 1, 2, 'x', 'x'}, 6},
        {"omitted head that is there", WAL_INDEX_HEAD_OMITTED, ERR_CORRUPT, {11, 3, 1, 1, 'x'}, 5},
        {"tail without a record", 0, ERR_CORRUPT, {13, 3, 9, 1, 'x'}, 5},
        {"empty group of relations", 0, ERR_CORRUPT, {15, 3, 1, 1, 0}, 5},
        {"groups out of order",
         0,
         ERR_CORRUPT,
         {15, 14, 1, 1, 1, 9, 1, 0, 1, 0, 1, 0, 1, 9, 0x20, 0},
         16},
        {"relation of which nothing is told", 0, ERR_CORRUPT, {15, 5, 1, 1, 1, 9, 0}, 7},
        {"unknown bit of a relation", 0, ERR_CORRUPT, {15, 5, 1, 1, 1, 9, 0xA0}, 7},
        {"more blocks than the segment can name",
         0,
         ERR_CORRUPT,
         {15, 12, 1, 1, 1, 9, 1, 0, 1, 1, 0xFF, 0xFF, 0x07},
         13},
        {"block beyond the last one",
         0,
         ERR_CORRUPT,
         {15, 12, 1, 1, 1, 9, 1, 0, 1, 0xFE, 0xFF, 0xFF, 0xFF, 0x1F},
         14},
        {"relation number beyond 32 bits",
         0,
         ERR_CORRUPT,
         {15, 12, 1, 1, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x20, 0, 0x20},
         14},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(bad); i++) {
        AUTO(wal_index_free) struct wal_index seen;
        AUTO(buf_free) struct buf bytes = BUF_INIT;
        struct err err = {0};

        wal_index_init(&seen);
        with_parts(&bytes, bad[i].flags, bad[i].bytes, bad[i].len);
        if (wal_index_read(bytes.p, bytes.len, WAL_INDEX_ALL, &seen, &err) != -1 ||
            err.code != bad[i].code)
            fail_msg("%s: code %d, \"%s\"", bad[i].what, (int)err.code, err.msg);
        assert_int_equal(seen.n_rels, 0);
        assert_null(seen.runs);
    }
}

static void what_a_newer_writer_adds_is_skipped(void **state)
{
    static const uint8_t parts[] = {4, 2,  'x', 'x',               /* an even part */
                                    9, 10, 99,  8,   3,  1, 2,  3, /* an event of an unknown kind */
                                    7, 8,  1,   1,   16, 1, 'y'};
    AUTO(wal_index_free) struct wal_index seen;
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err err;
    (void)state;

    wal_index_init(&seen);
    with_parts(&bytes, 0, parts, sizeof parts);
    OK(wal_index_read(bytes.p, bytes.len, WAL_INDEX_ALL, &seen, &err), &err);
    assert_int_equal(seen.n_events, 1);
    assert_int_equal(seen.events[0].kind, WAL_EVENT_FULL_PAGE_WRITES);
    assert_int_equal(seen.events[0].lsn, seen.start + 16);
}

static void blocks_of_indexes_add_up_in_order(void **state)
{
    AUTO(wal_index_free) struct wal_index ix;
    AUTO(wal_changes_free) struct wal_changes *c = wal_changes_new();
    struct wal_fork_changes f;
    (void)state;

    make(&ix);
    wal_changes_block(c, &second, FORK_MAIN, 5);
    wal_changes_block(c, &second, FORK_MAIN, 50); /* void: the index truncates to 17 */
    wal_changes_block(c, &shared, FORK_MAIN, 5);
    wal_changes_block(c, &shared, FORK_VM, 5);
    wal_index_add_blocks(&ix, c);
    assert_true(wal_changes_find(c, &second, FORK_MAIN, &f));
    assert_int_equal(f.n_blocks, 3);
    assert_int_equal(f.blocks[0], 5);
    assert_int_equal(f.blocks[1], 16);
    assert_int_equal(f.blocks[2], 18);
    assert_int_equal(f.limit, 17);
    assert_int_equal(f.what, WAL_REL_TRUNCATED);
    for (uint8_t fork = 0; fork < WAL_FORKS; fork++) {
        assert_true(wal_changes_find(c, &shared, fork, &f));
        assert_int_equal(f.limit, 0);
        assert_int_equal(f.n_blocks, 0);
    }
    assert_true(wal_changes_find(c, &table, FORK_MAIN, &f));
    assert_int_equal(f.n_blocks, 151);
}

static void too_many_events_are_admitted(void **state)
{
    AUTO(wal_index_free) struct wal_index ix;
    struct wal_event e = {.kind = WAL_EVENT_FULL_PAGE_WRITES};
    (void)state;

    wal_index_init(&ix);
    ix.major = 15;
    for (int i = 0; i < WAL_INDEX_EVENTS_MAX; i++)
        wal_index_add_event(&ix, &e);
    assert_true(wal_index_has_history(&ix));
    wal_index_add_event(&ix, &e);
    assert_int_equal(ix.n_events, WAL_INDEX_EVENTS_MAX);
    assert_false(wal_index_has_history(&ix));
    assert_false(wal_index_has_blocks(&ix));
    assert_non_null(strstr(ix.reason, "65536"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_written_is_read),
        cmocka_unit_test(events_keep_what_their_kind_has),
        cmocka_unit_test(the_summary_is_read_without_the_blocks),
        cmocka_unit_test(times_and_transactions_are_summed_up),
        cmocka_unit_test(the_stored_form_is_this),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_byte_is_survived),
        cmocka_unit_test(impossible_parts_are_refused),
        cmocka_unit_test(what_a_newer_writer_adds_is_skipped),
        cmocka_unit_test(blocks_of_indexes_add_up_in_order),
        cmocka_unit_test(too_many_events_are_admitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
