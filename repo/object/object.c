/*
 * object.c - headers, and writing objects. Reading is in object_read.c; see object.h.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/hash.h"
#include "base/mem.h"
#include "repo/object/object_form.h"

static const uint8_t object_magic[8] = {0x89, 'P', 'G', 'B', 'R', 0x0d, 0x0a, 0x1a};

enum { FORMAT_MAJOR = 1, CRC_AT = 124, FLAGS_MUST_KNOW = 0xffff };

bool object_kind_plain(enum object_kind kind)
{
    return kind >= OBJECT_LEASE && kind <= OBJECT_DESCRIPTOR;
}

uint32_t object_logical_pack(const struct object_head *head)
{
    if (head->kind == OBJECT_PACK || head->kind == OBJECT_META_PACK)
        return head->pack;
    return head->kind == OBJECT_MANIFEST ? PACK_NONE : 0;
}

static bool label_ends(const uint8_t *p, char out[OBJECT_LABEL + 1])
{
    size_t len = strnlen((const char *)p, OBJECT_LABEL);

    memcpy(out, p, len);
    memset(out + len, 0, OBJECT_LABEL + 1 - len);
    for (size_t i = len; i < OBJECT_LABEL; i++)
        if (p[i] != 0)
            return false;
    return len != 0;
}

static int check_header(const uint8_t *p, struct err *err)
{
    uint32_t crc = crc32c(0, p, CRC_AT);

    if (memcmp(p, object_magic, sizeof object_magic) != 0)
        return err_set(err, ERR_CORRUPT, "not an object of pgbr (its first bytes are another's)");
    if (crc != get_u32(p + CRC_AT))
        return err_set(err, ERR_CORRUPT, "header with CRC %08x, expected %08x", get_u32(p + CRC_AT),
                       crc);
    if (p[10] > FORMAT_MAJOR)
        return err_set(err, ERR_UNSUPPORTED,
                       "format %u.x, readable from version %u on; this pgbr knows version %d", p[9],
                       p[10], FORMAT_MAJOR);
    if ((get_u32(p + 12) & FLAGS_MUST_KNOW) != 0)
        return err_set(err, ERR_UNSUPPORTED, "header flags %08x, unknown to this version of pgbr",
                       get_u32(p + 12));
    if (p[8] < OBJECT_PACK || p[8] > OBJECT_DESCRIPTOR)
        return err_set(err, ERR_UNSUPPORTED, "object of kind %u, known are 1 to %d", p[8],
                       OBJECT_DESCRIPTOR);
    return 0;
}

int object_head_parse(const void *bytes, struct object_head *head, struct err *err)
{
    const uint8_t *p = bytes;

    TRY(check_header(p, err));
    *head = (struct object_head){
        .kind = (enum object_kind)p[8],
        .suite = p[11],
        .pack = get_u32(p + 48),
        .created_us = (int64_t)get_u64(p + 112),
    };
    memcpy(head->object_id, p + 16, sizeof head->object_id);
    memcpy(head->tag, p + 32, sizeof head->tag);
    memcpy(head->repo_id, p + 104, sizeof head->repo_id);
    if (!label_ends(p + 56, head->label))
        return err_set(err, ERR_CORRUPT, "header with a malformed label");
    return 0;
}

void object_head_format(const struct object_head *head, uint8_t bytes[OBJECT_HEADER])
{
    memset(bytes, 0, OBJECT_HEADER);
    memcpy(bytes, object_magic, sizeof object_magic);
    bytes[8] = (uint8_t)head->kind;
    bytes[9] = FORMAT_MAJOR;
    bytes[10] = FORMAT_MAJOR;
    bytes[11] = head->suite;
    memcpy(bytes + 16, head->object_id, sizeof head->object_id);
    memcpy(bytes + 32, head->tag, sizeof head->tag);
    put_u32(bytes + 48, head->pack);
    memcpy(bytes + 56, head->label, strnlen(head->label, OBJECT_LABEL));
    memcpy(bytes + 104, head->repo_id, sizeof head->repo_id);
    put_u64(bytes + 112, (uint64_t)head->created_us);
    put_u32(bytes + CRC_AT, crc32c(0, bytes, CRC_AT));
}

/* ---- trailer ---- */

static const uint8_t trailer_magic[8] = {'P', 'G', 'B', 'R', 'e', 'n', 'd', '1'};

void trailer_format(const struct trailer *t, uint8_t bytes[OBJECT_TRAILER])
{
    memset(bytes, 0, OBJECT_TRAILER);
    put_u64(bytes, t->dir_offset);
    put_u32(bytes + 8, t->dir_len);
    put_u32(bytes + 12, t->chunks);
    put_u64(bytes + 16, t->index_offset);
    put_u32(bytes + 24, t->index_len);
    memcpy(bytes + 32, t->hash.bytes, sizeof t->hash);
    put_u32(bytes + 52, crc32c(0, bytes, 52));
    memcpy(bytes + 56, trailer_magic, sizeof trailer_magic);
}

