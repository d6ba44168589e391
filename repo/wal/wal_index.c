/* wal_index.c - see wal_index.h. */
#include "repo/wal/wal_index.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void wal_index_init(struct wal_index *ix)
{
    memset(ix, 0, sizeof *ix);
}

void wal_index_free(struct wal_index *ix)
{
    free(ix->events);
    free(ix->rels);
    free(ix->runs);
    buf_free(&ix->head);
    buf_free(&ix->tail);
    wal_index_init(ix);
}

void wal_index_doubt(struct wal_index *ix, uint32_t flag, const char *fmt, ...)
{
    va_list args;

    ix->flags |= flag;
    if (ix->reason[0] != '\0')
        return;
    va_start(args, fmt);
    vsnprintf(ix->reason, sizeof ix->reason, fmt, args);
    va_end(args);
}

/* ---- summary ---- */

/* As PostgreSQL's TransactionIdPrecedes: on a circle. */
static bool xid_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static void add_xid(struct wal_index *ix, uint32_t xid)
{
    if (xid == 0)
        return;
    if (!ix->has_xids)
        ix->xid_low = ix->xid_high = xid;
    else if (xid_before(xid, ix->xid_low))
        ix->xid_low = xid;
    else if (xid_before(ix->xid_high, xid))
        ix->xid_high = xid;
    ix->has_xids = true;
}

static void widen(struct wal_moment *min, struct wal_moment *max, const struct wal_moment *m,
                  bool first)
{
    if (first || m->time_us < min->time_us)
        *min = *m;
    if (first || m->time_us > max->time_us)
        *max = *m;
}

void wal_index_add_xact(struct wal_index *ix, uint64_t lsn, const struct wal_xact *x)
{
    struct wal_moment m = {x->time_us, lsn, x->xid};

    if (x->kind == WAL_XACT_PREPARE)
        ix->prepares++;
    if (x->kind != WAL_XACT_COMMIT && x->kind != WAL_XACT_ABORT)
        return;
    if (x->kind == WAL_XACT_COMMIT) {
        widen(&ix->commit_min, &ix->commit_max, &m, ix->commits == 0);
        if (ix->commits++ == 0)
            ix->commit_first = m;
        ix->commit_last = m;
    } else {
        widen(&ix->abort_min, &ix->abort_max, &m, ix->aborts == 0);
        ix->aborts++;
    }
    add_xid(ix, x->xid);
    for (uint32_t i = 0; i < x->n_subxacts; i++)
        add_xid(ix, get_u32(x->subxacts + (size_t)i * 4));
}

void wal_index_add_event(struct wal_index *ix, const struct wal_event *e)
{
    if (ix->n_events == WAL_INDEX_EVENTS_MAX) {
        wal_index_doubt(ix, WAL_INDEX_NO_HISTORY | WAL_INDEX_NO_BLOCKS,
                        "more than %d checkpoints and other events", (int)WAL_INDEX_EVENTS_MAX);
        return;
    }
    if ((ix->n_events & (ix->n_events - 1)) == 0)
        ix->events = xrealloc(ix->events, MAX_OF(4, ix->n_events * 2) * sizeof *ix->events);
    ix->events[ix->n_events] = *e;
    ix->events[ix->n_events].n_spc = 0;
    ix->events[ix->n_events++].spcs = NULL;
}

static void add_commits(struct wal_index *ix, const struct wal_index *later)
{
    bool first = ix->commits == 0;

    if (later->commits == 0)
        return;
    if (first)
        ix->commit_first = later->commit_first;
    ix->commit_last = later->commit_last;
    if (first || later->commit_min.time_us < ix->commit_min.time_us)
        ix->commit_min = later->commit_min;
    if (first || later->commit_max.time_us > ix->commit_max.time_us)
        ix->commit_max = later->commit_max;
    ix->commits += later->commits;
}

static void add_aborts(struct wal_index *ix, const struct wal_index *later)
{
    bool first = ix->aborts == 0;

    if (later->aborts == 0)
        return;
    if (first || later->abort_min.time_us < ix->abort_min.time_us)
        ix->abort_min = later->abort_min;
    if (first || later->abort_max.time_us > ix->abort_max.time_us)
        ix->abort_max = later->abort_max;
    ix->aborts += later->aborts;
}

