/*
 * contents.c - CONTENTS of a pack, built and parsed (docs/format.md, "CONTENTS"):
 *
 * uv version, u64 system id, uv major, uv timeline;
 *
 * uv paths, each: uv bytes shared with the path before, uv length, rest, uv file size, sv mtime
 * less the one before;
 *
 * uv chunks, each: u8 type, XXH3-128 of the raw bytes, uv raw length, and for PAGES: uv path, uv
 * runs, each: uv first block less the end of the run before, uv blocks; for BUNDLE: uv parts, each:
 * uv path, uv length.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "repo/pack/contents_form.h"

enum { CONTENTS_VERSION = 1, PATH_MAX_BYTES = 4096 };

/* ---- building ---- */

void contents_builder_reset(struct contents_builder *b)
{
    buf_clear(&b->paths);
    buf_clear(&b->chunks);
    buf_clear(&b->last_path);
    b->last_mtime_s = 0;
    b->n_paths = 0;
    b->n_chunks = 0;
    b->text = 0;
}

void contents_builder_free(struct contents_builder *b)
{
    buf_free(&b->paths);
    buf_free(&b->chunks);
    buf_free(&b->last_path);
}

/* The number of the path in the table; chunks of one file follow each other. */
static uint32_t path_number(struct contents_builder *b, const char *path, uint64_t size,
                            int64_t mtime_s)
{
    size_t len = strlen(path), shared = 0, most = MIN_OF(len, b->last_path.len);

    if (b->n_paths != 0 && len == b->last_path.len && memcmp(path, b->last_path.p, len) == 0)
        return b->n_paths - 1;
    while (shared < most && path[shared] == b->last_path.p[shared])
        shared++;
    buf_uv(&b->paths, shared);
    buf_blob(&b->paths, path + shared, len - shared);
    buf_uv(&b->paths, size);
    buf_sv(&b->paths, (int64_t)((uint64_t)mtime_s - (uint64_t)b->last_mtime_s));
    b->text += len;
    buf_clear(&b->last_path);
    buf_add(&b->last_path, path, len);
    b->last_mtime_s = mtime_s;
    return b->n_paths++;
}

void contents_add(struct contents_builder *b, enum chunk_type type, uint32_t raw_len,
                  const struct hash128 *hash, const struct chunk_note *note)
{
    uint32_t end = 0;

    buf_u8(&b->chunks, (uint8_t)type);
    buf_add(&b->chunks, hash->bytes, sizeof hash->bytes);
    buf_uv(&b->chunks, raw_len);
    b->n_chunks++;
    if (type == CHUNK_PAGES) {
        buf_uv(&b->chunks, path_number(b, note->path, note->file_size, note->mtime_s));
        buf_uv(&b->chunks, note->n_runs);
        for (unsigned i = 0; i < note->n_runs; i++) {
            buf_uv(&b->chunks, note->runs[i].first - end);
            buf_uv(&b->chunks, note->runs[i].count);
            end = note->runs[i].first + note->runs[i].count;
        }
        return;
    }
    buf_uv(&b->chunks, note->n_parts);
    for (unsigned i = 0; i < note->n_parts; i++) {
        buf_uv(&b->chunks, path_number(b, note->parts[i].path, note->parts[i].length, 0));
        buf_uv(&b->chunks, note->parts[i].length);
    }
}

bool contents_full(const struct contents_builder *b)
{
    return b->paths.len + b->chunks.len >= CHUNK_RAW_MAX / 2 ||
           b->n_paths >= CONTENTS_PATHS_MAX / 2 || b->text >= CONTENTS_TEXT_MAX / 2;
}

void contents_finish(const struct contents_builder *b, const struct set_identity *id,
                     struct buf *out)
{
    buf_clear(out);
    buf_uv(out, CONTENTS_VERSION);
    buf_u64(out, id->system_id);
    buf_uv(out, id->major);
    buf_uv(out, id->timeline);
    buf_uv(out, b->n_paths);
    buf_add(out, b->paths.p, b->paths.len);
    buf_uv(out, b->n_chunks);
    buf_add(out, b->chunks.p, b->chunks.len);
}

/* ---- parsing ---- */

/* Arrays grow with what is really there, never with what is announced. */
#define GROW(array, n, cap)                                       \
    do {                                                          \
        if ((n) == (cap)) {                                       \
            (cap) = (cap)*2 + 64;                                 \
            (array) = xrealloc((array), (cap) * sizeof *(array)); \
        }                                                         \
    } while (0)

struct parse {
    struct cursor in;
    struct contents *c;
    uint32_t chunks_cap, runs_cap, parts_cap;
};

static int bad(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "contents of a pack: %s", what);
}

