#include "tests/lib/test.h"

#include <stdlib.h>

#include "base/crypt.h"
#include "base/hash.h"
#include "base/mem.h"
#include "repo/object/chunk.h"

#define LABEL "20260102T030405Z-F-0a1b2c"

static struct err err;

static struct repo_key key_example(uint8_t first)
{
    struct repo_key k;

    for (size_t i = 0; i < sizeof k.bytes; i++)
        k.bytes[i] = (uint8_t)(first + i);
    return k;
}

static struct coder *coder_of(bool keyed, const char *label)
{
    const struct repo_key k = key_example(0);
    struct coder *c = NULL;

    OK(coder_new(&c, keyed ? &k : NULL, label, 1, &err), &err);
    return c;
}

/* As a page of text: it compresses. */
static void fill_text(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t) "pgbr test page "[i % 15];
}

static void is_hex(const void *data, size_t len, const char *expected)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    buf_hex(&b, data, len);
    assert_string_equal(buf_text(&b), expected);
}

/* ---- a second implementation, from the words of the specification ---- */

struct spec_chunk {
    uint8_t bytes[10000];
    size_t len;
};

static size_t spec_header(struct spec_chunk *c, uint8_t type, uint8_t codec, uint8_t suite,
                          uint32_t pack, uint32_t index, uint32_t body)
{
    memcpy(c->bytes, "pgCk", 4);
    c->bytes[4] = type;
    c->bytes[5] = codec;
    c->bytes[6] = suite;
    c->bytes[7] = 0;
    put_u32(c->bytes + 8, pack);
    put_u32(c->bytes + 12, index);
    put_u32(c->bytes + 16, body);
    put_u32(c->bytes + 20, crc32c(0, c->bytes, 20));
    return 24;
}

/* prefix || header || rest */
static void spec_covered(const struct spec_chunk *c, const void *rest, size_t len, struct buf *out)
{
    buf_add(out, "pgbr1 chunk", 12);
    buf_u8(out, (uint8_t)strlen(LABEL));
    buf_adds(out, LABEL);
    buf_add(out, c->bytes, 24);
    buf_add(out, rest, len);
}

static void spec_inner(const uint8_t *raw, size_t len, uint32_t items, struct buf *out)
{
    buf_u64(out, hash64(raw, len));
    buf_u32(out, (uint32_t)len);
    buf_u32(out, items);
    buf_add(out, raw, len);
}

static void spec_sealed(struct spec_chunk *c, const uint8_t *raw, size_t len, const uint8_t *iv)
{
    const struct repo_key k = key_example(0);
    AUTO(buf_free) struct buf inner = BUF_INIT, covered = BUF_INIT;
    AUTO(sealer_free) struct sealer *s = NULL;
    uint8_t enc[32], mac[32];
    size_t cipher_len;

    OK(key_chunk_enc(&k, LABEL, enc, &err), &err);
    OK(key_chunk_mac(&k, LABEL, mac, &err), &err);
    OK(sealer_new(&s, enc, mac, &err), &err);
    spec_inner(raw, len, 1, &inner);
    memcpy(c->bytes + 24, iv, 16);
    OK(sealer_encrypt(s, iv, inner.p, inner.len, c->bytes + 40, &cipher_len, &err), &err);
    spec_header(c, CHUNK_PAGES, 0, SUITE_SEALED, 5, 3, (uint32_t)(16 + cipher_len + 32));
    spec_covered(c, c->bytes + 24, 16 + cipher_len, &covered);
    OK(crypt_hmac(mac, 32, covered.p, covered.len, c->bytes + 40 + cipher_len, &err), &err);
    c->len = 40 + cipher_len + 32;
}

static void spec_plain(struct spec_chunk *c, const uint8_t *raw, size_t len)
{
    AUTO(buf_free) struct buf inner = BUF_INIT, covered = BUF_INIT;
    struct hash128 hash;

    spec_inner(raw, len, 1, &inner);
    spec_header(c, CHUNK_PAGES, 0, SUITE_PLAIN, 5, 3, (uint32_t)inner.len + 16);
    spec_covered(c, inner.p, inner.len, &covered);
    hash = hash128(covered.p, covered.len);
    memcpy(c->bytes + 24, inner.p, inner.len);
    memcpy(c->bytes + 24 + inner.len, hash.bytes, 16);
    c->len = 24 + inner.len + 16;
}

