/* wal_fetch.c - reading archived WAL files, their indexes and their names. See wal_object.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/queue.h"
#include "postgres/lsn.h"
#include "repo/object/object.h"
#include "repo/wal/wal_form.h"
#include "repo/wal/wal_object.h"

struct opened {
    struct coder *coder;
    struct object_reader *reader;
    struct buf key;
    char label[OBJECT_LABEL + 1];
    bool segment;
};

static void opened_close(struct opened *o)
{
    object_close(&o->reader);
    coder_free(&o->coder);
    buf_free(&o->key);
}

static int open_file(struct repo *r, uint64_t system_id, unsigned major, const char *file,
                     struct opened *o, struct err *err)
{
    o->segment = wal_is_segment(file);
    TRY(name_wal(&o->key, repo_cluster(r), system_id, major, file, err));
    TRY(label_wal(o->label, system_id, file, err));
    TRY(repo_coder(r, o->label, &o->coder, err));
    TRY(object_open(&o->reader, repo_store(r), o->key.p, o->segment ? OBJECT_WAL : OBJECT_WAL_OTHER,
                    repo_id(r), o->coder, err));
    return 0;
}

/* Data chunks come first, an index last. */
static uint32_t data_chunks(const struct opened *o)
{
    uint32_t n = object_chunks(o->reader);

    return n != 0 && object_chunk(o->reader, n - 1)->type == CHUNK_WALSUM ? n - 1 : n;
}

/* Without the key nothing of an encrypted file can be read, not even how much there is. */
static int want_key(const struct repo *r, const char *file, struct err *err)
{
    if (!repo_encrypted(r) || repo_key(r) != NULL)
        return 0;
    return err_set(err, ERR_KEY, "WAL file \"%s\" cannot be read without the key", file);
}

/* ---- decoding with several threads ---- */

struct unpack {
    struct repo *repo;
    uint64_t system_id;
    unsigned major;
    const char *file;
    uint8_t *out;
    size_t cap;
    uint32_t chunks;
    unsigned threads;
    size_t last_len; /* of the last chunk; all others are full */
};

static int unpack_range(struct unpack *u, struct opened *o, uint32_t first, uint32_t end,
                        struct err *err)
{
    for (uint32_t i = first; i < end; i++) {
        size_t at = (size_t)i * WAL_CHUNK_SIZE, len;

        if (object_chunk(o->reader, i)->type != CHUNK_WAL)
            return err_set(err, ERR_CORRUPT, "object \"%s\": chunk %u is no WAL", o->key.p, i);
        TRY(object_read_into(o->reader, i, u->out + at, u->cap - at, &len, NULL, err));
        if (i + 1 < u->chunks && len != WAL_CHUNK_SIZE)
            return err_set(err, ERR_CORRUPT, "object \"%s\": chunk %u has %zu bytes, expected %d",
                           o->key.p, i, len, WAL_CHUNK_SIZE);
        if (i + 1 == u->chunks)
            u->last_len = len;
    }
    return 0;
}

static int unpack_work(void *ctx, unsigned index, struct err *err)
{
    struct unpack *u = ctx;
    AUTO(opened_close) struct opened o = {0};

    TRY(open_file(u->repo, u->system_id, u->major, u->file, &o, err));
    if (data_chunks(&o) != u->chunks)
        return err_set(err, ERR_CORRUPT, "object \"%s\" changed while it was read", o.key.p);
    return unpack_range(u, &o, (uint32_t)((uint64_t)u->chunks * index / u->threads),
                        (uint32_t)((uint64_t)u->chunks * (index + 1) / u->threads), err);
}

static int unpack_segment(struct unpack *u, struct opened *o, unsigned threads, struct err *err)
{
    struct workers *workers = NULL;

    u->threads = MAX_OF(1u, MIN_OF(threads, u->chunks));
    if (u->threads == 1)
        return unpack_range(u, o, 0, u->chunks, err);
    TRY(workers_start(&workers, u->threads, unpack_work, u, NULL, err));
    return workers_join(&workers, err);
}

