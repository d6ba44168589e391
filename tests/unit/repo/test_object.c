#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crypt.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "repo/object/object_form.h"

#define LABEL "20260102T030405Z-F-0a1b2c"
#define KEY "main/data/" LABEL "/00000/00000005"

static struct err err;
static const uint8_t repo_half[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct coder *coder_of(bool keyed, const char *label)
{
    struct repo_key k = {{7}};
    struct coder *c = NULL;

    OK(coder_new(&c, keyed ? &k : NULL, label, 1, &err), &err);
    return c;
}

static struct object_head pack_head(void)
{
    struct object_head head = {.kind = OBJECT_PACK, .pack = 5, .label = LABEL};

    memcpy(head.repo_id, repo_half, sizeof repo_half);
    return head;
}

/* Chunk i of n: random where i is odd, so that objects get large. */
static void chunk_raw(uint32_t i, uint8_t *raw, size_t len)
{
    uint32_t x = i * 77 + 1;

    for (size_t k = 0; k < len; k++) {
        x = x * 1664525 + 1013904223;
        raw[k] = i % 2 != 0 ? (uint8_t)(x >> 24) : (uint8_t)i;
    }
}

static void write_object(struct store *s, const char *key, struct object_head *head,
                         struct coder *c, uint32_t n, size_t chunk_size)
{
    AUTO(object_abandon) struct object_writer *w = NULL;
    AUTO(mem_free) uint8_t *raw = xmalloc(chunk_size);
    struct store_entry entry;
    uint32_t index;
    uint64_t size;

    OK(object_create(&w, s, key, STORE_CREATE_ONLY, head, c, &err), &err);
    for (uint32_t i = 0; i < n; i++) {
        chunk_raw(i, raw, chunk_size);
        assert_int_equal(object_chunk_count(w), i);
        OK(object_add(w, CHUNK_PAGES, CHUNK_PRIVATE, i, raw, chunk_size, &index, &err), &err);
        assert_int_equal(index, i);
    }
    OK(object_commit(&w, STORE_DURABLE, &size, &err), &err);
    assert_null(w);
    OK(store_stat(s, key, &entry, &err), &err);
    assert_int_equal(entry.size, size);
}

static void chunk_is(struct object_reader *r, uint32_t i, size_t chunk_size)
{
    AUTO(buf_free) struct buf got = BUF_INIT;
    AUTO(mem_free) uint8_t *raw = xmalloc(chunk_size), *dst = xmalloc(chunk_size);
    uint32_t items;
    size_t len;

    chunk_raw(i, raw, chunk_size);
    OK(object_read(r, i, &got, &items, &err), &err);
    assert_int_equal(got.len, chunk_size);
    assert_int_equal(items, i);
    assert_memory_equal(got.p, raw, chunk_size);
    OK(object_read_into(r, i, dst, chunk_size, &len, NULL, &err), &err);
    assert_int_equal(len, chunk_size);
    assert_memory_equal(dst, raw, chunk_size);
}

static void verified(struct store *s, const char *key)
{
    AUTO(mem_free) uint8_t *buffer = xaligned(FS_ALIGN, FS_IO_SIZE);
    struct object_head head;
    struct store_entry entry;
    uint64_t size;

    OK(object_verify_at_rest(s, key, buffer, &size, &head, &err), &err);
    OK(store_stat(s, key, &entry, &err), &err);
    assert_int_equal(size, entry.size);
    assert_string_equal(head.label, LABEL);
    OK(object_verify_at_rest(s, key, buffer, NULL, NULL, &err), &err);
}

/* Sizes around the tail's 32 KiB and the window's 1 MiB. */
static void what_was_written_is_read_in_any_order(void **state)
{
    static const struct {
        uint32_t n;
        size_t size;
    } cases[] = {{0, 1},     {1, 1},       {3, 100},     {40, 1000},
                 {70, 1000}, {300, 20000}, {30, 300000}, {4, 3 << 20}};

    (void)state;
    for (int keyed = 0; keyed < 2; keyed++)
        for (size_t i = 0; i < LENGTH(cases); i++) {
            AUTO(store_close) struct store *s = store_mem_new();
            AUTO(coder_free) struct coder *c = coder_of(keyed, LABEL);
            AUTO(object_close) struct object_reader *r = NULL;
            struct object_head head = pack_head();
            write_object(s, KEY, &head, c, cases[i].n, cases[i].size);
            verified(s, KEY);
            OK(object_open(&r, s, KEY, OBJECT_PACK, repo_half, c, &err), &err);
            assert_int_equal(object_chunks(r), cases[i].n);
            for (uint32_t k = 0; k < cases[i].n; k++)
                chunk_is(r, k, cases[i].size);
            for (uint32_t k = cases[i].n; k-- > 0;)
                chunk_is(r, k, cases[i].size);
            for (uint32_t k = 0; k < cases[i].n; k++)
                chunk_is(r, k * 7 % cases[i].n, cases[i].size);
        }
}

static void reading_in_order_takes_few_requests(void **state)
{
    AUTO(store_close) struct store *kept = store_mem_new();
    AUTO(store_close) struct store *s = store_fault_new(kept, -1, FAULT_BEFORE);
    AUTO(coder_free) struct coder *c = coder_of(false, LABEL);
    AUTO(object_close) struct object_reader *r = NULL;
    AUTO(buf_free) struct buf got = BUF_INIT;
    struct object_head head = pack_head();

    (void)state;
    write_object(kept, KEY, &head, c, 300, 40000); /* 6 MB */
    OK(object_open(&r, s, KEY, OBJECT_PACK, NULL, c, &err), &err);
    assert_int_equal(store_fault_calls(s), 2);
    for (uint32_t i = 0; i < 300; i++)
        OK(object_read(r, i, &got, NULL, &err), &err);
    assert_in_range(store_fault_calls(s), 8, 14);
}

static void a_small_object_is_read_by_one_request(void **state)
{
    AUTO(store_close) struct store *kept = store_mem_new();
    AUTO(store_close) struct store *s = store_fault_new(kept, -1, FAULT_BEFORE);
    AUTO(coder_free) struct coder *c = coder_of(true, "info/00000001");
    AUTO(buf_free) struct buf got = BUF_INIT;
    struct object_head head = {.kind = OBJECT_INFO, .label = "info/00000001"};

    (void)state;
    OK(object_put_small(kept, "main/info/00000001", STORE_CREATE_ONLY, &head, c, CHUNK_INFO,
                        CHUNK_PUBLIC, "hello", 5, &err),
       &err);
    OK(object_get_small(s, "main/info/00000001", OBJECT_INFO, NULL, c, CHUNK_INFO, &got, &err),
       &err);
    assert_string_equal(buf_text(&got), "hello");
    assert_int_equal(store_fault_calls(s), 1);
    FAILS(object_get_small(s, "main/info/00000001", OBJECT_INFO, NULL, c, CHUNK_TEXT, &got, &err),
          &err, ERR_CORRUPT);
}

static void the_header_is_read_as_it_was_written(void **state)
{
    struct object_head head = pack_head(), read;
    uint8_t bytes[OBJECT_HEADER];

    (void)state;
    head.kind = OBJECT_WAL;
    head.suite = 1;
    head.pack = 0xfffffff0;
    head.created_us = INT64_C(1767323045123456);
    memset(head.object_id, 0xab, sizeof head.object_id);
    memset(head.tag, 0xcd, sizeof head.tag);
    memset(head.label, 'x', OBJECT_LABEL);
    object_head_format(&head, bytes);
    OK(object_head_parse(bytes, &read, &err), &err);
    assert_int_equal(read.kind, head.kind);
    assert_int_equal(read.suite, 1);
    assert_int_equal(read.pack, head.pack);
    assert_int_equal(read.created_us, head.created_us);
    assert_memory_equal(read.object_id, head.object_id, 16);
    assert_memory_equal(read.tag, head.tag, 16);
    assert_memory_equal(read.repo_id, head.repo_id, 8);
    assert_string_equal(read.label, head.label);
}

static void headers_that_do_not_fit_are_refused(void **state)
{
    static const struct {
        const char *what;
        size_t at;
        uint8_t value;
        enum err_code why;
    } cases[] = {
        {"magic after text conversion", 5, 0x0a, ERR_CORRUPT},
        {"kind 0", 8, 0, ERR_UNSUPPORTED},
        {"kind 13", 8, 13, ERR_UNSUPPORTED},
        {"readers from version 2 on", 10, 2, ERR_UNSUPPORTED},
        {"a flag that must be known", 12, 1, ERR_UNSUPPORTED},
        {"another", 13, 0x80, ERR_UNSUPPORTED},
        {"no label", 56, 0, ERR_CORRUPT},
        {"bytes behind the label", 103, 'x', ERR_CORRUPT},
    };
    struct object_head head = pack_head(), read;
    uint8_t bytes[OBJECT_HEADER];

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        object_head_format(&head, bytes);
        bytes[cases[i].at] = cases[i].value;
        put_u32(bytes + 124, crc32c(0, bytes, 124));
        FAILS(object_head_parse(bytes, &read, &err), &err, cases[i].why);
    }
    object_head_format(&head, bytes);
    bytes[9] = 2;  /* a newer format that says version 1 may read it */
    bytes[14] = 1; /* a flag that may be ignored */
    put_u32(bytes + 124, crc32c(0, bytes, 124));
    OK(object_head_parse(bytes, &read, &err), &err);
    bytes[120] ^= 1;
    FAILS(object_head_parse(bytes, &read, &err), &err, ERR_CORRUPT);
}