static void decodes(struct coder *c, const struct spec_chunk *stored, const uint8_t *raw,
                    size_t len)
{
    AUTO(mem_free) uint8_t *out = xmalloc(len);
    uint32_t items;
    size_t got;

    OK(chunk_decode(c, CHUNK_PAGES, 5, 3, stored->bytes, stored->len, out, len, &got, &items, &err),
       &err);
    assert_int_equal(got, len);
    assert_int_equal(items, 1);
    assert_memory_equal(out, raw, len);
    OK(chunk_check(c, CHUNK_PAGES, 5, 3, stored->bytes, stored->len, &err), &err);
}

static void the_test_vector_of_suite_1_holds(void **state)
{
    AUTO(coder_free) struct coder *c = coder_of(true, LABEL);
    struct spec_chunk stored;
    uint8_t raw[8192], iv[16], sum[32], hash[8];

    (void)state;
    fill_text(raw, sizeof raw);
    for (int i = 0; i < 16; i++)
        iv[i] = (uint8_t)(0x10 + i);
    spec_sealed(&stored, raw, sizeof raw, iv);
    put_u64(hash, hash64(raw, sizeof raw));
    is_hex(hash, 8, "f32464a6e8614eb5");
    is_hex(stored.bytes, 24, "7067436b010001000500000003000000502000008f8728c6");
    assert_int_equal(stored.len, 8296);
    is_hex(stored.bytes + stored.len - 32, 32,
           "70f097c2a743062166075c4b3b5816bbd7cf7d9942be3a9275c01a3c08625b7b");
    sha256(stored.bytes, stored.len, sum);
    is_hex(sum, 32, "6e03ea20e6a57817c67e85a56149cee19f128c0fbaaeff0ad08cd6e99d632b74");
    decodes(c, &stored, raw, sizeof raw);
}

static void the_test_vector_of_suite_0_holds(void **state)
{
    AUTO(coder_free) struct coder *c = coder_of(false, LABEL);
    struct spec_chunk stored;
    uint8_t raw[8192];

    (void)state;
    fill_text(raw, sizeof raw);
    spec_plain(&stored, raw, sizeof raw);
    is_hex(stored.bytes, 24, "7067436b010000000500000003000000202000009828c807");
    is_hex(stored.bytes + stored.len - 16, 16, "c32680bc923bc14d060776d9e828d832");
    decodes(c, &stored, raw, sizeof raw);
}

/* What cannot be compressed is stored as it is; so the other implementation makes the same bytes.
 */
static void the_encoder_makes_what_the_specification_says(void **state)
{
    AUTO(coder_free) struct coder *plain = coder_of(false, LABEL), *keyed = coder_of(true, LABEL);
    AUTO(mem_free) uint8_t *out = xmalloc(chunk_bound(8192));
    struct spec_chunk expected;
    uint8_t raw[8192];
    size_t len;

    (void)state;
    OK(crypt_random(raw, sizeof raw, &err), &err);
    OK(chunk_encode(plain, CHUNK_PAGES, CHUNK_PRIVATE, 5, 3, 1, raw, sizeof raw, out, &len, &err),
       &err);
    spec_plain(&expected, raw, sizeof raw);
    assert_int_equal(len, expected.len);
    assert_memory_equal(out, expected.bytes, len);

    OK(chunk_encode(keyed, CHUNK_PAGES, CHUNK_PRIVATE, 5, 3, 1, raw, sizeof raw, out, &len, &err),
       &err);
    spec_sealed(&expected, raw, sizeof raw, out + 24);
    assert_int_equal(len, expected.len);
    assert_memory_equal(out, expected.bytes, len);
}

/* ---- round trips ---- */

struct way {
    const char *name;
    bool keyed;
    enum chunk_privacy privacy;
    enum chunk_suite suite;
};
static const struct way ways[] = {
    {"plain", false, CHUNK_PRIVATE, SUITE_PLAIN},
    {"plain public", false, CHUNK_PUBLIC, SUITE_PLAIN},
    {"sealed", true, CHUNK_PRIVATE, SUITE_SEALED},
    {"signed", true, CHUNK_PUBLIC, SUITE_SIGNED},
};

