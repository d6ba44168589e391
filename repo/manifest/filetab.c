/*
 * filetab.c - blocks of the file table, and its index. Forms (docs/format.md, "FILETAB",
 * "FILEIDX"):
 *
 * FILETAB: uv entries, each: uv bytes shared with the path before (first: 0), uv length, rest of
 * the path, u8 type, uv attribute, sv mtime - the one before; a file adds uv size, u32 CRC-32C, u8
 * place and 0 nothing | 1 uv length, map | 2 uv MAP chunk, uv offset, uv length | 3 uv set, uv
 * pack, uv chunk, uv offset; place + 16: the CRC-32C is not known, and 0. A link adds uv length,
 * target. FILEIDX: uv blocks, each: uv length,
 * first path, place, uv entries; uv maps, each a place. Place: uv set, uv pack, uv chunk; set 0 is
 * the manifest itself.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "repo/manifest/manifest_form.h"

enum stored_place { STORED_EMPTY = 0, STORED_INLINE = 1, STORED_MAP = 2, STORED_BUNDLE = 3 };
enum { STORED_NO_CRC = 0x10 }; /* added to the place */

int path_compare(const char *a, const char *b)
{
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;

    while (*x != '\0' && *x == *y) {
        x++;
        y++;
    }
    if (*x == *y)
        return 0;
    /* The end of a path sorts before everything, '/' before every other byte. */
    if (*x == '\0' || *y == '\0')
        return *x == '\0' ? -1 : 1;
    if (*x == '/' || *y == '/')
        return *x == '/' ? -1 : 1;
    return *x < *y ? -1 : 1;
}

/* No empty component, no "." or "..", nothing absolute: a restore creates these names. */
static bool path_is_safe(const char *path, size_t len)
{
    size_t start = 0;

    for (size_t i = 0; i <= len; i++) {
        if (i < len && path[i] != '/')
            continue;
        if (i == start || (i == start + 1 && path[start] == '.') ||
            (i == start + 2 && path[start] == '.' && path[start + 1] == '.'))
            return false;
        start = i + 1;
    }
    return len != 0;
}

/* ---- writing ---- */

int filetab_check(const struct entry *e, struct err *err)
{
    size_t len = strlen(e->path);

    if (len > ENTRY_PATH_MAX || !path_is_safe(e->path, len))
        return err_set(err, ERR_FAILED, "path \"%.200s\" of %zu bytes cannot be stored", e->path,
                       len);
    if (strlen(e->user) > OWNER_NAME_MAX || strlen(e->group) > OWNER_NAME_MAX)
        return err_set(err, ERR_FAILED,
                       "owner \"%.300s\", group \"%.300s\" of \"%.200s\": at most %d "
                       "bytes can be stored",
                       e->user, e->group, e->path, OWNER_NAME_MAX);
    if (e->type == ENTRY_LINK &&
        (e->target == NULL || e->target[0] == '\0' || strlen(e->target) > ENTRY_PATH_MAX))
        return err_set(err, ERR_FAILED,
                       "link \"%.200s\" leads nowhere, or its target has more than %d bytes",
                       e->path, ENTRY_PATH_MAX);
    if (e->type == ENTRY_FILE && e->place == PLACE_EMPTY && e->size != 0)
        return err_set(err, ERR_FAILED, "file \"%.200s\" of %llu bytes is stored nowhere", e->path,
                       (unsigned long long)e->size);
    if (e->type == ENTRY_FILE && e->place == PLACE_BUNDLE &&
        (e->offset > CHUNK_RAW_MAX || e->size > (uint64_t)CHUNK_RAW_MAX - e->offset))
        return err_set(err, ERR_FAILED,
                       "file \"%.200s\" of %llu bytes at %u is no part of a bundle", e->path,
                       (unsigned long long)e->size, e->offset);
    return 0;
}

void filetab_reset(struct filetab_writer *w)
{
    buf_clear(&w->rows);
    buf_clear(&w->last_path);
    buf_clear(&w->first_path);
    w->last_mtime_s = 0;
    w->n = 0;
}

void filetab_free(struct filetab_writer *w)
{
    buf_free(&w->rows);
    buf_free(&w->last_path);
    buf_free(&w->first_path);
}

static void add_path(struct filetab_writer *w, const char *path)
{
    size_t len = strlen(path), shared = 0;
    size_t most = w->n == 0 ? 0 : MIN_OF(len, w->last_path.len);

    while (shared < most && path[shared] == w->last_path.p[shared])
        shared++;
    buf_uv(&w->rows, shared);
    buf_blob(&w->rows, path + shared, len - shared);
    if (w->n == 0)
        buf_add(&w->first_path, path, len);
    w->last_path.len = shared;
    buf_add(&w->last_path, path + shared, len - shared);
}

