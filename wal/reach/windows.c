/*
 * windows.c - the moments one can go back to: windows_find() of target.h.
 *
 * Recovery to a time T stops at the first commit or abort, in the order of WAL, that is later than
 * T. So from one backup along one timeline exactly those T are reached for which nothing before the
 * backup was complete is later (recovery would stop too early), and something behind it is: one
 * interval, between the greatest time before and the greatest time behind, whatever the clocks did
 * meanwhile. A window is a row of such intervals that overlap.
 *
 * All backups on one unbroken way share its end, so the way is gone once, from the first of them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "wal/reach/windows_form.h"

/* ---- the greatest time in a part of a way ---- */

struct part {
    const struct history *line;
    uint64_t first, last;      /* segments */
    uint64_t from_lsn, to_lsn; /* records that start in [from, to) */
    int64_t best_us;           /* what is not greater is of no interest */
};

/* False: it counts, or would change nothing; true: something else may hide behind it. */
static bool take_moment(struct part *p, uint64_t count, const struct wal_moment *m)
{
    if (count == 0 || m->time_us <= p->best_us)
        return false;
    if (m->lsn < p->from_lsn || m->lsn >= p->to_lsn)
        return true;
    p->best_us = m->time_us;
    return false;
}

static bool take_note(struct part *p, const struct segment_note *n)
{
    bool commits = take_moment(p, n->commits, &n->commit_max);
    bool aborts = take_moment(p, n->aborts, &n->abort_max);

    return commits || aborts || !n->known;
}

/* Record by record. What is not understood ends the way of a time target, so it was not passed. */
static int read_part(struct finder *f, struct part *p, uint64_t first, uint64_t segno,
                     struct err *err)
{
    struct target to = {.kind = TARGET_LSN, .exclusive = true, .lsn = p->to_lsn};
    struct scan scan;
    struct way w;
    int rc;

    way_begin(&w, f->map, f->repo, p->line, first, f->stop);
    w.segno = segno;
    rc = scan_run(&w, first, &to, p->from_lsn, &scan, err);
    way_finish(&w);
    if (rc == 0 && scan.seen.newest.time_us > p->best_us)
        p->best_us = scan.seen.newest.time_us;
    return rc;
}

/* The record that ends in this segment but began before it: nothing hides behind it. */
static int take_crossing(struct finder *f, struct part *p, const struct segment_note *n,
                         uint64_t segno, struct err *err)
{
    if (n->known) {
        (void)take_note(p, n);
        return 0;
    }
    return read_part(f, p, lsn_segno(n->last_lsn, f->map->segment_size), segno, err);
}

static int greatest(struct finder *f, struct part *p, struct err *err)
{
    for (uint64_t segno = p->first; segno <= p->last; segno++) {
        const struct map_segment *s =
            map_segment(f->map, map_file_tli(f->map, p->line, segno), segno);

        if (s == NULL || s->note == NULL)
            continue;
        if (take_note(p, s->note))
            TRY(read_part(f, p, segno, segno, err));
        if (segno != p->first && s->note->crossing != NULL)
            TRY(take_crossing(f, p, s->note->crossing, segno, err));
    }
    return 0;
}

/* ---- what one backup reaches ---- */

static void add_span(struct finder *f, const struct span *s)
{
    if ((f->n_spans & (f->n_spans - 1)) == 0)
        f->spans = xrealloc(f->spans, (f->n_spans == 0 ? 1 : 2 * f->n_spans) * sizeof *f->spans);
    f->spans[f->n_spans++] = *s;
}

/* from: only what lies behind it is of interest, because other windows tell the rest; 0: all. */
static int take_backup(struct finder *f, const struct reach_walk *w, const struct pubinfo *b,
                       uint64_t from, struct err *err)
{
    uint32_t size = f->map->segment_size;
    uint64_t bound = MAX_OF(from, b->stop_lsn);
    struct part before = {.line = w->line,
                          .first = lsn_segno(b->start_lsn, size),
                          .last = MIN_OF(lsn_last_segno(bound, size), w->last),
                          .to_lsn = bound,
                          .best_us = b->stop_us};
    struct part behind = {.line = w->line,
                          .first = lsn_segno(bound, size),
                          .last = w->last,
                          .from_lsn = bound,
                          .to_lsn = UINT64_MAX};
    struct span s = {.backup = b, .walk = (size_t)(w - f->walks), .from_lsn = bound};

    TRY(greatest(f, &before, err));
    s.from_us = before.best_us;
    s.to_us = w->seen.newest.time_us;
    if (w->seen.newest.lsn < bound) {
        behind.best_us = s.from_us;
        TRY(greatest(f, &behind, err));
        s.to_us = behind.best_us;
    }
    s.to_us = MAX_OF(s.to_us, s.from_us);
    if (from == 0 || s.to_us > s.from_us)
        add_span(f, &s);
    return 0;
}

static bool covers(const struct finder *f, const struct reach_walk *w, const struct pubinfo *b)
{
    return w->whole && w->first <= lsn_segno(b->start_lsn, f->map->segment_size) &&
           w->end_lsn >= b->stop_lsn;
}

