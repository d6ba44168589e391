/*
 * object_read.c - reading objects. See object.h.
 *
 * One request for the tail brings trailer and directory, and all of a small object. Chunks are
 * read through a window of aligned memory, which grows from 64 KiB to 1 MiB while they are read in
 * order: so the first chunk of a manifest costs a small request, and a whole object few.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "repo/object/object_form.h"

enum { READ_AHEAD_FIRST = 64 << 10 };

struct object_reader {
    struct store *store;
    struct coder *coder;
    char *key;
    struct object_head head;
    bool plain;
    uint64_t size;
    struct trailer trailer;
    struct object_chunk *chunks;
    uint32_t n_chunks;

    uint8_t *tail; /* the object's last bytes */
    uint64_t tail_offset;

    uint8_t *window; /* aligned */
    size_t window_size, window_len;
    uint64_t window_offset;
    size_t ahead, ahead_max;
    uint32_t next; /* the chunk that would be read in order */
};

int object_dir_parse(const void *raw, size_t len, uint32_t n, uint64_t dir_offset,
                     struct object_chunk *chunks, struct err *err)
{
    struct cursor in = cursor_of(raw, len);
    uint64_t version = cur_uv(&in), count = cur_uv(&in), offset = OBJECT_HEADER;

    if (version != DIR_VERSION && !in.bad)
        return err_set(err, ERR_UNSUPPORTED, "directory of version %llu, this pgbr knows %d",
                       (unsigned long long)version, DIR_VERSION);
    if (in.bad || count != n)
        return err_set(err, ERR_CORRUPT, "directory of %llu chunks, the trailer says %u",
                       (unsigned long long)count, n);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t body = cur_uv_max(&in, CHUNK_BODY_MAX);
        chunks[i].type = (enum chunk_type)cur_u8(&in);
        chunks[i].items = (uint32_t)cur_uv_max(&in, UINT32_MAX);
        chunks[i].offset = offset;
        chunks[i].stored_len = (uint32_t)body + CHUNK_HEADER;
        offset += chunks[i].stored_len;
    }
    if (!cur_done(&in) || offset != dir_offset)
        return err_set(err, ERR_CORRUPT, "directory of %u chunks that end at %llu, expected %llu",
                       n, (unsigned long long)offset, (unsigned long long)dir_offset);
    return 0;
}

void object_close(struct object_reader **r)
{
    if (*r == NULL)
        return;
    mem_free(&(*r)->key);
    free((*r)->chunks);
    free((*r)->tail);
    free((*r)->window);
    free(*r);
    *r = NULL;
}

static int read_exactly(struct object_reader *r, uint64_t offset, size_t len, void *dst,
                        struct err *err)
{
    uint64_t size;
    size_t got;

    TRY(store_get(r->store, r->key, offset, len, dst, &got, &size, err));
    if (got != len || size != r->size)
        return err_set(err, ERR_CORRUPT,
                       "%zu bytes at %llu of %llu, expected %zu of %llu: it changed or was cut off",
                       got, (unsigned long long)offset, (unsigned long long)size, len,
                       (unsigned long long)r->size);
    return 0;
}

/* Trailer and the end of the object; tail memory is only as large as the object. */
static int read_tail(struct object_reader *r, struct err *err)
{
    AUTO(mem_free) uint8_t *tail = xmalloc(OBJECT_TAIL_READ);
    size_t got;

    TRY(store_tail(r->store, r->key, OBJECT_TAIL_READ, tail, &got, &r->size, err));
    if (r->size < OBJECT_HEADER + OBJECT_TRAILER ||
        got != MIN_OF(r->size, (uint64_t)OBJECT_TAIL_READ))
        return err_set(err, ERR_CORRUPT, "%llu bytes cannot be an object",
                       (unsigned long long)r->size);
    TRY(trailer_parse(tail + got - OBJECT_TRAILER, r->size, &r->trailer, err));
    r->tail_offset = r->size - got;
    r->tail = TAKE(tail);
    return 0;
}

/* Bytes that were read with the tail, or NULL. */
static const uint8_t *in_tail(const struct object_reader *r, uint64_t offset)
{
    return offset >= r->tail_offset ? r->tail + (offset - r->tail_offset) : NULL;
}

static int check_identity(const struct object_reader *r, enum object_kind kind,
                          const uint8_t repo_id[8], struct err *err)
{
    const struct object_head *h = &r->head;

    if (h->kind != kind)
        return err_set(err, ERR_CORRUPT, "object of kind %d, expected %d", (int)h->kind, (int)kind);
    if (repo_id != NULL && memcmp(h->repo_id, repo_id, sizeof h->repo_id) != 0)
        return err_set(err, ERR_FOREIGN, "it belongs to another repository");
    if (strcmp(h->label, coder_label(r->coder)) != 0)
        return err_set(err, ERR_CORRUPT, "it says to be of \"%s\", expected \"%s\"", h->label,
                       coder_label(r->coder));
    return 0;
}

