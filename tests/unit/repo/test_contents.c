#include "repo/pack/contents_form.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/lib/test.h"

static struct err err;
static const struct set_identity identity = {UINT64_C(7312345678901234567), 16, 3};

static struct hash128 hash_of(uint8_t n)
{
    struct hash128 h;

    memset(h.bytes, n, sizeof h.bytes);
    return h;
}

static void add_pages(struct contents_builder *b, const char *path, const struct block_run *runs,
                      unsigned n_runs, uint32_t raw_len, uint8_t hash)
{
    const struct chunk_note note = {
        .path = path, .file_size = 1 << 30, .mtime_s = 1700000000, .runs = runs, .n_runs = n_runs};
    struct hash128 h = hash_of(hash);

    contents_add(b, CHUNK_PAGES, raw_len, &h, &note);
}

/* Two chunks of one file, a bundle, and the file once more. */
static void build(struct contents_builder *b, struct buf *out)
{
    static const struct block_run first = {0, 16}, rest[] = {{16, 3}, {40, 1}, {131071, 1}};
    static const struct bundle_part parts[] = {
        {"data/PG_VERSION", 0, 3}, {"data/base/5/PG_VERSION", 3, 3}, {"data/global/1", 6, 0}};
    const struct chunk_note bundle = {.parts = parts, .n_parts = 3};
    struct hash128 h = hash_of(3);

    contents_builder_reset(b);
    add_pages(b, "data/base/5/1259", &first, 1, 131072, 1);
    add_pages(b, "data/base/5/1259", rest, 3, 40960, 2);
    contents_add(b, CHUNK_BUNDLE, 6, &h, &bundle);
    add_pages(b, "data/base/5/1259", &first, 1, 131072, 4);
    contents_finish(b, &identity, out);
}

static void pages_are(const struct contents *c, uint32_t chunk, const char *path, uint32_t first,
                      uint32_t n_runs, uint32_t raw_len, uint8_t hash)
{
    const struct contents_chunk *k = &c->chunks[chunk];
    struct hash128 h = hash_of(hash);

    assert_int_equal(k->type, CHUNK_PAGES);
    assert_string_equal(c->paths[k->path], path);
    assert_int_equal(c->sizes[k->path], 1 << 30);
    assert_int_equal(c->mtimes[k->path], 1700000000);
    assert_int_equal(k->n_runs, n_runs);
    assert_int_equal(c->runs[k->first_run].first, first);
    assert_int_equal(k->raw_len, raw_len);
    assert_memory_equal(k->hash.bytes, h.bytes, sizeof h.bytes);
}

static void contents_give_back_what_was_noted(void **state)
{
    AUTO(contents_builder_free) struct contents_builder b = {0};
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(contents_free) struct contents c = {0};
    const struct contents_part *part;

    (void)state;
    build(&b, &bytes);
    build(&b, &bytes); /* a builder is used for pack after pack */
    OK(contents_parse(bytes.p, bytes.len, &c, &err), &err);
    assert_int_equal(c.id.system_id, identity.system_id);
    assert_int_equal(c.id.major, 16);
    assert_int_equal(c.id.timeline, 3);
    assert_int_equal(c.n_chunks, 4);
    pages_are(&c, 0, "data/base/5/1259", 0, 1, 131072, 1);
    pages_are(&c, 1, "data/base/5/1259", 16, 3, 40960, 2);
    pages_are(&c, 3, "data/base/5/1259", 0, 1, 131072, 4);
    assert_int_equal(c.runs[c.chunks[1].first_run + 2].first, 131071);
    assert_int_equal(c.runs[c.chunks[1].first_run + 2].count, 1);
    assert_int_equal(c.chunks[2].type, CHUNK_BUNDLE);
    assert_int_equal(c.chunks[2].n_parts, 3);
    part = &c.parts[c.chunks[2].first_part];
    assert_string_equal(c.paths[part[1].path], "data/base/5/PG_VERSION");
    assert_int_equal(part[1].offset, 3);
    assert_int_equal(part[1].length, 3);
    assert_int_equal(part[2].offset, 6);
    assert_int_equal(part[2].length, 0);
}

static void a_pack_without_chunks_has_contents_too(void **state)
{
    AUTO(contents_builder_free) struct contents_builder b = {0};
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(contents_free) struct contents c = {0};

    (void)state;
    contents_finish(&b, &identity, &bytes);
    OK(contents_parse(bytes.p, bytes.len, &c, &err), &err);
    assert_int_equal(c.n_chunks, 0);
    assert_int_equal(c.n_paths, 0);
}

static void contents_that_are_cut_off_anywhere_are_refused(void **state)
{
    AUTO(contents_builder_free) struct contents_builder b = {0};
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct contents c;

    (void)state;
    build(&b, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        AUTO(mem_free) uint8_t *exact = xmalloc(len + 1);

        memcpy(exact, bytes.p, len);
        FAILS(contents_parse(exact, len, &c, &err), &err, ERR_CORRUPT);
    }
    buf_u8(&bytes, 0);
    FAILS(contents_parse(bytes.p, bytes.len, &c, &err), &err, ERR_CORRUPT);
}

