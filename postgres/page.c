/*
 * The checksum is 32 independent multiply-xor lanes, kept here as four vectors of eight. Eight
 * lanes are one AVX2 register; elsewhere the compiler splits a vector. The lanes are named
 * variables, not an array, because gcc 12 keeps an array of vectors in memory, which costs four
 * fifths of the speed. Which of the two bodies runs is asked per page: the answer is a bit that
 * libgcc looked up at start.
 */
#include "postgres/page.h"

#include <string.h>

#include "base/auto.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "PostgreSQL's files are in the byte order of the machine; only little-endian is served"
#endif

enum { LANES = 32, ROUND_BYTES = LANES * 4, ROUNDS = PG_PAGE_SIZE / ROUND_BYTES };
#define PRIME 16777619U
#define INLINE static inline __attribute__((always_inline))

/* checksum_impl.h: checksumBaseOffsets */
static const uint32_t seeds[LANES] = {
    0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c,
    0xf8d4474f, 0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb,
    0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4,
    0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
};

#define VECTOR uint32_t __attribute__((vector_size(32)))

/* Eight words at any address. */
struct words {
    VECTOR v;
} __attribute__((packed, may_alias));
#define WORDS(p, n) (((const struct words *)(const void *)(p))[n].v)

#define ROUND(sum, word)                           \
    do {                                           \
        VECTOR mixed_ = (sum) ^ (word);            \
        (sum) = (mixed_ * PRIME) ^ (mixed_ >> 17); \
    } while (0)

/* All but the block number. The page's own checksum counts as zero. */
INLINE uint32_t fold(const uint8_t *page)
{
    uint8_t first[ROUND_BYTES];
    const uint8_t *p = first;
    VECTOR a = WORDS(seeds, 0), b = WORDS(seeds, 1), c = WORDS(seeds, 2), d = WORDS(seeds, 3);
    uint32_t all = 0;

    memcpy(first, page, sizeof first);
    first[8] = first[9] = 0;
    for (int i = 1; i <= ROUNDS; i++) {
        ROUND(a, WORDS(p, 0));
        ROUND(b, WORDS(p, 1));
        ROUND(c, WORDS(p, 2));
        ROUND(d, WORDS(p, 3));
        p = page + i * ROUND_BYTES;
    }
    for (int i = 0; i < 2; i++) {
        ROUND(a, (VECTOR){0});
        ROUND(b, (VECTOR){0});
        ROUND(c, (VECTOR){0});
        ROUND(d, (VECTOR){0});
    }
    a ^= b ^ c ^ d;
    for (int i = 0; i < 8; i++)
        all ^= a[i];
    return all;
}

static uint32_t fold_plain(const uint8_t *page)
{
    return fold(page);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint32_t fold_avx2(const uint8_t *page)
{
    return fold(page);
}
#endif

uint16_t page_checksum(const void *page, uint32_t blkno)
{
    uint32_t sum;

#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        sum = fold_avx2(page);
    else
#endif
        sum = fold_plain(page);
    return (uint16_t)((sum ^ blkno) % 65535 + 1);
}

/* The first byte is zero and every byte equals its neighbour. */
bool page_is_zero(const void *page)
{
    const uint8_t *p = page;

    return p[0] == 0 && memcmp(p, p + 1, PG_PAGE_SIZE - 1) == 0;
}

enum page_verdict page_check(const void *page, uint32_t blkno, uint64_t start_lsn,
                             uint64_t insert_lsn)
{
    if (page_upper(page) == 0)
        return page_is_zero(page) ? PAGE_NEW : PAGE_BAD_NEW;

    uint64_t lsn = page_lsn(page);

    if (lsn > insert_lsn)
        return PAGE_IMPLAUSIBLE;
    if (lsn >= start_lsn && start_lsn != 0)
        return PAGE_FRESH;
    return page_checksum(page, blkno) == page_stored_checksum(page) ? PAGE_OK : PAGE_BAD;
}

const char *page_verdict_name(enum page_verdict verdict)
{
    switch (verdict) {
    case PAGE_OK:
        return "good";
    case PAGE_NEW:
        return "never written";
    case PAGE_FRESH:
        return "changed during the backup";
    case PAGE_BAD:
        return "checksum mismatch";
    case PAGE_BAD_NEW:
        return "header says new, but the page is not zero";
    case PAGE_IMPLAUSIBLE:
        return "position beyond the end of the WAL";
    }
    return "unknown";
}
