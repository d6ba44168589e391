/*
 * scan.h - the exact record at which recovery stops, found by reading segments. Internal to wal/.
 *
 * What stops at what: recoveryStopsBefore() and recoveryStopsAfter() in xlogrecovery.c (xlog.c in
 * 13 and 14).
 */
#ifndef PGBR_WAL_REACH_SCAN_H
#define PGBR_WAL_REACH_SCAN_H

#include "wal/reach/way.h"

/* Commits and aborts that were passed. */
struct times_seen {
    int64_t commit_us;        /* of the last commit; 0: none */
    struct wal_moment newest; /* the greatest time of all; time_us 0: none */
};

struct scan {
    enum {
        SCAN_NOTHING,
        SCAN_FOUND,
        SCAN_UNKNOWN /* the record at lsn may or may not be it: why */
    } what;
    uint64_t lsn, end;      /* of the record */
    uint32_t xid;           /* of the transaction it ends, or of the record; 0: none */
    uint64_t last_lsn;      /* record before it; 0: not seen */
    struct times_seen seen; /* up to where recovery stops, or of all */
    uint64_t
        held_lsn;    /* time targets: a commit or abort before from_lsn that is too late; 0: none */
    uint32_t parent; /* the target is a subtransaction of this one; 0: not seen */
    struct err why;
};
/*
 * Reads the segments from first up to the way's present one, and looks at the records that end in
 * them and start at from_lsn or later. A segment that cannot be read: SCAN_UNKNOWN.
 */
int scan_run(const struct way *w, uint64_t first, const struct target *t, uint64_t from_lsn,
             struct scan *s, struct err *err) MUST_CHECK;

/* Time targets: is this commit or abort too late? */
static inline bool time_is_behind(const struct target *t, int64_t time_us)
{
    return t->exclusive ? time_us >= t->time_us : time_us > t->time_us;
}
void times_add(struct times_seen *seen, const struct times_seen *more);

#endif