static struct reach_walk *room_for_walk(struct finder *f)
{
    if ((f->n_walks & (f->n_walks - 1)) == 0)
        f->walks = xrealloc(f->walks, (f->n_walks == 0 ? 1 : 2 * f->n_walks) * sizeof *f->walks);
    return &f->walks[f->n_walks];
}

/* ---- along one timeline ---- */

static const struct history *default_line(const struct finder *f, const struct pubinfo *b)
{
    const struct history *line = wal_map_history(f->map, map_newest(f->map, b->timeline));

    return line != NULL && map_backup_fits(line, b) ? line : NULL;
}

static bool has_wal_behind(const struct finder *f, const struct history *line, uint64_t lsn)
{
    uint64_t segno = lsn_segno(lsn, f->map->segment_size);

    return segno == 0 || map_later(f->map, line, segno - 1) != UINT64_MAX;
}

static void lower(uint64_t *parting, const struct history *a, const struct history *b,
                  const struct history *begins)
{
    for (size_t i = 0; i < begins->count; i++) {
        uint64_t lsn = begins->entries[i].begin;

        if (lsn < *parting && history_tli_at(a, lsn) != history_tli_at(b, lsn))
            *parting = lsn;
    }
}

/* From where on the two ways differ; UINT64_MAX: never. */
static uint64_t parting(const struct history *a, const struct history *b)
{
    uint64_t lsn = UINT64_MAX;

    lower(&lsn, a, b, a);
    lower(&lsn, a, b, b);
    return lsn;
}

/* From where on a way along another timeline tells what the windows of this backup without a
 * timeline do not; UINT64_MAX: nowhere. walks: those of these windows. */
static uint64_t untold_from(const struct finder *f, size_t n_walks, const struct history *line,
                            const struct pubinfo *b)
{
    const struct history *own = default_line(f, b);
    uint64_t told = 1;

    for (size_t i = 0; i < n_walks; i++)
        if (f->walks[i].line == own && covers(f, &f->walks[i], b))
            told = MAX_OF(told, f->walks[i].end_lsn);
    return own != NULL ? MIN_OF(told, parting(line, own)) : 1;
}

static int take_walk(struct finder *f, const struct history *line, const struct pubinfo *b,
                     size_t begin, struct reach_walk **out, struct err *err)
{
    struct reach_walk *w = room_for_walk(f);

    *out = w - 1;
    if (f->n_walks > begin && covers(f, w - 1, b))
        return 0;
    *out = w;
    f->n_walks++;
    return reach_walk(f->map, f->repo, b, line, f->stop, w, err);
}

/* The backups whose "latest" this line is; aside: the others, and what they reach only by it. */
static int follow(struct finder *f, const struct history *line, bool aside, struct err *err)
{
    size_t begin = f->n_walks;

    for (size_t i = 0; i < f->n_backups; i++) {
        const struct pubinfo *b = f->backups[i];
        struct reach_walk *w;
        uint64_t from = 0;

        if ((default_line(f, b) == line) == aside || !map_backup_fits(line, b))
            continue;
        if (aside)
            from = untold_from(f, begin, line, b);
        if (aside && !has_wal_behind(f, line, from))
            continue;
        TRY(take_walk(f, line, b, begin, &w, err));
        if (w->whole && w->end_lsn > from)
            TRY(take_backup(f, w, b, from, err));
    }
    return 0;
}

/* ---- spans to windows ---- */

static int by_time(const void *left, const void *right)
{
    const struct span *a = left, *b = right;

    if (a->from_us != b->from_us)
        return a->from_us < b->from_us ? -1 : 1;
    return a->to_us != b->to_us ? (a->to_us < b->to_us ? -1 : 1) : 0;
}

/* An end without a time is told once for each way, and not where a time is told of it. */
static bool says_nothing(const struct finder *f, size_t first, size_t i)
{
    if (f->spans[i].to_us > f->spans[i].from_us)
        return false;
    for (size_t k = first; k < f->n_spans; k++)
        if (f->spans[k].walk == f->spans[i].walk &&
            (f->spans[k].to_us > f->spans[k].from_us || k < i))
            return true;
    return false;
}

static void take_end(struct finder *f, struct window *w, const struct span *s)
{
    const struct reach_walk *walk = &f->walks[s->walk];

    memcpy(w->last_backup, s->backup->label, sizeof w->last_backup);
    w->end_us = s->to_us;
    w->end_lsn = walk->end_lsn;
    w->last_commit_us = walk->seen.commit_us;
    w->open = walk->at_end && walk->wrong_turn == 0;
    f->last_walks[w - f->out->items] = s->walk;
}