static int read_dir(struct object_reader *r, struct err *err)
{
    AUTO(mem_free) uint8_t *far = NULL;
    AUTO(buf_free) struct buf dir = BUF_INIT;
    const uint8_t *p = in_tail(r, r->trailer.dir_offset);
    int result;

    if (r->trailer.dir_len > chunk_bound(OBJECT_CHUNKS_MAX * 16))
        return err_set(err, ERR_CORRUPT, "directory of %u bytes", r->trailer.dir_len);
    if (p == NULL) {
        p = far = xmalloc(r->trailer.dir_len);
        TRY(read_exactly(r, r->trailer.dir_offset, r->trailer.dir_len, far, err));
    }
    coder_set_plain(r->coder, r->plain);
    result = chunk_decode_buf(r->coder, CHUNK_DIR, object_logical_pack(&r->head), r->trailer.chunks,
                              p, r->trailer.dir_len, OBJECT_CHUNKS_MAX * 16, &dir, NULL, err);
    coder_set_plain(r->coder, false);
    TRY(result);
    r->n_chunks = r->trailer.chunks;
    r->chunks = xcalloc(r->n_chunks, sizeof *r->chunks);
    return object_dir_parse(dir.p, dir.len, r->n_chunks, r->trailer.dir_offset, r->chunks, err);
}

/* ---- the window ---- */

static size_t round_up(uint64_t n)
{
    return (size_t)((n + FS_ALIGN - 1) / FS_ALIGN * FS_ALIGN);
}

static void want_window(struct object_reader *r, size_t size)
{
    uint8_t *larger;

    if (r->window_size >= size)
        return;
    larger = xaligned(FS_ALIGN, size);
    if (r->window_len != 0)
        memcpy(larger, r->window, r->window_len);
    free(r->window);
    r->window = larger;
    r->window_size = size;
}

/* Drops what lies before start, which is aligned; keeps what of the rest is there. */
static void move_window(struct object_reader *r, uint64_t start)
{
    uint64_t end = r->window_offset + r->window_len;
    size_t keep = start >= r->window_offset && start < end ? (size_t)(end - start) : 0;

    keep -= keep % FS_ALIGN;
    if (keep != 0)
        memmove(r->window, r->window + (start - r->window_offset), keep);
    r->window_offset = start;
    r->window_len = keep;
}

/* The window ends where a request does: at a multiple of FS_ALIGN or at the end of the object. */
static int fill_window(struct object_reader *r, uint64_t offset, size_t len, struct err *err)
{
    uint64_t start = offset - offset % FS_ALIGN, size;
    size_t wanted = round_up(offset - start + MAX_OF(len, r->ahead)), got;

    move_window(r, start);
    want_window(r, wanted);
    start += r->window_len;
    TRY(store_get(r->store, r->key, start, wanted - r->window_len, r->window + r->window_len, &got,
                  &size, err));
    if (size != r->size || got != MIN_OF((uint64_t)(wanted - r->window_len), r->size - start)) {
        r->window_len = 0;
        return err_set(err, ERR_CORRUPT, "%zu bytes at %llu of %llu: it changed or was cut off",
                       got, (unsigned long long)start, (unsigned long long)size);
    }
    r->window_len += got;
    return 0;
}

static int find_bytes(struct object_reader *r, uint64_t offset, size_t len, const uint8_t **p,
                      struct err *err)
{
    if (r->tail != NULL && (*p = in_tail(r, offset)) != NULL)
        return 0;
    if (offset < r->window_offset || offset + len > r->window_offset + r->window_len)
        TRY(fill_window(r, offset, len, err));
    *p = r->window + (offset - r->window_offset);
    return 0;
}

/* ---- opening ---- */

static void add_chunk(struct object_reader *r, const struct chunk_head *h, uint64_t offset)
{
    if (r->n_chunks % 16 == 0)
        r->chunks = xrealloc(r->chunks, (r->n_chunks + 16) * sizeof *r->chunks);
    r->chunks[r->n_chunks++] = (struct object_chunk){
        .type = h->type, .offset = offset, .stored_len = CHUNK_HEADER + h->body_len};
}

/*
 * The directory is encrypted and there is no key: the chunks in front that can be read without one
 * are found by their headers. Nobody vouches for this list but the chunks themselves.
 */
static int scan_public(struct object_reader *r, struct err *err)
{
    uint64_t offset = OBJECT_HEADER;

    r->ahead = READ_AHEAD_FIRST;
    while (offset + CHUNK_HEADER <= r->trailer.dir_offset && r->n_chunks < r->trailer.chunks) {
        const uint8_t *p;
        struct chunk_head h;
        TRY(find_bytes(r, offset, CHUNK_HEADER, &p, err));
        TRY(chunk_head_parse(p, &h, err));
        if (h.suite == SUITE_SEALED)
            break;
        if (h.index != r->n_chunks || h.body_len > r->trailer.dir_offset - offset - CHUNK_HEADER)
            return err_set(err, ERR_CORRUPT, "chunk %u of %u bytes where chunk %u should be",
                           h.index, h.body_len, r->n_chunks);
        add_chunk(r, &h, offset);
        offset += CHUNK_HEADER + h.body_len;
    }
    return 0;
}

