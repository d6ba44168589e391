/*
 * sum_merge.c - many indexes into one. See sums.h.
 *
 * The result is what one index would say of all the WAL together: head and end of the ends, records
 * that cross inside taken in, limits and blocks applied in order. So it does not matter in which
 * steps segments are merged.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "wal/index/index_walk.h"
#include "wal/index/sums.h"

/* Of one sum, as often as they are mentioned. Beyond that, reading one by one costs little more,
 * and merging would take too much memory. */
enum { BLOCKS_MAX = 32 << 20 };
enum { HEAD_FLAGS = WAL_INDEX_HEAD_OMITTED | WAL_INDEX_HEAD_ABANDONED };

struct merger {
    struct wal_sum *sum;
    struct wal_changes *changes;
    uint32_t timeline;
    uint32_t segments; /* taken so far */
    uint64_t blocks;
};

static void take_first(struct wal_index *ix, const struct wal_index *first)
{
    ix->major = first->major;
    ix->magic = first->magic;
    ix->system_id = first->system_id;
    ix->start = first->start;
    ix->segment_size = first->segment_size;
    ix->tli = first->tli;
    ix->head_len = first->head_len;
    ix->head_seen = first->head_seen;
    ix->flags = first->flags & HEAD_FLAGS;
    buf_add(&ix->head, first->head.p, first->head.len);
}

static void take_last(struct wal_index *ix, const struct wal_index *last)
{
    ix->flags = (ix->flags & HEAD_FLAGS) | (last->flags & ~(uint32_t)HEAD_FLAGS);
    ix->end_of_data = last->end_of_data;
    ix->tail_total = last->tail_total;
    ix->tail_seen = last->tail_seen;
    buf_clear(&ix->tail);
    buf_add(&ix->tail, last->tail.p, last->tail.len);
}

static void take_timelines(struct wal_index *ix, const struct wal_index *later)
{
    for (unsigned i = 0; i < later->n_timelines; i++) {
        const struct wal_timeline *t = &later->timelines[i];

        if (ix->n_timelines == WAL_TIMELINES_MAX ||
            (ix->n_timelines != 0 && ix->timelines[ix->n_timelines - 1].tli >= t->tli))
            continue;
        ix->timelines[ix->n_timelines++] = *t;
    }
}

/* A record whose header was cut off tells what is before it when it is whole. */
static void take_records(struct wal_index *ix, const struct wal_index *later, bool crossing)
{
    if (later->first_lsn == 0)
        return;
    if (ix->first_lsn == 0 || (crossing && ix->first_lsn == later->first_lsn)) {
        ix->first_lsn = later->first_lsn;
        ix->first_prev = later->first_prev;
    }
    ix->last_lsn = later->last_lsn;
    ix->last_prev = later->last_prev;
}

static int count_blocks(struct merger *m, const struct wal_index *ix, struct err *err)
{
    for (uint32_t i = 0; i < ix->n_runs; i++)
        m->blocks += ix->runs[i].count;
    if (m->blocks <= BLOCKS_MAX)
        return 0;
    return err_set(err, ERR_UNSUPPORTED, "more than %d blocks changed", (int)BLOCKS_MAX);
}

static int take_segments(struct merger *m, const struct index_step *s, struct err *err)
{
    struct wal_sum *sum = m->sum;
    uint32_t n = s->ix->further + 1;

    if (s->stored == NULL || s->ix->tli != m->timeline)
        return err_set(err, ERR_FOREIGN, "it is not archived on timeline %u", m->timeline);
    if (m->segments == 0)
        take_first(&sum->ix, s->ix);
    memcpy(sum->stored + m->segments, s->stored, n * sizeof *sum->stored);
    m->segments += n;
    take_last(&sum->ix, s->ix);
    take_timelines(&sum->ix, s->ix);
    return 0;
}

static int take(void *ctx, const struct index_step *s, struct err *err)
{
    struct merger *m = ctx;

    TRY(count_blocks(m, s->ix, err));
    if (!s->crossing)
        TRY(take_segments(m, s, err));
    take_records(&m->sum->ix, s->ix, s->crossing);
    wal_index_add_summary(&m->sum->ix, s->ix);
    wal_index_add_blocks(s->ix, m->changes);
    return 0;
}

/* What only the whole stretch tells. */
static int finish(struct merger *m, const struct wal_chain *chain, struct err *err)
{
    struct wal_index *ix = &m->sum->ix;
    const uint32_t doubts = WAL_INDEX_ENDS | WAL_INDEX_STOPPED | WAL_INDEX_NO_BLOCKS |
                            WAL_INDEX_NO_HISTORY | WAL_INDEX_MINIMAL;

    if (ix->flags & doubts)
        return err_set(err, ERR_UNSUPPORTED, "%s",
                       ix->reason[0] != '\0' ? ix->reason : "WAL ends inside");
    if (ix->head_seen < ix->head_len || ix->first_lsn == 0)
        return err_set(err, ERR_UNSUPPORTED, "one record takes all of the first segment");
    if (chain->carry_total != ix->tail_total ||
        (chain->carry_total != 0 && chain->carry_lsn != ix->last_lsn))
        return err_set(err, ERR_UNSUPPORTED, "one record takes all of the last segment");
    if (chain->carry_total != 0)
        ix->last_prev = chain->last;
    wal_index_set_blocks(ix, m->changes);
    return 0;
}

static int merge(const struct wal_place *place, uint32_t timeline, uint64_t first, uint64_t last,
                 const struct sum_list *smaller, const struct stop *stop, struct wal_sum *out,
                 bool *misfit, struct err *err)
{
    AUTO(wal_changes_free) struct wal_changes *changes = wal_changes_new();
    AUTO(history_free) struct history line = HISTORY_INIT;
    struct merger m = {.sum = out, .changes = changes, .timeline = timeline};
    AUTO(index_walk_clear)
    struct index_walk w = {.place = *place,
                           .history = &line,
                           .first = first,
                           .last = last,
                           .to = UINT64_MAX,
                           .sums = smaller,
                           .only_indexes = true,
                           .data_fd = -1,
                           .stop = stop,
                           .take = take,
                           .ctx = &m};
    int rc;

    wal_sum_free(out);
    history_root(timeline, &line);
    out->stored = xcalloc((size_t)(last - first + 1), sizeof *out->stored);
    out->ix.further = (uint32_t)(last - first);
    rc = index_walk(&w, err);
    *misfit = w.misfit;
    TRY(rc);
    *misfit = w.summed;
    return finish(&m, &w.chain, err);
}

/* What a smaller sum says wrongly does not keep a larger one from being made. */
int sum_merge(const struct wal_place *place, uint32_t timeline, uint64_t first, uint64_t last,
              const struct sum_list *smaller, const struct stop *stop, struct wal_sum *out,
              struct err *err)
{
    bool misfit;

    if (merge(place, timeline, first, last, smaller, stop, out, &misfit, err) == 0)
        return 0;
    if (!misfit)
        return -1;
    log_warning("smaller sums of WAL indexes do not join, what they sum up is read one by one: %s",
                err->msg);
    err_clear(err);
    return merge(place, timeline, first, last, NULL, stop, out, &misfit, err);
}
