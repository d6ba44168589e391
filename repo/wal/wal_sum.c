/* wal_sum.c - see wal_sum.h. */
#include "repo/wal/wal_sum.h"

#include <stdlib.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/object/object.h"
#include "repo/object/settle.h"

enum { SUM_VERSION = 1, STORED_MIN = 17 /* bytes that the entry of a segment takes at least */ };

void wal_sum_init(struct wal_sum *s)
{
    wal_index_init(&s->ix);
    s->stored = NULL;
}

void wal_sum_free(struct wal_sum *s)
{
    wal_index_free(&s->ix);
    mem_free(&s->stored);
}

static struct sum_name name_of(const struct wal_sum *s)
{
    return (struct sum_name){s->ix.tli, s->ix.start, wal_index_end(&s->ix)};
}

/* ---- stored form ---- */

void wal_sum_write(const struct wal_sum *s, struct buf *out)
{
    buf_u8(out, SUM_VERSION);
    buf_uv(out, (uint64_t)s->ix.further + 1);
    for (uint32_t i = 0; i <= s->ix.further; i++) {
        buf_add(out, s->stored[i].tag, sizeof s->stored[i].tag);
        buf_uv(out, s->stored[i].size);
    }
    wal_index_write(&s->ix, out);
}

static int read_stored(struct cursor *c, struct wal_sum *s, uint32_t *n, struct err *err)
{
    unsigned version = cur_u8(c);

    if (version != SUM_VERSION && !c->bad)
        return err_set(err, ERR_UNSUPPORTED,
                       "sum of WAL indexes: version %u, this program knows %d", version,
                       (int)SUM_VERSION);
    *n = (uint32_t)cur_uv_max(c, MIN_OF(cur_left(c) / STORED_MIN, (size_t)WAL_SUM_SEGMENTS_MAX));
    s->stored = xcalloc(*n, sizeof *s->stored);
    for (uint32_t i = 0; i < *n; i++) {
        const uint8_t *tag = cur_bytes(c, sizeof s->stored[i].tag);

        if (tag != NULL)
            memcpy(s->stored[i].tag, tag, sizeof s->stored[i].tag);
        s->stored[i].size = cur_uv(c);
    }
    if (c->bad || *n < 2)
        return err_set(err, ERR_CORRUPT, "sum of WAL indexes: malformed list of segments");
    return 0;
}

/* Only what tells everything is made into a sum. */
static int check_whole(const struct wal_index *ix, struct err *err)
{
    const uint32_t doubts = WAL_INDEX_ENDS | WAL_INDEX_STOPPED | WAL_INDEX_NO_BLOCKS |
                            WAL_INDEX_NO_HISTORY | WAL_INDEX_MINIMAL;

    if (ix->major == 0 || (ix->flags & doubts) != 0)
        return err_set(err, ERR_CORRUPT, "sum of WAL indexes: flags 0x%x, which no sum has",
                       ix->flags);
    return 0;
}

static int check_name(const struct wal_sum *s, const struct sum_name *want, uint64_t system_id,
                      unsigned major, struct err *err)
{
    struct sum_name is = name_of(s);
    char from[LSN_TEXT], to[LSN_TEXT];

    if (s->ix.system_id == system_id && s->ix.major == major && is.timeline == want->timeline &&
        is.start == want->start && is.end == want->end)
        return 0;
    return err_set(err, ERR_FOREIGN,
                   "sum of WAL indexes: it is of timeline %u from %s to %s, of another system or "
                   "under another's name",
                   is.timeline, lsn_format(is.start, from), lsn_format(is.end, to));
}

static int read_all(struct cursor *c, const struct sum_name *name, uint64_t system_id,
                    unsigned major, struct wal_sum *s, struct err *err)
{
    uint32_t n = 0;

    TRY(read_stored(c, s, &n, err));
    TRY(wal_index_read_sum(c->p, cur_left(c), WAL_INDEX_ALL, n - 1, &s->ix, err));
    TRY(check_whole(&s->ix, err));
    return check_name(s, name, system_id, major, err);
}

