/*
 * expire_wal.c - WAL that leads no backup on. See expire_form.h and retention.h.
 *
 * What may go is listed before leases and backups are, so that what a backup under way has archived
 * is not in the list unless its lease is seen. Only directories that can hold such segments are
 * listed: the number of requests follows what goes, not what is there.
 *
 * A sum of WAL indexes goes with the first of its segments: it is of no use without any of them.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/crash.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/expire/expire_form.h"
#include "repo/wal/wal_sum.h"

/* ---- listing ---- */

struct names { /* the last components of what was listed */
    char **items;
    uint64_t *sizes;
    size_t n;
};

static void names_free(struct names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i]);
    free(l->items);
    free(l->sizes);
}

static int note_name(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct names *l = ctx;
    size_t len = strlen(entry->key) - entry->is_prefix;
    AUTO(mem_free) char *key = xstrndup(entry->key, len);

    (void)err;
    if (l->n % 256 == 0) {
        l->items = xrealloc(l->items, (l->n + 256) * sizeof *l->items);
        l->sizes = xrealloc(l->sizes, (l->n + 256) * sizeof *l->sizes);
    }
    l->sizes[l->n] = entry->size;
    l->items[l->n++] = xstrdup(strrchr(key, '/') + 1);
    return 0;
}

static int list_names(struct expiry *e, const char *prefix, struct names *out, struct err *err)
{
    TRY(stop_check(e->q->stop, err));
    return store_list(repo_store(e->repo), prefix, STORE_SHALLOW, note_name, out, NULL, err);
}

static bool is_hex8(const char *text)
{
    return strlen(text) == 8 && strspn(text, "0123456789ABCDEF") == 8;
}

static void note_file(struct wal_listed *w, const char *name, uint64_t size)
{
    struct wal_file f;
    uint64_t segno;

    if (wal_file_parse(name, &f) != 0 || (f.kind != WAL_SEGMENT && f.kind != WAL_PARTIAL) ||
        wal_file_segno(&f, w->keep.segment_size, &segno) != 0 ||
        !retention_wal_goes(&w->keep, segno))
        return;
    if (w->n % 1024 == 0)
        w->files = xrealloc(w->files, (w->n + 1024) * sizeof *w->files);
    w->files[w->n++] = (struct wal_file_seen){
        .timeline = f.tli, .partial = f.kind == WAL_PARTIAL, .segno = segno, .size = size};
}

/* More segments than this are in no sum (docs/format.md, "Limits"). */
static bool sum_goes(const struct retention_wal *keep, const struct sum_name *name)
{
    uint64_t first = lsn_segno(name->start, keep->segment_size);
    uint64_t last = lsn_last_segno(name->end, keep->segment_size);

    for (uint64_t s = first; s <= last && s - first < WAL_SUM_SEGMENTS_MAX; s++)
        if (retention_wal_goes(keep, s))
            return true;
    return false;
}

static int list_sums(struct expiry *e, struct wal_listed *w, const char *prefix, struct err *err)
{
    AUTO(names_free) struct names found = {0};

    TRY(list_names(e, prefix, &found, err));
    for (size_t i = 0; i < found.n; i++) {
        struct sum_seen sum = {.size = found.sizes[i]};

        if (!sum_name_parse(found.items[i], &sum.name) || !sum_goes(&w->keep, &sum.name))
            continue;
        if (w->n_sums % 64 == 0)
            w->sums = xrealloc(w->sums, (w->n_sums + 64) * sizeof *w->sums);
        w->sums[w->n_sums++] = sum;
    }
    return 0;
}

static int list_timeline(struct expiry *e, struct wal_listed *w, const char *prefix,
                         struct err *err)
{
    AUTO(names_free) struct names logs = {0};

    TRY(list_names(e, prefix, &logs, err));
    for (size_t i = 0; i < logs.n; i++) {
        AUTO(mem_free) char *below = xasprintf("%s%s/", prefix, logs.items[i]);
        AUTO(names_free) struct names files = {0};

        if (!is_hex8(logs.items[i]) || strtoull(logs.items[i], NULL, 16) > w->keep.from >> 32)
            continue;
        TRY(list_names(e, below, &files, err));
        for (size_t k = 0; k < files.n; k++)
            note_file(w, files.items[k], files.sizes[k]);
    }
    return 0;
}

