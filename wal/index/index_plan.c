/*
 * index_plan.c - which sums stand for which segments. See index_walk.h.
 *
 * A sum says nothing of what became of its segments since. That they are still there, and as large
 * as they were, is told by a listing, which costs one request for hundreds of them: so a segment
 * that was lost is missed with sums as it would be without.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "wal/index/index_stream.h"
#include "wal/index/index_walk.h"

struct listed_segment {
    uint32_t timeline;
    uint64_t segno, size;
};

/* ---- choosing ---- */

static uint32_t timeline_of(const struct index_walk *w, uint64_t segno)
{
    return history_segment_tli(w->history, segno, w->place.segment_size);
}

/* The first sum that is not before (timeline, start). */
static size_t lower_bound(const struct sum_list *l, uint32_t timeline, uint64_t start)
{
    size_t low = 0, high = l->n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct sum_name *s = &l->items[middle];

        if (s->timeline < timeline || (s->timeline == timeline && s->start < start))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Timelines never go back along the way, so both ends tell of all between. */
static bool fits(const struct index_walk *w, const struct sum_name *s, uint32_t timeline)
{
    uint64_t size = w->place.segment_size, last = (s->end - 1) / size;

    return s->end % size == 0 && last <= w->last && timeline_of(w, last) == timeline &&
           (s->end - s->start) / size <= WAL_SUM_SEGMENTS_MAX;
}

/* The longest sum that begins with the segment; NULL: none. */
static const struct sum_name *longest(const struct index_walk *w, uint64_t segno)
{
    uint64_t start = segno_lsn(segno, w->place.segment_size);
    uint32_t timeline = timeline_of(w, segno);
    const struct sum_name *best = NULL;

    if (w->sums == NULL)
        return NULL;
    for (size_t i = lower_bound(w->sums, timeline, start); i < w->sums->n; i++) {
        const struct sum_name *s = &w->sums->items[i];

        if (s->timeline != timeline || s->start != start)
            break;
        if (fits(w, s, timeline))
            best = s;
    }
    return best;
}

static void choose(const struct index_walk *w, struct walk_plan *p)
{
    for (uint64_t s = w->first; s <= w->last;) {
        struct walk_item *item;

        if ((p->n & (p->n - 1)) == 0)
            p->items = xrealloc(p->items, MAX_OF((size_t)1, p->n * 2) * sizeof *p->items);
        item = &p->items[p->n++];
        *item = (struct walk_item){.first = s, .last = s, .sum = longest(w, s)};
        if (item->sum != NULL)
            item->last = item->sum->end / w->place.segment_size - 1;
        s = item->last + 1;
    }
}

/* ---- what is there ---- */

struct log_place {
    uint32_t timeline, log;
};
struct logs {
    const struct index_walk *w;
    struct log_place *items;
    size_t n;
};

static void add_log(struct logs *l, uint32_t timeline, uint32_t log)
{
    if (l->n != 0 && l->items[l->n - 1].timeline == timeline && l->items[l->n - 1].log == log)
        return;
    if ((l->n & (l->n - 1)) == 0)
        l->items = xrealloc(l->items, MAX_OF((size_t)1, l->n * 2) * sizeof *l->items);
    l->items[l->n++] = (struct log_place){timeline, log};
}

static void find_logs(const struct walk_plan *p, struct logs *l)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct sum_name *s = p->items[i].sum;

        for (uint64_t log = s != NULL ? s->start >> 32 : 1;
             log <= (s != NULL ? (s->end - 1) >> 32 : 0); log++)
            add_log(l, s->timeline, (uint32_t)log);
    }
}

struct listing {
    uint32_t segment_size;
    struct buf *out;
};

static int note_segment(void *ctx, const struct wal_entry *e, struct err *err)
{
    struct listing *l = ctx;
    struct listed_segment s = {.size = e->size};
    struct wal_file f;

    (void)err;
    if (wal_file_parse(e->file, &f) != 0 || f.kind != WAL_SEGMENT ||
        wal_file_segno(&f, l->segment_size, &s.segno) != 0)
        return 0;
    s.timeline = f.tli;
    buf_add(l->out, &s, sizeof s);
    return 0;
}

static int list_log(void *ctx, size_t i, struct buf *out, struct err *err)
{
    const struct logs *l = ctx;
    const struct wal_place *p = &l->w->place;
    struct listing to = {p->segment_size, out};

    return wal_log_list(p->repo, p->system_id, p->major, l->items[i].timeline, l->items[i].log,
                        note_segment, &to, err);
}

static int list_logs(struct logs *l, struct buf *out, struct err *err)
{
    AUTO(index_stream_free) struct index_stream *stream = NULL;
    AUTO(buf_free) struct buf some = BUF_INIT;

    TRY(index_stream_new(&stream, list_log, l, l->n, err));
    for (size_t i = 0; i < l->n; i++) {
        TRY(stop_check(l->w->stop, err));
        TRY(index_stream_next(stream, &some, err));
        buf_add(out, some.p, some.len);
    }
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct listed_segment *x = a, *y = b;

    if (x->timeline != y->timeline)
        return x->timeline < y->timeline ? -1 : 1;
    return (x->segno > y->segno) - (x->segno < y->segno);
}

static int look(const struct index_walk *w, struct walk_plan *p, struct err *err)
{
    AUTO(buf_free) struct buf found = BUF_INIT;
    struct logs logs = {.w = w};
    int rc = 0;

    find_logs(p, &logs);
    if (logs.n != 0)
        rc = list_logs(&logs, &found, err);
    free(logs.items);
    TRY(rc);
    p->n_listed = found.len / sizeof *p->listed;
    p->listed = xcalloc(p->n_listed, sizeof *p->listed);
    if (found.len != 0)
        memcpy(p->listed, found.p, found.len);
    if (p->n_listed != 0)
        qsort(p->listed, p->n_listed, sizeof *p->listed, by_place);
    return 0;
}

int walk_plan_make(const struct index_walk *w, struct walk_plan *out, struct err *err)
{
    *out = (struct walk_plan){0};
    choose(w, out);
    if (look(w, out, err) == 0)
        return 0;
    walk_plan_free(out);
    return -1;
}

void walk_plan_free(struct walk_plan *p)
{
    free(p->items);
    free(p->listed);
    *p = (struct walk_plan){0};
}

int walk_plan_check(const struct index_walk *w, const struct walk_plan *p,
                    const struct walk_item *item, const struct wal_sum *sum, struct err *err)
{
    char name[WAL_SEGMENT_NAME];

    for (uint64_t s = item->first; s <= item->last; s++) {
        const struct wal_stored *was = &sum->stored[s - item->first];
        struct listed_segment key = {.timeline = sum->ix.tli, .segno = s};
        const struct listed_segment *is =
            p->n_listed == 0 ? NULL : bsearch(&key, p->listed, p->n_listed, sizeof key, by_place);

        wal_segment_name(sum->ix.tli, s, w->place.segment_size, name);
        if (is == NULL)
            return err_set(err, ERR_NOT_FOUND, "segment \"%s\" is not there any more", name);
        if (is->size != was->size)
            return err_set(err, ERR_FOREIGN,
                           "segment \"%s\" has %llu bytes, but had %llu when the sum was made",
                           name, (unsigned long long)is->size, (unsigned long long)was->size);
    }
    return 0;
}
