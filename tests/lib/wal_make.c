/* wal_make.c - see wal_make.h. */
#include "tests/lib/wal_make.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "postgres/lsn.h"
#include "postgres/version.h"

void wal_make_init(struct wal_make *m, unsigned major, uint64_t system_id, uint32_t tli,
                   uint32_t segment_size, uint64_t first_segno)
{
    memset(m, 0, sizeof *m);
    m->major = major;
    m->system_id = system_id;
    m->tli = tli;
    m->segment_size = segment_size;
    m->start = m->end = first_segno * segment_size;
}

void wal_make_free(struct wal_make *m)
{
    buf_free(&m->bytes);
}

size_t wal_make_count(const struct wal_make *m)
{
    return (m->bytes.len + m->segment_size - 1) / m->segment_size;
}

uint64_t wal_make_segno(const struct wal_make *m, size_t index)
{
    return lsn_segno(m->start, m->segment_size) + index;
}

static void pad_to(struct wal_make *m, size_t len)
{
    if (len <= m->bytes.len)
        return;
    buf_reserve(&m->bytes, len - m->bytes.len);
    memset(m->bytes.p + m->bytes.len, 0, len - m->bytes.len);
    m->bytes.len = len;
}

uint8_t *wal_make_segment(struct wal_make *m, size_t index)
{
    size_t written = m->bytes.len, end = (index + 1) * m->segment_size;

    pad_to(m, end);
    m->bytes.len = written;
    return (uint8_t *)m->bytes.p + index * m->segment_size;
}

static void add_page(struct wal_make *m, uint32_t rem_len)
{
    bool first = m->bytes.len % m->segment_size == 0;
    uint16_t info = (uint16_t)(m->flags | (rem_len != 0 ? WAL_PAGE_CONTRECORD : 0) |
                               (first ? WAL_PAGE_LONG : 0));
    uint64_t lsn = m->start + m->bytes.len;

    m->flags = 0;
    buf_u16(&m->bytes, pg_version_by_major(m->major)->wal_magic);
    buf_u16(&m->bytes, info);
    buf_u32(&m->bytes, m->tli);
    buf_u64(&m->bytes, lsn);
    buf_u32(&m->bytes, rem_len);
    buf_u32(&m->bytes, 0);
    if (!first)
        return;
    buf_u64(&m->bytes, m->system_id);
    buf_u32(&m->bytes, m->segment_size);
    buf_u32(&m->bytes, WAL_PAGE);
}

/* Bytes of a record, with page headers where pages begin. */
static void add_bytes(struct wal_make *m, const uint8_t *p, size_t len)
{
    while (len > 0) {
        size_t room = WAL_PAGE - m->bytes.len % WAL_PAGE, piece;
        if (room == WAL_PAGE) {
            add_page(m, (uint32_t)len);
            room = WAL_PAGE - m->bytes.len % WAL_PAGE;
        }
        piece = len < room ? len : room;
        buf_add(&m->bytes, p, piece);
        p += piece;
        len -= piece;
    }
}

void wal_make_seal(uint8_t *p)
{
    uint32_t len = get_u32(p);

    put_u32(p + 20, crc32c(crc32c(0, p + 24, len - 24), p, 20));
}

uint64_t wal_make_raw(struct wal_make *m, uint8_t rmid, uint8_t info, uint32_t xid,
                      const void *body, size_t len)
{
    AUTO(buf_free) struct buf rec = BUF_INIT;
    uint64_t lsn;

    buf_u32(&rec, (uint32_t)(WAL_RECORD_HEADER + len));
    buf_u32(&rec, xid);
    buf_u64(&rec, m->last);
    buf_u8(&rec, info);
    buf_u8(&rec, rmid);
    buf_u16(&rec, 0);
    buf_u32(&rec, 0);
    buf_add(&rec, body, len);
    wal_make_seal((uint8_t *)rec.p);

    if (m->bytes.len % WAL_PAGE == 0)
        add_page(m, 0);
    lsn = m->start + m->bytes.len;
    add_bytes(m, (const uint8_t *)rec.p, rec.len);
    pad_to(m, (m->bytes.len + 7) & ~(size_t)7);
    m->last = lsn;
    m->end = m->start + m->bytes.len;
    return lsn;
}

/* The header of one block reference. */
static void add_block(const struct wal_make *m, struct buf *b, const struct wal_make_block *block,
                      uint8_t id)
{
    unsigned hole = block->image_len != 0 && block->image_len < WAL_PAGE ? 1 : 0;

    buf_u8(b, id);
    buf_u8(b, (uint8_t)(block->fork | (block->image_len != 0 ? 0x10 : 0) |
                        (block->data_len != 0 ? 0x20 : 0) | (block->same_rel ? 0x80 : 0)));
    buf_u16(b, block->data_len);
    if (block->image_len != 0) {
        buf_u16(b, block->image_len);
        buf_u16(b, hole != 0 ? 100 : 0);
        buf_u8(b, (uint8_t)(hole | (m->major >= 15 ? 0x02 : 0x04))); /* to be applied */
    }
    if (!block->same_rel) {
        buf_u32(b, block->rel.spc);
        buf_u32(b, block->rel.db);
        buf_u32(b, block->rel.rel);
    }
    buf_u32(b, block->block);
}

static void add_filler(struct buf *b, size_t len)
{
    while (len-- > 0)
        buf_u8(b, (uint8_t)(len * 7 + 1));
}