/* kind 0: zeros, 1: text, 2: random. */
static void fill(uint8_t *p, size_t len, int kind)
{
    if (kind == 2)
        OK(crypt_random(p, len, &err), &err);
    else if (kind == 1)
        fill_text(p, len);
    else
        memset(p, 0, len);
}

static void comes_back(struct coder *c, const struct way *w, const uint8_t *raw, size_t len)
{
    AUTO(mem_free) uint8_t *stored = xmalloc(chunk_bound(len)), *out = xmalloc(len);
    AUTO(buf_free) struct buf buf = BUF_INIT;
    struct chunk_head head;
    size_t stored_len, got;
    uint32_t items;

    OK(chunk_encode(c, CHUNK_WAL, w->privacy, 7, 9, 11, raw, len, stored, &stored_len, &err), &err);
    assert_true(stored_len <= chunk_bound(len));
    OK(chunk_head_parse(stored, &head, &err), &err);
    assert_int_equal(head.suite, w->suite);
    assert_int_equal(head.body_len + CHUNK_HEADER, stored_len);
    OK(chunk_decode(c, CHUNK_WAL, 7, 9, stored, stored_len, out, len, &got, &items, &err), &err);
    assert_int_equal(got, len);
    assert_int_equal(items, 11);
    if (len != 0)
        assert_memory_equal(out, raw, len);
    OK(chunk_decode_buf(c, CHUNK_WAL, 7, 9, stored, stored_len, len, &buf, &items, &err), &err);
    assert_int_equal(buf.len, len);
    if (len == 0)
        return;
    assert_memory_equal(buf.p, raw, len);
    FAILS(chunk_decode(c, CHUNK_WAL, 7, 9, stored, stored_len, out, len - 1, &got, NULL, &err),
          &err, ERR_CORRUPT);
    FAILS(chunk_decode_buf(c, CHUNK_WAL, 7, 9, stored, stored_len, len - 1, &buf, NULL, &err), &err,
          ERR_CORRUPT);
}

static void every_size_and_content_comes_back(void **state)
{
    static const size_t sizes[] = {
        0, 1, 15, 16, 17, 31, 8191, 8192, 65536, 1 << 17, (1 << 20) + 3, CHUNK_RAW_MAX};
    AUTO(mem_free) uint8_t *raw = xmalloc(CHUNK_RAW_MAX);

    (void)state;
    for (size_t w = 0; w < LENGTH(ways); w++) {
        AUTO(coder_free) struct coder *c = coder_of(ways[w].keyed, LABEL);
        for (size_t s = 0; s < LENGTH(sizes); s++)
            for (int kind = 0; kind < 3; kind++) {
                fill(raw, sizes[s], kind);
                comes_back(c, &ways[w], raw, sizes[s]);
            }
    }
}

static void too_much_for_one_chunk_is_refused(void **state)
{
    AUTO(coder_free) struct coder *c = coder_of(false, LABEL);
    uint8_t out[1];
    size_t len;

    (void)state;
    FAILS(
        chunk_encode(c, CHUNK_WAL, CHUNK_PRIVATE, 0, 0, 1, out, CHUNK_RAW_MAX + 1, out, &len, &err),
        &err, ERR_FAILED);
}

static void what_compresses_is_compressed_and_the_rest_is_not_inflated(void **state)
{
    AUTO(coder_free) struct coder *c = coder_of(false, LABEL);
    AUTO(mem_free) uint8_t *raw = xmalloc(1 << 17), *out = xmalloc(chunk_bound(1 << 17));
    size_t len;

    (void)state;
    fill(raw, 1 << 17, 1);
    OK(chunk_encode(c, CHUNK_PAGES, CHUNK_PRIVATE, 0, 0, 16, raw, 1 << 17, out, &len, &err), &err);
    assert_true(len < 1000);
    fill(raw, 1 << 17, 2);
    OK(chunk_encode(c, CHUNK_PAGES, CHUNK_PRIVATE, 0, 0, 16, raw, 1 << 17, out, &len, &err), &err);
    assert_int_equal(len, (1 << 17) + CHUNK_HEADER + CHUNK_INNER + 16);
}

