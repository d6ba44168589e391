/*
 * crc32c.c - CRC-32C with the processor's instruction or with tables, and arithmetic on CRCs.
 *
 * A CRC is a polynomial over GF(2) modulo the Castagnoli polynomial; reflected, bit 31 is the
 * coefficient of x^0. Appending n bytes multiplies what came before by x^(8n), so CRCs of pieces
 * combine by one multiplication, and independent lanes of one buffer can be computed side by side:
 * the instruction takes one word per cycle but its result only three cycles later.
 */
#include <pthread.h>
#include <stdbool.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/hash.h"

static const uint32_t POLY = 0x82f63b78;

/* x^(2^k). x^(2^31) is x again, so 31 values serve every exponent. */
static const uint32_t POWERS[31] = {
    0x40000000, 0x20000000, 0x08000000, 0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18,
    0x510ac59a, 0xb82be955, 0xb8fdb1e7, 0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62,
    0x28461564, 0xbf455269, 0xe2ea32dc, 0xfe7740e6, 0xf946610b, 0x3c204f8f, 0x538586e3, 0x59726915,
    0x734d5309, 0xbc1ac763, 0x7d0722cc, 0xd289cabe, 0xe94ca9bc, 0x05b74f3f, 0xa51e1f42,
};

static uint32_t times_x(uint32_t a)
{
    return a >> 1 ^ (a & 1 ? POLY : 0);
}

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (; a != 0; a <<= 1, b = times_x(b))
        if (a & 0x80000000)
            product ^= b;
    return product;
}

/* crc * x^(8 * bytes) */
static uint32_t shift_bytes(uint32_t crc, uint64_t bytes)
{
    for (unsigned k = 3; bytes != 0; bytes >>= 1, k = (k + 1) % LENGTH(POWERS))
        if (bytes & 1)
            crc = multiply(POWERS[k], crc);
    return crc;
}

uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b)
{
    return shift_bytes(crc_a, len_b) ^ crc_b;
}

uint32_t crc32c_zeros(uint64_t len)
{
    return ~shift_bytes(UINT32_MAX, len);
}

static uint32_t tables[8][256]; /* [k][b]: the CRC of byte b followed by k zero bytes */
static pthread_once_t tables_made = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t v = b;
        for (int bit = 0; bit < 8; bit++)
            v = times_x(v);
        tables[0][b] = v;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t b = 0; b < 256; b++)
            tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 255];
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;

    pthread_once(&tables_made, make_tables);
    crc = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint32_t lo = get_u32(p) ^ crc, hi = get_u32(p + 4);
        crc = tables[7][lo & 255] ^ tables[6][lo >> 8 & 255] ^ tables[5][lo >> 16 & 255] ^
              tables[4][lo >> 24] ^ tables[3][hi & 255] ^ tables[2][hi >> 8 & 255] ^
              tables[1][hi >> 16 & 255] ^ tables[0][hi >> 24];
    }
    for (; len != 0; len--)
        crc = crc >> 8 ^ tables[0][(crc ^ *p++) & 255];
    return ~crc;
}

#ifdef __x86_64__
#include <immintrin.h>

/*
 * Lane lengths of the two rounds, and x^(8n - 33) for moving a CRC over the n bytes of one or two
 * lanes: the carry-less product of two reflected CRCs is too high by x, and the crc32 instruction,
 * which reduces it, multiplies by x^32.
 */
enum { LONG_LANE = 1024, SHORT_LANE = 128 };
struct lane {
    size_t length;
    uint32_t over_one, over_two;
};
static const struct lane LONG = {LONG_LANE, 0x170076fa, 0xa51b6135};
static const struct lane SHORT = {SHORT_LANE, 0x0d3b6092, 0xb9e02b86};

#define ACCELERATED __attribute__((target("sse4.2,pclmul")))

ACCELERATED static inline uint64_t load(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

ACCELERATED static inline uint64_t move(uint64_t crc, uint32_t power)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc), _mm_cvtsi64_si128(power), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

ACCELERATED static inline uint64_t three_lanes(uint64_t a, const uint8_t *p, const struct lane *l)
{
    uint64_t b = 0, c = 0;

    for (const uint8_t *end = p + l->length; p != end; p += 8) {
        a = _mm_crc32_u64(a, load(p));
        b = _mm_crc32_u64(b, load(p + l->length));
        c = _mm_crc32_u64(c, load(p + 2 * l->length));
    }
    return move(a, l->over_two) ^ move(b, l->over_one) ^ c;
}

ACCELERATED static uint32_t crc32c_accelerated(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t v = ~crc;

    for (; len >= 3 * LONG_LANE; len -= 3 * LONG_LANE, p += 3 * LONG_LANE)
        v = three_lanes(v, p, &LONG);
    for (; len >= 3 * SHORT_LANE; len -= 3 * SHORT_LANE, p += 3 * SHORT_LANE)
        v = three_lanes(v, p, &SHORT);
    for (; len >= 8; len -= 8, p += 8)
        v = _mm_crc32_u64(v, load(p));
    for (; len != 0; len--)
        v = _mm_crc32_u8((uint32_t)v, *p++);
    return ~(uint32_t)v;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        return crc32c_accelerated(crc, data, len);
    return crc32c_portable(crc, data, len);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    return crc32c_portable(crc, data, len);
}
#endif
