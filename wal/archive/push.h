/*
 * push.h - archive_command: a file of pg_wal into every repository, durably, before success is
 * reported.
 *
 * Works with PostgreSQL stopped, from any member of the cluster. Never overwrites: an identical
 * re-push succeeds, different content is refused. What an optional repository missed is copied by a
 * later push or backup. Over a network one call also pushes the next segments
 * (wal/archive/ahead.h).
 */
#ifndef PGBR_WAL_ARCHIVE_PUSH_H
#define PGBR_WAL_ARCHIVE_PUSH_H

#include "base/queue.h"
#include "config/open.h"

/* path: as PostgreSQL gives it in %p, absolute or relative to the present directory. On return 0
 * the file is durable in every required repository. */
int wal_push(const struct config *c, const struct cluster_config *cluster, const char *path,
             struct err *err) MUST_CHECK;

/* The same for a file in memory and repositories that are open already (backup and restore copy
 * segments this way). *stored (may be NULL): at least one repository did not have it before. */
int wal_push_bytes(const struct open_repos *repos, const char *file, const void *raw, size_t len,
                   bool *stored, struct err *err) MUST_CHECK;

#endif
