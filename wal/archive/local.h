/*
 * local.h - what push and get keep in the state directory between two calls, and how they know that
 * it is of the same repositories. Internal to wal/.
 */
#ifndef PGBR_WAL_ARCHIVE_LOCAL_H
#define PGBR_WAL_ARCHIVE_LOCAL_H

#include "base/hash.h"
#include "config/open.h"

/* A fingerprint of the repositories that the configuration gives the cluster: names, places, which
 * are required. only: just that one, or NULL. */
struct hash128 local_repos(const struct config *c, const struct cluster_config *cluster,
                           const char *only);

/* How many segments to work ahead: what the configuration says, or its default for these
 * repositories; fewer where segments are so large that all of them were more than budget bytes. */
unsigned local_ahead(int configured, const struct open_repos *repos, uint64_t segment_size,
                     uint64_t budget);

/* A file that only this user can have written. ERR_NOT_FOUND, ERR_DENIED; more than max bytes:
 * ERR_CORRUPT. */
int local_read(const char *path, size_t max, struct buf *out, struct err *err) MUST_CHECK;

#endif
