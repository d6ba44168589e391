/* hash.c - XXH3 and SHA-256. See hash.h; CRC-32C is in crc32c.c. */
#define OPENSSL_API_COMPAT 10100 /* for SHA256_Init() and its kind, see sha256_new() */
#include "base/hash.h"

#include <openssl/md5.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "base/hash_wide.h"
#include "base/mem.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Up to this length XXH3 uses no vectors. */
enum { XXH_SHORT = 240 };

struct hasher {
    XXH3_state_t state;
};

static inline int wide(size_t len)
{
    return len > XXH_SHORT && hash_wide_usable();
}

uint64_t hash64(const void *data, size_t len)
{
    return wide(len) ? hash64_wide(data, len) : XXH3_64bits(data, len);
}

static struct hash128 canonical(XXH128_hash_t hash)
{
    struct hash128 out;
    XXH128_canonical_t text;

    XXH128_canonicalFromHash(&text, hash);
    memcpy(out.bytes, text.digest, sizeof out.bytes);
    return out;
}

struct hash128 hash128(const void *data, size_t len)
{
    XXH128_hash_t hash;

    if (wide(len))
        hash128_wide(data, len, &hash.low64, &hash.high64);
    else
        hash = XXH3_128bits(data, len);
    return canonical(hash);
}

struct hasher *hasher_new(void)
{
    struct hasher *h = xaligned(_Alignof(struct hasher), sizeof *h);

    XXH3_INITSTATE(&h->state);
    hasher_reset(h);
    return h;
}

void hasher_free(struct hasher **h)
{
    free(*h);
    *h = NULL;
}

void hasher_reset(struct hasher *h)
{
    XXH3_128bits_reset(&h->state);
}

void hasher_add(struct hasher *h, const void *data, size_t len)
{
    if (len == 0)
        return;
    if (wide(len))
        hasher_add_wide(&h->state, data, len);
    else
        XXH3_128bits_update(&h->state, data, len);
}

struct hash128 hasher_digest(const struct hasher *h)
{
    return canonical(XXH3_128bits_digest(&h->state));
}

/*
 * The plain SHA256_ functions and not EVP: they cannot fail and allocate nothing, and the first
 * EVP fetch of a digest costs a starting process half a millisecond. Both run the same assembly.
 */
struct sha256 {
    SHA256_CTX ctx;
};

void sha256(const void *data, size_t len, uint8_t out[32])
{
    SHA256_CTX ctx;

    SHA256_Init(&ctx);
    SHA256_Update(&ctx, data, len);
    SHA256_Final(out, &ctx);
}

void md5(const void *data, size_t len, uint8_t out[16])
{
    MD5(data, len, out);
}

struct sha256 *sha256_new(void)
{
    struct sha256 *s = xmalloc(sizeof *s);

    SHA256_Init(&s->ctx);
    return s;
}

void sha256_add(struct sha256 *s, const void *data, size_t len)
{
    SHA256_Update(&s->ctx, data, len);
}

void sha256_done(struct sha256 **s, uint8_t out[32])
{
    SHA256_Final(out, &(*s)->ctx);
    mem_wipe(*s, sizeof **s);
    free(*s);
    *s = NULL;
}
