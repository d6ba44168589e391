/*
 * drills.h - restore rehearsals and what they measured.
 *
 * A drill that ran is one row, whatever came of it; its phases are moments on this host's clock, 0
 * where it did not get that far. Rules of errors and text: see catalog.h.
 */
#ifndef PGBR_CATALOG_DRILLS_H
#define PGBR_CATALOG_DRILLS_H

#include "catalog/catalog.h"

struct catalog_drill {
    int64_t id;  /* set by catalog_put_drill() */
    int64_t run; /* of the command, see catalog_run_begin(); 0: none was recorded */
    const char *cluster, *repo;
    const char *label;  /* of the backup that was restored; NULL: none was chosen */
    const char *target; /* in words: "latest", "time 2026-11-22 14:05:00+00" */
    int64_t started_us;
    int64_t restored_us;  /* the files were there */
    int64_t recovered_us; /* the server answered at the target */
    int64_t checked_us;   /* all checks were done */
    int64_t finished_us;  /* and all was cleaned up; 0: it died */
    uint64_t restored_bytes, replayed_bytes;
    int64_t reached_us;  /* time of the last commit that was there: the moment that was reached */
    const char *outcome; /* "passed"; "failed"; "stopped": by a person, says nothing */
    const char *report;  /* JSON: what "pgbr drill --json" printed */
};
/* Adds it, or replaces the one with this id (id 0: adds, and sets it). */
int catalog_put_drill(struct catalog *c, struct catalog_drill *row, struct err *err) MUST_CHECK;

struct catalog_drills {
    struct catalog_drill *rows; /* newest first, whatever the cluster */
    size_t n;
    struct catalog_texts *texts;
};
/* cluster, repo NULL: all. */
int catalog_get_drills(struct catalog *c, const char *cluster, const char *repo, size_t limit,
                       struct catalog_drills *out, struct err *err) MUST_CHECK;
void catalog_drills_free(struct catalog_drills *l);

#endif
