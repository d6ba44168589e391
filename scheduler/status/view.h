/*
 * view.h - what one repository holds of one cluster, gathered for people: backups, WAL, gaps,
 * windows.
 *
 * Read from the repository, which is the truth, and written into the catalog, which then knows the
 * same.
 */
#ifndef PGBR_SCHEDULER_STATUS_VIEW_H
#define PGBR_SCHEDULER_STATUS_VIEW_H

#include "catalog/catalog.h"
#include "config/open.h"
#include "repo/lease/marks.h"
#include "scheduler/status/server_state.h"
#include "wal/reach/expected.h"
#include "wal/reach/target.h"
#include "wal/reach/verify.h"

struct view_line { /* WAL of one timeline without a gap */
    struct identity id;
    uint32_t segment_size;
    struct wal_stretch stretch;
};
struct view {
    struct backup_list backups;
    struct view_line *lines;
    size_t n_lines;
    struct wal_gap *gaps;
    size_t n_gaps;
    struct windows windows;    /* of all identities, oldest first */
    struct expected expected;  /* from drills; drills 0: none yet */
    bool sealed;               /* encrypted and without the key: windows are not known */
    struct backup_mark *marks; /* holds, and backups that are hidden until they are deleted */
    size_t n_marks;
    struct catalog_backups known; /* what the catalog says of this cluster's backups */
    size_t harmed;                /* backups that are damaged, by that */
    unsigned broken;              /* backups that cannot be read; each was logged */
    char broken_why[512];         /* of the last of them, with its label */
};
/* Opens a repository with its key where that can be had; without it (logged) windows are not known.
 */
int view_open(const struct config *c, const struct cluster_config *cluster, const char *name,
              struct repo **r, struct err *err) MUST_CHECK;
/* state_dir: where what was read of WAL is remembered; NULL: read all of it. c: knows which backups
 * are damaged, since when gaps are there and how long drills took; NULL: it cannot be used. */
int view_load(struct view *v, struct repo *r, const char *state_dir, struct catalog *c,
              const struct stop *stop, struct err *err) MUST_CHECK;
void view_free(struct view *v);
/* NULL: nothing is said of this backup. */
const struct backup_mark *view_mark(const struct view *v, const char *label);
/* Brings the catalog's rows of this repository up to date, as one change. anew: forgets what was
 * there before. */
int view_record(const struct view *v, const struct repo *r, struct catalog *c, bool anew,
                struct err *err) MUST_CHECK;

/* The same, and what goes wrong with it is logged; c NULL: nothing. */
void view_remember(const struct view *v, const struct repo *r, struct catalog *c);

/* The window that the newest WAL lies in, without --target-timeline; NULL: none is open. What was
 * committed behind its last_commit_us is lost if the server is. */
const struct window *view_newest(const struct view *v);
/* The hole that a time falls into; NULL: none. */
const struct hole *view_hole(const struct view *v, int64_t time_us);
/* What would be lost if the server were lost now. */
struct exposure {
    bool recoverable; /* there is an open window; else nothing more is known */
    int64_t
        commit_us;    /* the last commit that can be had back; 0: there was none since the backup */
    uint64_t lsn;     /* WAL until */
    bool elsewhere;   /* the server is another cluster, or on another timeline, than this WAL */
    bool asked;       /* the server said what it has written since: the rest is known */
    bool nothing;     /* and it has committed nothing */
    uint64_t bytes;   /* WAL written since */
    int64_t since_us; /* what would be lost was committed later than this; 0: there is none */
};
/* server: NULL: it cannot be asked. */
void view_exposure(const struct view *v, const struct server_state *server, struct exposure *out);
/* Time expected for bringing the newest backup and all WAL behind it back; 0: not known. */
int64_t view_expected_us(const struct view *v, bool *sure);

/* The row of a backup as the catalog has it; strings borrowed from pub and repo. */
void view_backup_row(const struct repo *repo, const struct pubinfo *pub,
                     struct catalog_backup *row);

#endif
