/*
 * way.h - going along the archived WAL as recovery would: from a backup's first segment on, each
 * time the file that a timeline's history says, as far as they continue each other. Internal to
 * wal/.
 *
 * Indexes are read ahead in growing lots, by several threads.
 */
#ifndef PGBR_WAL_REACH_WAY_H
#define PGBR_WAL_REACH_WAY_H

#include "base/queue.h"
#include "wal/index/index.h"
#include "wal/reach/map_form.h"

enum way_end {
    WAY_GOES_ON,
    WAY_MISSING, /* the next segment is not stored */
    WAY_ENDS,    /* the WAL ends inside the last segment: nothing was written behind it */
    WAY_DAMAGED, /* what is stored cannot be read, or does not continue what was before */
    WAY_LIMIT,   /* as far as was asked for */
};

struct way {
    const struct wal_map *map;
    struct repo *repo;
    const struct stop *stop;
    const struct history *line;
    uint64_t limit; /* no segment behind this one is looked at; UINT64_MAX: none */

    /* The present segment, after way_next() gave 1. */
    uint64_t segno;
    uint32_t tli;
    struct segment_note *note;
    uint64_t crossing_lsn; /* the record that began before this segment and ends in it; 0: none */
    const struct segment_note *crossing; /* what it says, if that matters; else NULL */

    /* All so far. */
    uint64_t first, segments, bytes; /* first segment, how many, stored bytes */
    uint64_t last_lsn, end_lsn;      /* of the last whole record; 0: none yet */
    enum way_end end;
    uint64_t end_segno; /* WAY_MISSING: which one; else the one in which it ends */
    struct err why;     /* about the end */

    /* Its own. */
    struct wal_chain chain;
    enum segment_tail carry; /* what is known of the record under way */
    unsigned lot;
};

void way_begin(struct way *w, const struct wal_map *m, struct repo *r, const struct history *line,
               uint64_t first_segno, const struct stop *stop);
void way_finish(struct way *w);
/* 1: the next segment. 0: the end, see end and why. -1. */
int way_next(struct way *w, struct err *err) MUST_CHECK;
/* Ends the way inside the present segment, behind the record at last_lsn (0: none in it): what
 * comes at end_lsn is not understood. */
void way_break(struct way *w, uint64_t last_lsn, uint64_t end_lsn, const char *why);
struct segment_place way_place(const struct way *w, uint64_t segno);

#endif