/* ---- damage ---- */

static void read_all(struct store *s, const char *key, struct buf *out)
{
    OK(store_read(s, key, 1 << 28, out, &err), &err);
}

static void overwrite(struct store *s, const char *key, const void *data, size_t len)
{
    OK(store_put(s, key, STORE_REPLACE, data, len, &err), &err);
}

/* Opens and reads all of it. */
static int use(struct store *s, struct coder *c)
{
    AUTO(object_close) struct object_reader *r = NULL;
    AUTO(buf_free) struct buf got = BUF_INIT;

    TRY(object_open(&r, s, KEY, OBJECT_PACK, repo_half, c, &err));
    for (uint32_t i = 0; i < object_chunks(r); i++)
        TRY(object_read(r, i, &got, NULL, &err));
    return 0;
}

static int verify(struct store *s)
{
    AUTO(mem_free) uint8_t *buffer = xaligned(FS_ALIGN, FS_IO_SIZE);
    return object_verify_at_rest(s, KEY, buffer, NULL, NULL, &err);
}

static void every_altered_bit_is_noticed(void **state)
{
    (void)state;
    for (int keyed = 0; keyed < 2; keyed++) {
        AUTO(store_close) struct store *s = store_mem_new();
        AUTO(coder_free) struct coder *c = coder_of(keyed, LABEL);
        AUTO(buf_free) struct buf whole = BUF_INIT;
        struct object_head head = pack_head();
        write_object(s, KEY, &head, c, 3, 50);
        read_all(s, KEY, &whole);
        for (size_t bit = 0; bit < whole.len * 8; bit++) {
            whole.p[bit / 8] ^= (char)(1 << bit % 8);
            overwrite(s, KEY, whole.p, whole.len);
            assert_int_equal(verify(s), -1);
            assert_int_equal(err.code, ERR_CORRUPT);
            assert_non_null(strstr(err.msg, KEY));
            assert_int_equal(use(s, c), -1);
            assert_int_equal(err.code, ERR_CORRUPT);
            assert_non_null(strstr(err.msg, KEY));
            whole.p[bit / 8] ^= (char)(1 << bit % 8);
        }
    }
}

