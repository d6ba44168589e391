/*
 * expected.h - how long bringing a cluster back will take, from what drills measured. Pure.
 */
#ifndef PGBR_WAL_REACH_EXPECTED_H
#define PGBR_WAL_REACH_EXPECTED_H

#include "catalog/drills.h"

enum { EXPECTED_DRILLS = 5 }; /* so many of the newest passed ones count */

struct expected {
    unsigned drills;        /* how many it rests on; 0: nothing can be said */
    int64_t newest_us;      /* when the last of them was */
    double restore_rate;    /* bytes of the cluster per second */
    int64_t start_us;       /* from files to an answering server, with next to no WAL */
    double replay_rate;     /* bytes of WAL per second; 0: no drill replayed enough to tell */
    uint64_t most_replayed; /* bytes */
};
/* rows: as catalog_get_drills() gives them. */
void expected_learn(const struct catalog_drill *rows, size_t n, struct expected *out);

/* Time to restore bytes of cluster and replay wal_bytes; 0: not known. *sure: false where wal_bytes
 * is much more than any drill replayed, and nothing tells how fast that goes. */
int64_t expected_us(const struct expected *e, uint64_t bytes, uint64_t wal_bytes, bool *sure);

#endif
