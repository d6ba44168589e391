/*
 * sums.h - making sums of WAL indexes, and comparing them with what they were made from.
 *
 * Small sums are made of SUM_SMALL segments, large ones of as many small ones; a large one is
 * SUM_LARGE segments, 4 GiB of WAL where these have 16 MiB. All begin at multiples of their size.
 * So a reader of any stretch meets few single segments at its ends. Each is read here once, and
 * nobody has to wait: sums are made between backups (docs/decisions/0009).
 */
#ifndef PGBR_WAL_INDEX_SUMS_H
#define PGBR_WAL_INDEX_SUMS_H

#include "base/queue.h"
#include "repo/wal/wal_sum.h"
#include "wal/index/prove.h"

enum { SUM_SMALL = 16, SUM_LARGE = 256 };

struct sums_request {
    struct wal_place place;
    uint64_t from;         /* WAL before it is left out */
    uint32_t small, large; /* segments; SUM_SMALL, SUM_LARGE but in tests */
    int64_t time_limit_us; /* after that long no other one is begun; 0: none */
    const struct stop *stop;
};
struct sums_made {
    uint64_t made;
    uint64_t refused; /* their WAL is not whole, or cannot be understood */
    bool cut_short;   /* by the time limit, or by too many that were refused */
    struct err why;   /* of the last one that was refused */
};
/* Makes those that are not there yet of what is archived, the newest first. Safe beside everything
 * else; what is not made is made by a later call. */
int sums_make(const struct sums_request *q, struct sums_made *made, struct err *err) MUST_CHECK;

/* The sum of segments [first, last] of a timeline from their indexes, by way of smaller sums if
 * these are given. *out must be initialised. is_doubt() errors: there can be none. */
int sum_merge(const struct wal_place *place, uint32_t timeline, uint64_t first, uint64_t last,
              const struct sum_list *smaller, const struct stop *stop, struct wal_sum *out,
              struct err *err) MUST_CHECK;

/* Compares every sum with the indexes of its segments, as long as these are there. found: called
 * for each that says something else, or cannot be read, with its key and why. */
int sums_verify(struct repo *r, const struct stop *stop,
                void (*found)(void *ctx, const char *key, const char *why), void *ctx,
                struct err *err) MUST_CHECK;

#endif