static void add_place(struct filetab_writer *w, const struct entry *e, const struct map_ref *ref)
{
    uint8_t more = e->crc_unknown ? STORED_NO_CRC : 0;

    if (e->place == PLACE_EMPTY) {
        buf_u8(&w->rows, STORED_EMPTY | more);
    } else if (e->place == PLACE_BUNDLE) {
        buf_u8(&w->rows, STORED_BUNDLE | more);
        buf_uv(&w->rows, e->set);
        buf_uv(&w->rows, e->pack);
        buf_uv(&w->rows, e->chunk);
        buf_uv(&w->rows, e->offset);
    } else if (ref != NULL) {
        buf_u8(&w->rows, STORED_MAP | more);
        buf_uv(&w->rows, ref->map);
        buf_uv(&w->rows, ref->offset);
        buf_uv(&w->rows, ref->len);
    } else {
        buf_u8(&w->rows, STORED_INLINE | more);
        buf_blob(&w->rows, e->map, e->map_len);
    }
}

void filetab_add(struct filetab_writer *w, const struct entry *e, uint32_t attribute,
                 const struct map_ref *ref)
{
    add_path(w, e->path);
    buf_u8(&w->rows, (uint8_t)e->type);
    buf_uv(&w->rows, attribute);
    buf_sv(&w->rows, (int64_t)((uint64_t)e->mtime_s - (uint64_t)w->last_mtime_s));
    w->last_mtime_s = e->mtime_s;
    w->n++;
    if (e->type == ENTRY_FILE) {
        buf_uv(&w->rows, e->size);
        buf_u32(&w->rows, e->crc_unknown ? 0 : e->crc32c);
        add_place(w, e, ref);
    } else if (e->type == ENTRY_LINK) {
        buf_blob(&w->rows, e->target, strlen(e->target));
    }
}

void filetab_finish(const struct filetab_writer *w, struct buf *out)
{
    buf_clear(out);
    buf_uv(out, w->n);
    buf_add(out, w->rows.p, w->rows.len);
}

/* ---- reading ---- */

static int bad(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "file table: %s", what);
}

int filetab_begin(struct filetab_reader *r, const void *bytes, size_t len, struct err *err)
{
    r->in = cursor_of(bytes, len);
    r->left = (uint32_t)cur_uv_max(&r->in, FILETAB_ENTRIES);
    r->mtime_s = 0;
    buf_clear(&r->path);
    return r->in.bad || r->left == 0 ? bad(err, "an empty block") : 0;
}

void filetab_end(struct filetab_reader *r)
{
    buf_free(&r->path);
    buf_free(&r->target);
}

/* Only the part that is new has to be looked at, back to where its component begins. */
static int read_path(struct filetab_reader *r, struct err *err)
{
    size_t shared = (size_t)cur_uv_max(&r->in, r->path.len), len, from = shared;
    const uint8_t *rest = cur_blob(&r->in, &len);
    unsigned char before = shared < r->path.len ? (unsigned char)r->path.p[shared] : '\0';
    bool first = r->path.len == 0;

    if (r->in.bad || shared + len > ENTRY_PATH_MAX || len == 0 || memchr(rest, '\0', len) != NULL)
        return bad(err, "malformed path");
    /* Ascending order, as path_compare() has it: the first differing byte decides. */
    if (!first && before != '\0' &&
        (before == rest[0] || rest[0] == '/' || (before != '/' && before > rest[0])))
        return bad(err, "paths out of order");
    r->path.len = shared;
    buf_add(&r->path, rest, len);
    while (from > 0 && r->path.p[from - 1] != '/')
        from--;
    if (!path_is_safe(r->path.p + from, r->path.len - from))
        return bad(err, "a path with an empty, \".\" or \"..\" component");
    return 0;
}

static int read_place(struct filetab_reader *r, const struct filetab_limits *limits,
                      struct entry *e, struct map_ref *ref, struct err *err)
{
    uint8_t place = cur_u8(&r->in);

    e->crc_unknown = (place & STORED_NO_CRC) != 0;
    if (e->crc_unknown && e->crc32c != 0)
        return bad(err, "a CRC that is not known has a value");
    switch ((enum stored_place)(place & ~STORED_NO_CRC)) {
    case STORED_EMPTY:
        e->place = PLACE_EMPTY;
        return e->size == 0 ? 0 : bad(err, "an empty file with a size");
    case STORED_INLINE:
        e->place = PLACE_MAP;
        e->map = cur_blob(&r->in, &e->map_len);
        return 0;
    case STORED_MAP:
        e->place = PLACE_MAP;
        ref->map = (uint32_t)cur_uv_max(&r->in, UINT32_MAX);
        ref->offset = (uint32_t)cur_uv_max(&r->in, MAP_CHUNK_MAX);
        ref->len = (uint32_t)cur_uv_max(&r->in, MAP_CHUNK_MAX);
        return ref->map < limits->maps && ref->len != 0 ? 0 : bad(err, "a map that is not there");
    case STORED_BUNDLE:
        e->place = PLACE_BUNDLE;
        e->set = (uint32_t)cur_uv_max(&r->in, UINT32_MAX);
        e->pack = (uint32_t)cur_uv_max(&r->in, PACK_NONE - 1);
        e->chunk = (uint32_t)cur_uv_max(&r->in, OBJECT_CHUNKS_MAX - 1);
        e->offset = (uint32_t)cur_uv_max(&r->in, CHUNK_RAW_MAX);
        if (e->size > (uint64_t)CHUNK_RAW_MAX - e->offset)
            return bad(err, "a file larger than its bundle");
        return e->set != SET_ZERO && e->set < limits->sets ? 0 : bad(err, "an unknown set");
    }
    return bad(err, "an unknown kind of place");
}