static void every_truncation_is_noticed(void **state)
{
    AUTO(store_close) struct store *s = store_mem_new();
    AUTO(coder_free) struct coder *c = coder_of(true, LABEL);
    AUTO(buf_free) struct buf whole = BUF_INIT;
    struct object_head head = pack_head();

    (void)state;
    write_object(s, KEY, &head, c, 3, 50);
    read_all(s, KEY, &whole);
    for (size_t len = 0; len < whole.len; len++) {
        overwrite(s, KEY, whole.p, len);
        FAILS(use(s, c), &err, ERR_CORRUPT);
        FAILS(verify(s), &err, ERR_CORRUPT);
    }
    buf_addc(&whole, 'x');
    overwrite(s, KEY, whole.p, whole.len);
    FAILS(use(s, c), &err, ERR_CORRUPT);
    FAILS(verify(s), &err, ERR_CORRUPT);
}

static void an_object_of_another_place_is_refused(void **state)
{
    static const uint8_t other_repo[8] = {9};
    AUTO(store_close) struct store *s = store_mem_new();
    AUTO(coder_free)
    struct coder *c = coder_of(true, LABEL), *other = coder_of(true, "20260102T030405Z-F-ffffff"),
                 *plain = coder_of(false, LABEL);
    struct object_reader *r = NULL;
    struct object_head head = pack_head();

    (void)state;
    write_object(s, KEY, &head, c, 3, 50);
    FAILS(object_open(&r, s, KEY, OBJECT_MANIFEST, repo_half, c, &err), &err, ERR_CORRUPT);
    FAILS(object_open(&r, s, KEY, OBJECT_PACK, other_repo, c, &err), &err, ERR_FOREIGN);
    FAILS(object_open(&r, s, KEY, OBJECT_PACK, repo_half, other, &err), &err, ERR_CORRUPT);
    FAILS(object_open(&r, s, "main/none", OBJECT_PACK, repo_half, c, &err), &err, ERR_NOT_FOUND);
    head = pack_head();
    write_object(s, "main/plain", &head, plain, 3, 50);
    FAILS(object_open(&r, s, "main/plain", OBJECT_PACK, repo_half, c, &err), &err, ERR_CORRUPT);
    assert_null(r);
}

