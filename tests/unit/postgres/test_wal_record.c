/* test_wal_record.c - what records say, in the layouts of 13 to 18. */
#include "postgres/wal_record.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "postgres/version.h"
#include "tests/lib/test.h"
#include "tests/lib/wal_make.h"

static const struct wal_locator table = {1663, 5, 16384}, index_rel = {1663, 5, 16390};
static const int64_t noon = INT64_C(1795348800123456);

/* A record of its own, header left zero but for what decoding looks at. */
struct sample {
    struct buf bytes;
    struct wal_record rec;
};

static void sample_free(struct sample *s)
{
    buf_free(&s->bytes);
}

static void sample_start(struct sample *s, uint8_t rmid, uint8_t info)
{
    static const uint8_t header[WAL_RECORD_HEADER];

    memset(s, 0, sizeof *s);
    buf_add(&s->bytes, header, sizeof header);
    s->rec = (struct wal_record){.lsn = 0x3000028, .rmid = rmid, .info = info, .xid = 700};
}

static int sample_decode(struct sample *s, unsigned major, struct wal_decoded *d, struct err *err)
{
    s->rec.bytes = (const uint8_t *)s->bytes.p;
    s->rec.total_len = (uint32_t)s->bytes.len;
    return wal_decode(&s->rec, major, d, err);
}

/* Makes it a record with this main data. */
static void sample_main(struct sample *s, unsigned major, struct wal_decoded *d, const void *main,
                        size_t len)
{
    struct err err;

    buf_u8(&s->bytes, 254);
    buf_u32(&s->bytes, (uint32_t)len);
    buf_add(&s->bytes, main, len);
    OK(sample_decode(s, major, d, &err), &err);
    assert_int_equal(d->main_len, len);
}

static void block_header(struct buf *b, uint8_t id, uint8_t flags, uint16_t data_len)
{
    buf_u8(b, id);
    buf_u8(b, flags);
    buf_u16(b, data_len);
}

static void locator(struct buf *b, struct wal_locator rel)
{
    buf_u32(b, rel.spc);
    buf_u32(b, rel.db);
    buf_u32(b, rel.rel);
}

static void block_references_and_main_data_are_found(void **state)
{
    (void)state;
    for (unsigned major = PG_MAJOR_MIN; major <= PG_MAJOR_MAX; major++) {
        AUTO(sample_free) struct sample s;
        struct wal_decoded d;
        struct err err;
        uint8_t payload[100 + 7 + 8192 + 5] = {1};

        sample_start(&s, 10, 0);
        block_header(&s.bytes, 0, 0x10 | 0x20, 7); /* image with a hole, and data */
        buf_u16(&s.bytes, 100);
        buf_u16(&s.bytes, 50);
        buf_u8(&s.bytes, 0x01);
        locator(&s.bytes, table);
        buf_u32(&s.bytes, 77);
        block_header(&s.bytes, 1, 0x80 | 0x10 | 2, 0); /* whole image, vm, same relation */
        buf_u16(&s.bytes, 8192);
        buf_u16(&s.bytes, 0);
        buf_u8(&s.bytes, 0);
        buf_u32(&s.bytes, 3);
        block_header(&s.bytes, 7, 0, 0);
        locator(&s.bytes, index_rel);
        buf_u32(&s.bytes, 4000000000u);
        buf_u8(&s.bytes, 253); /* origin */
        buf_u16(&s.bytes, 9);
        buf_u8(&s.bytes, 252); /* top-level transaction */
        buf_u32(&s.bytes, 699);
        buf_u8(&s.bytes, 255);
        buf_u8(&s.bytes, 5);
        buf_add(&s.bytes, payload, sizeof payload);
        OK(sample_decode(&s, major, &d, &err), &err);

        assert_int_equal(d.n_blocks, 3);
        assert_memory_equal(&d.blocks[0].rel, &table, sizeof table);
        assert_int_equal(d.blocks[0].block, 77);
        assert_int_equal(d.blocks[0].data_len, 7);
        assert_int_equal(d.blocks[0].image_len, 100);
        assert_memory_equal(&d.blocks[1].rel, &table, sizeof table);
        assert_int_equal(d.blocks[1].fork, FORK_VM);
        assert_true(d.blocks[1].has_image);
        assert_memory_equal(&d.blocks[2].rel, &index_rel, sizeof table);
        assert_int_equal(d.blocks[2].block, 4000000000u);
        assert_false(d.blocks[2].has_image);
        assert_int_equal(d.top_xid, 699);
        assert_int_equal(d.main_len, 5);
        assert_ptr_equal(d.main + 5, s.bytes.p + s.bytes.len);
    }
}

