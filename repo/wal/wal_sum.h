/*
 * wal_sum.h - sums: the WAL indexes of many consecutive segments of a timeline, merged into one.
 *
 * A sum says of its stretch of WAL what one index would if the stretch were a single segment, and
 * of which segments it was made: content tag and stored size of each. It is a function of their
 * indexes, so whoever makes it makes the same; it is created once and never changed. It only saves
 * reading: what is lost with one is time. There is none of a stretch that is not whole, or of which
 * an index does not know everything.
 *
 * Stored form: docs/format.md, "Sums". Making and using them: wal/index/sums.h,
 * wal/index/index_walk.h.
 */
#ifndef PGBR_REPO_WAL_WAL_SUM_H
#define PGBR_REPO_WAL_WAL_SUM_H

#include "repo/repo.h"
#include "repo/wal/wal_index.h"
#include "repo/wal/wal_object.h"

enum { WAL_SUM_SEGMENTS_MAX = 65536 };

struct wal_sum {
    struct wal_index ix;       /* ix.further: how many segments there are besides the first */
    struct wal_stored *stored; /* of each segment */
};
void wal_sum_init(struct wal_sum *s);
void wal_sum_free(struct wal_sum *s);

/* Appends the stored form. */
void wal_sum_write(const struct wal_sum *s, struct buf *out);
/* Fills *s, which must be initialised; on failure it is empty. Believes nothing; whether it is the
 * sum of that name and system is checked too. ERR_CORRUPT, ERR_UNSUPPORTED, ERR_FOREIGN. */
int wal_sum_read(const void *data, size_t len, const struct sum_name *name, uint64_t system_id,
                 unsigned major, struct wal_sum *s, struct err *err) MUST_CHECK;

/* Stores the sum of ix.tli, unless it is there; durable on return. ERR_UNSUPPORTED: it is longer
 * than an object can hold, and not worth having. */
int wal_sum_put(struct repo *r, const struct wal_sum *s, bool *made, struct err *err) MUST_CHECK;
/* The stored form into *out (replaced). ERR_NOT_FOUND: there is none. */
int wal_sum_load(struct repo *r, uint64_t system_id, unsigned major, const struct sum_name *name,
                 struct buf *out, struct err *err) MUST_CHECK;

struct sum_list { /* in order of timeline, start, end */
    struct sum_name *items;
    size_t n;
};
void sum_list_free(struct sum_list *l);
int wal_sums_list(struct repo *r, uint64_t system_id, unsigned major, struct sum_list *out,
                  struct err *err) MUST_CHECK;

#endif
