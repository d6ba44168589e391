/*
 * scan.h - what belongs into a backup: a walk over the data directory, its tablespaces and the
 * configuration that lies outside, in path order, into the spilled list. Of a configuration
 * directory that is named only the directory itself is stored.
 *
 * The exclusion rules are those of postgres/relfile.h. Links are never followed, but for
 * pg_tblspc/<oid>. What vanishes during the walk is left out: its removal is in the WAL.
 */
#ifndef PGBR_BACKUP_SCAN_H
#define PGBR_BACKUP_SCAN_H

#include "backup/spill.h"
#include "base/queue.h"
#include "postgres/version.h"

struct scan_request {
    int data_fd;
    const char *data_dir;
    const struct pg_version *version;
    char *const *outside; /* absolute paths of configuration files and directories, any order */
    size_t n_outside;
    const struct stop *stop;
};
/* Tablespaces found (in-place ones with location ""), the caller's. */
struct scan_found {
    struct tablespace_info *tablespaces;
    uint32_t n_tablespaces;
    unsigned warnings; /* logged: foreign links, sockets, unreadable configuration */
};
int scan_files(const struct scan_request *q, struct list_writer *out, struct scan_found *found,
               struct err *err) MUST_CHECK;

#endif
