/*
 * target.h - what WAL a repository holds, which moments it reaches, and where a recovery target
 * lies in it.
 *
 * Built from one listing, the history files and the WAL indexes; the exact record of a target is
 * found by reading the one segment that holds it. How targets stop: see postgres' recovery
 * (recoveryStopsBefore/After), xlogrecovery.c: time targets stop before the first
 * commit or abort later than the target (or, exclusive, not earlier), in LSN order, since commit
 * times are not monotonic.
 */
#ifndef PGBR_WAL_REACH_TARGET_H
#define PGBR_WAL_REACH_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"
#include "postgres/timeline.h"
#include "repo/manifest/manifest.h"
#include "repo/repo.h"

/* ---- what is there ---- */

struct wal_stretch { /* segments without a gap between them */
    uint32_t timeline;
    uint64_t first_segno, last_segno; /* inclusive */
    uint64_t stored_bytes;
    int64_t first_us, last_us; /* when the first and the last one were stored: the store's clock */
};
/* Of one repository and one (system identifier, major). It remembers what was read of segments (a
 * few hundred bytes each), so that a second search is cheap; for one thread at a time. */
struct wal_map;
int wal_map_load(struct wal_map **m, struct repo *r, uint64_t system_id, unsigned major,
                 uint32_t segment_size, struct err *err) MUST_CHECK;
void wal_map_free(struct wal_map **m);
/* By timeline, then position. Two neighbours of one timeline have a gap between them. */
const struct wal_stretch *wal_map_stretches(const struct wal_map *m, size_t *n);
bool wal_map_has(const struct wal_map *m, uint32_t timeline, uint64_t segno);
/* History of a timeline: NULL when its file is not stored or cannot be read (timeline 1 has an
 * empty one). */
const struct history *wal_map_history(const struct wal_map *m, uint32_t timeline);
/* As recovery_target_timeline = latest probes: from + 1, from + 2 ... while a history file exists;
 * the newest that descends from (from, lsn). */
uint32_t wal_map_latest(const struct wal_map *m, uint32_t from, uint64_t lsn);

/* ---- targets ---- */

enum target_kind {
    TARGET_LATEST,
    TARGET_IMMEDIATE,
    TARGET_TIME,
    TARGET_LSN,
    TARGET_XID,
    TARGET_NAME
};
enum target_line { LINE_LATEST, LINE_CURRENT, LINE_NUMBER };
struct target {
    enum target_kind kind;
    bool exclusive;
    int64_t time_us;
    uint64_t lsn;
    uint32_t xid;
    char name[64];
    enum target_line line;
    uint32_t timeline; /* LINE_NUMBER */
};

/* What recovery of one backup towards a target would do. */
struct reach {
    bool reachable;
    uint32_t timeline; /* the one to recover along (recovery_target_timeline as a number); the
                          target may lie on an ancestor of it */
    uint64_t end_lsn;  /* recovery stops here: end of the last record replayed, as far as known */
    uint64_t first_segno, last_segno; /* segments that will be asked for */
    uint32_t first_tli, last_tli;     /* of the names of their files */
    uint64_t wal_bytes;               /* stored bytes of them */
    int64_t last_commit_us;           /* last commit that will be there; 0: none in this WAL */
    uint32_t stop_xid;                /* xid of the record it stops at (before or after); 0: none */
    bool wal_ends;  /* the target lies behind all WAL there is (only right for TARGET_LATEST) */
    char note[512]; /* reachable, but a person should know; "": nothing */
    /* When not reachable: why, and the nearest reachable moments (0: none). */
    char why[512];
    int64_t nearest_before_us, nearest_after_us;
    uint64_t nearest_before_lsn, nearest_after_lsn;
};
/*
 * Looks along the way from the backup's start to the target. 0 with reach->reachable false is an
 * answer, not an error.
 *
 * LINE_LATEST means what PostgreSQL's latest means: the last of an unbroken row of history files. A
 * backup that does not lie on the way to it (made on a branch that was left) does not reach
 * anything by it, and the answer says so; only TARGET_IMMEDIATE, which needs no more than the
 * backup's own WAL, then follows wal_map_latest(). A time before the backup's stop_us is refused
 * even where PostgreSQL would not notice: what was committed before the backup began is in it.
 * TARGET_LATEST is reachable up to the first segment that is missing; when later ones are stored,
 * the note says so.
 */
