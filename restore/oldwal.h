/*
 * oldwal.h - the pg_wal that was there before a restore, and the new one.
 *
 * It may hold the only copy of what happened last. Where it is the cluster's own directory (not a
 * copy of it elsewhere) and its server archived, the complete segments, history files and partial
 * segments that no repository has are archived first: a copy's WAL went its own way and must never
 * reach the archive. Then all of it is set aside under WAL_ASIDE<time>, never removed.
 */
#ifndef PGBR_RESTORE_OLDWAL_H
#define PGBR_RESTORE_OLDWAL_H

#include "config/open.h"
#include "restore/site.h"

struct oldwal_terms {
    const struct layout *layout;
    const struct site *site;
    const struct open_repos *repos;
    const struct pubinfo *pub;
    bool force; /* go on when something cannot be archived */
    const struct stop *stop;
    struct buf *notes;  /* what a person should read */
    unsigned *warnings; /* raised for what could not be saved */
};
/* Archives what no repository has, if it is this cluster's. datafd: the data directory. *archived:
 * how many files that were. */
int oldwal_archive(const struct oldwal_terms *t, int datafd, unsigned *archived,
                   struct err *err) MUST_CHECK;
/* Sets all of it aside, if there is any. */
int oldwal_set_aside(const struct oldwal_terms *t, int datafd, struct err *err) MUST_CHECK;
/* An empty pg_wal with archive_status, in the data directory or behind a link. */
int oldwal_make_new(const struct layout *l, int datafd, struct err *err) MUST_CHECK;

/* Complete segments and history files of a pg_wal that no repository has: what a restore of this
 * directory would archive first. Touches nothing. */
int oldwal_count(const struct oldwal_terms *t, unsigned *files, char last[], size_t last_size,
                 struct err *err) MUST_CHECK;

#endif