uint64_t wal_make_record(struct wal_make *m, uint8_t rmid, uint8_t info, uint32_t xid,
                         const struct wal_make_block *blocks, size_t n_blocks, const void *main,
                         size_t main_len)
{
    AUTO(buf_free) struct buf body = BUF_INIT;

    for (size_t i = 0; i < n_blocks; i++)
        add_block(m, &body, &blocks[i], (uint8_t)i);
    if (main_len > 255) {
        buf_u8(&body, 254);
        buf_u32(&body, (uint32_t)main_len);
    } else if (main_len > 0) {
        buf_u8(&body, 255);
        buf_u8(&body, (uint8_t)main_len);
    }
    for (size_t i = 0; i < n_blocks; i++)
        add_filler(&body, (size_t)blocks[i].image_len + blocks[i].data_len);
    buf_add(&body, main, main_len);
    return wal_make_raw(m, rmid, info, xid, body.p, body.len);
}

static uint64_t add_main(struct wal_make *m, uint8_t rmid, uint8_t info, uint32_t xid,
                         const struct buf *main)
{
    return wal_make_record(m, rmid, info, xid, NULL, 0, main->p, main->len);
}

static uint64_t pg_time(int64_t time_us)
{
    return (uint64_t)time_us - (uint64_t)PG_EPOCH_US;
}

static uint64_t add_xact(struct wal_make *m, uint8_t info, uint32_t xid, int64_t time_us)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    buf_u64(&b, pg_time(time_us));
    return add_main(m, WAL_RM_XACT, info, xid, &b);
}

uint64_t wal_make_commit(struct wal_make *m, uint32_t xid, int64_t time_us)
{
    return add_xact(m, 0x00, xid, time_us);
}

uint64_t wal_make_abort(struct wal_make *m, uint32_t xid, int64_t time_us)
{
    return add_xact(m, 0x20, xid, time_us);
}

static void add_locator(struct buf *b, struct wal_locator rel)
{
    buf_u32(b, rel.spc);
    buf_u32(b, rel.db);
    buf_u32(b, rel.rel);
}

uint64_t wal_make_commit_drop(struct wal_make *m, uint32_t xid, int64_t time_us,
                              struct wal_locator rel)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    buf_u64(&b, pg_time(time_us));
    buf_u32(&b, 0x004); /* xinfo: relations dropped */
    buf_u32(&b, 1);
    add_locator(&b, rel);
    return add_main(m, WAL_RM_XACT, 0x80 | WAL_INFO_SPECIAL_REL, xid, &b);
}

uint64_t wal_make_restore_point(struct wal_make *m, const char *name, int64_t time_us)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    char text[WAL_NAME_MAX + 1];

    memset(text, 'g', sizeof text); /* what stands behind the NUL is garbage */
    memcpy(text, name, strlen(name) + 1);
    buf_u64(&b, pg_time(time_us));
    buf_add(&b, text, sizeof text);
    return add_main(m, WAL_RM_XLOG, 0x70, 0, &b);
}

uint64_t wal_make_checkpoint(struct wal_make *m, bool shutdown, int64_t time_us)
{
    uint8_t c[88] = {0};

    put_u64(c, m->end);
    put_u32(c + 8, m->tli);
    put_u32(c + 12, m->tli);
    c[16] = 1;                          /* full_page_writes */
    put_u32(c + 20, WAL_LEVEL_REPLICA); /* 17 and later; padding before */
    put_u64(c + 64, (uint64_t)(time_us / 1000000));
    return wal_make_record(m, WAL_RM_XLOG, shutdown ? 0x00 : 0x10, 0, NULL, 0, c, sizeof c);
}

uint64_t wal_make_end_of_recovery(struct wal_make *m, uint32_t prev_tli, int64_t time_us)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    buf_u64(&b, pg_time(time_us));
    buf_u32(&b, m->tli);
    buf_u32(&b, prev_tli);
    if (m->major >= 17)
        buf_u64(&b, WAL_LEVEL_REPLICA);
    return add_main(m, WAL_RM_XLOG, 0x90, 0, &b);
}

uint64_t wal_make_create(struct wal_make *m, struct wal_locator rel, uint8_t fork)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    add_locator(&b, rel);
    buf_u32(&b, fork);
    return add_main(m, WAL_RM_SMGR, 0x10 | WAL_INFO_SPECIAL_REL, 0, &b);
}

uint64_t wal_make_truncate(struct wal_make *m, struct wal_locator rel, uint32_t blocks)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    buf_u32(&b, blocks);
    add_locator(&b, rel);
    buf_u32(&b, 7); /* all forks */
    return add_main(m, WAL_RM_SMGR, 0x20 | WAL_INFO_SPECIAL_REL, 0, &b);
}

uint64_t wal_make_change(struct wal_make *m, struct wal_locator rel, uint32_t block)
{
    struct wal_make_block b = {.rel = rel, .block = block, .data_len = 20};

    return wal_make_record(m, 10, 0x00, 1000, &b, 1, "abc", 3); /* heap insert */
}

uint64_t wal_make_switch(struct wal_make *m)
{
    uint64_t lsn = wal_make_raw(m, WAL_RM_XLOG, WAL_XLOG_SWITCH, 0, NULL, 0);
    size_t size = m->segment_size;

    pad_to(m, (m->bytes.len + size - 1) / size * size);
    m->end = m->start + m->bytes.len;
    return lsn;
}

uint64_t wal_make_noise(struct wal_make *m, size_t total_len)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    size_t body = total_len - WAL_RECORD_HEADER;

    add_filler(&b, body >= 261 ? body - 5 : body <= 257 ? body - 2 : 255);
    return add_main(m, 21, 0x00, 0, &b); /* a logical message */
}

static size_t left(const struct wal_make *m)
{
    return m->segment_size - m->bytes.len % m->segment_size;
}

void wal_make_fill(struct wal_make *m, size_t room)
{
    while (left(m) > room + 4000)
        wal_make_noise(m, 2000);
    while (left(m) > room + 128)
        wal_make_noise(m, 64);
}
