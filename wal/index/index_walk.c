/* index_walk.c - see index_walk.h. */
#include "wal/index/index_walk.h"

#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "wal/index/index_stream.h"

/* Items that are read side by side. */
struct reading {
    struct index_walk *w;
    const struct walk_plan *plan;
    struct walk_item *items;
    size_t n;
    struct index_stream *stream;
};

struct segment_place walk_place(const struct index_walk *w, uint64_t segno)
{
    return (struct segment_place){
        .repo = w->place.repo,
        .system_id = w->place.system_id,
        .major = w->place.major,
        .segment_size = w->place.segment_size,
        .timeline = history_segment_tli(w->history, segno, w->place.segment_size),
        .segno = segno,
    };
}

static int read_item(void *ctx, size_t i, struct buf *out, struct err *err)
{
    struct reading *r = ctx;
    struct walk_item *item = &r->items[i];
    struct segment_place at = walk_place(r->w, item->first);
    char name[WAL_SEGMENT_NAME];

    if (item->sum != NULL)
        return wal_sum_load(at.repo, at.system_id, at.major, item->sum, out, err);
    wal_segment_name(at.timeline, at.segno, at.segment_size, name);
    return wal_object_index(at.repo, at.system_id, at.major, name, out, &item->stored, err);
}

/* ---- the index of a segment ---- */

static int build_index(const struct segment_place *at, const struct buf *bytes,
                       struct wal_index *ix, struct err *err)
{
    struct wal_expect want = {.system_id = at->system_id,
                              .start = segno_lsn(at->segno, at->segment_size),
                              .tli = at->timeline};

    return wal_index_build(bytes->p, bytes->len, &want, ix, err);
}

/* Of a segment without an index that can be read: made from its bytes. */
static int archived_bytes(const struct segment_place *at, struct wal_index *ix, struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err why = {0};
    bool readable;

    TRY(segment_bytes(at, 1, &bytes, &readable, &why, err));
    if (!readable) {
        *err = why;
        return -1;
    }
    return build_index(at, &bytes, ix, err);
}

/* Between the looks into the archive and into pg_wal the server may have archived and recycled it,
 * so the archive is asked again. That a store does not answer then is no doubt, but an error. */
static int from_segment(const struct index_walk *w, const struct segment_place *at,
                        const char *name, struct wal_index *ix, struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err again = {0};

    if (archived_bytes(at, ix, err) == 0)
        return 0;
    if (err->code != ERR_NOT_FOUND)
        return -1;
    err_clear(err);
    if (walk_read_pg_wal(w, name, &bytes, err) == 0 && build_index(at, &bytes, ix, err) == 0)
        return 0;
    if (!is_doubt(err->code))
        return -1;
    if (archived_bytes(at, ix, &again) == 0) {
        err_clear(err);
        return 0;
    }
    if (!is_doubt(again.code))
        *err = again;
    return -1;
}

static int find_index(struct reading *r, struct walk_item *item, const struct segment_place *at,
                      const char *name, struct wal_index *ix, struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    if (index_stream_next(r->stream, &bytes, err) == 0 &&
        wal_index_read(bytes.p, bytes.len, WAL_INDEX_ALL, ix, err) == 0)
        return 0;
    item->stored.size = 0;
    if (r->w->only_indexes || !is_doubt(err->code))
        return -1;
    err_clear(err);
    return from_segment(r->w, at, name, ix, err);
}

/* Whether the index tells everything about its records up to where it is needed. */
static int check_index(const struct index_walk *w, const struct wal_index *ix, uint64_t start,
                       struct err *err)
{
    uint64_t needed = MIN_OF(w->to, start + w->place.segment_size);

    if (ix->system_id != w->place.system_id || ix->start != start ||
        ix->segment_size != w->place.segment_size || ix->major != w->place.major)
        return err_set(err, ERR_FOREIGN, "it holds other WAL than its name says");
    if ((ix->flags & (WAL_INDEX_STOPPED | WAL_INDEX_ENDS)) != 0 && ix->end_of_data < needed)
        return err_set(err, ERR_CORRUPT, "its records break off: %s",
                       ix->reason[0] != '\0' ? ix->reason : "WAL ends inside");
    if (ix->flags & (WAL_INDEX_NO_BLOCKS | WAL_INDEX_NO_HISTORY | WAL_INDEX_MINIMAL))
        return err_set(err, ERR_UNSUPPORTED, "%s", ix->reason);
    return 0;
}

/* ---- one item ---- */

static int take_crossing(struct index_walk *w, enum wal_crossing what, uint64_t lsn, uint64_t last,
                         unsigned major, struct wal_index *crossing, struct err *err)
{
    if (what == WAL_CROSSING_NOT_KEPT)
        TRY(walk_read_crossing(w, lsn, last, major, crossing, err));
    else if (what != WAL_CROSSING_DONE)
        return 0;
    if (crossing->flags & (WAL_INDEX_NO_BLOCKS | WAL_INDEX_NO_HISTORY | WAL_INDEX_MINIMAL))
        return err_set(err, ERR_UNSUPPORTED, "%s", crossing->reason);
    return w->take(w->ctx, &(struct index_step){.ix = crossing, .crossing = true}, err);
}

