/*
 * manifest_commit.c - the manifest as an object: the commit point of a backup. See manifest.h.
 *
 * What is about to be committed is first read with the reader's own functions: a backup that cannot
 * be opened must fail now, not on the day it is needed.
 */
#include <stdlib.h>

#include "base/crash.h"
#include "base/mem.h"
#include "repo/manifest/manifest_build.h"
#include "repo/object/settle.h"

static int unreadable(struct err *err)
{
    return err_context(err, "a manifest that could not be read again is not written");
}

static int check_public(const struct buf raw[3], struct err *err)
{
    AUTO(pubinfo_free) struct pubinfo pub = {0};
    AUTO(set_table_free) struct set_table sets = {0};

    if (pubinfo_parse(raw[AT_PUBINFO].p, raw[AT_PUBINFO].len, &pub, err) != 0 ||
        settab_parse(raw[AT_SETTAB].p, raw[AT_SETTAB].len, &sets, err) != 0 ||
        packtab_parse(raw[AT_PACKTAB].p, raw[AT_PACKTAB].len, &sets, LIVE_CHECKED, err) != 0)
        return unreadable(err);
    return 0;
}

static int check_private(const struct buf *facts, const struct buf *index, uint32_t sets,
                         struct err *err)
{
    AUTO(backup_info_free) struct backup_info info = {0};
    AUTO(attributes_free) struct attributes attributes = {0};
    AUTO(file_index_free) struct file_index x = {0};

    if (backup_info_parse(facts->p, facts->len, &info, &attributes, err) != 0 ||
        file_index_parse(index->p, index->len, sets, &x, err) != 0)
        return unreadable(err);
    return 0;
}

static int put_public(struct object_writer *o, const struct buf raw[3], uint32_t sets,
                      struct err *err)
{
    TRY(check_public(raw, err));
    TRY(object_add(o, CHUNK_PUBINFO, CHUNK_PUBLIC, 1, raw[AT_PUBINFO].p, raw[AT_PUBINFO].len, NULL,
                   err));
    TRY(object_add(o, CHUNK_SETTAB, CHUNK_PUBLIC, sets, raw[AT_SETTAB].p, raw[AT_SETTAB].len, NULL,
                   err));
    return object_add(o, CHUNK_PACKTAB, CHUNK_PUBLIC, sets, raw[AT_PACKTAB].p, raw[AT_PACKTAB].len,
                      NULL, err);
}

static int add_public(struct manifest_writer *w, struct object_writer *o, const struct pubinfo *pub,
                      struct err *err)
{
    struct buf raw[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
    int rc;

    pubinfo_write(pub, &raw[AT_PUBINFO]);
    settab_write(&w->sets, &raw[AT_SETTAB]);
    packtab_write(&w->sets, &raw[AT_PACKTAB]);
    rc = put_public(o, raw, w->sets.n - 1, err);
    for (size_t i = 0; i < LENGTH(raw); i++)
        buf_free(&raw[i]);
    return rc;
}

/* Table chunks of the manifest itself: their numbers are known before they are written. */
static void place_held(struct manifest_writer *w)
{
    uint32_t chunk = AT_TABLES + 1; /* FILEIDX comes first */

    for (size_t i = 0; i < w->n_held; i++)
        manifest_note_place(w, w->held[i].type, w->held[i].number,
                            (struct table_place){.chunk = chunk + (uint32_t)i});
}

static int add_private(struct manifest_writer *w, struct object_writer *o,
                       const struct backup_info *info, struct err *err)
{
    AUTO(buf_free) struct buf facts = BUF_INIT;
    AUTO(buf_free) struct buf index = BUF_INIT;

    place_held(w);
    backup_info_write(info, &w->attributes, &facts);
    file_index_write(&w->index, &index);
    TRY(check_private(&facts, &index, w->sets.n, err));
    TRY(object_add(o, CHUNK_INFO, CHUNK_PRIVATE, 1, facts.p, facts.len, NULL, err));
    TRY(object_add(o, CHUNK_FILEIDX, CHUNK_PRIVATE, w->index.n_blocks, index.p, index.len, NULL,
                   err));
    for (size_t i = 0; i < w->n_held; i++)
        TRY(object_add(o, w->held[i].type, CHUNK_PRIVATE, w->held[i].items, w->held[i].raw.p,
                       w->held[i].raw.len, NULL, err));
    return 0;
}

/* The set's own packs as they were finished; no chunk of them is known to be dead. */
static void take_own_packs(struct manifest_writer *w)
{
    struct set_packs *own = &w->sets.sets[1];
    size_t n;
    const struct pack_info *packs = set_packs(w->set, &n);

    free(own->packs);
    own->packs = xcalloc(n, sizeof *packs);
    own->n = n;
    if (n != 0)
        memcpy(own->packs, packs, n * sizeof *packs);
}

/* Mostly there is nothing to flush any more. What there is must be durable first. */
static int flush_durably(struct manifest_writer *w, struct err *err)
{
    uint64_t before = set_stored_bytes(w->set);

    TRY(manifest_flush(w, err));
    return set_stored_bytes(w->set) == before ? 0 : store_sync(repo_store(w->repo), err);
}

int manifest_commit(struct manifest_writer *w, struct pubinfo *pub, const struct backup_info *info,
                    struct err *err)
{
    struct object_head head = {.kind = OBJECT_MANIFEST};
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(object_abandon) struct object_writer *o = NULL;
    AUTO(buf_free) struct buf key = BUF_INIT;
    uint64_t size = 0;

    TRY(flush_durably(w, err));
    take_own_packs(w);
    pub->stored_bytes = set_stored_bytes(w->set);
    memcpy(head.label, set_label(w->set), LABEL_SIZE + 1);
    memcpy(head.repo_id, repo_id(w->repo), sizeof head.repo_id);
    TRY(repo_coder(w->repo, head.label, &coder, err));
    name_manifest(&key, repo_cluster(w->repo), head.label);
    TRY(object_create(&o, repo_store(w->repo), key.p, STORE_CREATE_ONLY, &head, coder, err));
    crash_point("manifest-begun");
    TRY(add_public(w, o, pub, err));
    crash_point("manifest-public");
    TRY(add_private(w, o, info, err));
    crash_point("manifest-written");
    if (object_commit(&o, STORE_DURABLE, &size, err) == 0)
        return 0;
    return object_settle(repo_store(w->repo), key.p, &head, size, err);
}
