/*
 * fuzz_chunk.c - stored bytes of a chunk, decoded with and without a key; and any bytes encoded and
 * decoded again. CRC and XXH3-128 are made to fit, or no input would get past them.
 */
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "repo/object/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LABEL "20260102T030405Z-F-0a1b2c"
enum { HASH = 16, RAW_MAX = 1 << 20 };

static void make_believable(uint8_t *chunk, size_t size)
{
    AUTO(buf_free) struct buf covered = BUF_INIT;
    struct hash128 hash;

    memcpy(chunk, "pgCk", 4);
    chunk[7] = 0;
    put_u32(chunk + 16, (uint32_t)(size - CHUNK_HEADER));
    put_u32(chunk + 20, crc32c(0, chunk, 20));
    if (size < CHUNK_HEADER + HASH || chunk[6] != SUITE_PLAIN)
        return;
    buf_add(&covered, "pgbr1 chunk", 12);
    buf_u8(&covered, (uint8_t)strlen(LABEL));
    buf_adds(&covered, LABEL);
    buf_add(&covered, chunk, size - HASH);
    hash = hash128(covered.p, covered.len);
    memcpy(chunk + size - HASH, hash.bytes, HASH);
}

static void decode(struct coder *c, const uint8_t *chunk, size_t size)
{
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct chunk_head head;
    struct err err = {0};
    uint32_t items;

    if (size < CHUNK_HEADER || chunk_head_parse(chunk, &head, &err) != 0)
        return;
    if (chunk_decode_buf(c, head.type, head.pack, head.index, chunk, size, RAW_MAX, &out, &items,
                         &err) == 0 &&
        chunk_check(c, head.type, head.pack, head.index, chunk, size, &err) != 0)
        __builtin_trap();
}

static void there_and_back(struct coder *c, const uint8_t *data, size_t size)
{
    AUTO(mem_free) uint8_t *stored = xmalloc(chunk_bound(size));
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct err err = {0};
    size_t len;

    if (chunk_encode(c, CHUNK_TEXT, CHUNK_PRIVATE, 1, 2, 3, data, size, stored, &len, &err) != 0 ||
        chunk_decode_buf(c, CHUNK_TEXT, 1, 2, stored, len, size, &out, NULL, &err) != 0 ||
        out.len != size || (size != 0 && memcmp(out.p, data, size) != 0))
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct repo_key key = {{1, 2, 3}};
    AUTO(mem_free) uint8_t *chunk = xmalloc(size);
    struct err err = {0};

    for (int keyed = 0; keyed < 2; keyed++) {
        AUTO(coder_free) struct coder *c = NULL;
        if (coder_new(&c, keyed ? &key : NULL, LABEL, 1, &err) != 0)
            __builtin_trap();
        if (size != 0)
            memcpy(chunk, data, size);
        decode(c, chunk, size);
        if (size >= CHUNK_HEADER) {
            make_believable(chunk, size);
            decode(c, chunk, size);
        }
        there_and_back(c, data, size);
    }
    return 0;
}
