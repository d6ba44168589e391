#include "tests/lib/test.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

static uint8_t *noise(size_t len, uint32_t seed)
{
    uint8_t *p = xmalloc(len);

    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525 + 1013904223;
        p[i] = (uint8_t)(seed >> 24);
    }
    return p;
}

/* Bit by bit, as the definition of CRC-32C says. */
static uint32_t crc_by_definition(const uint8_t *p, size_t len)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

/* RFC 3720, appendix B.4, and the check value of the CRC catalogues. */
static void crc32c_gives_the_published_values(void **state)
{
    uint8_t zeros[32] = {0}, ones[32], rising[32], falling[32];

    (void)state;
    for (int i = 0; i < 32; i++) {
        ones[i] = 0xff;
        rising[i] = (uint8_t)i;
        falling[i] = (uint8_t)(31 - i);
    }
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
    assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
    assert_int_equal(crc32c(0, rising, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, falling, 32), 0x113fdb5c);
    assert_int_equal(crc32c(0, "", 0), 0);
}

static void crc32c_is_the_same_with_and_without_special_instructions(void **state)
{
    enum { LEN = 10000 };
    AUTO(mem_free) uint8_t *p = noise(LEN + 8, 1);

    (void)state;
    for (size_t len = 0; len < LEN; len += len < 900 ? 1 : 97)
        for (size_t at = 0; at < 8; at += 3) {
            assert_int_equal(crc32c(0, p + at, len), crc32c_portable(0, p + at, len));
            if (len % 101 == 0)
                assert_int_equal(crc32c(0, p + at, len), crc_by_definition(p + at, len));
        }
}

static void crc32c_goes_on_where_it_stopped(void **state)
{
    enum { LEN = 8000 };
    AUTO(mem_free) uint8_t *p = noise(LEN, 2);
    uint32_t whole = crc32c(0, p, LEN);

    (void)state;
    for (size_t cut = 0; cut <= LEN; cut += 61) {
        assert_int_equal(crc32c(crc32c(0, p, cut), p + cut, LEN - cut), whole);
        assert_int_equal(crc32c_portable(crc32c_portable(0, p, cut), p + cut, LEN - cut), whole);
        assert_int_equal(
            crc32c_combine(crc32c(0, p, cut), crc32c(0, p + cut, LEN - cut), LEN - cut), whole);
    }
}

static void crc32c_of_zeros_needs_no_zeros(void **state)
{
    enum { LEN = 5000 };
    AUTO(mem_free) uint8_t *zeros = xcalloc(LEN, 1);
    uint64_t huge = UINT64_C(1) << 40;

    (void)state;
    for (size_t len = 0; len <= LEN; len += 7)
        assert_int_equal(crc32c_zeros(len), crc32c(0, zeros, len));
    /* Beyond memory: two halves give the whole, whatever the bits of the length. */
    for (uint64_t len = huge - 3; len < huge + 3; len++)
        assert_int_equal(
            crc32c_combine(crc32c_zeros(len / 2), crc32c_zeros(len - len / 2), len - len / 2),
            crc32c_zeros(len));
}

/* Values of the xxHash command line tool (xxhsum -H3, -H2) for these inputs. */
static void xxh3_gives_the_published_values(void **state)
{
    static const uint8_t of_nothing[] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                         0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    char page[8192];

    (void)state;
    for (size_t i = 0; i < sizeof page; i++)
        page[i] = "pgbr test page "[i % 15];
    assert_true(hash64("", 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(hash64(page, sizeof page) == UINT64_C(0xb54e61e8a66424f3));
    assert_memory_equal(hash128("", 0).bytes, of_nothing, HASH128_SIZE);
}

static void xxh3_over_pieces_is_that_of_the_whole(void **state)
{
    enum { LEN = 70000 };
    AUTO(mem_free) uint8_t *p = noise(LEN, 3);
    AUTO(hasher_free) struct hasher *h = hasher_new();

    (void)state;
    for (size_t piece = 1; piece < LEN; piece = piece * 5 + 1) {
        struct hash128 whole = hash128(p, LEN), sum;
        hasher_reset(h);
        for (size_t at = 0; at < LEN; at += piece)
            hasher_add(h, p + at, MIN_OF(piece, LEN - at));
        hasher_add(h, NULL, 0);
        sum = hasher_digest(h);
        assert_memory_equal(sum.bytes, whole.bytes, HASH128_SIZE);
    }
}

static void sha256_gives_the_published_values(void **state)
{
    /* FIPS 180-2, appendix B.1 */
    static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                  0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                  0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    struct sha256 *s = sha256_new();
    uint8_t out[32];

    (void)state;
    sha256("abc", 3, out);
    assert_memory_equal(out, abc, sizeof abc);
    memset(out, 0, sizeof out);
    sha256_add(s, "a", 1);
    sha256_add(s, "bc", 2);
    sha256_done(&s, out);
    assert_memory_equal(out, abc, sizeof abc);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_published_values),
        cmocka_unit_test(crc32c_is_the_same_with_and_without_special_instructions),
        cmocka_unit_test(crc32c_goes_on_where_it_stopped),
        cmocka_unit_test(crc32c_of_zeros_needs_no_zeros),
        cmocka_unit_test(xxh3_gives_the_published_values),
        cmocka_unit_test(xxh3_over_pieces_is_that_of_the_whole),
        cmocka_unit_test(sha256_gives_the_published_values),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
