/*
 * get.h - restore_command: a WAL file out of the repositories.
 *
 * The exit status steers PostgreSQL: 1 ends recovery, so it is given only when every repository
 * that may be asked answered that the file does not exist.
 */
#ifndef PGBR_WAL_ARCHIVE_GET_H
#define PGBR_WAL_ARCHIVE_GET_H

#include "config/open.h"
#include "wal/archive/guard.h"

enum wal_get_status { WAL_GET_DELIVERED = 0, WAL_GET_ABSENT = 1, WAL_GET_FAILED = 200 };
/* Fetches `file` to dest (absolute, or relative to the present directory, which is the data
 * directory): temporary name, then rename. The status is what the process exits with, the rule for
 * standbys (standby.signal in the present directory or beside dest's pg_wal: everything but 0
 * becomes 1) applied; err tells why when it is not 0,
 * with ERR_NOT_FOUND exactly when the file certainly is nowhere. repo: only this one, or NULL.
 * guard: what this recovery must not replay, or NULL. */
int wal_get(const struct config *c, const struct cluster_config *cluster, const char *repo,
            const struct wal_guard *guard, const char *file, const char *dest,
            struct err *err) MUST_CHECK;
/* What to exit with when not even the configuration could be read: 200, or 1 for a standby. */
int wal_get_failure_status(const char *dest);

#endif
