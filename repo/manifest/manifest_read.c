/* manifest_read.c - opening a manifest, and what it says of the whole backup. Entries are in
 * entry_walk.c. */
#include <stdlib.h>

#include "base/fs.h"
#include "base/mem.h"
#include "repo/lease/lease.h"
#include "repo/manifest/manifest_form.h"
#include "repo/manifest/manifest_open.h"
#include "repo/object/object_form.h"

/* Enough for the whole manifest of a small cluster. */
enum { FRONT_READ = 16 << 10, INDEX_MAX = CHUNK_RAW_MAX };

/* ---- the front, without directory ---- */

struct front {
    struct repo *repo;
    const char *key;
    struct coder *coder;
    uint64_t size, at;
    struct buf bytes; /* from the start of the object */
};

static int front_need(struct front *f, uint64_t end, struct err *err)
{
    size_t want, got;

    if (end <= f->bytes.len)
        return 0;
    want = MAX_OF((size_t)(end - f->bytes.len), (size_t)FRONT_READ);
    buf_reserve(&f->bytes, want);
    TRY(store_get(repo_store(f->repo), f->key, f->bytes.len, want, f->bytes.p + f->bytes.len, &got,
                  &f->size, err));
    f->bytes.len += got;
    if (end > f->bytes.len)
        return err_set(err, ERR_CORRUPT, "cut off after %zu bytes", f->bytes.len);
    return 0;
}

static int front_chunk(struct front *f, uint32_t index, enum chunk_type type, struct buf *out,
                       struct err *err)
{
    struct chunk_head head;
    size_t len;

    TRY(front_need(f, f->at + CHUNK_HEADER, err));
    TRY(chunk_head_parse(f->bytes.p + f->at, &head, err));
    len = CHUNK_HEADER + (size_t)head.body_len;
    TRY(front_need(f, f->at + len, err));
    TRY(chunk_decode_buf(f->coder, type, PACK_NONE, index, f->bytes.p + f->at, len, CHUNK_RAW_MAX,
                         out, NULL, err));
    f->at += len;
    return 0;
}

static int front_head(struct front *f, const char *label, struct err *err)
{
    struct object_head head;

    TRY(front_need(f, OBJECT_HEADER, err));
    TRY(object_head_parse(f->bytes.p, &head, err));
    if (head.kind != OBJECT_MANIFEST || strcmp(head.label, label) != 0 ||
        memcmp(head.repo_id, repo_id(f->repo), sizeof head.repo_id) != 0)
        return err_set(err, ERR_FOREIGN,
                       "it is labelled \"%s\", of kind %d, perhaps of another "
                       "repository: it was not written here",
                       head.label, head.kind);
    f->at = OBJECT_HEADER;
    return 0;
}

/* Without the key nothing but the trailer's hash tells whether bytes are those that were written.
 */
static int front_trust(struct front *f, struct err *err)
{
    AUTO(mem_free) void *buffer = NULL;

    if (!repo_encrypted(f->repo) || repo_key(f->repo) != NULL)
        return 0;
    buffer = xaligned(FS_ALIGN, FS_IO_SIZE);
    return object_verify_at_rest(repo_store(f->repo), f->key, buffer, NULL, NULL, err);
}

/* What stands in front is there as well where the end is missing: cut off, or never finished.
 * Nobody was told that such a backup exists, and it cannot be restored. */
static int front_end(struct front *f, struct err *err)
{
    bool torn = f->size < OBJECT_HEADER + OBJECT_TRAILER;
    struct trailer t;

    if (torn || f->size > f->bytes.len)
        TRY(object_is_torn(repo_store(f->repo), f->key, &torn, err));
    else if (trailer_parse(f->bytes.p + f->size - OBJECT_TRAILER, f->size, &t, err) != 0)
        torn = true;
    if (!torn)
        return 0;
    return err_set(err, ERR_CORRUPT, "cut off, or never finished, after %llu bytes",
                   (unsigned long long)f->size);
}

int manifest_front(struct repo *r, const char *label, unsigned n, struct buf *chunks,
                   uint64_t *size, struct err *err)
{
    static const enum chunk_type types[] = {CHUNK_PUBINFO, CHUNK_SETTAB, CHUNK_PACKTAB};
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct front f = {.repo = r, .key = name_manifest(&key, repo_cluster(r), label)};
    int rc = -1;

    TRY(repo_coder(r, label, &coder, err));
    f.coder = coder;
    if (front_head(&f, label, err) == 0 && front_end(&f, err) == 0 && front_trust(&f, err) == 0)
        rc = 0;
    for (unsigned i = 0; rc == 0 && i < n; i++)
        rc = front_chunk(&f, i, types[i], &chunks[i], err);
    buf_free(&f.bytes);
    if (rc != 0)
        return err_context(err, "manifest of backup \"%s\"", label);
    if (size != NULL)
        *size = f.size;
    return 0;
}

/* Another host may have accepted the system since this process looked. */
static int knows(struct repo *r, const struct pubinfo *p, bool *known, struct err *err)
{
    unsigned major = p->pg_version / 10000;

    *known = repo_knows(r, p->system_id, major);
    if (*known)
        return 0;
    TRY(repo_refresh(r, err));
    *known = repo_knows(r, p->system_id, major);
    return 0;
}

