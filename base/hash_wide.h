/*
 * hash_wide.h - XXH3 compiled for AVX2, three times as fast as for the x86-64 baseline. For hash.c
 * only; hash_wide_usable() says whether this processor has it.
 */
#ifndef PGBR_BASE_HASH_WIDE_H
#define PGBR_BASE_HASH_WIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __x86_64__
static inline bool hash_wide_usable(void)
{
    return __builtin_cpu_supports("avx2");
}
#else
static inline bool hash_wide_usable(void)
{
    return false;
}
#endif

uint64_t hash64_wide(const void *data, size_t len);
void hash128_wide(const void *data, size_t len, uint64_t *low, uint64_t *high);
void hasher_add_wide(void *xxh3_state, const void *data, size_t len);

#endif
