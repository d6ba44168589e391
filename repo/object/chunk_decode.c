/*
 * chunk_decode.c - from stored bytes to raw ones. See chunk.h.
 *
 * Nothing is decrypted or decompressed before the MAC (or hash) was found right, and no memory is
 * taken by a length before that length was found possible.
 */
#include <string.h>

#include "repo/object/chunk_form.h"

static int check_place(const struct chunk_head *h, enum chunk_type type, uint32_t pack,
                       uint32_t index, size_t stored_len, struct err *err)
{
    if (h->type != type || h->pack != pack || h->index != index)
        return err_set(err, ERR_CORRUPT,
                       "it says to be chunk %u of pack %u with type %d, expected type %d", h->index,
                       h->pack, (int)h->type, (int)type);
    if (stored_len != (size_t)CHUNK_HEADER + h->body_len)
        return err_set(err, ERR_CORRUPT, "%zu bytes are stored, its header says %zu", stored_len,
                       (size_t)CHUNK_HEADER + h->body_len);
    return 0;
}

/* A key is configured, so what is not authenticated is not ours; but for what always is plain. */
static int check_suite(const struct coder *c, const struct chunk_head *h, struct err *err)
{
    if (c->plain && h->suite != SUITE_PLAIN)
        return err_set(err, ERR_CORRUPT, "suite %d, expected 0 in this kind of object",
                       (int)h->suite);
    if (c->keyed && !c->plain && h->suite == SUITE_PLAIN)
        return err_set(err, ERR_CORRUPT,
                       "it is not authenticated, though the repository is encrypted: refused");
    if (!c->keyed && h->suite == SUITE_SEALED)
        return err_set(err, ERR_KEY, "it is encrypted, and there is no key");
    return 0;
}

/* Length of what follows the inner part (or, encrypted, IV and ciphertext). */
static size_t seal_len(enum chunk_suite suite)
{
    return suite == SUITE_PLAIN ? sizeof(struct hash128) : (size_t)CRYPT_TAG;
}

static int check_seal(struct coder *c, const struct chunk_head *h, const uint8_t *stored,
                      struct err *err)
{
    const uint8_t *body = stored + CHUNK_HEADER;
    size_t least =
        seal_len(h->suite) +
        (h->suite == SUITE_SEALED ? CRYPT_IV + ciphertext_len(CHUNK_INNER) : CHUNK_INNER);
    size_t covered = h->body_len - seal_len(h->suite);
    uint8_t tag[CRYPT_TAG];
    struct hash128 hash;

    if (h->body_len < least)
        return err_set(err, ERR_CORRUPT, "body of %u bytes, expected at least %zu", h->body_len,
                       least);
    if (h->suite == SUITE_PLAIN) {
        hash = coder_hash(c, stored, body, covered);
        if (memcmp(hash.bytes, body + covered, sizeof hash) != 0)
            return err_set(err, ERR_CORRUPT, "its XXH3-128 does not fit: damaged or moved");
    } else if (c->keyed) {
        TRY(coder_mac(c, stored, body, covered, tag, err));
        if (!crypt_equal(tag, body + covered, sizeof tag))
            return err_set(err, ERR_CORRUPT,
                           "its MAC does not fit: damaged, altered, moved, or of another key");
    }
    return 0;
}

/* All that can be said before the inner part is looked at. */
static int check_outer(struct coder *c, enum chunk_type type, uint32_t pack, uint32_t index,
                       const uint8_t *stored, size_t stored_len, struct chunk_head *head,
                       struct err *err)
{
    if (stored_len < CHUNK_HEADER)
        return err_set(err, ERR_CORRUPT, "%zu bytes are stored, a header alone has %d", stored_len,
                       CHUNK_HEADER);
    TRY(chunk_head_parse(stored, head, err));
    TRY(check_place(head, type, pack, index, stored_len, err));
    TRY(check_suite(c, head, err));
    return check_seal(c, head, stored, err);
}

struct inner {
    uint64_t hash;
    uint32_t raw_len, items;
    const uint8_t *payload;
    size_t len;
};

static int parse_inner(const struct chunk_head *h, const uint8_t *p, size_t len, struct inner *in,
                       struct err *err)
{
    if (len < CHUNK_INNER)
        return err_set(err, ERR_CORRUPT, "inner part of %zu bytes, expected at least %d", len,
                       CHUNK_INNER);
    *in = (struct inner){get_u64(p), get_u32(p + 8), get_u32(p + 12), p + CHUNK_INNER,
                         len - CHUNK_INNER};
    if (in->raw_len > CHUNK_RAW_MAX)
        return err_set(err, ERR_CORRUPT, "%u raw bytes, at most %d are possible", in->raw_len,
                       CHUNK_RAW_MAX);
    if (h->body_len > in->raw_len + in->raw_len / 8 + BODY_SLACK)
        return err_set(err, ERR_CORRUPT, "body of %u bytes for %u raw ones", h->body_len,
                       in->raw_len);
    if (h->codec == CODEC_STORED && in->len != in->raw_len)
        return err_set(err, ERR_CORRUPT, "%zu bytes stored as they are, its header says %u",
                       in->len, in->raw_len);
    return 0;
}