/* Version and identity in front, then what is given. */
#define HEAD 1, 1, 2, 3, 4, 5, 6, 7, 8, 16, 3
#define HASH 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9
#define BYTES(...) {__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
static const struct damage {
    const char *what;
    uint8_t bytes[64];
    size_t len;
} damages[] = {
    {"another version", BYTES(2, 1, 2, 3, 4, 5, 6, 7, 8, 16, 3, 0, 0)},
    {"more paths than bytes", BYTES(HEAD, 3, 0, 1, 'a', 1, 0)},
    {"a first path that shares bytes", BYTES(HEAD, 1, 1, 1, 'a', 1, 0, 0)},
    {"a path with a NUL", BYTES(HEAD, 1, 0, 2, 'a', 0, 1, 0, 0)},
    {"a path longer than what follows", BYTES(HEAD, 1, 0, 9, 'a', 1, 0, 0)},
    {"more than 4,096 chunks", BYTES(HEAD, 0, 0x81, 0x20)},
    {"a chunk of an impossible type", BYTES(HEAD, 1, 0, 1, 'a', 1, 0, 1, 6, HASH, 1, 0, 1, 0, 1)},
    {"pages of a path that is not there",
     BYTES(HEAD, 1, 0, 1, 'a', 1, 0, 1, 1, HASH, 1, 1, 1, 0, 1)},
    {"pages without blocks", BYTES(HEAD, 1, 0, 1, 'a', 1, 0, 1, 1, HASH, 1, 0, 0)},
    {"a run of no blocks", BYTES(HEAD, 1, 0, 1, 'a', 1, 0, 1, 1, HASH, 1, 0, 1, 0, 0)},
    {"blocks beyond 32 bits",
     BYTES(HEAD, 1, 0, 1, 'a', 1, 0, 1, 1, HASH, 1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xf, 1)},
    {"too many runs", BYTES(HEAD, 1, 0, 1, 'a', 1, 0, 1, 1, HASH, 1, 0, 0x81, 0x10, 0, 1)},
    {"a bundle of a path that is not there",
     BYTES(HEAD, 1, 0, 1, 'a', 1, 0, 1, 2, HASH, 1, 1, 1, 1)},
    {"a bundle with less than its parts", BYTES(HEAD, 1, 0, 1, 'a', 1, 0, 1, 2, HASH, 1, 1, 0, 2)},
    {"a bundle with more than its parts", BYTES(HEAD, 1, 0, 1, 'a', 1, 0, 1, 2, HASH, 3, 1, 0, 2)},
    {"more raw bytes than a chunk may have",
     BYTES(HEAD, 1, 0, 1, 'a', 1, 0, 1, 1, HASH, 0x81, 0x80, 0x80, 8, 0, 1, 0, 1)},
};

static void damaged_contents_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(damages); i++) {
        struct contents c;

        err_clear(&err);
        if (contents_parse(damages[i].bytes, damages[i].len, &c, &err) == 0 ||
            err.code != ERR_CORRUPT)
            fail_msg("%s: \"%s\"", damages[i].what, err.msg);
    }
}

/* Each path repeats the one before: few bytes that would fill the memory. */
static void a_few_bytes_do_not_become_gigabytes_of_paths(void **state)
{
    static const uint8_t head[] = {HEAD};
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(mem_free) char *path = xmalloc(4096);
    enum { PATHS = 100000 };
    struct contents c;

    (void)state;
    memset(path, 'x', 4096);
    buf_add(&bytes, head, sizeof head);
    buf_uv(&bytes, PATHS);
    buf_uv(&bytes, 0);
    buf_blob(&bytes, path, 4096);
    buf_add(&bytes, "\1", 2);
    for (int i = 1; i < PATHS; i++) {
        buf_uv(&bytes, 4096);
        buf_add(&bytes, "\0\1", 3);
    }
    buf_uv(&bytes, 0);
    FAILS(contents_parse(bytes.p, bytes.len, &c, &err), &err, ERR_CORRUPT);
}

/* The fullest contents that a writer makes, with one more bundle. */
static void a_reader_takes_all_that_a_writer_makes(void **state)
{
    enum { PARTS = CHUNK_DATA_SIZE };
    AUTO(contents_builder_free) struct contents_builder b = {0};
    AUTO(mem_free) struct bundle_part *parts = xcalloc(PARTS, sizeof *parts);
    AUTO(mem_free) char(*names)[24] = xcalloc(PARTS, sizeof *names);
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(contents_free) struct contents c = {0};
    const struct chunk_note note = {.parts = parts, .n_parts = PARTS},
                            almost = {.parts = parts, .n_parts = PARTS - 1};
    struct hash128 h = hash_of(1);

    (void)state;
    for (uint32_t i = 0; i < PARTS; i++) {
        snprintf(names[i], sizeof names[i], "data/%u", i);
        parts[i] = (struct bundle_part){names[i], i, 1};
    }
    contents_add(&b, CHUNK_BUNDLE, PARTS - 1, &h, &almost);
    assert_false(contents_full(&b));
    contents_add(&b, CHUNK_BUNDLE, PARTS, &h, &note);
    assert_true(contents_full(&b));
    contents_finish(&b, &identity, &bytes);
    assert_in_range(bytes.len, 1, CHUNK_RAW_MAX);
    OK(contents_parse(bytes.p, bytes.len, &c, &err), &err);
    assert_int_equal(c.n_parts, 2 * PARTS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_give_back_what_was_noted),
        cmocka_unit_test(a_pack_without_chunks_has_contents_too),
        cmocka_unit_test(contents_that_are_cut_off_anywhere_are_refused),
        cmocka_unit_test(damaged_contents_are_refused),
        cmocka_unit_test(a_few_bytes_do_not_become_gigabytes_of_paths),
        cmocka_unit_test(a_reader_takes_all_that_a_writer_makes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