static int list_system(struct expiry *e, struct wal_listed *w, struct err *err)
{
    AUTO(buf_free) struct buf root = BUF_INIT;
    AUTO(names_free) struct names timelines = {0};

    name_wal_root(&root, repo_cluster(e->repo), w->keep.id.system_id, w->keep.id.major);
    TRY(list_names(e, root.p, &timelines, err));
    for (size_t i = 0; i < timelines.n; i++) {
        AUTO(mem_free) char *below = xasprintf("%s%s/", root.p, timelines.items[i]);

        if (is_hex8(timelines.items[i])) /* not history/ and label/ */
            TRY(list_timeline(e, w, below, err));
        else if (strcmp(timelines.items[i], "sum") == 0)
            TRY(list_sums(e, w, below, err));
    }
    return 0;
}

int expire_list_wal(struct expiry *e, struct err *err)
{
    size_t n;
    const struct identity *ids = repo_identities(e->repo, &n);

    e->wal = xcalloc(n, sizeof *e->wal);
    e->n_wal = n;
    for (size_t i = 0; i < n; i++) {
        struct wal_listed *w = &e->wal[i];

        retention_judge_wal(&e->q->policy, &ids[i], e->items, e->n_items, &w->keep);
        if (w->keep.from != 0)
            TRY(list_system(e, w, err));
    }
    return 0;
}

/* ---- deciding ---- */

static const struct retention_item *item_of(const struct expiry *e, const char *label)
{
    for (size_t i = 0; i < e->n_items; i++)
        if (strcmp(e->items[i].pub->label, label) == 0)
            return &e->items[i];
    return NULL;
}

/* All that stay. Hidden ones keep what makes them consistent: they may be brought back. What was
 * committed since the policy was applied stays in full. */
static struct retention_item *staying(const struct expiry *e, size_t *n)
{
    struct retention_item *all = xcalloc(e->last.c.n, sizeof *all);

    *n = 0;
    for (size_t i = 0; i < e->last.c.n; i++) {
        const struct retention_item *judged;

        if (!e->last.read[i] || e->victims[i])
            continue;
        judged = item_of(e, e->last.c.items[i].label);
        all[*n].pub = &e->last.pubs[i];
        all[*n].harmed = expire_harmed(e, e->last.pubs[i].label);
        all[*n].verdict = RETENTION_KEEP;
        if (e->last.c.items[i].expired || (judged != NULL && judged->verdict != RETENTION_KEEP))
            all[*n].verdict = RETENTION_HOLD;
        ++*n;
    }
    return all;
}

static void lower(struct retention_wal *w, uint64_t lsn, const struct lease_seen *l)
{
    bool restore = label_kind(l->set) == SET_RESTORE;
    char text[LSN_TEXT];

    if (w->from == 0 || lsn >= w->from)
        return;
    w->from = lsn;
    memcpy(w->label, l->set, sizeof w->label);
    free(w->stays);
    w->stays = xasprintf("%s on host \"%s\" may need all from %s on",
                         restore ? "a restore" : "a backup that runs or was interrupted", l->host,
                         lsn_format(lsn, text));
}

/* A backup under way needs WAL from its start on, and an incremental that of its base: the changed
 * blocks are told by it. */
static void heed_lease(const struct expiry *e, struct retention_wal *w, const struct lease_seen *l)
{
    const struct pubinfo *base = l->base[0] != '\0' ? survey_pub(&e->last, l->base) : NULL;

    if (l->id.system_id != w->id.system_id || !lease_pins(l, &e->last))
        return;
    if (base != NULL)
        lower(w, retention_first_lsn(base), l);
    if (label_kind(l->set) == SET_RESTORE)
        return;
    if (l->wal_lsn != 0)
        lower(w, l->wal_lsn, l);
    else if (l->live)
        lower(w, 0, l);
}

/* ---- telling ---- */

static struct expire_wal *add_line(struct expiry *e, const struct retention_wal *w)
{
    struct expire_made *m = e->made;
    struct expire_wal *line;

    m->wal = xrealloc(m->wal, (m->n_wal + 1) * sizeof *m->wal);
    line = &m->wal[m->n_wal++];
    *line = (struct expire_wal){.id = w->id, .segment_size = w->segment_size};
    return line;
}

static void until_with(const struct expiry *e, struct expire_wal *line, const char *label)
{
    const struct retention_item *item = item_of(e, label);

    if (item == NULL || item->until == NULL) {
        line->until = xasprintf("with %s", label);
        return;
    }
    line->until = xasprintf("with backup %s: %s", label, item->until);
    line->until_us = item->until_us;
}

static void tell_what_goes(struct expiry *e, const struct wal_listed *w)
{
    struct expire_wal *line = NULL;

    for (size_t i = 0; i < w->n; i++) {
        const struct wal_file_seen *f = &w->files[i];

        if (!f->goes)
            continue;
        if (line == NULL || line->timeline != f->timeline ||
            (f->segno != line->last_segno && f->segno != line->last_segno + 1)) {
            line = add_line(e, &w->keep);
            line->timeline = f->timeline;
            line->first_segno = f->segno;
            line->goes = true;
            line->reason = xstrdup(w->keep.goes);
        }
        line->last_segno = f->segno;
        line->segments++;
        line->bytes += f->size;
    }
}