static int join(struct index_walk *w, const struct wal_index *ix, uint64_t last, struct err *err)
{
    AUTO(wal_index_free) struct wal_index crossing;
    uint64_t carried = w->chain.carry_lsn;
    enum wal_crossing what;

    wal_index_init(&crossing);
    TRY(wal_chain_add(&w->chain, ix, &what, &crossing, err));
    return take_crossing(w, what, carried, last, ix->major, &crossing, err);
}

/* What does not join may be a sum's fault even where none is at hand: one that is wrong at its end
 * shows only at a later segment, as late as a record ends that went on from there. */
static int add(struct index_walk *w, const struct wal_index *ix, const struct wal_stored *stored,
               uint64_t last, struct err *err)
{
    if (join(w, ix, last, err) != 0) {
        w->misfit = w->summed && is_doubt(err->code);
        return -1;
    }
    return w->take(w->ctx, &(struct index_step){.ix = ix, .stored = stored}, err);
}

static int add_segment(struct reading *r, struct walk_item *item, struct err *err)
{
    AUTO(wal_index_free) struct wal_index ix;
    struct segment_place at = walk_place(r->w, item->first);
    char name[WAL_SEGMENT_NAME];

    wal_index_init(&ix);
    wal_segment_name(at.timeline, at.segno, at.segment_size, name);
    if (find_index(r, item, &at, name, &ix, err) != 0 ||
        check_index(r->w, &ix, segno_lsn(at.segno, at.segment_size), err) != 0 ||
        add(r->w, &ix, item->stored.size != 0 ? &item->stored : NULL, item->last, err) != 0)
        return err_context(err, "WAL segment \"%s\"", name);
    crash_point("changed-segment");
    return 0;
}

static int walk_segments(struct index_walk *w, uint64_t first, uint64_t last,
                         struct err *err) MUST_CHECK;

static int load_sum(struct reading *r, const struct walk_item *item, struct wal_sum *sum,
                    struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    const struct wal_place *p = &r->w->place;

    TRY(index_stream_next(r->stream, &bytes, err));
    TRY(wal_sum_read(bytes.p, bytes.len, item->sum, p->system_id, p->major, sum, err));
    if (sum->ix.segment_size != p->segment_size)
        return err_set(err, ERR_FOREIGN, "it is of segments of %u bytes", sum->ix.segment_size);
    return walk_plan_check(r->w, r->plan, item, sum, err);
}

static int add_sum(struct reading *r, const struct walk_item *item, struct err *err)
{
    AUTO(wal_sum_free) struct wal_sum sum;
    AUTO(buf_free) struct buf key = BUF_INIT;
    const struct wal_place *p = &r->w->place;

    wal_sum_init(&sum);
    name_sum(&key, repo_cluster(p->repo), p->system_id, p->major, item->sum);
    if (load_sum(r, item, &sum, err) == 0) {
        r->w->summed = true;
        if (add(r->w, &sum.ix, sum.stored, item->last, err) == 0)
            return 0;
        return err_context(err, "\"%s\"", key.p);
    }
    if (!is_doubt(err->code))
        return -1;
    log_warning("\"%s\" cannot be used, what it sums up is read one by one (where it is damaged, "
                "delete it: \"pgbr expire\" makes it again): %s",
                key.p, err->msg);
    err_clear(err);
    return walk_segments(r->w, item->first, item->last, err);
}

/* ---- all of them ---- */

static int walk_items(struct reading *r, struct err *err)
{
    TRY(index_stream_new(&r->stream, read_item, r, r->n, err));
    for (size_t i = 0; i < r->n; i++) {
        struct walk_item *item = &r->items[i];

        TRY(stop_check(r->w->stop, err));
        TRY(item->sum != NULL ? add_sum(r, item, err) : add_segment(r, item, err));
    }
    return 0;
}

static int walk_segments(struct index_walk *w, uint64_t first, uint64_t last, struct err *err)
{
    struct reading r = {.w = w, .n = (size_t)(last - first + 1)};
    AUTO(mem_free) struct walk_item *items = xcalloc(r.n, sizeof *items);
    int rc;

    for (size_t i = 0; i < r.n; i++)
        items[i].first = items[i].last = first + i;
    r.items = items;
    rc = walk_items(&r, err);
    index_stream_free(&r.stream);
    return rc;
}

int index_walk(struct index_walk *w, struct err *err)
{
    AUTO(walk_plan_free) struct walk_plan plan = {0};
    struct reading r = {.w = w, .plan = &plan};
    int rc;

    w->summed = w->misfit = false;
    wal_chain_init(&w->chain);
    TRY(walk_plan_make(w, &plan, err));
    r.items = plan.items;
    r.n = plan.n;
    rc = walk_items(&r, err);
    index_stream_free(&r.stream);
    return rc;
}

void index_walk_clear(struct index_walk *w)
{
    wal_chain_free(&w->chain);
}
