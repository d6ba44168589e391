/*
 * relfile.h - what the names of files below the data directory mean.
 *
 * Relation files: "<relfilenode>[_fsm|_vm|_init][.<segment>]" in global/, base/<db>/ and
 * pg_tblspc/<oid>/PG_<major>_<catalog>/<db>/ (common/relpath.c). Numbers are decimal without
 * leading zeros, OIDs from 1 to 2^32 - 1. Exclusion rules: those of the server's BASE_BACKUP
 * (basebackup.c, the same for 13 to 18) and a few more, see scan_exclude(). Pure functions.
 */
#ifndef PGBR_POSTGRES_RELFILE_H
#define PGBR_POSTGRES_RELFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum rel_fork { FORK_MAIN, FORK_FSM, FORK_VM, FORK_INIT }; /* the numbers WAL uses */
enum { SPC_DEFAULT = 1663, SPC_GLOBAL = 1664 };            /* pg_default, pg_global */
enum { RELSEG_MAX = 32767 }; /* segments of a fork: 2^32 pages / 131072 */

struct rel_file {
    uint32_t spc, db, rel; /* db is 0 in global/ */
    enum rel_fork fork;
    uint32_t segno; /* 0: the file without a suffix */
};

/* A bare name: sets rel, fork and segno, leaves spc and db. False: not a relation file. */
bool relfile_parse_name(const char *name, struct rel_file *out);
/* A path relative to the data directory. */
bool relfile_parse(const char *path, struct rel_file *out);
/* Appends the path; tablespace_dir is pg_version.tablespace_dir. */
void relfile_format(const struct rel_file *f, const char *tablespace_dir, struct buf *out);
const char *rel_fork_name(enum rel_fork fork); /* "main", "fsm", "vm", "init" */

/* "t<digits>_<relation file name>": a temporary relation, never backed up. */
bool relfile_is_temporary(const char *name);
/* Is the directory (relative to the data directory) one that holds relation files? */
bool relfile_is_db_dir(const char *dir);
/* A decimal OID without leading zeros (a name in pg_tblspc, or below base/); 0 when it is not. */
uint32_t oid_parse(const char *name);

enum scan_verdict {
    SCAN_KEEP,
    SCAN_SKIP,     /* leave the entry out */
    SCAN_EMPTY_DIR /* store a real directory without its content, even if it is a symbolic link;
                      pg_wal gets archive_status, and from 17 on summaries, beside that */
};

/*
 * Decides by name alone. dir: the entry's directory relative to the data directory, "" for the data
 * directory itself. Left out beyond BASE_BACKUP's list: signal files, *.old and *.tmp of backup
 * files, current_logfiles, *.pid of the root, pg_filenode.map.tmp, and what pgbr itself puts there
 * ("pg_wal.before-restore-*", "pg_control.pgbr"). Temporary and unlogged relations need the whole
 * listing: scan_exclude_relations().
 */
enum scan_verdict scan_exclude(const char *dir, const char *name, bool is_dir);

/*
 * For one listing of a database directory: skip[i] is set to true for temporary relations, and for
 * every fork but init of relations that have an init fork in the same listing (unlogged ones).
 * Others are left alone.
 */
void scan_exclude_relations(const char *const *names, size_t count, bool *skip);

/* Content of a pg_filenode.map: 512 bytes up to 15, 524 from 16 on, magic 0x00592717, CRC-32C last.
 * ERR_CORRUPT: perhaps torn, read it again. */
int filenode_map_check(const void *data, size_t len, struct err *err) MUST_CHECK;

#endif
