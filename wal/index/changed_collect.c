/*
 * changed_collect.c - changed blocks of a range of the archive. See changed.h.
 *
 * Every index of the range is followed by index_walk(). Where something does not join, or the proof
 * is not found, and sums were used before, everything begins anew without them: they shall never be
 * the reason for a doubt.
 */
#include "base/log.h"
#include "postgres/lsn.h"
#include "wal/index/changed.h"
#include "wal/index/index_walk.h"

struct collector {
    const struct changed_range *range;
    struct changed *changed;
    bool proved; /* the backup's end record was seen */
};

static void look_for_proof(struct collector *c, const struct wal_index *ix)
{
    for (uint32_t i = 0; i < ix->n_events && !c->proved; i++)
        c->proved = ix->events[i].kind == WAL_EVENT_BACKUP_END &&
                    ix->events[i].redo == c->range->backup_lsn;
}

static int take(void *ctx, const struct index_step *s, struct err *err)
{
    struct collector *c = ctx;

    (void)err;
    look_for_proof(c, s->ix);
    changed_add(c->changed, s->ix);
    return 0;
}

static int follow(struct collector *c, const struct sum_list *sums, bool *misfit, struct err *err)
{
    const struct changed_range *q = c->range;
    AUTO(index_walk_clear)
    struct index_walk w = {.place = q->place,
                           .history = q->history,
                           .first = lsn_segno(q->from, q->place.segment_size),
                           .last = lsn_last_segno(q->to, q->place.segment_size),
                           .to = q->to,
                           .sums = sums,
                           .data_fd = q->data_fd,
                           .stop = q->stop,
                           .take = take,
                           .ctx = c};
    int rc = index_walk(&w, err);

    *misfit = w.misfit;
    TRY(rc);
    if (q->backup_lsn == 0 || c->proved)
        return 0;
    *misfit = w.summed;
    return err_set(err, ERR_FOREIGN,
                   "the WAL does not hold the end of the base: it is another history's");
}

static int collect(const struct changed_range *range, const struct sum_list *sums,
                   struct changed **out, bool *misfit, struct err *err)
{
    AUTO(changed_free) struct changed *changed = changed_new(range->temp_dir);
    struct collector c = {.range = range, .changed = changed};

    TRY(follow(&c, sums, misfit, err));
    TRY(changed_finish(changed, err));
    *out = TAKE(changed);
    return 0;
}

static int collect_by_sums(const struct changed_range *range, struct changed **out, struct err *err)
{
    const struct wal_place *p = &range->place;
    AUTO(sum_list_free) struct sum_list sums = {0};
    bool misfit;

    TRY(wal_sums_list(p->repo, p->system_id, p->major, &sums, err));
    if (collect(range, sums.n != 0 ? &sums : NULL, out, &misfit, err) == 0)
        return 0;
    if (!misfit)
        return -1;
    log_warning("the WAL does not join where sums stand for it, all of it is read one by one: %s",
                err->msg);
    err_clear(err);
    return collect(range, NULL, out, &misfit, err);
}

int changed_collect(const struct changed_range *range, struct changed **out, struct err *doubt,
                    struct err *err)
{
    *out = NULL;
    if (collect_by_sums(range, out, err) == 0)
        return 0;
    if (!is_doubt(err->code))
        return -1;
    *doubt = *err;
    err_clear(err);
    return 0;
}