static void the_same_chunk_twice_has_two_ciphertexts(void **state)
{
    AUTO(coder_free) struct coder *c = coder_of(true, LABEL);
    uint8_t raw[64] = {0}, a[1024], b[1024];
    size_t a_len, b_len;

    (void)state;
    OK(chunk_encode(c, CHUNK_PAGES, CHUNK_PRIVATE, 1, 1, 1, raw, 64, a, &a_len, &err), &err);
    OK(chunk_encode(c, CHUNK_PAGES, CHUNK_PRIVATE, 1, 1, 1, raw, 64, b, &b_len, &err), &err);
    assert_int_equal(a_len, b_len);
    assert_memory_not_equal(a + 24, b + 24, 16);
    assert_memory_not_equal(a + 40, b + 40, 32);
}

/* ---- what must be refused ---- */

struct stored {
    uint8_t bytes[2048];
    size_t len;
};

static struct stored example(struct coder *c, enum chunk_privacy privacy)
{
    struct stored s;
    uint8_t raw[1000];

    fill_text(raw, sizeof raw);
    OK(chunk_encode(c, CHUNK_PAGES, privacy, 5, 3, 1, raw, sizeof raw, s.bytes, &s.len, &err),
       &err);
    return s;
}

static int try_decode(struct coder *c, const struct stored *s)
{
    uint8_t out[1000];
    size_t got;

    return chunk_decode(c, CHUNK_PAGES, 5, 3, s->bytes, s->len, out, sizeof out, &got, NULL, &err);
}