/* Where the inner part lies in clear: in the stored bytes, or decrypted in the scratch memory. */
static int open_inner(struct coder *c, const struct chunk_head *h, const uint8_t *stored,
                      struct inner *in, struct err *err)
{
    const uint8_t *body = stored + CHUNK_HEADER;
    size_t len = h->body_len - seal_len(h->suite);
    uint8_t *clear;

    if (h->suite != SUITE_SEALED)
        return parse_inner(h, body, len, in, err);
    clear = coder_scratch(c, len);
    TRY(sealer_decrypt(c->sealer, body, body + CRYPT_IV, len - CRYPT_IV, clear, &len, err));
    return parse_inner(h, clear, len, in, err);
}

static int unpack(struct coder *c, const struct chunk_head *h, const struct inner *in, void *out,
                  struct err *err)
{
    uint64_t hash;

    if (h->codec == CODEC_ZSTD)
        TRY(squeezer_unpack(c->squeezer, in->payload, in->len, out, in->raw_len, err));
    else if (in->len != 0)
        memcpy(out, in->payload, in->len);
    hash = hash64(out, in->raw_len);
    if (hash != in->hash)
        return err_set(err, ERR_CORRUPT, "content with XXH3-64 %016llx, expected %016llx",
                       (unsigned long long)hash, (unsigned long long)in->hash);
    return 0;
}

static int decode(struct coder *c, enum chunk_type type, uint32_t pack, uint32_t index,
                  const void *stored, size_t stored_len, struct chunk_head *head, struct inner *in,
                  struct err *err)
{
    TRY(check_outer(c, type, pack, index, stored, stored_len, head, err));
    return open_inner(c, head, stored, in, err);
}

/* Says which chunk it is about. */
static int of_chunk(const struct coder *c, int result, uint32_t pack, uint32_t index,
                    struct err *err)
{
    if (result == 0)
        return 0;
    if (pack == PACK_NONE || pack == 0)
        return err_context(err, "chunk %u of \"%s\"", index, c->label);
    return err_context(err, "chunk %u of pack %u of \"%s\"", index, pack, c->label);
}

static int too_small(size_t raw_len, size_t cap, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "%zu raw bytes, at most %zu are expected here", raw_len, cap);
}

static int decode_to(struct coder *c, enum chunk_type type, uint32_t pack, uint32_t index,
                     const void *stored, size_t stored_len, void *out, size_t cap, struct inner *in,
                     struct err *err)
{
    struct chunk_head head;

    TRY(decode(c, type, pack, index, stored, stored_len, &head, in, err));
    if (in->raw_len > cap)
        return too_small(in->raw_len, cap, err);
    return unpack(c, &head, in, out, err);
}

int chunk_decode(struct coder *c, enum chunk_type type, uint32_t pack, uint32_t index,
                 const void *stored, size_t stored_len, void *out, size_t cap, size_t *raw_len,
                 uint32_t *items, struct err *err)
{
    struct inner in;

    if (decode_to(c, type, pack, index, stored, stored_len, out, cap, &in, err) != 0)
        return of_chunk(c, -1, pack, index, err);
    *raw_len = in.raw_len;
    if (items != NULL)
        *items = in.items;
    return 0;
}

static int decode_buf(struct coder *c, enum chunk_type type, uint32_t pack, uint32_t index,
                      const void *stored, size_t stored_len, size_t max_raw, struct buf *out,
                      uint32_t *items, struct err *err)
{
    struct chunk_head head;
    struct inner in;

    TRY(decode(c, type, pack, index, stored, stored_len, &head, &in, err));
    if (in.raw_len > max_raw)
        return too_small(in.raw_len, max_raw, err);
    buf_clear(out);
    buf_reserve(out, in.raw_len);
    TRY(unpack(c, &head, &in, out->p, err));
    out->len = in.raw_len;
    if (items != NULL)
        *items = in.items;
    return 0;
}

int chunk_decode_buf(struct coder *c, enum chunk_type type, uint32_t pack, uint32_t index,
                     const void *stored, size_t stored_len, size_t max_raw, struct buf *out,
                     uint32_t *items, struct err *err)
{
    return of_chunk(c,
                    decode_buf(c, type, pack, index, stored, stored_len, max_raw, out, items, err),
                    pack, index, err);
}

int chunk_check(struct coder *c, enum chunk_type type, uint32_t pack, uint32_t index,
                const void *stored, size_t stored_len, struct err *err)
{
    struct chunk_head head;

    return of_chunk(c, check_outer(c, type, pack, index, stored, stored_len, &head, err), pack,
                    index, err);
}