/* The bit that means "compressed" before 15 means "to be applied" since, and so the hole's length
 * is there or not. */
static void a_compressed_image_is_told_by_the_bits_of_its_version(void **state)
{
    static const struct {
        unsigned major;
        uint8_t info;
        bool compressed;
    } images[] = {
        {13, 0x03, true}, {14, 0x07, true}, {14, 0x05, false}, {15, 0x03, false},
        {15, 0x05, true}, {16, 0x09, true}, {17, 0x13, true},  {18, 0x03, false},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(images); i++)
        for (int with_length = 0; with_length < 2; with_length++) {
            AUTO(sample_free) struct sample s;
            struct wal_decoded d;
            struct err err;
            uint8_t image[300] = {0};

            sample_start(&s, 10, 0);
            block_header(&s.bytes, 0, 0x10, 0);
            buf_u16(&s.bytes, sizeof image);
            buf_u16(&s.bytes, 40);
            buf_u8(&s.bytes, images[i].info);
            if (with_length)
                buf_u16(&s.bytes, 1000);
            locator(&s.bytes, table);
            buf_u32(&s.bytes, 5);
            buf_add(&s.bytes, image, sizeof image);
            if (with_length == images[i].compressed) {
                OK(sample_decode(&s, images[i].major, &d, &err), &err);
                assert_int_equal(d.blocks[0].block, 5);
            } else {
                FAILS(sample_decode(&s, images[i].major, &d, &err), &err, ERR_CORRUPT);
            }
        }
}

static void every_cut_and_every_surplus_is_noticed(void **state)
{
    AUTO(sample_free) struct sample s;
    struct wal_decoded d;
    struct err err;
    size_t len;
    (void)state;

    sample_start(&s, 10, 0);
    block_header(&s.bytes, 0, 0x20, 9);
    locator(&s.bytes, table);
    buf_u32(&s.bytes, 1);
    buf_u8(&s.bytes, 255);
    buf_u8(&s.bytes, 4);
    buf_add(&s.bytes, "ninebytesmain", 13);
    len = s.bytes.len;
    OK(sample_decode(&s, 15, &d, &err), &err);
    for (size_t cut = WAL_RECORD_HEADER + 1; cut < len; cut++) {
        struct wal_record rec = s.rec;
        if (cut == WAL_RECORD_HEADER + 20 + 9)
            continue; /* the block and its data: a record without main data */
        AUTO(mem_free) uint8_t *copy = xmalloc(cut);
        memcpy(copy, s.bytes.p, cut);
        rec.bytes = copy;
        rec.total_len = (uint32_t)cut;
        FAILS(wal_decode(&rec, 15, &d, &err), &err, ERR_CORRUPT);
        assert_non_null(strstr(err.msg, "0/3000028"));
    }
    buf_u8(&s.bytes, 0);
    FAILS(sample_decode(&s, 15, &d, &err), &err, ERR_CORRUPT);
}

