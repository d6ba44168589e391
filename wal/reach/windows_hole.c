/* windows_hole.c - what lies between windows, and why: the holes of windows_find(). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "wal/reach/windows_form.h"

static struct hole *add(struct finder *f, enum hole_kind kind, uint32_t timeline)
{
    struct windows *o = f->out;
    struct hole *h;

    o->holes = xrealloc(o->holes, (o->n_holes + 1) * sizeof *o->holes);
    h = &o->holes[o->n_holes++];
    *h = (struct hole){.kind = kind,
                       .system_id = f->map->system_id,
                       .timeline = timeline,
                       .segment_size = f->map->segment_size};
    return h;
}

/* ---- segments that are not stored ---- */

/* From the end of a way until `until`, which is not counted; stretch by stretch, since positions
 * may be far apart. */
static void count_missing(const struct finder *f, const struct reach_walk *w, uint64_t until,
                          struct hole *h, uint64_t *n)
{
    uint64_t at = w->end_segno;

    *n = 0;
    h->first_segno = at;
    while (at < until) {
        uint64_t later = map_later(f->map, w->line, at);
        uint64_t last = MIN_OF(later, until) - 1;

        *n += last - at + 1;
        h->last_segno = last;
        if (later >= until)
            return;
        at = map_unbroken(f->map, w->line, later) + 1;
    }
}

static void say_missing(const struct finder *f, const struct reach_walk *w, uint64_t n,
                        struct hole *h)
{
    char first[WAL_SEGMENT_NAME], last[WAL_SEGMENT_NAME];
    uint32_t size = f->map->segment_size;

    wal_segment_name(map_file_tli(f->map, w->line, h->first_segno), h->first_segno, size, first);
    wal_segment_name(map_file_tli(f->map, w->line, h->last_segno), h->last_segno, size, last);
    h->timeline = map_file_tli(f->map, w->line, h->first_segno);
    if (n == 1)
        snprintf(h->why, sizeof h->why, "WAL segment \"%s\" is missing", first);
    else
        snprintf(h->why, sizeof h->why,
                 "%" PRIu64 " WAL segments from \"%s\" to \"%s\" are missing", n, first, last);
}

/* until: the first segment that is of no interest; UINT64_MAX: all. */
static void say_way_end(const struct finder *f, const struct reach_walk *w, uint64_t until,
                        struct hole *h)
{
    uint64_t n = 0;

    if (w->end != WAY_MISSING) {
        h->kind = w->end == WAY_ENDS ? HOLE_ENDS : HOLE_DAMAGED;
        snprintf(h->why, sizeof h->why, "%.500s", w->why);
        return;
    }
    h->kind = HOLE_MISSING;
    if (until == UINT64_MAX || until <= w->end_segno)
        until = w->later != UINT64_MAX ? w->later : w->end_segno + 1;
    count_missing(f, w, until, h, &n);
    say_missing(f, w, n, h);
}

/* ---- between windows ---- */

static void before_first(struct finder *f, const struct window *w)
{
    struct hole *h = add(f, HOLE_BEFORE, w->timeline);

    h->to_us = w->start_us;
    h->to_lsn = w->start_lsn;
    snprintf(h->why, sizeof h->why, "backup %s is the first that can be restored", w->first_backup);
}

static void between(struct finder *f, const struct window *w, const struct reach_walk *walk,
                    const struct window *next)
{
    struct hole *h = add(f, HOLE_LEFT, walk->line->tli);
    const struct pubinfo *b = NULL;

    h->from_us = w->end_us;
    h->from_lsn = w->end_lsn;
    h->to_us = next->start_us;
    h->to_lsn = next->start_lsn;
    for (size_t i = 0; i < f->n_backups; i++)
        if (strcmp(f->backups[i]->label, next->first_backup) == 0)
            b = f->backups[i];
    if (walk->at_end)
        snprintf(h->why, sizeof h->why,
                 "the WAL of timeline %" PRIu32 " ends; backup %s is on timeline %" PRIu32
                 ", to which no backup before it leads",
                 walk->line->tli, next->first_backup, next->timeline);
    else
        say_way_end(f, walk,
                    b != NULL && walk->line->tli == next->timeline
                        ? lsn_segno(b->start_lsn, f->map->segment_size)
                        : UINT64_MAX,
                    h);
}

static void behind_last(struct finder *f, const struct window *w, const struct reach_walk *walk)
{
    struct hole *h = add(f, HOLE_MISSING, walk->line->tli);

    h->from_us = w->end_us;
    h->from_lsn = w->end_lsn;
    say_way_end(f, walk, UINT64_MAX, h);
}

void windows_find_holes(struct finder *f)
{
    const struct windows *o = f->out;

    if (o->n == 0)
        return;
    before_first(f, &o->items[0]);
    for (size_t i = 0; i + 1 < o->n; i++)
        between(f, &o->items[i], &f->walks[f->last_walks[i]], &o->items[i + 1]);
    if (!o->items[o->n - 1].open)
        behind_last(f, &o->items[o->n - 1], &f->walks[f->last_walks[o->n - 1]]);
}

/* ---- backups of no use ---- */

/* NULL: it was told already. */
static struct hole *add_backup(struct finder *f, const struct pubinfo *b, uint32_t timeline)
{
    struct hole *h;

    for (size_t i = 0; i < f->out->n_holes; i++)
        if (strcmp(f->out->holes[i].backup, b->label) == 0)
            return NULL;
    h = add(f, HOLE_BACKUP, timeline);
    memcpy(h->backup, b->label, sizeof h->backup);
    return h;
}

static void say_backup(struct hole *h, const char *why)
{
    AUTO(mem_free) char *copy = xstrdup(why);

    h->kind = HOLE_BACKUP;
    snprintf(h->why, sizeof h->why, "backup %s cannot be restored: %.400s", h->backup, copy);
}

void windows_add_backup(struct windows *w, const struct pubinfo *b, const char *why)
{
    struct hole h = {
        .system_id = b->system_id, .timeline = b->timeline, .segment_size = b->wal_segment_size};

    memcpy(h.backup, b->label, sizeof h.backup);
    say_backup(&h, why);
    w->holes = xrealloc(w->holes, (w->n_holes + 1) * sizeof *w->holes);
    w->holes[w->n_holes++] = h;
}

void windows_add_unusable(struct finder *f, const struct reach_walk *w)
{
    uint64_t last = lsn_last_segno(w->backup->stop_lsn, f->map->segment_size);
    struct hole *h = add_backup(f, w->backup, w->line->tli);

    if (h == NULL)
        return;
    say_way_end(f, w, last + 1, h);
    say_backup(h, h->why);
}

void windows_add_lost(struct finder *f, const struct pubinfo *b, const char *why)
{
    struct hole *h = add_backup(f, b, b->timeline);

    if (h != NULL)
        say_backup(h, why);
}
