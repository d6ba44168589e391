/*
 * fuzz_object.c - any bytes as a stored object: opened and read to its end, with and without a key,
 * and checked at rest. Checksums of header, trailer and directory are made to fit.
 */
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "repo/object/object_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY "main/data/x/00000/00000000"
#define LABEL "20260102T030405Z-F-0a1b2c"

static void fix_dir(uint8_t *dir, size_t len, uint32_t index)
{
    AUTO(buf_free) struct buf covered = BUF_INIT;
    struct hash128 hash;

    if (len < CHUNK_HEADER + sizeof hash)
        return;
    put_u32(dir + 12, index);
    put_u32(dir + 16, (uint32_t)len - CHUNK_HEADER);
    put_u32(dir + 20, crc32c(0, dir, 20));
    buf_add(&covered, "pgbr1 chunk", 12);
    buf_u8(&covered, (uint8_t)strlen(LABEL));
    buf_adds(&covered, LABEL);
    buf_add(&covered, dir, len - sizeof hash);
    hash = hash128(covered.p, covered.len);
    memcpy(dir + len - sizeof hash, hash.bytes, sizeof hash);
}

static void make_believable(uint8_t *p, size_t size)
{
    struct object_head head = {.kind = (enum object_kind)(p[8] % 13),
                               .suite = p[11] % 3,
                               .pack = get_u32(p + 48),
                               .label = LABEL};
    uint8_t *end = p + size - OBJECT_TRAILER;
    struct trailer t = {.chunks = get_u32(end + 12) % 5000, .dir_len = get_u32(end + 8)};

    object_head_format(&head, p);
    if (t.dir_len > size - OBJECT_TRAILER - OBJECT_HEADER)
        t.dir_len %= (uint32_t)(size - OBJECT_TRAILER - OBJECT_HEADER) + 1;
    t.dir_offset = size - OBJECT_TRAILER - t.dir_len;
    trailer_format(&t, end);
    fix_dir(p + t.dir_offset, t.dir_len, t.chunks);
}

static void use(struct store *s, struct coder *c, enum object_kind kind)
{
    AUTO(object_close) struct object_reader *r = NULL;
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct err err = {0};
    uint32_t items;

    if (object_open(&r, s, KEY, kind, NULL, c, &err) != 0)
        return;
    for (uint32_t i = 0; i < object_chunks(r); i++)
        if (object_read(r, i, &out, &items, &err) == 0 && out.len > CHUNK_RAW_MAX)
            __builtin_trap();
}

static void use_all_ways(const uint8_t *data, size_t size, void *buffer)
{
    const struct repo_key key = {{1, 2, 3}};
    AUTO(store_close) struct store *s = store_mem_new();
    struct object_head head = {.kind = OBJECT_PACK};
    struct err err = {0};

    if (store_put(s, KEY, STORE_CREATE_ONLY, data, size, &err) != 0)
        __builtin_trap();
    if (object_verify_at_rest(s, KEY, buffer, NULL, &head, &err) != 0)
        err_clear(&err);
    for (int keyed = 0; keyed < 2; keyed++) {
        AUTO(coder_free) struct coder *c = NULL;
        if (coder_new(&c, keyed ? &key : NULL, LABEL, 1, &err) != 0)
            __builtin_trap();
        use(s, c, head.kind);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(mem_free) uint8_t *copy = xmalloc(size), *buffer = xaligned(FS_ALIGN, FS_IO_SIZE);

    if (size != 0)
        memcpy(copy, data, size);
    use_all_ways(copy, size, buffer);
    if (size >= OBJECT_HEADER + OBJECT_TRAILER) {
        make_believable(copy, size);
        use_all_ways(copy, size, buffer);
    }
    return 0;
}