/* Two packs of one set: the second under the first one's name. */
static void a_pack_cannot_stand_in_for_another(void **state)
{
    AUTO(store_close) struct store *s = store_mem_new();
    AUTO(coder_free) struct coder *c = coder_of(true, LABEL);
    AUTO(object_close) struct object_reader *r = NULL;
    struct object_head head = pack_head();

    (void)state;
    head.pack = 6;
    write_object(s, KEY, &head, c, 3, 50);
    OK(object_open(&r, s, KEY, OBJECT_PACK, repo_half, c, &err), &err);
    /* Readers of packs compare this with the number they asked for. */
    assert_int_equal(object_head(r)->pack, 6);
}

static void hostile_trailers_are_refused(void **state)
{
    static const struct {
        const char *what;
        uint64_t dir_offset;
        uint32_t dir_len, chunks;
    } cases[] = {
        {"directory in the header", 127, 873, 1},
        {"directory behind the end", 1000, 0, 1},
        {"directory of the wrong length", 200, 735, 1},
        {"directory that wraps around", UINT64_MAX - 10, 946, 1},
        {"directory without a header", 913, 23, 1},
        {"too many chunks", 200, 736, 4097},
    };
    struct trailer t = {.dir_offset = 200, .dir_len = 736, .chunks = 1}, read;
    uint8_t bytes[OBJECT_TRAILER];

    (void)state;
    trailer_format(&t, bytes);
    OK(trailer_parse(bytes, 1000, &read, &err), &err);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        t.dir_offset = cases[i].dir_offset;
        t.dir_len = cases[i].dir_len;
        t.chunks = cases[i].chunks;
        trailer_format(&t, bytes);
        FAILS(trailer_parse(bytes, 1000, &read, &err), &err, ERR_CORRUPT);
    }
}

static void hostile_directories_are_refused(void **state)
{
    struct object_chunk chunks[4];
    AUTO(buf_free) struct buf b = BUF_INIT;

    (void)state;
#define DIRECTORY(version, n, body, offset, code)                                     \
    do {                                                                              \
        buf_clear(&b);                                                                \
        buf_uv(&b, version);                                                          \
        buf_uv(&b, n);                                                                \
        for (unsigned i_ = 0; i_ < 2; i_++) {                                         \
            buf_uv(&b, body);                                                         \
            buf_u8(&b, 1);                                                            \
            buf_uv(&b, 1);                                                            \
        }                                                                             \
        if ((code) == ERR_NONE)                                                       \
            OK(object_dir_parse(b.p, b.len, 2, offset, chunks, &err), &err);          \
        else                                                                          \
            FAILS(object_dir_parse(b.p, b.len, 2, offset, chunks, &err), &err, code); \
    } while (0)
    DIRECTORY(1, 2, 76, 328, ERR_NONE);
    assert_int_equal(chunks[1].offset, 228);
    DIRECTORY(2, 2, 76, 328, ERR_UNSUPPORTED);
    DIRECTORY(1, 3, 76, 328, ERR_CORRUPT);
    DIRECTORY(1, 1, 76, 328, ERR_CORRUPT);
    DIRECTORY(1, 2, 76, 329, ERR_CORRUPT);
    DIRECTORY(1, 2, CHUNK_BODY_MAX + 1, 328, ERR_CORRUPT);
    DIRECTORY(1, 2, UINT64_MAX, 328, ERR_CORRUPT);
    for (size_t len = 0; len < b.len; len++)
        FAILS(object_dir_parse(b.p, len, 2, 328, chunks, &err), &err, ERR_CORRUPT);
}

/* ---- without the key ---- */

