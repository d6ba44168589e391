/*
 * missed.h - what optional repositories missed, remembered until it is copied to them.
 *
 * One small text file per repository in the state directory. It is a help, not a truth: what is
 * lost with it shows as a gap in "list" and "check", and the next backup copies it too.
 */
#ifndef PGBR_WAL_ARCHIVE_MISSED_H
#define PGBR_WAL_ARCHIVE_MISSED_H

#include "config/open.h"
#include "wal/archive/source.h"

struct missed {
    const char *state_dir, *cluster;
};
/* NULL: nobody remembers. Failures are logged only. */
void missed_note(const struct missed *m, const char *repo, const char *file);
/* Copies a few of the files that each optional repository misses, from the directory of `path` or
 * from another repository. Never fails the push that calls it. */
void missed_catch_up(const struct missed *m, const struct open_repos *repos, const char *path,
                     const struct wal_identity *id);

#endif
