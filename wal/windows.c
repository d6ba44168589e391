/* windows.c - the moments one can go back to: windows_find() of target.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "wal/map_form.h"

enum { LOOK_BACK_MAX = 64 }; /* segments read in search of the last commit */

struct finder {
    const struct wal_map *map;
    struct repo *repo;
    const struct backup_list *backups;
    const struct stop *stop;
    struct window *windows;
    size_t n;
};

/* ---- the end of a row of segments ---- */

struct end {
    uint64_t lsn, commit_lsn;
    int64_t commit_us; /* 0: no commit was found */
};

static int read_note(const struct finder *f, const struct history *line, uint64_t segno,
                     struct segment_place *at, const struct segment_note **note, struct err *err)
{
    const struct wal_map *m = f->map;
    struct map_segment *s;

    *at = (struct segment_place){.repo = f->repo,
                                 .system_id = m->system_id,
                                 .major = m->major,
                                 .segment_size = m->segment_size,
                                 .timeline = map_file_tli(m, line, segno),
                                 .segno = segno};
    s = map_segment(m, at->timeline, segno);
    *note = NULL;
    if (s == NULL)
        return 0;
    TRY(stop_check(f->stop, err));
    if (s->note == NULL)
        TRY(segment_load(at, &s->note, err));
    *note = s->note;
    return 0;
}

/* Backwards from the last segment. Where one is broken, or the WAL stops inside, what was found
 * behind it does not count. */
static int find_end(const struct finder *f, const struct history *line, uint64_t first,
                    uint64_t last, struct end *end, struct err *err)
{
    *end = (struct end){0};
    for (uint64_t segno = last + 1; segno-- > first && last - segno < LOOK_BACK_MAX;) {
        const struct segment_note *note;
        struct segment_place at;

        TRY(read_note(f, line, segno, &at, &note, err));
        if (note == NULL || note->broken) {
            *end = (struct end){.lsn = segno_lsn(segno, at.segment_size)};
            continue;
        }
        if (end->lsn == 0 || note->flags & (WAL_INDEX_ENDS | WAL_INDEX_STOPPED))
            *end = (struct end){.lsn = segment_end(&at, note)};
        if (note->commits == 0)
            continue;
        end->commit_lsn = note->commit_last.lsn;
        end->commit_us = note->commit_last.time_us;
        return 0;
    }
    return 0;
}

/* ---- windows along one timeline ---- */

/* When the state at an LSN was: the last commit in the segments before it, roughly. */
static int time_before(const struct finder *f, const struct history *line, uint64_t first,
                       uint64_t lsn, int64_t *us, struct err *err)
{
    uint64_t segno = lsn_segno(lsn, f->map->segment_size);
    struct end end;

    if (segno <= first)
        return 0;
    TRY(find_end(f, line, first, segno - 1, &end, err));
    *us = MAX_OF(*us, end.commit_us);
    return 0;
}

static void add(struct finder *f, const struct window *w)
{
    if ((f->n & (f->n - 1)) == 0)
        f->windows = xrealloc(f->windows, (f->n == 0 ? 1 : 2 * f->n) * sizeof *f->windows);
    f->windows[f->n++] = *w;
}

/* What one backup opens, from `from` on. *covered: how far its WAL goes. */
static int open_window(struct finder *f, const struct history *line, const struct pubinfo *b,
                       uint64_t from, uint64_t *covered, struct err *err)
{
    uint32_t size = f->map->segment_size;
    uint64_t first = lsn_segno(b->start_lsn, size), last;
    struct window w = {.timeline = line->tli, .start_us = b->stop_us};
    struct end end;

    if (!wal_map_has(f->map, map_file_tli(f->map, line, first), first))
        return 0;
    last = map_unbroken(f->map, line, first);
    if (last < lsn_last_segno(b->stop_lsn, size))
        return 0;
    TRY(find_end(f, line, first, last, &end, err));
    if (end.lsn < b->stop_lsn)
        return 0;
    *covered = end.lsn;
    if (from != 0 && end.commit_lsn < from)
        return 0;
    if (from > b->stop_lsn)
        TRY(time_before(f, line, first, from, &w.start_us, err));
    memcpy(w.first_backup, b->label, sizeof w.first_backup);
    w.start_lsn = MAX_OF(b->stop_lsn, from);
    w.end_lsn = end.lsn;
    w.end_us = MAX_OF(end.commit_us, w.start_us);
    add(f, &w);
    return 0;
}

/* Backups that lie inside an earlier one's WAL open no window of their own. */
static int along(struct finder *f, const struct history *line, uint64_t from, struct err *err)
{
    uint64_t covered = 0;

    for (size_t i = 0; i < f->backups->n; i++) {
        const struct pubinfo *b = &f->backups->items[i];

        if (map_backup_fits(line, b) && (covered == 0 || b->stop_lsn > covered))
            TRY(open_window(f, line, b, from, &covered, err));
    }
    return 0;
}

/* ---- timelines that were left ---- */

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

static bool has_wal(const struct wal_map *m, uint32_t timeline)
{
    for (size_t i = 0; i < m->n_stretches; i++)
        if (m->stretches[i].timeline == timeline)
            return true;
    return false;
}

static int left_behind(struct finder *f, const struct history *newest, struct err *err)
{
    const struct wal_map *m = f->map;

    for (size_t i = 0; i < m->n_histories; i++) {
        const struct map_history *h = &m->histories[i];
        uint64_t lsn;

        if (!h->readable || (newest != NULL && h->timeline == newest->tli) ||
            !has_wal(m, h->timeline))
            continue;
        lsn = newest != NULL ? parting(&h->history, newest) : 0;
        if (lsn != UINT64_MAX)
            TRY(along(f, &h->history, MAX_OF(lsn, 1), err));
    }
    return 0;
}

static int by_start(const void *left, const void *right)
{
    const struct window *a = left, *b = right;

    if (a->start_us != b->start_us)
        return a->start_us < b->start_us ? -1 : 1;
    return a->start_lsn < b->start_lsn ? -1 : a->start_lsn > b->start_lsn;
}

static int find(struct finder *f, struct err *err)
{
    const struct backup_list *l = f->backups;
    const struct history *newest;

    if (l->n == 0)
        return 0;
    newest = wal_map_history(f->map, map_newest(f->map, l->items[l->n - 1].timeline));
    if (newest != NULL)
        TRY(along(f, newest, 0, err));
    TRY(left_behind(f, newest, err));
    if (f->n > 1)
        qsort(f->windows, f->n, sizeof *f->windows, by_start);
    return 0;
}

int windows_find(const struct wal_map *m, struct repo *r, const struct backup_list *backups,
                 const struct stop *stop, struct window **out, size_t *n, struct err *err)
{
    struct finder f = {.map = m, .repo = r, .backups = backups, .stop = stop};

    if (find(&f, err) != 0) {
        free(f.windows);
        return -1;
    }
    *out = f.windows;
    *n = f.n;
    return 0;
}