static int read_link(struct filetab_reader *r, struct entry *e, struct err *err)
{
    size_t len;
    const uint8_t *target = cur_blob(&r->in, &len);

    if (target == NULL || len == 0 || len > ENTRY_PATH_MAX || memchr(target, '\0', len) != NULL)
        return bad(err, "malformed link");
    buf_clear(&r->target);
    buf_add(&r->target, target, len);
    e->target = buf_text(&r->target);
    return 0;
}

int filetab_next(struct filetab_reader *r, const struct filetab_limits *limits, struct entry *e,
                 struct map_ref *ref, struct err *err)
{
    uint32_t attribute;
    uint8_t type;

    *e = (struct entry){.target = ""};
    *ref = (struct map_ref){0};
    if (r->left == 0)
        return cur_done(&r->in) ? 0 : bad(err, "bytes left over");
    r->left--;
    TRY(read_path(r, err));
    type = cur_u8(&r->in);
    attribute = (uint32_t)cur_uv_max(&r->in, UINT32_MAX);
    r->mtime_s = (int64_t)((uint64_t)r->mtime_s + (uint64_t)cur_sv(&r->in));
    if (r->in.bad || attribute >= limits->attributes->n || type < ENTRY_DIR || type > ENTRY_LINK)
        return bad(err, "malformed entry");
    e->path = buf_text(&r->path);
    e->type = (enum entry_type)type;
    e->mode = limits->attributes->items[attribute].mode;
    e->user = limits->attributes->items[attribute].user;
    e->group = limits->attributes->items[attribute].group;
    e->mtime_s = r->mtime_s;
    if (type == ENTRY_FILE) {
        e->size = cur_uv(&r->in);
        e->crc32c = cur_u32(&r->in);
        TRY(read_place(r, limits, e, ref, err));
    } else if (type == ENTRY_LINK) {
        TRY(read_link(r, e, err));
    }
    return r->in.bad ? bad(err, "cut off") : 1;
}

/* ---- the index ---- */

static void write_place(const struct table_place *p, struct buf *out)
{
    buf_uv(out, p->set);
    buf_uv(out, p->pack);
    buf_uv(out, p->chunk);
}

void file_index_write(const struct file_index *x, struct buf *out)
{
    buf_uv(out, x->n_blocks);
    for (uint32_t i = 0; i < x->n_blocks; i++) {
        buf_blob(out, x->blocks[i].first_path, strlen(x->blocks[i].first_path));
        write_place(&x->blocks[i].at, out);
        buf_uv(out, x->blocks[i].entries);
    }
    buf_uv(out, x->n_maps);
    for (uint32_t i = 0; i < x->n_maps; i++)
        write_place(&x->maps[i], out);
}

static void read_table_place(struct cursor *c, uint32_t sets, struct table_place *p)
{
    p->set = (uint32_t)cur_uv_max(c, sets - 1);
    p->pack = (uint32_t)cur_uv_max(c, PACK_NONE - 1);
    p->chunk = (uint32_t)cur_uv_max(c, OBJECT_CHUNKS_MAX - 1);
}

static int parse_index(struct cursor *c, uint32_t sets, struct file_index *x, struct err *err)
{
    uint32_t n = (uint32_t)cur_uv_max(c, cur_left(c) / 6);

    x->blocks = xcalloc(n, sizeof *x->blocks);
    for (uint32_t i = 0; i < n; i++) {
        x->blocks[i].first_path = cur_text(c, ENTRY_PATH_MAX);
        x->n_blocks = i + 1;
        read_table_place(c, sets, &x->blocks[i].at);
        x->blocks[i].entries = (uint32_t)cur_uv_max(c, FILETAB_ENTRIES);
        if (c->bad ||
            (i != 0 && path_compare(x->blocks[i - 1].first_path, x->blocks[i].first_path) >= 0))
            return bad(err, "malformed index");
    }
    n = (uint32_t)cur_uv_max(c, cur_left(c) / 3);
    x->maps = xcalloc(n, sizeof *x->maps);
    x->n_maps = n;
    for (uint32_t i = 0; i < n; i++)
        read_table_place(c, sets, &x->maps[i]);
    return cur_done(c) ? 0 : bad(err, "malformed index");
}

int file_index_parse(const void *bytes, size_t len, uint32_t sets, struct file_index *x,
                     struct err *err)
{
    struct cursor c = cursor_of(bytes, len);

    *x = (struct file_index){0};
    if (parse_index(&c, sets, x, err) == 0)
        return 0;
    file_index_free(x);
    return -1;
}

void file_index_free(struct file_index *x)
{
    for (uint32_t i = 0; i < x->n_blocks; i++)
        free(x->blocks[i].first_path);
    free(x->blocks);
    free(x->maps);
    *x = (struct file_index){0};
}
