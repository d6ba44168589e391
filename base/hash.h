/*
 * hash.h - checksums against accidents: XXH3 and CRC-32C. Authenticity is crypt.h's job.
 *
 * XXH3-128 is always stored canonical (big-endian), XXH3-64 little-endian. CRC-32C: Castagnoli, as
 * PostgreSQL uses it (reflected polynomial 0x82F63B78, initial and final XOR 0xFFFFFFFF;
 * CRC("123456789") = 0xE3069283); hardware instructions where the processor has them.
 */
#ifndef PGBR_BASE_HASH_H
#define PGBR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH128_SIZE = 16 };
struct hash128 {
    uint8_t bytes[HASH128_SIZE];
};

uint64_t hash64(const void *data, size_t len);        /* XXH3-64, seed 0 */
struct hash128 hash128(const void *data, size_t len); /* XXH3-128, seed 0, canonical */

/* The same over pieces. */
struct hasher; /* XXH3-128 state, aligned */
struct hasher *hasher_new(void);
void hasher_free(struct hasher **h);
void hasher_reset(struct hasher *h);
void hasher_add(struct hasher *h, const void *data, size_t len);
struct hash128 hasher_digest(const struct hasher *h);

/* crc32c(0, data, len) is the CRC of data; pass the result back in to go on. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same without special instructions: what crc32c() uses where the processor has none. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);
/* The CRC of A followed by B, from crc(A), crc(B) and the length of B. */
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b);
/* The CRC of len zero bytes, in logarithmic time. */
uint32_t crc32c_zeros(uint64_t len);

/* SHA-256 in one go and over pieces (OpenSSL), for backup_manifest and key derivation. These have
 * nothing that could fail. */
void sha256(const void *data, size_t len, uint8_t out[32]);
void md5(const void *data, size_t len, uint8_t out[16]); /* where a protocol asks for it */
struct sha256;                                           /* running state */
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_done(struct sha256 **s, uint8_t out[32]); /* frees it */

#endif
