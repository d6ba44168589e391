/*
 * hash_wide.c - see hash_wide.h. A file of its own because xxhash.h chooses its vectors once for
 * all it defines. Where there is no AVX2 to compile for, this is the same as in hash.c and unused.
 */
#include "base/hash_wide.h"

#ifdef __x86_64__
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>
/* Everything below here, which is xxhash.h and three functions, is compiled for AVX2. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#define XXH_VECTOR XXH_AVX2
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash64_wide(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

void hash128_wide(const void *data, size_t len, uint64_t *low, uint64_t *high)
{
    XXH128_hash_t hash = XXH3_128bits(data, len);

    *low = hash.low64;
    *high = hash.high64;
}

void hasher_add_wide(void *xxh3_state, const void *data, size_t len)
{
    XXH3_128bits_update(xxh3_state, data, len);
}

#if defined(__x86_64__) && defined(__clang__)
#pragma clang attribute pop
#endif
