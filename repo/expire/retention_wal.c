/*
 * retention_wal.c - which WAL goes. See retention.h.
 *
 * No ancestry of timelines is needed for this: what ends before the start of every backup that
 * stays leads none of them on, on whatever timeline it is. Timelines may go back in position when a
 * cluster was restored, so the smallest start is looked for, not the oldest backup's.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/expire/retention.h"

static bool is_of(const struct pubinfo *p, const struct identity *id)
{
    return p->system_id == id->system_id && p->pg_version / 10000 == id->major;
}

/* A larger backup counts where a smaller one is asked for. */
static bool counts(const struct retention_policy *p, enum backup_type type)
{
    return type == BACKUP_FULL || (type == BACKUP_DIFF && p->archive_type != BACKUP_FULL) ||
           (type == BACKUP_INCR && p->archive_type == BACKUP_INCR);
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* When the last of the backups ended of which all WAL is kept; older ones become islands. */
static int64_t oldest_in_full(const struct retention_policy *p, const struct identity *id,
                              const struct retention_item *items, size_t n)
{
    AUTO(mem_free) int64_t *ends = xcalloc(n, sizeof *ends);
    size_t m = 0;

    for (size_t i = 0; i < n; i++)
        if (items[i].verdict == RETENTION_KEEP && !items[i].harmed && is_of(items[i].pub, id) &&
            counts(p, items[i].pub->type))
            ends[m++] = items[i].pub->stop_us;
    if (p->archive == 0 || m <= p->archive)
        return INT64_MIN;
    qsort(ends, m, sizeof *ends, newest_first);
    return ends[p->archive - 1];
}

uint64_t retention_first_lsn(const struct pubinfo *p)
{
    uint64_t first = p->start_lsn;

    for (uint32_t i = 0; i < p->n_spans; i++)
        first = MIN_OF(first, p->spans[i].start);
    return first;
}

static void add_islands(struct retention_wal *w, const struct pubinfo *p)
{
    w->islands = xrealloc(w->islands, (w->n_islands + p->n_spans) * sizeof *w->islands);
    for (uint32_t i = 0; i < p->n_spans; i++) {
        w->islands[w->n_islands] = (struct retention_island){.span = p->spans[i]};
        memcpy(w->islands[w->n_islands++].label, p->label, sizeof p->label);
    }
}

static void nothing_goes(struct retention_wal *w, char *why)
{
    w->from = 0;
    free(w->stays);
    w->stays = why;
}

/* False: backups of one system do not agree in it, so no name says where its segment lies. */
static bool same_segments(struct retention_wal *w, const struct pubinfo *p)
{
    if (w->segment_size == 0)
        w->segment_size = p->wal_segment_size;
    return w->segment_size == p->wal_segment_size;
}

static void say(struct retention_wal *w, bool held)
{
    char lsn[LSN_TEXT];

    if (w->from == UINT64_MAX) {
        nothing_goes(w, xstrdup(held ? "only held backups are left of this system"
                                     : "no backup is left of this system"));
        return;
    }
    w->goes = xasprintf("no backup needs it, the first that is kept with all WAL begins at %s",
                        lsn_format(w->from, lsn));
    w->stays = xasprintf("backup %s begins there", w->label);
}

void retention_judge_wal(const struct retention_policy *p, const struct identity *id,
                         const struct retention_item *items, size_t n, struct retention_wal *out)
{
    int64_t in_full = oldest_in_full(p, id, items, n);
    bool held = false, agree = true;

    *out = (struct retention_wal){.id = *id, .from = UINT64_MAX};
    for (size_t i = 0; i < n; i++) {
        const struct pubinfo *b = items[i].pub;

        if (items[i].verdict == RETENTION_EXPIRE || !is_of(b, id))
            continue;
        agree &= same_segments(out, b);
        held |= items[i].verdict == RETENTION_HOLD;
        if (items[i].verdict == RETENTION_HOLD || b->stop_us < in_full) {
            add_islands(out, b);
        } else if (retention_first_lsn(b) < out->from) {
            out->from = retention_first_lsn(b);
            memcpy(out->label, b->label, sizeof out->label);
        }
    }
    say(out, held);
    if (p->full == 0 && p->diff == 0 && p->archive == 0)
        nothing_goes(out, xstrdup("no retention is configured"));
    if (!agree || (out->from != 0 && !wal_segsz_valid(out->segment_size)))
        nothing_goes(out, xstrdup("its backups do not agree on the size of WAL segments"));
}

bool retention_wal_goes(const struct retention_wal *w, uint64_t segno)
{
    if (w->from == 0 || segno >= lsn_segno(w->from, w->segment_size))
        return false;
    for (size_t i = 0; i < w->n_islands; i++)
        if (segno >= lsn_segno(w->islands[i].span.start, w->segment_size) &&
            segno <= lsn_last_segno(w->islands[i].span.stop, w->segment_size))
            return false;
    return true;
}

void retention_wal_clear(struct retention_wal *w)
{
    mem_free(&w->islands);
    mem_free(&w->goes);
    mem_free(&w->stays);
    *w = (struct retention_wal){0};
}