int wal_sum_read(const void *data, size_t len, const struct sum_name *name, uint64_t system_id,
                 unsigned major, struct wal_sum *s, struct err *err)
{
    struct cursor c = cursor_of(data, len);

    wal_sum_free(s);
    if (read_all(&c, name, system_id, major, s, err) == 0)
        return 0;
    wal_sum_free(s);
    return -1;
}

/* ---- objects ---- */

static int write_object(struct repo *r, const char *key, const struct sum_name *name,
                        uint64_t system_id, const struct buf *raw, struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(object_abandon) struct object_writer *w = NULL;
    struct object_head head = {.kind = OBJECT_WAL_SUMMARY};
    uint64_t size = 0;

    label_sum(head.label, system_id, name);
    memcpy(head.repo_id, repo_id(r), sizeof head.repo_id);
    TRY(repo_coder(r, head.label, &coder, err));
    TRY(object_create(&w, repo_store(r), key, STORE_CREATE_ONLY, &head, coder, err));
    TRY(object_add(w, CHUNK_WALSUM, CHUNK_PRIVATE, 1, raw->p, raw->len, NULL, err));
    if (object_commit(&w, STORE_DURABLE, &size, err) == 0)
        return 0;
    return object_settle(repo_store(r), key, &head, size, err);
}

int wal_sum_put(struct repo *r, const struct wal_sum *s, bool *made, struct err *err)
{
    AUTO(buf_free) struct buf raw = BUF_INIT, key = BUF_INIT;
    const struct sum_name name = name_of(s);

    *made = false;
    wal_sum_write(s, &raw);
    if (raw.len > CHUNK_RAW_MAX)
        return err_set(err, ERR_UNSUPPORTED,
                       "the sum of WAL indexes would have %zu bytes, at most %d are possible",
                       raw.len, (int)CHUNK_RAW_MAX);
    name_sum(&key, repo_cluster(r), s->ix.system_id, s->ix.major, &name);
    if (write_object(r, key.p, &name, s->ix.system_id, &raw, err) == 0) {
        *made = true;
        return 0;
    }
    if (err->code != ERR_EXISTS)
        return -1;
    err_clear(err);
    return 0;
}

int wal_sum_load(struct repo *r, uint64_t system_id, unsigned major, const struct sum_name *name,
                 struct buf *out, struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(buf_free) struct buf key = BUF_INIT;
    char label[OBJECT_LABEL + 1];

    buf_clear(out);
    name_sum(&key, repo_cluster(r), system_id, major, name);
    label_sum(label, system_id, name);
    if (repo_encrypted(r) && repo_key(r) == NULL)
        return err_set(err, ERR_KEY, "object \"%s\" cannot be read without the key", key.p);
    TRY(repo_coder(r, label, &coder, err));
    return object_get_small(repo_store(r), key.p, OBJECT_WAL_SUMMARY, repo_id(r), coder,
                            CHUNK_WALSUM, out, err);
}

/* ---- names ---- */

void sum_list_free(struct sum_list *l)
{
    free(l->items);
    *l = (struct sum_list){0};
}

static int take_name(void *ctx, const struct store_entry *e, struct err *err)
{
    struct sum_list *l = ctx;
    struct sum_name name;

    (void)err;
    if (e->is_prefix || !sum_name_parse(strrchr(e->key, '/') + 1, &name))
        return 0;
    if (l->n % 256 == 0)
        l->items = xrealloc(l->items, (l->n + 256) * sizeof *l->items);
    l->items[l->n++] = name;
    return 0;
}

int wal_sums_list(struct repo *r, uint64_t system_id, unsigned major, struct sum_list *out,
                  struct err *err)
{
    AUTO(buf_free) struct buf prefix = BUF_INIT;

    *out = (struct sum_list){0};
    name_sums(&prefix, repo_cluster(r), system_id, major);
    if (store_list(repo_store(r), prefix.p, STORE_SHALLOW, take_name, out, NULL, err) == 0) {
        if (out->n != 0)
            qsort(out->items, out->n, sizeof *out->items, sum_name_compare);
        return 0;
    }
    sum_list_free(out);
    return -1;
}
