/*
 * chunk.c - see chunk.h. The order of work is that of the bytes: hash the raw bytes, compress,
 * put the header in front, encrypt, authenticate; and back, authenticity first.
 */
#include "repo/object/chunk_form.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const uint8_t chunk_magic[4] = {'p', 'g', 'C', 'k'};

int coder_relabel(struct coder *c, const char *label, struct err *err)
{
    AUTO(sealer_free) struct sealer *sealer = NULL;
    size_t len = strlen(label);
    uint8_t enc[32], mac[32];
    int result = 0;

    if (len > LABEL_MAX)
        return err_set(err, ERR_FAILED, "label of %zu bytes, at most %d", len, LABEL_MAX);
    if (c->keyed) {
        TRY(key_chunk_enc(&c->key, label, enc, err));
        TRY(key_chunk_mac(&c->key, label, mac, err));
        result = sealer_new(&sealer, enc, mac, err);
        mem_wipe(enc, sizeof enc);
        mem_wipe(mac, sizeof mac);
    }
    TRY(result);
    sealer_free(&c->sealer);
    c->sealer = TAKE(sealer);
    memcpy(c->label, label, len + 1);
    memcpy(c->prefix, "pgbr1 chunk", PURPOSE);
    c->prefix[PURPOSE] = (uint8_t)len;
    memcpy(c->prefix + PURPOSE + 1, label, len);
    c->prefix_len = PURPOSE + 1 + len;
    return 0;
}

int coder_new(struct coder **c, const struct repo_key *key, const char *label, int level,
              struct err *err)
{
    AUTO(coder_free) struct coder *made = xcalloc(1, sizeof *made);

    made->keyed = key != NULL;
    if (key != NULL)
        made->key = *key;
    made->squeezer = squeezer_new(level);
    made->hasher = hasher_new();
    TRY(coder_relabel(made, label, err));
    *c = TAKE(made);
    return 0;
}

void coder_free(struct coder **c)
{
    if (*c == NULL)
        return;
    squeezer_free(&(*c)->squeezer);
    sealer_free(&(*c)->sealer);
    hasher_free(&(*c)->hasher);
    if ((*c)->scratch != NULL)
        mem_wipe((*c)->scratch, (*c)->scratch_size);
    free((*c)->scratch);
    mem_wipe(*c, sizeof **c);
    free(*c);
    *c = NULL;
}

const char *coder_label(const struct coder *c)
{
    return c->label;
}

bool coder_has_key(const struct coder *c)
{
    return c->keyed;
}

void coder_set_plain(struct coder *c, bool plain)
{
    c->plain = plain;
}

void coder_set_read_only(struct coder *c, enum err_code code, const char *why)
{
    c->read_only = code;
    c->why_read_only = why;
}

uint8_t *coder_scratch(struct coder *c, size_t size)
{
    if (c->scratch_size < size) {
        free(c->scratch);
        c->scratch = xaligned(64, size);
        c->scratch_size = size;
    }
    return c->scratch;
}

size_t chunk_bound(size_t raw_len)
{
    return CHUNK_HEADER + CRYPT_IV + CHUNK_INNER + squeezer_bound(raw_len) + CRYPT_BLOCK +
           CRYPT_TAG;
}

static int refuse_head(struct err *err, const char *what, uint64_t found, uint64_t expected)
{
    return err_set(err, ERR_CORRUPT, "chunk header with %s %llu, expected at most %llu", what,
                   (unsigned long long)found, (unsigned long long)expected);
}

int chunk_head_parse(const void *bytes, struct chunk_head *head, struct err *err)
{
    const uint8_t *p = bytes;
    uint32_t crc = crc32c(0, p, 20);

    if (memcmp(p, chunk_magic, sizeof chunk_magic) != 0)
        return err_set(err, ERR_CORRUPT, "no chunk here: magic %08x, expected %08x", get_u32(p),
                       get_u32(chunk_magic));
    if (crc != get_u32(p + 20))
        return err_set(err, ERR_CORRUPT, "chunk header with CRC %08x, expected %08x",
                       get_u32(p + 20), crc);
    *head = (struct chunk_head){
        .type = (enum chunk_type)p[4],
        .codec = p[5],
        .suite = (enum chunk_suite)p[6],
        .pack = get_u32(p + 8),
        .index = get_u32(p + 12),
        .body_len = get_u32(p + 16),
    };
    if (p[7] != 0)
        return refuse_head(err, "reserved byte", p[7], 0);
    if (head->codec > CODEC_ZSTD)
        return err_set(err, ERR_UNSUPPORTED, "chunk with codec %u, known are 0 and 1", head->codec);
    if (p[6] > SUITE_SIGNED)
        return err_set(err, ERR_UNSUPPORTED, "chunk with suite %u, known are 0, 1 and 2", p[6]);
    if (head->body_len > CHUNK_BODY_MAX)
        return refuse_head(err, "body length", head->body_len, CHUNK_BODY_MAX);
    return 0;
}

