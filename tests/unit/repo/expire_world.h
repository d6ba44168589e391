/*
 * expire_world.h - a repository with backups of past days, their packs and their WAL, for tests of
 * an expirer; the store's clock can be set ahead.
 *
 * Each backup has PACKS packs of its own; an incremental also needs pack 0 of its base. Segment n
 * of the WAL is from n * SEGMENT on; the backup that is made n-th starts in segment 10 * n.
 */
#ifndef PGBR_TESTS_UNIT_REPO_EXPIRE_WORLD_H
#define PGBR_TESTS_UNIT_REPO_EXPIRE_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/expire/expire.h"
#include "repo/lease/lease.h"
#include "repo/lease/marks.h"
#include "repo/store/store_driver.h"
#include "tests/unit/repo/sample_repo.h"

#define DAY INT64_C(86400000000)
enum { PACKS = 3, SEGMENT = 16 << 20, WAL_STEP = 10, BACKUPS_MAX = 16 };

static struct err err;
static const struct set_identity identity = {SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, 1};

/* ---- a clock that can be set ---- */

static int64_t ahead_us;
/* What somebody else does when the expirer lists packs; NULL: nothing. */
static void (*at_packs)(void);
static const struct store_ops *true_ops;
static struct store_ops shifted_ops;

static int shifted_list(struct store *s, const char *prefix, enum store_depth depth,
                        store_entry_fn *fn, void *ctx, int64_t *now_us, struct err *e)
{
    int result;

    if (at_packs != NULL && strcmp(prefix, "main/data/") == 0 && depth == STORE_DEEP)
        at_packs();
    result = true_ops->list(s, prefix, depth, fn, ctx, now_us, e);
    if (now_us != NULL)
        *now_us += ahead_us;
    return result;
}

static int shifted_now(struct store *s, int64_t *now_us, struct err *e)
{
    int result = true_ops->now(s, now_us, e);

    *now_us += ahead_us;
    return result;
}

static struct store *shifted(struct store *mem)
{
    struct store *s = store_mem_share(mem);

    true_ops = s->ops;
    shifted_ops = *true_ops;
    shifted_ops.list = shifted_list;
    shifted_ops.now = shifted_now;
    s->ops = &shifted_ops;
    return s;
}

/* ---- the repository ---- */

struct world {
    struct sample_repo s;
    struct repo *r; /* of the expirer */
    char labels[BACKUPS_MAX][LABEL_SIZE + 1];
    size_t n;
};

static void world_end(struct world *w)
{
    repo_close(&w->r);
    sample_repo_end(&w->s);
}

static void world_begin(struct world *w, bool encrypted, enum repo_open_mode mode)
{
    *w = (struct world){0};
    ahead_us = 0;
    at_packs = NULL;
    sample_repo_begin(&w->s, encrypted, 256 << 10);
    w->r = sample_repo_other(&w->s, shifted(w->s.store), mode);
}

static const char *manifest_key(const char *label)
{
    static struct buf key;

    return name_manifest(&key, "main", label);
}

static bool has(const struct world *w, const char *key)
{
    struct store_entry ignored;
    bool there = store_stat(w->s.store, key, &ignored, &err) == 0;

    err_clear(&err);
    return there;
}

static bool has_pack(const struct world *w, const char *label, unsigned pack)
{
    AUTO(buf_free) struct buf key = BUF_INIT;

    return has(w, name_pack(&key, "main", label, pack));
}

static bool is_hidden(const struct world *w, const char *label)
{
    AUTO(buf_free) struct buf key = BUF_INIT;

    return has(w, name_expired(&key, "main", label));
}

static void put_wal(const struct world *w, uint32_t timeline, unsigned segment, const char *suffix)
{
    AUTO(mem_free)
    char *key =
        xasprintf("main/wal/%016x-%d/%08X/%08X/%08X%08X%08X%s", SAMPLE_SYSTEM_ID, SAMPLE_MAJOR,
                  timeline, segment / 256, timeline, segment / 256, segment % 256, suffix);

    OK(store_put(w->s.store, key, STORE_REPLACE, "wal", 3, &err), &err);
}

static bool has_wal(const struct world *w, uint32_t timeline, unsigned segment)
{
    AUTO(mem_free)
    char *key =
        xasprintf("main/wal/%016x-%d/%08X/%08X/%08X%08X%08X", SAMPLE_SYSTEM_ID, SAMPLE_MAJOR,
                  timeline, segment / 256, timeline, segment / 256, segment % 256);

    return has(w, key);
}

/* The first segment that is left of timeline 1. */
static unsigned first_wal(const struct world *w)
{
    unsigned s = 0;

    while (s < 1000 && !has_wal(w, 1, s))
        s++;
    return s;
}

/* ---- backups ---- */

static void store_set(struct world *w, const char *label, struct set **set)
{
    AUTO(packer_free) struct packer *p = NULL;

    OK(set_new(set, w->s.repo, label, &identity, &err), &err);
    OK(packer_new(&p, *set, OBJECT_PACK, &err), &err);
    for (unsigned i = 0; i < PACKS; i++) {
        const struct bundle_part part = {"data/a", 0, 4};
        const struct chunk_note note = {.path = "", .parts = &part, .n_parts = 1};
        struct place at;

        OK(packer_add(p, CHUNK_BUNDLE, 1, "text", 4, &note, NULL, &at, &err), &err);
        OK(packer_finish(p, &err), &err);
        assert_int_equal(at.pack, i);
    }
}