int trailer_parse(const void *bytes, uint64_t object_size, struct trailer *t, struct err *err)
{
    const uint8_t *p = bytes;
    uint32_t crc = crc32c(0, p, 52);

    if (memcmp(p + 56, trailer_magic, sizeof trailer_magic) != 0)
        return err_set(err, ERR_CORRUPT,
                       "cut off or damaged: %llu bytes that do not end in a trailer",
                       (unsigned long long)object_size);
    if (crc != get_u32(p + 52))
        return err_set(err, ERR_CORRUPT, "trailer with CRC %08x, expected %08x", get_u32(p + 52),
                       crc);
    *t = (struct trailer){
        .dir_offset = get_u64(p),
        .dir_len = get_u32(p + 8),
        .chunks = get_u32(p + 12),
        .index_offset = get_u64(p + 16),
        .index_len = get_u32(p + 24),
    };
    memcpy(t->hash.bytes, p + 32, sizeof t->hash);
    if (t->dir_offset < OBJECT_HEADER || t->dir_len < CHUNK_HEADER ||
        t->dir_offset > object_size - OBJECT_TRAILER ||
        t->dir_len != object_size - OBJECT_TRAILER - t->dir_offset)
        return err_set(
            err, ERR_CORRUPT, "%llu bytes, but its trailer ends a directory of %u at offset %llu",
            (unsigned long long)object_size, t->dir_len, (unsigned long long)t->dir_offset);
    if (t->chunks > OBJECT_CHUNKS_MAX)
        return err_set(err, ERR_CORRUPT, "%u chunks, at most %d are possible", t->chunks,
                       OBJECT_CHUNKS_MAX);
    return 0;
}

/* ---- writing ---- */

struct listed_chunk {
    uint32_t body_len, items;
    uint8_t type;
};

struct object_writer {
    struct store_writer *to;
    struct coder *coder;
    bool plain;
    uint32_t pack; /* logical */
    uint64_t size;
    struct hasher *hasher;
    struct listed_chunk *chunks;
    uint32_t n_chunks, chunks_cap;
    bool sealed;
    uint64_t index_offset; /* first CONTENTS or WALSUM chunk; 0: none */
    uint32_t index_len;
    uint8_t *out; /* where chunks are encoded */
    size_t out_size;
};

static int append(struct object_writer *w, const void *data, size_t len, struct err *err)
{
    hasher_add(w->hasher, data, len);
    w->size += len;
    return store_write(w->to, data, len, err);
}

static int begin(struct object_writer *w, struct object_head *head, struct err *err)
{
    uint8_t bytes[OBJECT_HEADER];

    if (strcmp(head->label, coder_label(w->coder)) != 0)
        return err_set(err, ERR_FAILED, "object of \"%s\" with a coder of \"%s\"", head->label,
                       coder_label(w->coder));
    TRY(crypt_random(head->object_id, sizeof head->object_id, err));
    head->suite = coder_has_key(w->coder) && !w->plain ? SUITE_SEALED : SUITE_PLAIN;
    head->created_us = clock_now_us();
    object_head_format(head, bytes);
    return append(w, bytes, sizeof bytes, err);
}

int object_create(struct object_writer **out, struct store *store, const char *key,
                  enum store_mode mode, struct object_head *head, struct coder *coder,
                  struct err *err)
{
    AUTO(object_abandon) struct object_writer *w = xcalloc(1, sizeof *w);

    w->coder = coder;
    w->plain = object_kind_plain(head->kind);
    w->pack = object_logical_pack(head);
    w->hasher = hasher_new();
    TRY(store_create(store, key, mode, &w->to, err));
    TRY(begin(w, head, err));
    *out = TAKE(w);
    return 0;
}

static void note_chunk(struct object_writer *w, enum chunk_type type, uint32_t items,
                       size_t stored_len)
{
    if (w->n_chunks == w->chunks_cap) {
        w->chunks_cap = w->chunks_cap * 2 + 32;
        w->chunks = xrealloc(w->chunks, w->chunks_cap * sizeof *w->chunks);
    }
    w->chunks[w->n_chunks++] = (struct listed_chunk){
        .body_len = (uint32_t)(stored_len - CHUNK_HEADER), .items = items, .type = (uint8_t)type};
    if ((type == CHUNK_CONTENTS || type == CHUNK_WALSUM) && w->index_offset == 0) {
        w->index_offset = w->size;
        w->index_len = (uint32_t)stored_len;
    }
}