static void malformed_fragments_are_refused(void **state)
{
    static const struct {
        const char *what;
        uint8_t bytes[40];
        size_t len;
    } bad[] = {
        {"unknown id", {100, 1, 1}, 3},
        {"first block without a relation", {0, 0x80, 0, 0, 1, 0, 0, 0}, 8},
        {"fork 4", {0, 4, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, 20},
        {"data without its flag",
         {0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9},
         21},
        {"data flag without data",
         {0, 0x20, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0},
         20},
        {"the same id twice",
         {0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0x80, 0, 0, 1, 0, 0, 0},
         28},
        {"image larger than a page",
         {0, 0x10, 0, 0, 1, 0x20, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0},
         25},
        {"main data longer than the record", {254, 0, 0, 0, 0x80, 1}, 6},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(bad); i++) {
        AUTO(sample_free) struct sample s;
        struct wal_decoded d;
        struct err err;

        sample_start(&s, 10, 0);
        buf_add(&s.bytes, bad[i].bytes, bad[i].len);
        if (sample_decode(&s, 15, &d, &err) != -1)
            fail_msg("%s: accepted", bad[i].what);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

/* A commit with everything it can carry. */
static void full_commit(struct buf *b, unsigned major)
{
    uint32_t xinfo = 0x001 | 0x002 | 0x004 | 0x008 | 0x010 | 0x020 | 0x080 | 0x40000000;

    if (major >= 15)
        xinfo |= 0x100;
    buf_u64(b, (uint64_t)(noon - PG_EPOCH_US));
    buf_u32(b, xinfo);
    buf_u32(b, 5);
    buf_u32(b, 1663);
    buf_u32(b, 2);
    buf_u32(b, 701);
    buf_u32(b, 702);
    buf_u32(b, 2);
    locator(b, table);
    locator(b, index_rel);
    if (major >= 15) {
        buf_u32(b, 1);
        for (int i = 0; i < (major >= 18 ? 16 : 12); i++)
            buf_u8(b, 0xEE);
    }
    buf_u32(b, 1);
    buf_u64(b, 0);
    buf_u64(b, 0);
    buf_u32(b, 699); /* prepared */
    buf_add(b, "my gid", 7);
    buf_u64(b, 0x123);
    buf_u64(b, 0x456);
}

static void a_commit_with_everything_is_read_in_every_version(void **state)
{
    (void)state;
    for (unsigned major = PG_MAJOR_MIN; major <= PG_MAJOR_MAX; major++) {
        AUTO(sample_free) struct sample s;
        AUTO(buf_free) struct buf b = BUF_INIT;
        struct wal_decoded d;
        struct wal_xact x;
        struct err err;
        struct wal_locator rel;

        full_commit(&b, major);
        sample_start(&s, WAL_RM_XACT, 0x30 | 0x80 | 0x01);
        sample_main(&s, major, &d, b.p, b.len);
        OK(wal_xact_parse(&s.rec, &d, major, &x, &err), &err);
        assert_int_equal(x.kind, WAL_XACT_COMMIT);
        assert_true(x.prepared);
        assert_int_equal(x.time_us, noon);
        assert_int_equal(x.xid, 699);
        assert_int_equal(x.db, 5);
        assert_int_equal(x.n_subxacts, 2);
        assert_int_equal(get_u32(x.subxacts + 4), 702);
        assert_int_equal(x.n_dropped, 2);
        rel = wal_locator_at(x.dropped, 1);
        assert_memory_equal(&rel, &index_rel, sizeof rel);
        assert_string_equal(x.gid, "my gid");

        for (uint32_t cut = 0; cut < b.len; cut++) { /* no length but the right one */
            d.main_len = cut;
            FAILS(wal_xact_parse(&s.rec, &d, major, &x, &err), &err, ERR_CORRUPT);
        }
    }
}

static void kinds_of_transaction_records_are_told_apart(void **state)
{
    static const struct {
        uint8_t info;
        unsigned major;
        int kind; /* -1: refused */
        bool prepared;
    } kinds[] = {
        {0x00, 15, WAL_XACT_COMMIT, false},
        {0x20, 15, WAL_XACT_ABORT, false},
        {0x30, 15, WAL_XACT_COMMIT, true},
        {0x40, 15, WAL_XACT_ABORT, true},
        {0x10, 13, WAL_XACT_PREPARE, false},
        {0x50, 13, WAL_XACT_OTHER, false},
        {0x60, 14, WAL_XACT_OTHER, false},
        {0x60, 13, -1, false},
        {0x70, 18, -1, false},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(kinds); i++) {
        AUTO(sample_free) struct sample s;
        struct wal_decoded d;
        struct wal_xact x;
        struct err err;
        uint8_t time[8] = {0};
        int result;

        sample_start(&s, WAL_RM_XACT, kinds[i].info);
        sample_main(&s, kinds[i].major, &d, time, sizeof time);
        result = wal_xact_parse(&s.rec, &d, kinds[i].major, &x, &err);
        assert_int_equal(result, kinds[i].kind < 0 ? -1 : 0);
        if (result == 0) {
            assert_int_equal(x.kind, kinds[i].kind);
            assert_int_equal(x.prepared, kinds[i].prepared);
            assert_int_equal(x.xid, 700);
        }
    }
}

static void huge_counts_in_a_commit_are_refused(void **state)
{
    static const uint32_t xinfos[] = {0x002, 0x004, 0x008, 0x100, 0x010 | 0x080};
    (void)state;

    for (size_t i = 0; i < LENGTH(xinfos); i++) {
        AUTO(sample_free) struct sample s;
        AUTO(buf_free) struct buf b = BUF_INIT;
        struct wal_decoded d;
        struct wal_xact x;
        struct err err;

        buf_u64(&b, 0);
        buf_u32(&b, xinfos[i]);
        buf_u32(&b, 0x80000001u); /* or the xid, followed by a name without its NUL */
        buf_add(&b, "xxxxxxxx", 8);
        sample_start(&s, WAL_RM_XACT, 0x80);
        sample_main(&s, 17, &d, b.p, b.len);
        FAILS(wal_xact_parse(&s.rec, &d, 17, &x, &err), &err, ERR_CORRUPT);
    }
}

/* The event in the only record of m. */
static void only_event(struct wal_make *m, struct wal_event *e)
{
    AUTO(wal_walk_free) struct wal_walk w;
    struct wal_record rec;
    struct wal_decoded d;
    struct err err;

    wal_walk_init(&w);
    OK(wal_walk_feed(&w, wal_make_segment(m, 0), m->segment_size, WAL_ANY, &err), &err);
    assert_int_equal(wal_walk_next(&w, &rec), WAL_RECORD);
    OK(wal_decode(&rec, m->major, &d, &err), &err);
    OK(wal_event_parse(&rec, &d, m->major, e, &err), &err);
    e->spcs = NULL; /* the record is gone */
}

static void events_are_read_in_every_version(void **state)
{
    (void)state;
    for (unsigned major = PG_MAJOR_MIN; major <= PG_MAJOR_MAX; major++)
        for (int kind = 0; kind < 4; kind++) {
            AUTO(wal_make_free) struct wal_make m;
            struct wal_event e;
            int level = major >= 17 ? WAL_LEVEL_REPLICA : -1;

            wal_make_init(&m, major, 1, 4, 1 << 20, 1);
            switch (kind) {
            case 0:
                wal_make_restore_point(&m, "before the change", noon);
                only_event(&m, &e);
                assert_int_equal(e.kind, WAL_EVENT_RESTORE_POINT);
                assert_string_equal(e.name, "before the change");
                assert_int_equal(e.time_us, noon);
                break;
            case 1:
                wal_make_checkpoint(&m, true, noon);
                only_event(&m, &e);
                assert_int_equal(e.kind, WAL_EVENT_CHECKPOINT_SHUTDOWN);
                assert_int_equal(e.tli, 4);
                assert_int_equal(e.redo, 1 << 20);
                assert_int_equal(e.time_us, noon / 1000000 * 1000000);
                assert_int_equal(e.wal_level, level);
                break;
            case 2:
                wal_make_checkpoint(&m, false, noon);
                only_event(&m, &e);
                assert_int_equal(e.kind, WAL_EVENT_CHECKPOINT_ONLINE);
                break;
            default:
                wal_make_end_of_recovery(&m, 3, noon);
                only_event(&m, &e);
                assert_int_equal(e.kind, WAL_EVENT_END_OF_RECOVERY);
                assert_int_equal(e.tli, 4);
                assert_int_equal(e.prev_tli, 3);
                assert_int_equal(e.wal_level, level);
            }
        }
}

static void other_events_are_read(void **state)
{
    static const struct {
        uint8_t rmid, info;
        unsigned major;
        uint32_t main[8];
        size_t len;
        enum wal_event_kind kind;
    } cases[] = {
        {0, 0xE0, 17, {2}, 4, WAL_EVENT_CHECKPOINT_REDO},
        {0, 0x60, 15, {1, 2, 3, 4, 5, 0, 0}, 28, WAL_EVENT_PARAMETERS},
        {0, 0x80, 15, {1}, 1, WAL_EVENT_FULL_PAGE_WRITES},
        {0, 0x50, 15, {0x28, 7}, 8, WAL_EVENT_BACKUP_END},
        {0, 0xD0, 15, {0x28, 7, 0, 0}, 16, WAL_EVENT_OVERWRITE},
        {0, 0x20, 15, {0}, 0, WAL_EVENT_NONE},
        {0, 0x30, 15, {0}, 4, WAL_EVENT_NONE},
        {4, 0x00, 13, {20, 1663, 1, 1664}, 16, WAL_EVENT_DB_CREATE_COPY},
        {4, 0x10, 13, {20, 1, 1663}, 12, WAL_EVENT_DB_DROP},
        {4, 0x10, 14, {20, 2, 1663, 1700}, 16, WAL_EVENT_DB_DROP},
        {4, 0x10, 15, {20, 1663}, 8, WAL_EVENT_DB_CREATE_LOGGED},
        {4, 0x20, 15, {20, 1, 1663}, 12, WAL_EVENT_DB_DROP},
        {4, 0x01, 18, {20, 1663, 1, 1664}, 16, WAL_EVENT_DB_CREATE_COPY},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(sample_free) struct sample s;
        struct wal_decoded d;
        struct wal_event e;
        struct err err;

        sample_start(&s, cases[i].rmid, cases[i].info);
        sample_main(&s, cases[i].major, &d, cases[i].main, cases[i].len);
        OK(wal_event_parse(&s.rec, &d, cases[i].major, &e, &err), &err);
        assert_int_equal(e.kind, cases[i].kind);
        assert_int_equal(e.lsn, s.rec.lsn);
        if (cases[i].rmid == 4)
            assert_int_equal(e.db, 20);
        if (e.kind == WAL_EVENT_DB_DROP)
            assert_int_equal(get_u32(e.spcs), 1663);
        if (e.kind == WAL_EVENT_DB_CREATE_COPY)
            assert_int_equal(e.src_spc, 1664);
        if (e.kind == WAL_EVENT_PARAMETERS)
            assert_int_equal(e.wal_level, WAL_LEVEL_MINIMAL);
        if (e.kind == WAL_EVENT_BACKUP_END)
            assert_int_equal(e.redo, UINT64_C(0x700000028));
        if (e.kind != WAL_EVENT_NONE) { /* one byte more does not fit */
            d.main_len--;
            FAILS(wal_event_parse(&s.rec, &d, cases[i].major, &e, &err), &err, ERR_CORRUPT);
        }
    }
}

static void bad_events_are_refused(void **state)
{
    static const struct {
        uint8_t rmid, info;
        unsigned major;
        uint32_t main[18];
        size_t len;
    } cases[] = {
        {0, 0xE0, 17, {3}, 4},                          /* no such wal_level */
        {0, 0x60, 15, {1, 2, 3, 4, 5, 0xFFFFFFFF}, 28}, /* the same */
        {4, 0x20, 15, {20, 0x40000001, 1663}, 12},      /* more tablespaces than bytes */
        {4, 0x20, 14, {20, 1, 1663}, 12},               /* no such opcode */
        {4, 0x30, 18, {20, 1, 1663}, 12},
    };
    AUTO(sample_free) struct sample name;
    struct wal_decoded d;
    struct wal_event e;
    struct err err;
    char unterminated[72];
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(sample_free) struct sample s;

        sample_start(&s, cases[i].rmid, cases[i].info);
        sample_main(&s, cases[i].major, &d, cases[i].main, cases[i].len);
        FAILS(wal_event_parse(&s.rec, &d, cases[i].major, &e, &err), &err, ERR_CORRUPT);
    }
    memset(unterminated, 'x', sizeof unterminated);
    sample_start(&name, 0, 0x70);
    sample_main(&name, 15, &d, unterminated, sizeof unterminated);
    FAILS(wal_event_parse(&name.rec, &d, 15, &e, &err), &err, ERR_CORRUPT);
}

static void creation_and_truncation_of_files_are_read(void **state)
{
    static const struct {
        uint8_t info;
        uint32_t main[6];
        size_t len;
        bool good;
    } cases[] = {
        {0x10, {1663, 5, 16384, 3}, 16, true},     {0x20, {9, 1663, 5, 16384, 5}, 20, true},
        {0x10, {1663, 5, 16384, 4}, 16, false},    {0x10, {1663, 5, 16384, 0}, 15, false},
        {0x20, {9, 1663, 5, 16384, 8}, 20, false}, {0x20, {9, 1663, 5, 16384, 0}, 20, false},
        {0x30, {9, 1663, 5, 16384, 1}, 20, false},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(sample_free) struct sample s;
        struct wal_decoded d;
        struct wal_smgr g;
        struct err err;

        sample_start(&s, WAL_RM_SMGR, cases[i].info);
        sample_main(&s, 15, &d, cases[i].main, cases[i].len);
        if (!cases[i].good) {
            FAILS(wal_smgr_parse(&s.rec, &d, &g, &err), &err, ERR_CORRUPT);
            continue;
        }
        OK(wal_smgr_parse(&s.rec, &d, &g, &err), &err);
        assert_memory_equal(&g.rel, &table, sizeof table);
        if (g.kind == WAL_SMGR_CREATE) {
            assert_int_equal(g.fork, FORK_INIT);
        } else {
            assert_int_equal(g.block, 9);
            assert_int_equal(g.forks, 1 << FORK_MAIN | 1 << FORK_FSM);
        }
    }
}

static void resource_managers_are_known_per_version(void **state)
{
    (void)state;
    assert_true(wal_rmgr_known(0, 13));
    assert_true(wal_rmgr_known(21, 13));
    assert_false(wal_rmgr_known(22, 18));
    assert_false(wal_rmgr_known(127, 18));
    assert_true(wal_rmgr_known(128, 15));
    assert_false(wal_rmgr_known(200, 14));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_references_and_main_data_are_found),
        cmocka_unit_test(a_compressed_image_is_told_by_the_bits_of_its_version),
        cmocka_unit_test(every_cut_and_every_surplus_is_noticed),
        cmocka_unit_test(malformed_fragments_are_refused),
        cmocka_unit_test(a_commit_with_everything_is_read_in_every_version),
        cmocka_unit_test(kinds_of_transaction_records_are_told_apart),
        cmocka_unit_test(huge_counts_in_a_commit_are_refused),
        cmocka_unit_test(events_are_read_in_every_version),
        cmocka_unit_test(other_events_are_read),
        cmocka_unit_test(bad_events_are_refused),
        cmocka_unit_test(creation_and_truncation_of_files_are_read),
        cmocka_unit_test(resource_managers_are_known_per_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
