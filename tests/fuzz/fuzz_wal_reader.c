/*
 * fuzz_wal_reader.c - two consecutive segments. The first byte says how much is mended before they
 * are read, so that the walk gets past magic numbers and CRCs: bit 0 page headers, bit 1 prev-links
 * and CRCs of records inside one page, bit 2 continuation lengths, bit 3 all this up to the end
 * of the first segment, so that records cross into the second.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "wal/index/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEGSZ = 1 << 20, MEND_PAGES = 1, MEND_RECORDS = 2, MEND_REST = 4, MEND_ALL = 8 };
static const uint64_t base = UINT64_C(3) * SEGSZ;
static uint8_t segments[2 * SEGSZ];

static void mend_page(size_t at)
{
    uint8_t *p = segments + at;

    put_u16(p, 0xD110);
    put_u16(p + 2, (uint16_t)((p[2] & 0x9) | (at % SEGSZ == 0 ? WAL_PAGE_LONG : 0)));
    put_u32(p + 4, 1);
    put_u64(p + 8, base + at);
    if (at % SEGSZ != 0)
        return;
    put_u64(p + 24, 7);
    put_u32(p + 32, SEGSZ);
    put_u32(p + 36, WAL_PAGE);
}

/* Makes the records of the page follow each other; the last one may run into the next page. */
static uint32_t mend_records(size_t page, uint32_t rest, uint64_t *last)
{
    size_t header = page % SEGSZ == 0 ? WAL_LONG_HEADER : WAL_SHORT_HEADER, at = page + header;

    if (rest >= WAL_PAGE - header)
        return rest - (uint32_t)(WAL_PAGE - header);
    at += (rest + 7) & ~7u;
    while (at + 32 <= page + WAL_PAGE) {
        uint8_t *p = segments + at;
        uint32_t len = WAL_RECORD_HEADER + get_u16(p), room = (uint32_t)(page + WAL_PAGE - at);
        put_u32(p, len);
        put_u64(p + 8, *last);
        *last = base + at;
        if (len > room)
            return len - room;
        put_u32(p + 20, crc32c(crc32c(0, p + 24, len - 24), p, 20));
        at += (len + 7) & ~7u;
    }
    return 0;
}

static void mend(uint8_t how, size_t from, size_t to)
{
    static uint64_t last;
    static uint32_t rest;

    if (from == 0)
        last = rest = 0;
    for (size_t page = from; page < to; page += WAL_PAGE) {
        uint8_t *p = segments + page;
        if (how & MEND_PAGES)
            mend_page(page);
        if (how & MEND_REST && page != 0) {
            put_u16(p + 2, (uint16_t)((get_u16(p + 2) & ~9) | (rest != 0 ? 1 : 0)));
            put_u32(p + 16, rest);
        }
        if (how & MEND_RECORDS)
            rest = mend_records(page, rest, &last);
    }
}

static void walk(void)
{
    AUTO(wal_walk_free) struct wal_walk w;
    struct wal_record rec;
    struct err err;

    wal_walk_init(&w);
    for (int i = 0; i < 2; i++) {
        if (wal_walk_feed(&w, segments + (size_t)i * SEGSZ, SEGSZ, WAL_ANY, &err) != 0)
            return;
        while (wal_walk_next(&w, &rec) == WAL_RECORD)
            ;
    }
}

static void chain(void)
{
    AUTO(wal_chain_free) struct wal_chain c;
    struct wal_expect want = {0};
    struct err err;

    wal_chain_init(&c);
    for (int i = 0; i < 2; i++) {
        AUTO(wal_index_free) struct wal_index ix = {0};
        AUTO(wal_index_free) struct wal_index crossing = {0};
        enum wal_crossing what;
        if (wal_index_build(segments + (size_t)i * SEGSZ, SEGSZ, &want, &ix, &err) != 0 ||
            wal_chain_add(&c, &ix, &what, &crossing, &err) != 0)
            return;
    }
}

/* Half of the input goes to the start of each segment; zeros follow. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t how;
    size_t half;

    if (size < 1 || size > SEGSZ)
        return 0;
    how = *data++;
    half = --size / 2;
    memset(segments, 0, sizeof segments);
    memcpy(segments, data, half);
    memcpy(segments + SEGSZ, data + half, size - half);
    mend(how, 0, how & MEND_ALL ? SEGSZ : half);
    mend(how, SEGSZ, SEGSZ + size - half);
    walk();
    chain();
    return 0;
}