static int too_long(const struct opened *o, size_t len, size_t max_len, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "object \"%s\" holds %zu bytes, at most %zu are expected",
                   o->key.p, len, max_len);
}

static int get_text(struct opened *o, size_t max_len, struct buf *out, struct err *err)
{
    if (object_chunks(o->reader) != 1 || object_chunk(o->reader, 0)->type != CHUNK_TEXT)
        return err_set(err, ERR_CORRUPT, "object \"%s\" has %u chunks, expected one of text",
                       o->key.p, object_chunks(o->reader));
    TRY(object_read(o->reader, 0, out, NULL, err));
    return out->len <= max_len ? 0 : too_long(o, out->len, max_len, err);
}

static int get_segment(struct unpack *u, struct opened *o, unsigned threads, size_t max_len,
                       struct buf *out, struct err *err)
{
    u->chunks = data_chunks(o);
    u->cap = (size_t)u->chunks * WAL_CHUNK_SIZE;
    if (u->chunks == 0)
        return err_set(err, ERR_CORRUPT, "object \"%s\" holds no WAL", o->key.p);
    if (u->cap - WAL_CHUNK_SIZE >= max_len)
        return too_long(o, u->cap, max_len, err);
    buf_reserve(out, u->cap);
    u->out = (uint8_t *)out->p;
    TRY(unpack_segment(u, o, threads, err));
    out->len = u->cap - WAL_CHUNK_SIZE + u->last_len;
    return out->len <= max_len ? 0 : too_long(o, out->len, max_len, err);
}

int wal_object_get(struct repo *r, uint64_t system_id, unsigned major, const char *file,
                   size_t max_len, unsigned threads, struct buf *out, struct err *err)
{
    AUTO(opened_close) struct opened o = {0};
    struct unpack u = {.repo = r, .system_id = system_id, .major = major, .file = file};
    int rc;

    buf_clear(out);
    TRY(open_file(r, system_id, major, file, &o, err));
    TRY(want_key(r, file, err));
    rc = o.segment ? get_segment(&u, &o, threads, max_len, out, err)
                   : get_text(&o, max_len, out, err);
    if (rc != 0)
        buf_clear(out);
    return rc;
}

int wal_object_index(struct repo *r, uint64_t system_id, unsigned major, const char *file,
                     struct buf *out, struct wal_stored *stored, struct err *err)
{
    AUTO(opened_close) struct opened o = {0};
    int at;

    buf_clear(out);
    TRY(open_file(r, system_id, major, file, &o, err));
    TRY(want_key(r, file, err));
    at = object_find(o.reader, CHUNK_WALSUM);
    if (at < 0)
        return err_set(err, ERR_NOT_FOUND, "object \"%s\" carries no WAL index", o.key.p);
    if (stored != NULL) {
        memcpy(stored->tag, object_head(o.reader)->tag, sizeof stored->tag);
        stored->size = object_total_size(o.reader);
    }
    return object_read(o.reader, (uint32_t)at, out, NULL, err);
}

int wal_object_exists(struct repo *r, uint64_t system_id, unsigned major, const char *file,
                      bool *whole, struct err *err)
{
    AUTO(opened_close) struct opened o = {0};

    *whole = false;
    if (open_file(r, system_id, major, file, &o, err) == 0) {
        *whole = true;
        return 0;
    }
    if (err->code != ERR_NOT_FOUND && err->code != ERR_CORRUPT)
        return -1;
    err_clear(err);
    return 0;
}

/* ---- names ---- */

struct listing {
    int (*fn)(void *ctx, const struct wal_entry *e, struct err *err);
    void *ctx;
    bool histories;
};

/* "<tli>/<log>/" are the first 16 digits of the name: anything else would never be found again. */
static bool is_in_place(const struct store_entry *e, const char *name)
{
    return name - e->key >= 18 && memcmp(name - 18, name, 8) == 0 &&
           memcmp(name - 9, name + 8, 8) == 0;
}