static void add_window(struct finder *f, const struct span *s, bool aside)
{
    struct windows *o = f->out;
    struct window *w;

    o->items = xrealloc(o->items, (o->n + 1) * sizeof *o->items);
    f->last_walks = xrealloc(f->last_walks, (o->n + 1) * sizeof *f->last_walks);
    w = &o->items[o->n++];
    *w = (struct window){.system_id = f->map->system_id,
                         .major = f->map->major,
                         .timeline = f->walks[s->walk].line->tli,
                         .aside = aside,
                         .start_lsn = s->from_lsn,
                         .start_us = s->from_us};
    memcpy(w->first_backup, s->backup->label, sizeof w->first_backup);
    take_end(f, w, s);
}

/* The spans from number first on. */
static void make_windows(struct finder *f, size_t first, bool aside)
{
    size_t begin = f->out->n;

    if (f->n_spans > first)
        qsort(f->spans + first, f->n_spans - first, sizeof *f->spans, by_time);
    for (size_t i = first; i < f->n_spans; i++) {
        const struct span *s = &f->spans[i];
        struct window *last = f->out->n > begin ? &f->out->items[f->out->n - 1] : NULL;

        if (says_nothing(f, first, i)) {
            if (last != NULL && f->last_walks[f->out->n - 1] == s->walk)
                memcpy(last->last_backup, s->backup->label, sizeof last->last_backup);
            continue;
        }
        if (last == NULL || s->from_us > last->end_us)
            add_window(f, s, aside);
        else if (s->to_us >= last->end_us)
            take_end(f, last, s);
    }
}

/* ---- timelines that were left ---- */

static bool is_default(const struct finder *f, const struct history *line)
{
    for (size_t i = 0; i < f->n_lines; i++)
        if (f->lines[i] == line)
            return true;
    return false;
}

static int left_behind(struct finder *f, struct err *err)
{
    const struct wal_map *m = f->map;

    for (size_t i = 0; i < m->n_histories; i++) {
        const struct map_history *h = &m->histories[i];
        size_t first = f->n_spans;

        if (!h->readable)
            continue;
        TRY(follow(f, &h->history, true, err));
        make_windows(f, first, true);
    }
    return 0;
}

/* ---- all of it ---- */

static int by_wal(const void *left, const void *right)
{
    const struct pubinfo *const *a = left, *const *b = right;

    if ((*a)->start_lsn != (*b)->start_lsn)
        return (*a)->start_lsn < (*b)->start_lsn ? -1 : 1;
    return (*a)->stop_lsn < (*b)->stop_lsn ? -1 : (*a)->stop_lsn > (*b)->stop_lsn;
}

static void take_backups(struct finder *f, const struct backup_list *l)
{
    f->backups = xcalloc(l->n, sizeof *f->backups);
    f->lines = xcalloc(l->n, sizeof *f->lines);
    for (size_t i = 0; i < l->n; i++) {
        const struct history *line = default_line(f, &l->items[i]);

        f->backups[f->n_backups++] = &l->items[i];
        if (line != NULL && !is_default(f, line))
            f->lines[f->n_lines++] = line;
    }
    if (f->n_backups > 1)
        qsort(f->backups, f->n_backups, sizeof *f->backups, by_wal);
}

static bool is_usable(const struct finder *f, const struct pubinfo *b)
{
    for (size_t i = 0; i < f->n_walks; i++)
        if (covers(f, &f->walks[i], b) && map_backup_fits(f->walks[i].line, b))
            return true;
    return false;
}

/* No way was gone from it, since none is known: its timeline's history is not there, or nothing at
 * all of its WAL is. */
static int tell_lost(struct finder *f, struct err *err)
{
    const struct target end = {.kind = TARGET_IMMEDIATE};

    for (size_t i = 0; i < f->n_backups; i++) {
        const struct pubinfo *b = f->backups[i];
        struct reach reach;

        if (is_usable(f, b))
            continue;
        TRY(target_reach(f->map, f->repo, b, &end, f->stop, &reach, err));
        if (!reach.reachable)
            windows_add_lost(f, b, reach.why);
    }
    return 0;
}

static int find(struct finder *f, struct err *err)
{
    for (size_t i = 0; i < f->n_lines; i++)
        TRY(follow(f, f->lines[i], false, err));
    make_windows(f, 0, false);
    windows_find_holes(f);
    TRY(left_behind(f, err));
    for (size_t i = 0; i < f->n_walks; i++)
        if (!f->walks[i].whole && !is_usable(f, f->walks[i].backup))
            windows_add_unusable(f, &f->walks[i]);
    return tell_lost(f, err);
}

int windows_find(const struct wal_map *m, struct repo *r, const struct backup_list *backups,
                 const struct stop *stop, struct windows *out, struct err *err)
{
    struct finder f = {.map = m, .repo = r, .stop = stop, .out = out};
    int rc;

    *out = (struct windows){0};
    take_backups(&f, backups);
    rc = find(&f, err);
    free(f.backups);
    free(f.lines);
    free(f.walks);
    free(f.spans);
    free(f.last_walks);
    if (rc != 0)
        windows_free(out);
    return rc;
}

void windows_free(struct windows *w)
{
    free(w->items);
    free(w->holes);
    *w = (struct windows){0};
}