static void tell_what_stays(struct expiry *e, const struct retention_wal *w)
{
    struct expire_wal *line;

    for (size_t i = 0; i < w->n_islands && w->from != 0; i++) {
        const struct retention_island *is = &w->islands[i];

        if (is->span.start >= w->from)
            continue;
        line = add_line(e, w);
        line->timeline = is->span.timeline;
        line->first_segno = lsn_segno(is->span.start, w->segment_size);
        line->last_segno = lsn_last_segno(is->span.stop, w->segment_size);
        line->reason = xasprintf("it makes backup %s consistent", is->label);
        until_with(e, line, is->label);
    }
    line = add_line(e, w);
    line->reason = xstrdup(w->stays);
    if (w->from != 0) {
        line->first_segno = lsn_segno(w->from, w->segment_size);
        until_with(e, line, w->label);
    }
}

static void judge(struct expiry *e, struct wal_listed *w, const struct retention_item *stay,
                  size_t n)
{
    struct identity id = w->keep.id;
    uint32_t listed_by = w->keep.segment_size;

    retention_wal_clear(&w->keep);
    retention_judge_wal(&e->q->policy, &id, stay, n, &w->keep);
    for (size_t i = 0; i < e->n_leases; i++)
        heed_lease(e, &w->keep, &e->leases[i]);
    for (size_t i = 0; i < w->n; i++)
        w->files[i].goes =
            w->keep.segment_size == listed_by && retention_wal_goes(&w->keep, w->files[i].segno);
    for (size_t i = 0; i < w->n_sums; i++)
        w->sums[i].goes = w->keep.segment_size == listed_by && sum_goes(&w->keep, &w->sums[i].name);
    tell_what_goes(e, w);
    tell_what_stays(e, &w->keep);
}

int expire_judge_wal(struct expiry *e, struct err *err)
{
    size_t n;
    AUTO(mem_free) struct retention_item *stay = staying(e, &n);

    for (size_t i = 0; i < e->n_wal; i++) {
        TRY(stop_check(e->q->stop, err));
        judge(e, &e->wal[i], stay, n);
    }
    return 0;
}

/* ---- deleting ---- */

static int delete_file(struct expiry *e, const struct wal_listed *w, const struct wal_file_seen *f,
                       struct doomed *d, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT, name = BUF_INIT;
    char segment[WAL_SEGMENT_NAME];

    wal_segment_name(f->timeline, f->segno, w->keep.segment_size, segment);
    buf_addf(&name, "%s%s", segment, f->partial ? ".partial" : "");
    TRY(name_wal(&key, repo_cluster(e->repo), w->keep.id.system_id, w->keep.id.major, name.p, err));
    return doomed_add(d, key.p, err);
}

static int delete_sums(struct expiry *e, const struct wal_listed *w, struct doomed *d,
                       struct err *err)
{
    for (size_t i = 0; i < w->n_sums; i++) {
        AUTO(buf_free) struct buf key = BUF_INIT;
        const struct sum_seen *sum = &w->sums[i];

        if (!sum->goes)
            continue;
        name_sum(&key, repo_cluster(e->repo), w->keep.id.system_id, w->keep.id.major, &sum->name);
        TRY(doomed_add(d, key.p, err));
        e->made->sums++;
        crash_point("expire-wal-sum");
    }
    return 0;
}

/* Sums are gone before the first segment goes, not only asked for in the same request, which a
 * store may fulfil in any order or in part: none outlives what it stands for, wherever this ends.
 */
int expire_delete_wal(struct expiry *e, struct err *err)
{
    struct doomed d = {.e = e};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < e->n_wal; i++)
        rc = delete_sums(e, &e->wal[i], &d, err);
    if (rc == 0)
        rc = doomed_flush(&d, err);
    for (size_t i = 0; rc == 0 && i < e->n_wal; i++)
        for (size_t k = 0; rc == 0 && k < e->wal[i].n; k++) {
            const struct wal_file_seen *f = &e->wal[i].files[k];

            if (!f->goes)
                continue;
            rc = delete_file(e, &e->wal[i], f, &d, err);
            e->made->segments++;
            e->made->segment_bytes += f->size;
            crash_point("expire-wal-file");
        }
    if (rc == 0)
        rc = doomed_flush(&d, err);
    doomed_clear(&d);
    crash_point("expire-wal");
    return rc;
}