static int parse_paths(struct parse *p, struct err *err)
{
    struct contents *c = p->c;
    uint32_t n =
        (uint32_t)cur_uv_max(&p->in, MIN_OF((size_t)CONTENTS_PATHS_MAX, cur_left(&p->in) / 4));
    const char *before = "";
    size_t before_len = 0, text = 0;
    int64_t mtime_s = 0;

    c->paths = xcalloc(n, sizeof *c->paths);
    c->sizes = xcalloc(n, sizeof *c->sizes);
    c->mtimes = xcalloc(n, sizeof *c->mtimes);
    for (uint32_t i = 0; i < n; i++) {
        size_t shared = (size_t)cur_uv_max(&p->in, before_len), len;
        const uint8_t *rest = cur_blob(&p->in, &len);

        text += shared + len;
        if (p->in.bad || shared + len > PATH_MAX_BYTES || text > CONTENTS_TEXT_MAX ||
            memchr(rest, '\0', len) != NULL)
            return bad(err, "malformed path");
        c->paths[i] = xmalloc(shared + len + 1);
        memcpy(c->paths[i], before, shared);
        memcpy(c->paths[i] + shared, rest, len);
        c->paths[i][shared + len] = '\0';
        c->n_paths = i + 1;
        c->sizes[i] = cur_uv(&p->in);
        mtime_s = (int64_t)((uint64_t)mtime_s + (uint64_t)cur_sv(&p->in));
        c->mtimes[i] = mtime_s;
        before = c->paths[i];
        before_len = shared + len;
    }
    return p->in.bad ? bad(err, "cut off in its paths") : 0;
}

static int parse_runs(struct parse *p, struct contents_chunk *k, struct err *err)
{
    struct contents *c = p->c;
    uint64_t end = 0;

    k->path = (uint32_t)cur_uv_max(&p->in, UINT32_MAX);
    k->n_runs = (uint32_t)cur_uv_max(&p->in, CHUNK_DATA_SIZE / 512);
    k->first_run = c->n_runs;
    if (p->in.bad || k->path >= c->n_paths || k->n_runs == 0)
        return bad(err, "chunk of pages without a path");
    for (uint32_t i = 0; i < k->n_runs; i++) {
        uint64_t first = end + cur_uv_max(&p->in, UINT32_MAX);
        uint64_t count = cur_uv_max(&p->in, UINT32_MAX);

        end = first + count;
        if (p->in.bad || count == 0 || end > UINT32_MAX)
            return bad(err, "impossible blocks");
        GROW(c->runs, c->n_runs, p->runs_cap);
        c->runs[c->n_runs++] = (struct block_run){(uint32_t)first, (uint32_t)count};
    }
    return 0;
}

static int parse_parts(struct parse *p, struct contents_chunk *k, struct err *err)
{
    struct contents *c = p->c;
    uint32_t at = 0;

    k->n_parts = (uint32_t)cur_uv_max(&p->in, cur_left(&p->in) / 2);
    k->first_part = c->n_parts;
    for (uint32_t i = 0; i < k->n_parts; i++) {
        uint32_t path = (uint32_t)cur_uv_max(&p->in, UINT32_MAX);
        uint32_t length = (uint32_t)cur_uv_max(&p->in, k->raw_len - at);

        if (p->in.bad || path >= c->n_paths)
            return bad(err, "bundle of files that are not there");
        GROW(c->parts, c->n_parts, p->parts_cap);
        c->parts[c->n_parts++] = (struct contents_part){path, at, length};
        at += length;
    }
    return p->in.bad || at != k->raw_len ? bad(err, "bundle whose files do not add up") : 0;
}

static int parse_chunk(struct parse *p, struct err *err)
{
    struct contents *c = p->c;
    struct contents_chunk k = {.type = (enum chunk_type)cur_u8(&p->in)};
    const uint8_t *hash = cur_bytes(&p->in, HASH128_SIZE);

    k.raw_len = (uint32_t)cur_uv_max(&p->in, CHUNK_RAW_MAX);
    if (p->in.bad)
        return bad(err, "cut off in its chunks");
    memcpy(k.hash.bytes, hash, HASH128_SIZE);
    if (k.type == CHUNK_PAGES)
        TRY(parse_runs(p, &k, err));
    else if (k.type == CHUNK_BUNDLE)
        TRY(parse_parts(p, &k, err));
    else
        return bad(err, "a chunk that is neither pages nor a bundle");
    GROW(c->chunks, c->n_chunks, p->chunks_cap);
    c->chunks[c->n_chunks++] = k;
    return 0;
}

static int parse_all(struct parse *p, struct err *err)
{
    uint64_t version = cur_uv(&p->in), n;

    if (p->in.bad || version != CONTENTS_VERSION)
        return bad(err, "unknown version");
    p->c->id.system_id = cur_u64(&p->in);
    p->c->id.major = (uint32_t)cur_uv_max(&p->in, UINT32_MAX);
    p->c->id.timeline = (uint32_t)cur_uv_max(&p->in, UINT32_MAX);
    TRY(parse_paths(p, err));
    n = cur_uv_max(&p->in, OBJECT_CHUNKS_MAX);
    for (uint64_t i = 0; i < n; i++)
        TRY(parse_chunk(p, err));
    return cur_done(&p->in) ? 0 : bad(err, "bytes left over");
}

int contents_parse(const void *bytes, size_t len, struct contents *c, struct err *err)
{
    struct parse p = {.in = cursor_of(bytes, len), .c = c};

    *c = (struct contents){0};
    if (parse_all(&p, err) == 0)
        return 0;
    contents_free(c);
    return -1;
}

void contents_free(struct contents *c)
{
    for (uint32_t i = 0; i < c->n_paths; i++)
        free(c->paths[i]);
    free(c->paths);
    free(c->sizes);
    free(c->mtimes);
    free(c->chunks);
    free(c->runs);
    free(c->parts);
    *c = (struct contents){0};
}