static void every_altered_bit_is_noticed(void **state)
{
    (void)state;
    for (size_t w = 0; w < LENGTH(ways); w++) {
        AUTO(coder_free) struct coder *c = coder_of(ways[w].keyed, LABEL);
        struct stored s = example(c, ways[w].privacy);
        for (size_t bit = 0; bit < s.len * 8; bit++) {
            s.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(try_decode(c, &s), -1);
            assert_int_equal(err.code, ERR_CORRUPT);
            assert_non_null(strstr(err.msg, "chunk 3 of pack 5 of \"" LABEL "\""));
            s.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        OK(try_decode(c, &s), &err);
    }
}

static void every_truncation_is_noticed(void **state)
{
    (void)state;
    for (size_t w = 0; w < LENGTH(ways); w++) {
        AUTO(coder_free) struct coder *c = coder_of(ways[w].keyed, LABEL);
        struct stored s = example(c, ways[w].privacy);
        size_t whole = s.len;
        for (s.len = 0; s.len < whole; s.len++)
            FAILS(try_decode(c, &s), &err, ERR_CORRUPT);
        s.len = whole + 1;
        FAILS(try_decode(c, &s), &err, ERR_CORRUPT);
    }
}

/* The header is made to fit, as somebody would who wants to be believed. */
static void fix_crc(struct stored *s)
{
    put_u32(s->bytes + 20, crc32c(0, s->bytes, 20));
}

static void a_chunk_cannot_be_moved(void **state)
{
    (void)state;
    for (size_t w = 0; w < LENGTH(ways); w++) {
        AUTO(coder_free) struct coder *c = coder_of(ways[w].keyed, LABEL);
        const struct stored s = example(c, ways[w].privacy);
        struct stored moved;
        uint8_t out[1000];
        size_t got;

        FAILS(chunk_decode(c, CHUNK_PAGES, 6, 3, s.bytes, s.len, out, 1000, &got, NULL, &err), &err,
              ERR_CORRUPT);
        FAILS(chunk_decode(c, CHUNK_PAGES, 5, 4, s.bytes, s.len, out, 1000, &got, NULL, &err), &err,
              ERR_CORRUPT);
        FAILS(chunk_decode(c, CHUNK_MAP, 5, 3, s.bytes, s.len, out, 1000, &got, NULL, &err), &err,
              ERR_CORRUPT);
        moved = s;
        put_u32(moved.bytes + 12, 4);
        fix_crc(&moved);
        FAILS(
            chunk_decode(c, CHUNK_PAGES, 5, 4, moved.bytes, moved.len, out, 1000, &got, NULL, &err),
            &err, ERR_CORRUPT);
        FAILS(chunk_check(c, CHUNK_PAGES, 5, 4, moved.bytes, moved.len, &err), &err, ERR_CORRUPT);
        OK(coder_relabel(c, "20260102T030405Z-F-0a1b2d", &err), &err);
        FAILS(try_decode(c, &s), &err, ERR_CORRUPT);
        OK(coder_relabel(c, LABEL, &err), &err);
        OK(try_decode(c, &s), &err);
    }
}

static void another_key_is_refused(void **state)
{
    static const enum chunk_privacy privacies[] = {CHUNK_PRIVATE, CHUNK_PUBLIC};
    const struct repo_key other = key_example(1);
    AUTO(coder_free) struct coder *c = coder_of(true, LABEL), *stranger = NULL;

    (void)state;
    OK(coder_new(&stranger, &other, LABEL, 1, &err), &err);
    for (size_t i = 0; i < LENGTH(privacies); i++) {
        const struct stored s = example(c, privacies[i]);
        FAILS(try_decode(stranger, &s), &err, ERR_CORRUPT);
    }
}

static void plain_chunks_are_refused_where_there_is_a_key(void **state)
{
    AUTO(coder_free) struct coder *keyed = coder_of(true, LABEL), *plain = coder_of(false, LABEL);
    const struct stored s = example(plain, CHUNK_PRIVATE);
    struct stored made;

    (void)state;
    FAILS(try_decode(keyed, &s), &err, ERR_CORRUPT);
    FAILS(chunk_check(keyed, CHUNK_PAGES, 5, 3, s.bytes, s.len, &err), &err, ERR_CORRUPT);
    coder_set_plain(keyed, true); /* for the kinds that always are */
    OK(try_decode(keyed, &s), &err);
    made = example(keyed, CHUNK_PRIVATE);
    assert_memory_equal(made.bytes, s.bytes, s.len);
    coder_set_plain(keyed, false);
    made = example(keyed, CHUNK_PUBLIC);
    coder_set_plain(keyed, true);
    FAILS(try_decode(keyed, &made), &err, ERR_CORRUPT);
}

static void without_the_key_only_public_chunks_are_read(void **state)
{
    AUTO(coder_free) struct coder *keyed = coder_of(true, LABEL), *blind = coder_of(false, LABEL);
    struct stored sealed = example(keyed, CHUNK_PRIVATE);
    struct stored readable = example(keyed, CHUNK_PUBLIC);

    (void)state;
    FAILS(try_decode(blind, &sealed), &err, ERR_KEY);
    OK(try_decode(blind, &readable), &err);
    readable.bytes[CHUNK_HEADER + CHUNK_INNER] ^= 1;
    FAILS(try_decode(blind, &readable), &err, ERR_CORRUPT);
}

/* Stored as they are, so that nothing but the XXH3-64 of the raw bytes can tell. */
static void without_the_key_damage_of_public_chunks_is_noticed(void **state)
{
    AUTO(coder_free) struct coder *keyed = coder_of(true, LABEL), *blind = coder_of(false, LABEL);
    struct stored s;
    uint8_t raw[500];

    (void)state;
    OK(crypt_random(raw, sizeof raw, &err), &err);
    OK(chunk_encode(keyed, CHUNK_PAGES, CHUNK_PUBLIC, 5, 3, 1, raw, sizeof raw, s.bytes, &s.len,
                    &err),
       &err);
    OK(try_decode(blind, &s), &err);
    s.bytes[CHUNK_HEADER + CHUNK_INNER + 77] ^= 1;
    FAILS(try_decode(blind, &s), &err, ERR_CORRUPT);
}

static void a_coder_for_reading_does_not_encode(void **state)
{
    AUTO(coder_free) struct coder *c = coder_of(false, LABEL);
    uint8_t raw[10] = {0}, out[1000];
    size_t len;

    (void)state;
    coder_set_read_only(c, ERR_KEY, "no key");
    FAILS(chunk_encode(c, CHUNK_PAGES, CHUNK_PRIVATE, 0, 0, 1, raw, 10, out, &len, &err), &err,
          ERR_KEY);
    coder_set_plain(c, true);
    OK(chunk_encode(c, CHUNK_TEXT, CHUNK_PUBLIC, 0, 0, 1, raw, 10, out, &len, &err), &err);
}

/* Damage that has the right hash: what a hostile writer of a plain repository can make. */
static void forge(struct stored *s, uint8_t codec, uint32_t raw_len, const void *payload,
                  size_t len)
{
    AUTO(buf_free) struct buf covered = BUF_INIT;
    struct spec_chunk head;
    struct hash128 hash;
    uint8_t *body = s->bytes + CHUNK_HEADER;

    put_u64(body, hash64(payload, len));
    put_u32(body + 8, raw_len);
    put_u32(body + 12, 1);
    memcpy(body + 16, payload, len);
    spec_header(&head, CHUNK_PAGES, codec, SUITE_PLAIN, 5, 3, (uint32_t)len + 32);
    memcpy(s->bytes, head.bytes, CHUNK_HEADER);
    spec_covered(&head, body, 16 + len, &covered);
    hash = hash128(covered.p, covered.len);
    memcpy(body + 16 + len, hash.bytes, 16);
    s->len = CHUNK_HEADER + 16 + len + 16;
}

static void lengths_that_lie_are_refused_before_memory_is_taken(void **state)
{
    static const struct {
        uint8_t codec;
        uint32_t raw_len;
        size_t payload;
    } cases[] = {
        {0, 101, 100},
        {0, 99, 100},
        {0, UINT32_MAX, 100},
        {1, 100, 100},
        {1, CHUNK_RAW_MAX + 1, 100},
        {1, UINT32_MAX, 100},
        {1, CHUNK_RAW_MAX, 0},
        {1, 0, 0},
    };
    AUTO(coder_free) struct coder *c = coder_of(false, LABEL);
    AUTO(buf_free) struct buf out = BUF_INIT;
    uint8_t payload[100];
    struct stored s;

    (void)state;
    fill_text(payload, sizeof payload);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        forge(&s, cases[i].codec, cases[i].raw_len, payload, cases[i].payload);
        FAILS(
            chunk_decode_buf(c, CHUNK_PAGES, 5, 3, s.bytes, s.len, CHUNK_RAW_MAX, &out, NULL, &err),
            &err, ERR_CORRUPT);
    }
    forge(&s, 0, 100, payload, 100); /* the forger can do it right */
    OK(chunk_decode_buf(c, CHUNK_PAGES, 5, 3, s.bytes, s.len, 100, &out, NULL, &err), &err);
}

