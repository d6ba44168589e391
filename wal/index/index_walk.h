/*
 * index_walk.h - the indexes of a stretch of WAL, one after the other, proved to lack nothing.
 * Internal to wal/.
 *
 * Goes along the segments on the way to a timeline. Where a sum (repo/wal/wal_sum.h) covers some of
 * them, it stands for their indexes; one that cannot be read, or was made of other segments than
 * are there now, is left out with a warning, and they are read one by one. A wal_chain proves that
 * each continues the one before. Records that cross from one into the next are finished from the
 * pieces that the indexes keep, or read from the segments where these were too long. Segments that
 * have no index, or are not archived yet, are read themselves if that is wanted.
 */
#ifndef PGBR_WAL_INDEX_INDEX_WALK_H
#define PGBR_WAL_INDEX_INDEX_WALK_H

#include "base/queue.h"
#include "postgres/timeline.h"
#include "repo/wal/wal_sum.h"
#include "wal/index/index.h"
#include "wal/index/prove.h"
#include "wal/index/segment.h"

struct index_step {
    const struct wal_index *ix;      /* of a segment, of several, or of one record that crosses */
    bool crossing;                   /* such a record: it comes before the next index */
    const struct wal_stored *stored; /* of which segments (ix->further + 1); NULL: not archived, or
                                        a record */
};
struct index_walk {
    struct wal_place place;
    const struct history *history;
    uint64_t first, last;        /* segments */
    uint64_t to;                 /* what the last one holds from here on does not matter */
    const struct sum_list *sums; /* that may be used; NULL: none */
    bool only_indexes;           /* a segment without a stored one is an error */
    int data_fd;                 /* the data directory, for what is not archived yet; or -1 */
    const struct stop *stop;
    int (*take)(void *ctx, const struct index_step *s, struct err *err);
    void *ctx;
    /* Results. */
    struct wal_chain chain; /* what goes on behind the last segment */
    bool summed;            /* a sum stands for some of it */
    bool misfit;            /* it failed where a sum may be to blame: without sums it may succeed */
};
/* Calls take for each, in order; what take returns but 0 ends it. Errors that are_doubt() concern
 * the WAL only and name the segment. */
int index_walk(struct index_walk *w, struct err *err) MUST_CHECK;
void index_walk_clear(struct index_walk *w);

static inline bool is_doubt(enum err_code code)
{
    return code == ERR_CORRUPT || code == ERR_NOT_FOUND || code == ERR_UNSUPPORTED ||
           code == ERR_FOREIGN;
}

/* ---- the parts of it ---- */

/* A segment, or those that a sum covers. */
struct walk_item {
    uint64_t first, last;
    const struct sum_name *sum; /* NULL: a segment */
    struct wal_stored stored;   /* of a segment, once its index was read; size 0: not known */
};
struct segment_place walk_place(const struct index_walk *w, uint64_t segno);

/* index_plan.c: which sums stand for which segments. */
struct walk_plan {
    struct walk_item *items; /* in order; together they are the stretch */
    size_t n;
    struct listed_segment *listed; /* what of the archive the chosen sums cover */
    size_t n_listed;
};
int walk_plan_make(const struct index_walk *w, struct walk_plan *out, struct err *err) MUST_CHECK;
void walk_plan_free(struct walk_plan *p);
/* Whether the segments of a sum are still there, as large as when it was made. ERR_NOT_FOUND,
 * ERR_FOREIGN. */
int walk_plan_check(const struct index_walk *w, const struct walk_plan *p,
                    const struct walk_item *item, const struct wal_sum *sum,
                    struct err *err) MUST_CHECK;

/* index_crossing.c: the record at lsn, which ends in segment `last` or before it, from the segments
 * themselves. *crossing must be initialised. */
int walk_read_crossing(const struct index_walk *w, uint64_t lsn, uint64_t last, unsigned major,
                       struct wal_index *crossing, struct err *err) MUST_CHECK;
/* A segment from pg_wal. ERR_NOT_FOUND. */
int walk_read_pg_wal(const struct index_walk *w, const char *name, struct buf *out,
                     struct err *err) MUST_CHECK;

#endif