static void add_entry(struct manifest_writer *m, const char *path, uint32_t set, unsigned pack)
{
    const struct entry e = {.path = path,
                            .type = ENTRY_FILE,
                            .mode = 0600,
                            .user = "postgres",
                            .group = "postgres",
                            .target = "",
                            .size = 4,
                            .place = PLACE_BUNDLE,
                            .set = set,
                            .pack = pack};

    OK(manifest_add(m, &e, &err), &err);
}

static void commit_backup(struct world *w, struct manifest_writer *m, const char *label, char type,
                          const char *base, int64_t stop_us)
{
    AUTO(backup_info_free) struct backup_info info = {0};
    uint64_t start = (uint64_t)(w->n * WAL_STEP) * SEGMENT + 40;
    AUTO(pubinfo_free)
    struct pubinfo p = {.type = (enum backup_type)type,
                        .cluster = xstrdup("main"),
                        .instance = xstrdup("main"),
                        .host = xstrdup("db1"),
                        .tool = xstrdup("pgbr"),
                        .system_id = SAMPLE_SYSTEM_ID,
                        .pg_version = SAMPLE_MAJOR * 10000,
                        .timeline = 1,
                        .start_lsn = start,
                        .stop_lsn = start + 400,
                        .start_us = stop_us - 1000000,
                        .stop_us = stop_us,
                        .page_size = 8192,
                        .wal_segment_size = SEGMENT,
                        .files = PACKS,
                        .spans = xcalloc(1, sizeof *p.spans),
                        .n_spans = 1};

    p.spans[0] = (struct wal_span){1, start, start + 400};
    memcpy(p.label, label, LABEL_SIZE + 1);
    if (base != NULL)
        memcpy(p.base, base, LABEL_SIZE + 1);
    buf_adds(&info.backup_label, "START WAL LOCATION: 0/2000028");
    OK(manifest_commit(m, &p, &info, &err), &err);
}

/* A label of that many days ago. */
static const char *new_label(struct world *w, char type, unsigned days_ago)
{
    char *label = w->labels[++w->n];

    assert_true(w->n < BACKUPS_MAX);
    OK(label_make(label, (enum set_kind)type, clock_now_us() - days_ago * DAY, &err), &err);
    return label;
}

/* A set without a manifest, as an interrupted backup leaves it. */
static const char *interrupted(struct world *w, unsigned days_ago)
{
    AUTO(set_free) struct set *set = NULL;
    const char *label = new_label(w, 'F', days_ago);

    store_set(w, label, &set);
    return label;
}

/* Its WAL, from the backup before on, is there as well. */
static const char *backup(struct world *w, char type, unsigned days_ago, const char *base)
{
    AUTO(set_free) struct set *set = NULL, *of_base = NULL;
    AUTO(manifest_abandon) struct manifest_writer *m = NULL;
    const char *label = new_label(w, type, days_ago);
    uint32_t index = 0;

    store_set(w, label, &set);
    OK(manifest_begin(&m, set, &err), &err);
    if (base != NULL) {
        AUTO(manifest_close) struct manifest *of = NULL;
        const struct pack_info *packs;
        size_t n;

        OK(manifest_open(&of, w->s.repo, base, &err), &err);
        packs = manifest_packs(of, 1, &n);
        OK(manifest_add_set(m, base, packs, n, &index, &err), &err);
        add_entry(m, "data/a", index, 0);
    }
    for (unsigned i = 0; i < PACKS; i++)
        add_entry(m, (const char *[]){"data/b0", "data/b1", "data/b2"}[i], 1, i);
    OK(manifest_flush(m, &err), &err);
    commit_backup(w, m, label, type, base, clock_now_us() - days_ago * DAY);
    for (unsigned i = (unsigned)(w->n - 1) * WAL_STEP + 1; i <= w->n * WAL_STEP; i++)
        put_wal(w, 1, i, "");
    return label;
}

/* Listed, with all packs that it needs. */
static bool is_whole(const struct world *w, const char *label)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    bool whole = !is_hidden(w, label) && manifest_open(&m, w->s.repo, label, &err) == 0;

    err_clear(&err);
    for (uint32_t i = 1; whole && i < manifest_sets(m); i++) {
        size_t n;
        const struct pack_info *packs = manifest_packs(m, i, &n);

        for (size_t k = 0; k < n; k++)
            whole &= has_pack(w, manifest_set(m, i), packs[k].number);
    }
    return whole;
}

/* Nothing under its label is left, but perhaps a fence. */
static bool is_gone(const struct world *w, const char *label)
{
    for (unsigned i = 0; i < PACKS; i++)
        if (has_pack(w, label, i))
            return false;
    return !has(w, manifest_key(label)) && !is_hidden(w, label);
}

/* ---- expiring ---- */

#define POLICY_COUNT(number) ((struct retention_policy){.full = (number)})

static struct expire_request request(const struct world *w, struct retention_policy policy)
{
    return (struct expire_request){.repo = w->r, .policy = policy, .grace_us = 0};
}

static void run(const struct expire_request *q)
{
    AUTO(expire_made_free) struct expire_made made = {0};

    OK(expire_run(q, &made, &err), &err);
}

static void expire(const struct world *w, struct retention_policy policy)
{
    struct expire_request q = request(w, policy);

    run(&q);
}

#endif