/* A whole backup copied from another cluster or under another label must not pass. */
static int check_owner(struct repo *r, const char *label, const struct pubinfo *p, struct err *err)
{
    bool known;

    if (strcmp(p->label, label) != 0 || strcmp(p->cluster, repo_cluster(r)) != 0)
        return err_set(err, ERR_FOREIGN,
                       "backup \"%s\" of cluster \"%s\" says that it is \"%s\" of cluster \"%s\"",
                       label, repo_cluster(r), p->label, p->cluster);
    TRY(knows(r, p, &known, err));
    if (!known)
        return err_set(
            err, ERR_FOREIGN,
            "backup \"%s\" is of system identifier %llu (PostgreSQL %u), which repository "
            "\"%s\" does not know for cluster \"%s\"",
            label, (unsigned long long)p->system_id, p->pg_version / 10000, repo_name(r),
            repo_cluster(r));
    return 0;
}

int pubinfo_read(struct repo *r, const char *label, struct pubinfo *p, uint64_t *manifest_size,
                 struct err *err)
{
    AUTO(buf_free) struct buf raw = BUF_INIT;

    *p = (struct pubinfo){0};
    TRY(manifest_front(r, label, 1, &raw, manifest_size, err));
    TRY(pubinfo_parse(raw.p, raw.len, p, err));
    if (check_owner(r, label, p, err) == 0)
        return 0;
    pubinfo_free(p);
    return -1;
}

/* ---- a manifest ---- */

static int parse_public(struct repo *r, const char *label, const struct buf raw[3],
                        struct pubinfo *pub, struct set_table *sets, struct err *err)
{
    TRY(pubinfo_parse(raw[AT_PUBINFO].p, raw[AT_PUBINFO].len, pub, err));
    TRY(check_owner(r, label, pub, err));
    TRY(settab_parse(raw[AT_SETTAB].p, raw[AT_SETTAB].len, sets, err));
    if (strcmp(sets->sets[1].label, label) != 0)
        return err_set(err, ERR_CORRUPT, "backup \"%s\": its first set is \"%s\", expected its own",
                       label, sets->sets[1].label);
    return packtab_parse(raw[AT_PACKTAB].p, raw[AT_PACKTAB].len, sets, LIVE_CHECKED, err);
}

int manifest_public(struct repo *r, const char *label, struct pubinfo *pub, struct set_table *sets,
                    struct err *err)
{
    struct buf raw[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
    int rc = manifest_front(r, label, 3, raw, NULL, err);

    if (rc == 0)
        rc = parse_public(r, label, raw, pub, sets, err);
    for (size_t i = 0; i < LENGTH(raw); i++)
        buf_free(&raw[i]);
    return rc;
}

int manifest_object(struct manifest *m, struct coder **coder, struct object_reader **object,
                    struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;

    TRY(repo_coder(m->repo, m->pub.label, coder, err));
    return object_open(object, repo_store(m->repo),
                       name_manifest(&key, repo_cluster(m->repo), m->pub.label), OBJECT_MANIFEST,
                       repo_id(m->repo), *coder, err);
}

static int read_chunk(struct object_reader *o, uint32_t index, enum chunk_type type,
                      struct buf *out, struct err *err)
{
    if (index >= object_chunks(o) || object_chunk(o, index)->type != type)
        return err_set(err, ERR_CORRUPT, "chunk %u is not of type %d", index, type);
    return object_read(o, index, out, NULL, err);
}

static int load_private(struct manifest *m, struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(object_close) struct object_reader *o = NULL;
    AUTO(buf_free) struct buf raw = BUF_INIT;

    if (repo_encrypted(m->repo) && repo_key(m->repo) == NULL)
        return 0;
    TRY(manifest_object(m, &coder, &o, err));
    TRY(read_chunk(o, AT_INFO, CHUNK_INFO, &raw, err));
    TRY(backup_info_parse(raw.p, raw.len, &m->info, &m->attributes, err));
    TRY(read_chunk(o, AT_TABLES, CHUNK_FILEIDX, &raw, err));
    TRY(file_index_parse(raw.p, raw.len, m->sets.n, &m->index, err));
    m->has_tables = true;
    return 0;
}

static int check_fence(struct repo *r, const char *label, struct err *err)
{
    bool intent, final_fence;

    TRY(fence_seen(r, label, &intent, &final_fence, err));
    if (final_fence)
        return err_set(err, ERR_NOT_FOUND,
                       "backup \"%s\" is void: its set was fenced before it was committed", label);
    return 0;
}

int manifest_open(struct manifest **out, struct repo *r, const char *label, struct err *err)
{
    AUTO(manifest_close) struct manifest *m = NULL;

    if (!label_valid(label))
        return err_set(err, ERR_NOT_FOUND,
                       "\"%s\" is no label of a backup; \"pgbr list\" shows those there are",
                       label);
    m = xcalloc(1, sizeof *m);
    m->repo = r;
    TRY(manifest_public(r, label, &m->pub, &m->sets, err));
    TRY(check_fence(r, label, err));
    if (load_private(m, err) != 0)
        return err_context(err, "manifest of backup \"%s\"", label);
    *out = TAKE(m);
    return 0;
}

void manifest_close(struct manifest **m)
{
    if (*m == NULL)
        return;
    pubinfo_free(&(*m)->pub);
    backup_info_free(&(*m)->info);
    attributes_free(&(*m)->attributes);
    set_table_free(&(*m)->sets);
    file_index_free(&(*m)->index);
    free(*m);
    *m = NULL;
}

const struct pubinfo *manifest_pub(const struct manifest *m)
{
    return &m->pub;
}

const struct backup_info *manifest_info(const struct manifest *m)
{
    return &m->info;
}

uint32_t manifest_sets(const struct manifest *m)
{
    return m->sets.n;
}

const char *manifest_set(const struct manifest *m, uint32_t index)
{
    return m->sets.sets[index].label;
}

const struct pack_info *manifest_packs(const struct manifest *m, uint32_t set, size_t *n)
{
    *n = m->sets.sets[set].n;
    return m->sets.sets[set].packs;
}