static void format_head(const struct chunk_head *h, uint8_t *p)
{
    memcpy(p, chunk_magic, sizeof chunk_magic);
    p[4] = (uint8_t)h->type;
    p[5] = h->codec;
    p[6] = (uint8_t)h->suite;
    p[7] = 0;
    put_u32(p + 8, h->pack);
    put_u32(p + 12, h->index);
    put_u32(p + 16, h->body_len);
    put_u32(p + 20, crc32c(0, p, 20));
}

/* ---- encoding ---- */

static enum chunk_suite suite_for(const struct coder *c, enum chunk_privacy privacy)
{
    if (!c->keyed || c->plain)
        return SUITE_PLAIN;
    return privacy == CHUNK_PUBLIC ? SUITE_SIGNED : SUITE_SEALED;
}

/* The inner part: hash, lengths and payload. */
static int make_inner(struct coder *c, uint32_t items, const void *raw, size_t raw_len, uint8_t *to,
                      size_t *len, uint8_t *codec, struct err *err)
{
    uint8_t *payload = to + CHUNK_INNER;
    size_t packed;

    put_u64(to, hash64(raw, raw_len));
    put_u32(to + 8, (uint32_t)raw_len);
    put_u32(to + 12, items);
    TRY(squeezer_pack(c->squeezer, raw, raw_len, payload, squeezer_bound(raw_len), &packed, err));
    *codec = CODEC_ZSTD;
    if (packed >= raw_len) {
        if (raw_len != 0)
            memcpy(payload, raw, raw_len);
        packed = raw_len;
        *codec = CODEC_STORED;
    }
    *len = CHUNK_INNER + packed;
    return 0;
}

struct hash128 coder_hash(struct coder *c, const uint8_t *head, const uint8_t *inner,
                          size_t inner_len)
{
    hasher_reset(c->hasher);
    hasher_add(c->hasher, c->prefix, c->prefix_len);
    hasher_add(c->hasher, head, CHUNK_HEADER);
    hasher_add(c->hasher, inner, inner_len);
    return hasher_digest(c->hasher);
}

/* The MAC covers IV and ciphertext as they lie behind each other. */
int coder_mac(struct coder *c, const uint8_t *head, const uint8_t *body, size_t body_len,
              uint8_t tag[CRYPT_TAG], struct err *err)
{
    const struct mac_piece pieces[] = {
        {c->prefix, c->prefix_len}, {head, CHUNK_HEADER}, {body, body_len}};

    return sealer_mac(c->sealer, pieces, LENGTH(pieces), tag, err);
}

/* head->codec and body_len are set here; out is the whole stored chunk. */
static int encode_sealed(struct coder *c, struct chunk_head *head, uint32_t items, const void *raw,
                         size_t raw_len, uint8_t *out, struct err *err)
{
    uint8_t *inner = coder_scratch(c, CHUNK_INNER + squeezer_bound(raw_len));
    uint8_t *body = out + CHUNK_HEADER;
    size_t inner_len, len, covered;

    TRY(make_inner(c, items, raw, raw_len, inner, &inner_len, &head->codec, err));
    covered = CRYPT_IV + ciphertext_len(inner_len);
    head->body_len = (uint32_t)(covered + CRYPT_TAG);
    format_head(head, out);
    TRY(crypt_random(body, CRYPT_IV, err));
    TRY(sealer_encrypt(c->sealer, body, inner, inner_len, body + CRYPT_IV, &len, err));
    return coder_mac(c, out, body, covered, body + covered, err);
}

static int encode_clear(struct coder *c, struct chunk_head *head, uint32_t items, const void *raw,
                        size_t raw_len, uint8_t *out, struct err *err)
{
    uint8_t *body = out + CHUNK_HEADER;
    bool is_signed = head->suite == SUITE_SIGNED;
    struct hash128 hash;
    size_t len;

    TRY(make_inner(c, items, raw, raw_len, body, &len, &head->codec, err));
    head->body_len = (uint32_t)(len + (is_signed ? (size_t)CRYPT_TAG : sizeof hash));
    format_head(head, out);
    if (is_signed)
        return coder_mac(c, out, body, len, body + len, err);
    hash = coder_hash(c, out, body, len);
    memcpy(body + len, hash.bytes, sizeof hash);
    return 0;
}

int chunk_encode(struct coder *c, enum chunk_type type, enum chunk_privacy privacy, uint32_t pack,
                 uint32_t index, uint32_t items, const void *raw, size_t raw_len, void *out,
                 size_t *stored_len, struct err *err)
{
    struct chunk_head head = {
        .type = type, .suite = suite_for(c, privacy), .pack = pack, .index = index};

    if (raw_len > CHUNK_RAW_MAX)
        return err_set(err, ERR_FAILED, "chunk of %zu raw bytes, at most %d", raw_len,
                       CHUNK_RAW_MAX);
    if (c->read_only != ERR_NONE && !c->plain)
        return err_set(err, c->read_only, "%s", c->why_read_only);
    if (head.suite == SUITE_SEALED)
        TRY(encode_sealed(c, &head, items, raw, raw_len, out, err));
    else
        TRY(encode_clear(c, &head, items, raw, raw_len, out, err));
    *stored_len = CHUNK_HEADER + head.body_len;
    return 0;
}