/* The 4 KiB that hold the header hold a manifest's first chunk as well. */
static int read_header(struct object_reader *r, struct err *err)
{
    const uint8_t *p;

    TRY(find_bytes(r, 0, OBJECT_HEADER, &p, err));
    return object_head_parse(p, &r->head, err);
}

static int open_reader(struct object_reader *r, enum object_kind kind, const uint8_t repo_id[8],
                       struct err *err)
{
    TRY(read_tail(r, err));
    TRY(read_header(r, err));
    TRY(check_identity(r, kind, repo_id, err));
    r->plain = object_kind_plain(kind);
    if (r->head.suite == SUITE_SEALED && !coder_has_key(r->coder) && !r->plain)
        TRY(scan_public(r, err));
    else
        TRY(read_dir(r, err));
    r->ahead = 0;
    r->next = 0;
    return 0;
}

int object_open(struct object_reader **out, struct store *store, const char *key,
                enum object_kind kind, const uint8_t repo_id[8], struct coder *coder,
                struct err *err)
{
    AUTO(object_close) struct object_reader *r = xcalloc(1, sizeof *r);

    r->store = store;
    r->coder = coder;
    r->key = xstrdup(key);
    r->ahead_max = FS_IO_SIZE;
    if (open_reader(r, kind, repo_id, err) != 0)
        return err_context(err, "object \"%s\"", key);
    *out = TAKE(r);
    return 0;
}

void object_limit_ahead(struct object_reader *r, size_t bytes)
{
    r->ahead_max = MIN_OF(bytes, (size_t)FS_IO_SIZE);
}

const struct object_head *object_head(const struct object_reader *r)
{
    return &r->head;
}

uint64_t object_total_size(const struct object_reader *r)
{
    return r->size;
}

uint32_t object_chunks(const struct object_reader *r)
{
    return r->n_chunks;
}

const struct object_chunk *object_chunk(const struct object_reader *r, uint32_t index)
{
    return &r->chunks[index];
}

int object_find(const struct object_reader *r, enum chunk_type type)
{
    for (uint32_t i = 0; i < r->n_chunks; i++)
        if (r->chunks[i].type == type)
            return (int)i;
    return -1;
}

/* ---- chunks ---- */

static void plan_ahead(struct object_reader *r, uint32_t index)
{
    if (index != r->next)
        r->ahead = 0;
    else if (r->ahead < r->ahead_max)
        r->ahead = r->ahead == 0 ? (size_t)READ_AHEAD_FIRST : r->ahead * 2;
    r->next = index + 1;
}

static int stored_chunk(struct object_reader *r, uint32_t index, const uint8_t **p, struct err *err)
{
    const struct object_chunk *c;

    if (index >= r->n_chunks)
        return err_set(err, ERR_CORRUPT, "chunk %u is asked for, there are %u", index, r->n_chunks);
    c = &r->chunks[index];
    plan_ahead(r, index);
    return find_bytes(r, c->offset, c->stored_len, p, err);
}

static int read_buf(struct object_reader *r, uint32_t index, struct buf *out, uint32_t *items,
                    struct err *err)
{
    const uint8_t *p;
    int result;

    TRY(stored_chunk(r, index, &p, err));
    coder_set_plain(r->coder, r->plain);
    result = chunk_decode_buf(r->coder, r->chunks[index].type, object_logical_pack(&r->head), index,
                              p, r->chunks[index].stored_len, CHUNK_RAW_MAX, out, items, err);
    coder_set_plain(r->coder, false);
    return result;
}

int object_read(struct object_reader *r, uint32_t index, struct buf *out, uint32_t *items,
                struct err *err)
{
    if (read_buf(r, index, out, items, err) != 0)
        return err_context(err, "object \"%s\"", r->key);
    return 0;
}

static int read_into(struct object_reader *r, uint32_t index, void *dst, size_t cap,
                     size_t *raw_len, uint32_t *items, struct err *err)
{
    const uint8_t *p;
    int result;

    TRY(stored_chunk(r, index, &p, err));
    coder_set_plain(r->coder, r->plain);
    result = chunk_decode(r->coder, r->chunks[index].type, object_logical_pack(&r->head), index, p,
                          r->chunks[index].stored_len, dst, cap, raw_len, items, err);
    coder_set_plain(r->coder, false);
    return result;
}

int object_get_small(struct store *store, const char *key, enum object_kind kind,
                     const uint8_t repo_id[8], struct coder *coder, enum chunk_type type,
                     struct buf *out, struct err *err)
{
    AUTO(object_close) struct object_reader *r = NULL;

    TRY(object_open(&r, store, key, kind, repo_id, coder, err));
    if (object_chunks(r) != 1 || object_chunk(r, 0)->type != type)
        return err_set(err, ERR_CORRUPT, "object \"%s\": %u chunks, expected one of type %d", key,
                       object_chunks(r), (int)type);
    return object_read(r, 0, out, NULL, err);
}

int object_read_into(struct object_reader *r, uint32_t index, void *dst, size_t cap,
                     size_t *raw_len, uint32_t *items, struct err *err)
{
    if (read_into(r, index, dst, cap, raw_len, items, err) != 0)
        return err_context(err, "object \"%s\"", r->key);
    return 0;
}