void wal_index_add_summary(struct wal_index *ix, const struct wal_index *later)
{
    ix->records += later->records;
    ix->images += later->images;
    ix->prepares += later->prepares;
    add_commits(ix, later);
    add_aborts(ix, later);
    if (later->has_xids) {
        add_xid(ix, later->xid_low);
        add_xid(ix, later->xid_high);
    }
    for (uint32_t i = 0; i < later->n_events; i++)
        wal_index_add_event(ix, &later->events[i]);
}

/* ---- blocks ---- */

static struct wal_index_rel *next_rel(struct wal_index *ix, const struct wal_locator *rel,
                                      size_t *cap)
{
    struct wal_index_rel *r = ix->n_rels > 0 ? &ix->rels[ix->n_rels - 1] : NULL;

    if (r != NULL && r->rel.rel == rel->rel && r->rel.db == rel->db && r->rel.spc == rel->spc)
        return r;
    if (ix->n_rels == *cap) {
        *cap = *cap * 2 + 16;
        ix->rels = xrealloc(ix->rels, *cap * sizeof *ix->rels);
    }
    r = &ix->rels[ix->n_rels++];
    memset(r, 0, sizeof *r);
    r->rel = *rel;
    return r;
}

static uint32_t count_runs(const struct wal_fork_changes *f)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < f->n_blocks; i++)
        n += i == 0 || f->blocks[i] != f->blocks[i - 1] + 1;
    return n;
}

static void add_runs(struct wal_run *out, const struct wal_fork_changes *f)
{
    for (uint32_t i = 0; i < f->n_blocks; i++) {
        if (i == 0 || f->blocks[i] != f->blocks[i - 1] + 1)
            *out++ = (struct wal_run){f->blocks[i], 1};
        else
            out[-1].count++;
    }
}

void wal_index_set_blocks(struct wal_index *ix, struct wal_changes *c)
{
    size_t n = wal_changes_sort(c), cap = 0, total = 0;
    struct wal_fork_changes f;

    for (size_t i = 0; i < n; i++) {
        wal_changes_at(c, i, &f);
        total += count_runs(&f);
    }
    free(ix->runs);
    ix->runs = xmalloc((total + 1) * sizeof *ix->runs);
    ix->n_runs = ix->n_rels = 0;
    for (size_t i = 0; i < n; i++) {
        struct wal_index_rel *r;
        uint32_t runs;
        wal_changes_at(c, i, &f);
        runs = count_runs(&f);
        r = next_rel(ix, &f.rel, &cap);
        r->what |= f.what;
        r->forks |= (uint8_t)(1 << f.fork);
        r->fork[f.fork] = (struct wal_index_fork){f.limit, ix->n_runs, runs};
        add_runs(ix->runs + ix->n_runs, &f);
        ix->n_runs += runs;
    }
}

void wal_index_add_blocks(const struct wal_index *ix, struct wal_changes *c)
{
    for (uint32_t i = 0; i < ix->n_rels; i++) {
        const struct wal_index_rel *r = &ix->rels[i];
        if (r->what & WAL_REL_DROPPED)
            wal_changes_drop(c, &r->rel);
        for (uint8_t fork = 0; fork < WAL_FORKS; fork++) {
            const struct wal_index_fork *f = &r->fork[fork];
            if (!(r->forks & 1 << fork))
                continue;
            if (f->limit != WAL_NO_BLOCK)
                wal_changes_limit(c, &r->rel, fork, f->limit,
                                  fork == FORK_MAIN ? r->what : (uint8_t)0);
            for (uint32_t run = 0; run < f->n_runs; run++)
                wal_changes_run(c, &r->rel, fork, ix->runs[f->first_run + run]);
        }
    }
}

static int compare(const void *key, const void *item)
{
    const struct wal_locator *a = key, *b = &((const struct wal_index_rel *)item)->rel;

    if (a->spc != b->spc)
        return a->spc < b->spc ? -1 : 1;
    if (a->db != b->db)
        return a->db < b->db ? -1 : 1;
    return (a->rel > b->rel) - (a->rel < b->rel);
}

const struct wal_index_rel *wal_index_rel(const struct wal_index *ix, const struct wal_locator *rel)
{
    if (ix->n_rels == 0)
        return NULL;
    return bsearch(rel, ix->rels, ix->n_rels, sizeof *ix->rels, compare);
}
