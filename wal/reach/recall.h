/*
 * recall.h - what was read of archived segments, remembered in a file of this host.
 *
 * To say which moments can be reached, every segment's index is looked at; with a hundred thousand
 * of them, over a network, that takes minutes. A segment whose object has the size and time that it
 * had when it was read is taken as it was then: objects are never changed. Only what is whole and
 * plainly understood is remembered. The file is no more than a cache: one that is missing, of
 * another repository, damaged or half written costs time only, and it may be deleted at any time.
 */
#ifndef PGBR_WAL_REACH_RECALL_H
#define PGBR_WAL_REACH_RECALL_H

#include "wal/reach/target.h"

/* Where: one file for each repository of a cluster and each system identifier. Caller frees. */
char *recall_path(const char *state_dir, const struct wal_map *m, const struct repo *r);
/* Before windows_find(). What cannot be used is left out. */
void recall_read(const char *path, struct wal_map *m, const struct repo *r);
/* Behind it, also when it failed or was stopped half-way: adds what was read since. A file that
 * cannot be written is logged. */
void recall_write(const char *path, const struct wal_map *m, const struct repo *r);

#endif
