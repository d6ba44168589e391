/* reach.h - one backup's way to a target, and why it does not get there. Internal to wal/. */
#ifndef PGBR_WAL_REACH_REACH_H
#define PGBR_WAL_REACH_REACH_H

#include "wal/reach/scan.h"

enum miss {
    MISS_NONE,
    MISS_LINE,   /* the backup is not on the way to the timeline, or that is not known */
    MISS_BACKUP, /* the WAL that the backup itself needs is not whole */
    MISS_EARLY,  /* the target lies before the backup was complete */
    MISS_BEYOND, /* the WAL ends, or has a gap, before the target */
};
/* As target_reach(); the nearest moments are those of this backup alone. */
int reach_find(const struct wal_map *m, struct repo *r, const struct pubinfo *backup,
               const struct target *t, const struct stop *stop, struct reach *reach,
               enum miss *miss, struct err *err) MUST_CHECK;

/* All of the way from one backup along a timeline: as far as recovery to a time that nothing is
 * behind would come. */
struct reach_walk {
    const struct history *line;
    const struct pubinfo *backup;
    uint64_t first, last; /* segments passed; last < first: none */
    uint64_t end_lsn;
    enum way_end end;
    uint64_t end_segno,
        later;              /* later: the first stored segment behind the end; UINT64_MAX: none */
    bool at_end;            /* what is stored on the way is used up */
    uint32_t wrong_turn;    /* see reach_wrong_turn() */
    struct times_seen seen; /* from the backup's start LSN on */
    bool whole;             /* the WAL that the backup needs is there */
    char why[512];          /* about the end */
};
int reach_walk(const struct wal_map *m, struct repo *r, const struct pubinfo *backup,
               const struct history *line, const struct stop *stop, struct reach_walk *w,
               struct err *err) MUST_CHECK;

/* What the target of one backup needs to be told about; wal/reach/reach.c fills it,
 * wal/reach/reach_text.c words it. */
enum { NAMES_KEPT = 6 };
struct search {
    const struct wal_map *map;
    const struct pubinfo *backup;
    const struct target *t;
    struct reach *r;
    struct way way;
    struct times_seen seen;                 /* on the way, from the backup's start LSN on */
    uint32_t parent;                        /* the target is a subtransaction of this one */
    struct segment_point names[NAMES_KEPT]; /* restore points passed: the last ones */
    uint64_t n_names;
    char near_name[WAL_NAME_MAX + 1]; /* the one that the target's name is most like, or "" */
};
void reach_say_line(struct search *s, const char *problem);
void reach_say_early(struct search *s, uint64_t lsn);
void reach_say_backup(struct search *s);
void reach_say_beyond(struct search *s);
/* Recovery would take this ancestor's file, see reach_wrong_turn(). */
void reach_say_wrong_turn(struct search *s, uint32_t ancestor);
/* The reachable end of WAL is not what one would take for the latest state. */
void reach_note_latest(struct search *s);
void reach_note_names(struct search *s, uint64_t others, const struct segment_point *next);

/* The ancestor whose file PostgreSQL would take for the missing first segment of a timeline, and so
 * go on behind the point where the timelines part; 0: none. */
uint32_t reach_wrong_turn(const struct way *w);
/* The WAL stored on the way is used up: nothing lies behind its end. */
bool reach_at_end(const struct way *w);

#endif