static void without_the_key_the_public_front_is_readable(void **state)
{
    AUTO(store_close) struct store *s = store_mem_new();
    AUTO(coder_free) struct coder *c = coder_of(true, LABEL), *blind = coder_of(false, LABEL);
    AUTO(object_abandon) struct object_writer *w = NULL;
    AUTO(object_close) struct object_reader *r = NULL;
    AUTO(buf_free) struct buf got = BUF_INIT;
    struct object_head head = {.kind = OBJECT_MANIFEST, .label = LABEL};
    AUTO(mem_free) uint8_t *large = xcalloc(1, 200000);

    (void)state;
    OK(crypt_random(large, 200000, &err), &err);
    OK(object_create(&w, s, KEY, STORE_CREATE_ONLY, &head, c, &err), &err);
    OK(object_add(w, CHUNK_PUBINFO, CHUNK_PUBLIC, 1, "public", 6, NULL, &err), &err);
    OK(object_add(w, CHUNK_PACKTAB, CHUNK_PUBLIC, 1, large, 200000, NULL, &err), &err);
    OK(object_add(w, CHUNK_FILETAB, CHUNK_PRIVATE, 1, "secret", 6, NULL, &err), &err);
    OK(object_add(w, CHUNK_TEXT, CHUNK_PUBLIC, 1, "behind", 6, NULL, &err), &err);
    OK(object_commit(&w, STORE_DURABLE, NULL, &err), &err);
    OK(object_open(&r, s, KEY, OBJECT_MANIFEST, NULL, blind, &err), &err);
    assert_int_equal(object_chunks(r), 2);
    assert_int_equal(object_find(r, CHUNK_PUBINFO), 0);
    assert_int_equal(object_find(r, CHUNK_PACKTAB), 1);
    assert_int_equal(object_find(r, CHUNK_FILETAB), -1);
    OK(object_read(r, 0, &got, NULL, &err), &err);
    assert_string_equal(buf_text(&got), "public");
    OK(object_read(r, 1, &got, NULL, &err), &err);
    assert_memory_equal(got.p, large, 200000);
    FAILS(object_read(r, 2, &got, NULL, &err), &err, ERR_CORRUPT);
    object_close(&r);
    OK(object_open(&r, s, KEY, OBJECT_MANIFEST, NULL, c, &err), &err);
    assert_int_equal(object_chunks(r), 4);
    OK(object_read(r, 3, &got, NULL, &err), &err);
    assert_string_equal(buf_text(&got), "behind");
}

static void leases_and_marks_are_plain_and_readable_by_all(void **state)
{
    static const enum object_kind kinds[] = {OBJECT_LEASE, OBJECT_MARK, OBJECT_KEY_SLOT,
                                             OBJECT_DESCRIPTOR};
    AUTO(coder_free) struct coder *c = coder_of(true, LABEL), *blind = coder_of(false, LABEL);

    (void)state;
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        AUTO(store_close) struct store *s = store_mem_new();
        AUTO(buf_free) struct buf got = BUF_INIT;
        struct object_head head = {.kind = kinds[i], .label = LABEL};
        OK(object_put_small(s, KEY, STORE_REPLACE, &head, c, CHUNK_TEXT, CHUNK_PRIVATE, "note", 4,
                            &err),
           &err);
        assert_int_equal(head.suite, SUITE_PLAIN);
        OK(object_get_small(s, KEY, kinds[i], NULL, blind, CHUNK_TEXT, &got, &err), &err);
        OK(object_get_small(s, KEY, kinds[i], NULL, c, CHUNK_TEXT, &got, &err), &err);
        assert_string_equal(buf_text(&got), "note");
    }
}

/* ---- writing ---- */

static void an_object_has_a_limit_of_chunks(void **state)
{
    AUTO(store_close) struct store *s = store_mem_new();
    AUTO(coder_free) struct coder *c = coder_of(false, LABEL);
    AUTO(object_abandon) struct object_writer *w = NULL;
    struct object_head head = pack_head();

    (void)state;
    OK(object_create(&w, s, KEY, STORE_CREATE_ONLY, &head, c, &err), &err);
    for (int i = 0; i < OBJECT_CHUNKS_MAX; i++)
        OK(object_add(w, CHUNK_PAGES, CHUNK_PRIVATE, 1, "x", 1, NULL, &err), &err);
    FAILS(object_add(w, CHUNK_PAGES, CHUNK_PRIVATE, 1, "x", 1, NULL, &err), &err, ERR_FAILED);
    OK(object_commit(&w, STORE_DURABLE, NULL, &err), &err);
    OK(use(s, c), &err);
}