/* What is not named as WAL is not passed on. */
static int pass_on(void *ctx, const struct store_entry *e, struct err *err)
{
    struct listing *l = ctx;
    const char *slash = strrchr(e->key, '/');
    struct wal_entry w = {slash != NULL ? slash + 1 : e->key, e->size, e->modified_us};
    struct wal_file f;

    if (wal_file_parse(w.file, &f) != 0)
        return 0;
    if (l->histories ? f.kind != WAL_HISTORY
                     : (f.kind != WAL_SEGMENT && f.kind != WAL_PARTIAL) || !is_in_place(e, w.file))
        return 0;
    return l->fn(l->ctx, &w, err);
}

/* Directories of timelines (8 hex digits each), or of logs below one. */
struct dirs {
    char (*names)[9];
    size_t n;
};

static int note_dir(void *ctx, const struct store_entry *e, struct err *err)
{
    struct dirs *d = ctx;
    size_t len = strlen(e->key);
    const char *name = e->key + len - 9;

    (void)err;
    if (!e->is_prefix || len < 10 || name[-1] != '/' || strspn(name, "0123456789ABCDEFabcdef") != 8)
        return 0;
    d->names = xrealloc(d->names, (d->n + 1) * sizeof *d->names);
    memcpy(d->names[d->n], name, 8);
    d->names[d->n++][8] = '\0';
    return 0;
}

static void dirs_free(struct dirs *d)
{
    free(d->names);
}

static int list_timeline(struct repo *r, const char *root, const char *tli, uint32_t from_log,
                         struct listing *l, struct err *err)
{
    AUTO(buf_free) struct buf prefix = BUF_INIT;
    AUTO(dirs_free) struct dirs logs = {0};

    buf_addf(&prefix, "%s%s/", root, tli);
    TRY(store_list(repo_store(r), prefix.p, STORE_SHALLOW, note_dir, &logs, NULL, err));
    for (size_t i = 0; i < logs.n; i++) {
        if (strtoul(logs.names[i], NULL, 16) < from_log)
            continue;
        buf_clear(&prefix);
        buf_addf(&prefix, "%s%s/%s/", root, tli, logs.names[i]);
        TRY(store_list(repo_store(r), prefix.p, STORE_DEEP, pass_on, l, NULL, err));
    }
    return 0;
}

int wal_objects_list(struct repo *r, uint64_t system_id, unsigned major, uint32_t timeline,
                     uint32_t from_log,
                     int (*fn)(void *ctx, const struct wal_entry *e, struct err *err), void *ctx,
                     struct err *err)
{
    AUTO(buf_free) struct buf root = BUF_INIT;
    AUTO(dirs_free) struct dirs timelines = {0};
    struct listing l = {fn, ctx, false};

    name_wal_root(&root, repo_cluster(r), system_id, major);
    TRY(store_list(repo_store(r), root.p, STORE_SHALLOW, note_dir, &timelines, NULL, err));
    for (size_t i = 0; i < timelines.n; i++)
        if (timeline == 0 || strtoul(timelines.names[i], NULL, 16) == timeline)
            TRY(list_timeline(r, root.p, timelines.names[i], from_log, &l, err));
    return 0;
}

int wal_log_list(struct repo *r, uint64_t system_id, unsigned major, uint32_t timeline,
                 uint32_t log, int (*fn)(void *ctx, const struct wal_entry *e, struct err *err),
                 void *ctx, struct err *err)
{
    AUTO(buf_free) struct buf prefix = BUF_INIT;
    struct listing l = {fn, ctx, false};

    name_wal_root(&prefix, repo_cluster(r), system_id, major);
    buf_addf(&prefix, "%08X/%08X/", timeline, log);
    return store_list(repo_store(r), prefix.p, STORE_DEEP, pass_on, &l, NULL, err);
}

int wal_histories_list(struct repo *r, uint64_t system_id, unsigned major,
                       int (*fn)(void *ctx, const struct wal_entry *e, struct err *err), void *ctx,
                       struct err *err)
{
    AUTO(buf_free) struct buf prefix = BUF_INIT;
    struct listing l = {fn, ctx, true};

    name_wal_root(&prefix, repo_cluster(r), system_id, major);
    buf_adds(&prefix, "history/");
    return store_list(repo_store(r), prefix.p, STORE_DEEP, pass_on, &l, NULL, err);
}
