/* chunk_form.h - what the encoding and the decoding half of chunk.h share. */
#ifndef PGBR_REPO_OBJECT_CHUNK_FORM_H
#define PGBR_REPO_OBJECT_CHUNK_FORM_H

#include "base/crypt.h"
#include "base/hash.h"
#include "base/zstd.h"
#include "repo/object/chunk.h"

enum {
    LABEL_MAX = 255,
    PURPOSE = 12, /* "pgbr1 chunk" and its NUL */
    BODY_SLACK = 4096,
    CODEC_STORED = 0,
    CODEC_ZSTD = 1,
};

struct coder {
    bool keyed, plain;
    enum err_code read_only; /* ERR_NONE: not */
    const char *why_read_only;
    struct repo_key key;
    char label[LABEL_MAX + 1];
    uint8_t prefix[PURPOSE + 1 + LABEL_MAX]; /* of what MACs and hashes cover */
    size_t prefix_len;
    struct squeezer *squeezer;
    struct sealer *sealer; /* keys of this label; NULL without a key */
    struct hasher *hasher;
    uint8_t *scratch; /* a chunk's inner part before encryption, after decryption */
    size_t scratch_size;
};

/* Memory of at least size bytes, until the next call. */
uint8_t *coder_scratch(struct coder *c, size_t size);
/* Of suite 0: XXH3-128 over prefix, header and inner part. */
struct hash128 coder_hash(struct coder *c, const uint8_t *head, const uint8_t *inner,
                          size_t inner_len);
/* Of suites 1 and 2: HMAC over prefix, header and body (IV and ciphertext, or inner part). */
int coder_mac(struct coder *c, const uint8_t *head, const uint8_t *body, size_t body_len,
              uint8_t tag[CRYPT_TAG], struct err *err) MUST_CHECK;

/* PKCS#7 adds 1 to 16 bytes. */
static inline size_t ciphertext_len(size_t len)
{
    return len / CRYPT_BLOCK * CRYPT_BLOCK + CRYPT_BLOCK;
}

#endif