int target_reach(const struct wal_map *m, struct repo *r, const struct pubinfo *backup,
                 const struct target *t, const struct stop *stop, struct reach *reach,
                 struct err *err) MUST_CHECK;
/* Chooses the newest backup of the list (oldest first) from which the target is reachable. *index:
 * its number. When none is, 0 with reach of the backup that comes nearest and *index = SIZE_MAX. */
int target_choose(const struct wal_map *m, struct repo *r, const struct backup_list *backups,
                  const struct target *t, const struct stop *stop, size_t *index,
                  struct reach *reach, struct err *err) MUST_CHECK;

/* ---- moments one can go back to ---- */

/*
 * A time T is reached by --target-time if start_us <= T < end_us, at every moment in between and at
 * none besides: recovery to a time stops at the first commit or abort that is later, so one must be
 * stored. The state at the very end is reached without a time, by --target latest along this
 * timeline. Where nothing was committed behind the backup the two are equal, and only the end of
 * the backup itself can be reached.
 */
struct window {
    uint64_t system_id;
    unsigned major;
    uint32_t timeline; /* the one to recover along */
    bool aside;        /* only with --target-timeline: this timeline was left for another one */
    bool open;         /* nothing is missing behind it: WAL archived from now on makes it longer */
    char first_backup[LABEL_SIZE + 1], last_backup[LABEL_SIZE + 1];
    uint64_t start_lsn, end_lsn; /* consistent from, WAL until */
    int64_t start_us, end_us;
    int64_t last_commit_us; /* of the last commit at end_lsn, in the order of WAL; 0: none in it */
};

enum hole_kind {
    HOLE_BEFORE,  /* before the first backup was complete */
    HOLE_MISSING, /* segments are not stored */
    HOLE_DAMAGED, /* a segment that cannot be read, or does not continue what was before it */
    HOLE_ENDS,    /* the WAL ends inside a segment, and what is behind it is not its continuation */
    HOLE_LEFT, /* the backups in between belong to a timeline that was left, or that is unknown */
    HOLE_CLUSTER, /* another system identifier or major version begins */
    HOLE_BACKUP, /* no time: this backup lacks WAL of its own, or is known to be damaged, and cannot
                    be restored */
};
/* Times T, from_us <= T < to_us, that are not reached without --target-timeline. */
struct hole {
    enum hole_kind kind;
    uint64_t system_id;
    uint32_t timeline, segment_size;
    int64_t from_us, to_us;    /* from 0: all before; both 0: see HOLE_BACKUP */
    uint64_t from_lsn, to_lsn; /* 0: not known */
    uint64_t first_segno,
        last_segno;              /* HOLE_MISSING, HOLE_BACKUP: not stored, inclusive; 0: none */
    bool expired;                /* its WAL went by retention (scheduler/status/policy.h says so) */
    int64_t noticed_us;          /* since when it is known; 0: not (the catalog's to say) */
    char backup[LABEL_SIZE + 1]; /* HOLE_BACKUP */
    char why[512];               /* for people */
};

struct windows {
    struct window *items; /* oldest first; those aside behind the others */
    size_t n;
    struct hole *holes; /* oldest first; HOLE_BACKUP behind the others */
    size_t n_holes;
};
void windows_free(struct windows *w);
/* Adds a HOLE_BACKUP for a backup that was left out of windows_find(). */
void windows_add_backup(struct windows *w, const struct pubinfo *b, const char *why);
/*
 * All windows of one system identifier and major version, and what lies between them. Looks at
 * every segment on the way, each once (see wal/reach/recall.h for how to spare most of that), so
 * what it says is what a restore finds. *out is empty on failure.
 */
int windows_find(const struct wal_map *m, struct repo *r, const struct backup_list *backups,
                 const struct stop *stop, struct windows *out, struct err *err) MUST_CHECK;

/* Parses what stands behind --target-xxx options. Time zone: see clock_parse(). ERR_USAGE. */
int target_parse_lsn(const char *text, struct target *t, struct err *err) MUST_CHECK;
int target_parse_xid(const char *text, struct target *t, struct err *err) MUST_CHECK;
int target_parse_timeline(const char *text, struct target *t, struct err *err) MUST_CHECK;
/* "time 2026-11-22 14:05:00+00 (inclusive)": for plans and messages. */
void target_describe(const struct target *t, struct buf *out);

#endif
