/* history.h - timeline history files that the archive lacks. */
#ifndef PGBR_BACKUP_HISTORY_H
#define PGBR_BACKUP_HISTORY_H

#include "postgres/timeline.h"
#include "repo/manifest/manifest.h"
#include "wal/index/prove.h"

/*
 * Archives the history files of the spans' timelines from pg_wal where the repository has none: a
 * server that was promoted while archiving was off (a restored copy, say) never offers them. What
 * is not in pg_wal either is left to wal_wait().
 */
int history_complete(const struct wal_place *p, int data_fd, const struct wal_span *spans, size_t n,
                     struct err *err) MUST_CHECK;
/* The history of a timeline, from the repository (after the above) or, for timeline 1, without a
 * file. *out is the caller's. */
int history_load(const struct wal_place *p, int data_fd, uint32_t timeline, struct history *out,
                 struct err *err) MUST_CHECK;

#endif