static void headers_of_the_future_are_told_apart_from_damage(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        enum err_code why;
    } cases[] = {
        {0, 'P', ERR_CORRUPT}, {5, 2, ERR_UNSUPPORTED}, {6, 3, ERR_UNSUPPORTED},
        {7, 1, ERR_CORRUPT},   {19, 0xff, ERR_CORRUPT},
    };
    AUTO(coder_free) struct coder *c = coder_of(false, LABEL);
    struct chunk_head head;

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct stored s = example(c, CHUNK_PRIVATE);
        s.bytes[cases[i].at] = cases[i].value;
        fix_crc(&s);
        FAILS(chunk_head_parse(s.bytes, &head, &err), &err, cases[i].why);
    }
}

static void labels_have_a_limit(void **state)
{
    struct coder *c = NULL;
    char label[257];

    (void)state;
    memset(label, 'x', 256);
    label[256] = '\0';
    FAILS(coder_new(&c, NULL, label, 1, &err), &err, ERR_FAILED);
    assert_null(c);
    label[255] = '\0';
    OK(coder_new(&c, NULL, label, 1, &err), &err);
    assert_string_equal(coder_label(c), label);
    coder_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_test_vector_of_suite_1_holds),
        cmocka_unit_test(the_test_vector_of_suite_0_holds),
        cmocka_unit_test(the_encoder_makes_what_the_specification_says),
        cmocka_unit_test(every_size_and_content_comes_back),
        cmocka_unit_test(too_much_for_one_chunk_is_refused),
        cmocka_unit_test(what_compresses_is_compressed_and_the_rest_is_not_inflated),
        cmocka_unit_test(the_same_chunk_twice_has_two_ciphertexts),
        cmocka_unit_test(every_altered_bit_is_noticed),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(a_chunk_cannot_be_moved),
        cmocka_unit_test(another_key_is_refused),
        cmocka_unit_test(plain_chunks_are_refused_where_there_is_a_key),
        cmocka_unit_test(without_the_key_only_public_chunks_are_read),
        cmocka_unit_test(without_the_key_damage_of_public_chunks_is_noticed),
        cmocka_unit_test(a_coder_for_reading_does_not_encode),
        cmocka_unit_test(lengths_that_lie_are_refused_before_memory_is_taken),
        cmocka_unit_test(headers_of_the_future_are_told_apart_from_damage),
        cmocka_unit_test(labels_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