static int put_one(struct store *s)
{
    AUTO(coder_free) struct coder *c = coder_of(true, LABEL);
    AUTO(object_abandon) struct object_writer *w = NULL;
    struct object_head head = pack_head();
    int result;

    TRY(object_create(&w, s, KEY, STORE_CREATE_ONLY, &head, c, &err));
    TRY(object_add(w, CHUNK_PAGES, CHUNK_PRIVATE, 1, "x", 1, NULL, &err));
    result = object_commit(&w, STORE_DURABLE, NULL, &err);
    assert_null(w);
    return result;
}

static void whichever_call_fails_the_object_is_whole_or_not_there(void **state)
{
    static const enum store_fault_kind kinds[] = {FAULT_BEFORE, FAULT_AFTER, FAULT_FOREVER};
    AUTO(coder_free) struct coder *c = coder_of(true, LABEL);

    (void)state;
    for (size_t k = 0; k < LENGTH(kinds); k++)
        for (long nth = 0;; nth++) {
            AUTO(store_close) struct store *kept = store_mem_new();
            AUTO(store_close) struct store *flaky = store_fault_new(kept, nth, kinds[k]);
            struct store_entry entry;
            int result = put_one(flaky);
            if (store_stat(kept, KEY, &entry, &err) == 0)
                OK(use(kept, c), &err);
            else
                assert_int_equal(result, -1);
            if (result == 0)
                break;
            assert_true(nth < 20);
        }
}

static void a_second_writer_of_the_key_learns_that_it_exists(void **state)
{
    AUTO(store_close) struct store *s = store_mem_new();

    (void)state;
    OK(put_one(s), &err);
    FAILS(put_one(s), &err, ERR_EXISTS);
}

static void a_coder_of_another_label_is_refused(void **state)
{
    AUTO(store_close) struct store *s = store_mem_new();
    AUTO(coder_free) struct coder *c = coder_of(false, "other");
    struct object_head head = pack_head();
    struct object_writer *w = NULL;

    (void)state;
    FAILS(object_create(&w, s, KEY, STORE_CREATE_ONLY, &head, c, &err), &err, ERR_FAILED);
    assert_null(w);
}

/* What object_verify_at_rest() reads in pieces ends anywhere in the trailer. */
static void the_trailer_may_lie_across_two_pieces(void **state)
{
    AUTO(coder_free) struct coder *c = coder_of(false, LABEL);
    AUTO(mem_free) uint8_t *raw = xmalloc(FS_IO_SIZE);

    (void)state;
    OK(crypt_random(raw, FS_IO_SIZE, &err), &err);
    for (size_t len = FS_IO_SIZE - 400; len < FS_IO_SIZE - 150; len += 10) {
        AUTO(store_close) struct store *s = store_mem_new();
        AUTO(object_abandon) struct object_writer *w = NULL;
        struct object_head head = pack_head();
        OK(object_create(&w, s, KEY, STORE_CREATE_ONLY, &head, c, &err), &err);
        OK(object_add(w, CHUNK_PAGES, CHUNK_PRIVATE, 1, raw, len, NULL, &err), &err);
        OK(object_commit(&w, STORE_DURABLE, NULL, &err), &err);
        verified(s, KEY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_in_any_order),
        cmocka_unit_test(reading_in_order_takes_few_requests),
        cmocka_unit_test(a_small_object_is_read_by_one_request),
        cmocka_unit_test(the_header_is_read_as_it_was_written),
        cmocka_unit_test(headers_that_do_not_fit_are_refused),
        cmocka_unit_test(every_altered_bit_is_noticed),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(an_object_of_another_place_is_refused),
        cmocka_unit_test(a_pack_cannot_stand_in_for_another),
        cmocka_unit_test(hostile_trailers_are_refused),
        cmocka_unit_test(hostile_directories_are_refused),
        cmocka_unit_test(without_the_key_the_public_front_is_readable),
        cmocka_unit_test(leases_and_marks_are_plain_and_readable_by_all),
        cmocka_unit_test(an_object_has_a_limit_of_chunks),
        cmocka_unit_test(whichever_call_fails_the_object_is_whole_or_not_there),
        cmocka_unit_test(a_second_writer_of_the_key_learns_that_it_exists),
        cmocka_unit_test(a_coder_of_another_label_is_refused),
        cmocka_unit_test(the_trailer_may_lie_across_two_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