static void want_out(struct object_writer *w, size_t raw_len)
{
    size_t bound = chunk_bound(raw_len);

    if (w->out_size >= bound)
        return;
    free(w->out);
    w->out = xmalloc(bound);
    w->out_size = bound;
}

static int encode(struct object_writer *w, enum chunk_type type, enum chunk_privacy privacy,
                  uint32_t items, const void *raw, size_t len, size_t *stored, struct err *err)
{
    int result;

    want_out(w, len);
    coder_set_plain(w->coder, w->plain);
    result = chunk_encode(w->coder, type, privacy, w->pack, w->n_chunks, items, raw, len, w->out,
                          stored, err);
    coder_set_plain(w->coder, false);
    return result;
}

int object_add(struct object_writer *w, enum chunk_type type, enum chunk_privacy privacy,
               uint32_t items, const void *raw, size_t len, uint32_t *index, struct err *err)
{
    size_t stored;

    if (w->n_chunks == OBJECT_CHUNKS_MAX)
        return err_set(err, ERR_FAILED, "object with more than %d chunks", OBJECT_CHUNKS_MAX);
    TRY(encode(w, type, privacy, items, raw, len, &stored, err));
    if (index != NULL)
        *index = w->n_chunks;
    note_chunk(w, type, items, stored);
    return append(w, w->out, stored, err);
}

int object_add_stored(struct object_writer *w, enum chunk_type type, uint32_t items,
                      const void *stored, size_t stored_len, struct err *err)
{
    struct chunk_head head;

    if (w->n_chunks == OBJECT_CHUNKS_MAX)
        return err_set(err, ERR_FAILED, "object with more than %d chunks", OBJECT_CHUNKS_MAX);
    TRY(chunk_head_parse(stored, &head, err));
    if (head.type != type || head.pack != w->pack || head.index != w->n_chunks ||
        head.body_len + (size_t)CHUNK_HEADER != stored_len)
        return err_set(err, ERR_FAILED, "chunk %u was encoded for another place", w->n_chunks);
    note_chunk(w, type, items, stored_len);
    return append(w, stored, stored_len, err);
}

uint64_t object_size(const struct object_writer *w)
{
    return w->size;
}

uint32_t object_chunk_count(const struct object_writer *w)
{
    return w->n_chunks;
}

static int add_dir(struct object_writer *w, struct err *err)
{
    AUTO(buf_free) struct buf dir = BUF_INIT;
    size_t stored;

    buf_uv(&dir, DIR_VERSION);
    buf_uv(&dir, w->n_chunks);
    for (uint32_t i = 0; i < w->n_chunks; i++) {
        buf_uv(&dir, w->chunks[i].body_len);
        buf_u8(&dir, w->chunks[i].type);
        buf_uv(&dir, w->chunks[i].items);
    }
    TRY(encode(w, CHUNK_DIR, CHUNK_PRIVATE, w->n_chunks, dir.p, dir.len, &stored, err));
    return append(w, w->out, stored, err);
}

int object_seal(struct object_writer *w, struct err *err)
{
    struct trailer t = {
        .dir_offset = w->size,
        .chunks = w->n_chunks,
        .index_offset = w->index_offset,
        .index_len = w->index_len,
    };
    uint8_t bytes[OBJECT_TRAILER];

    TRY(add_dir(w, err));
    t.dir_len = (uint32_t)(w->size - t.dir_offset);
    t.hash = hasher_digest(w->hasher);
    trailer_format(&t, bytes);
    w->sealed = true;
    return append(w, bytes, sizeof bytes, err);
}

int object_commit(struct object_writer **w, enum store_commit_mode mode, uint64_t *size,
                  struct err *err)
{
    int result = (*w)->sealed ? 0 : object_seal(*w, err);

    if (result == 0 && size != NULL)
        *size = (*w)->size;
    if (result == 0)
        result = store_commit(&(*w)->to, mode, err);
    object_abandon(w);
    return result;
}

void object_abandon(struct object_writer **w)
{
    if (*w == NULL)
        return;
    store_abandon(&(*w)->to);
    hasher_free(&(*w)->hasher);
    free((*w)->chunks);
    free((*w)->out);
    free(*w);
    *w = NULL;
}

int object_put_small(struct store *store, const char *key, enum store_mode mode,
                     struct object_head *head, struct coder *coder, enum chunk_type type,
                     enum chunk_privacy privacy, const void *raw, size_t len, struct err *err)
{
    AUTO(object_abandon) struct object_writer *w = NULL;

    TRY(object_create(&w, store, key, mode, head, coder, err));
    TRY(object_add(w, type, privacy, 1, raw, len, NULL, err));
    return object_commit(&w, STORE_DURABLE, NULL, err);
}
