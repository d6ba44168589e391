/*
 * layout.h - which directory each entry of a backup goes to.
 *
 * Entries name places of the original ("data/base/5/1259", "data/pg_tblspc/16400/PG_15_.../5/1",
 * "data/pg_wal/archive_status", "config/etc/..."); a restore has up to one root directory for each
 * of: the data directory, pg_wal, what lay outside the data directory, and every tablespace. An
 * entry is addressed as (root, path below it). All roots are reached through descriptors, and below
 * a root no symbolic link is ever followed.
 */
#ifndef PGBR_RESTORE_LAYOUT_H
#define PGBR_RESTORE_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "repo/manifest/manifest.h"
#include "restore/restore.h"

#define CONFIG_DIR "pgbr_config" /* below the data directory: configuration from outside it */

enum { ROOT_DATA, ROOT_WAL, ROOT_CONFIG, ROOT_TABLESPACE };

struct root {
    char *dir;     /* absolute */
    int fd;        /* -1 until layout_open() */
    uint32_t oid;  /* tablespaces: 0 for the others */
    char *old_dir; /* tablespaces: where it was when the backup was taken */
};
struct layout {
    struct root *roots; /* ROOT_DATA, ROOT_WAL, ROOT_CONFIG, then one for each tablespace */
    size_t n;
    bool wal_apart;          /* pg_wal is a link to roots[ROOT_WAL].dir */
    bool has_config;         /* set by the caller: the backup has a tree "config" */
    bool side_copy;          /* not the directory the backup was taken from */
    bool sandbox;            /* of a rehearsal */
    char *original_dir;      /* "data_directory" of the backup; or NULL */
    const char *version_dir; /* "PG_15_202209061": the cluster's own directory in a tablespace */
};

/*
 * Decides where everything goes; touches nothing. wal_dir: absolute or NULL. Errors: ERR_USAGE,
 * with the options to give, when a tablespace has no place to go, a move names none, or two would
 * share one.
 */
int layout_plan(struct layout *l, const struct restore_request *q, const char *data_dir,
                const char *wal_dir, const struct pubinfo *pub, const struct backup_info *info,
                struct err *err) MUST_CHECK;
void layout_free(struct layout *l);

/* Creates the roots that are missing (mode 0700) and opens them all. */
int layout_open(struct layout *l, struct err *err) MUST_CHECK;

/* Where an entry goes. *rel points into path ("" for a root itself). ERR_CORRUPT: a path that no
 * backup may hold. */
int layout_place(const struct layout *l, const char *path, unsigned *root, const char **rel,
                 struct err *err) MUST_CHECK;

/* The root of the tablespace with this OID; 0 when it has none of its own. */
unsigned layout_tablespace(const struct layout *l, uint32_t oid);

/* Opens the directory of that length of rel below a root without following a link anywhere. */
int layout_open_dir(const struct layout *l, unsigned root, const char *rel, size_t len, int *fd,
                    struct err *err) MUST_CHECK;

/* Is an absolute path a root of this restore, or above one? Such a directory is never removed. */
bool layout_protects(const struct layout *l, const char *path);

/* The parent directory of the last entry looked at, kept open. One per thread. */
struct dir_cache {
    int fd;
    unsigned root;
    struct buf rel;
};
#define DIR_CACHE_INIT                             \
    {                                              \
        .fd = -1, .root = 0, .rel = { NULL, 0, 0 } \
    }
/* *fd: the directory that holds (root, rel), valid until the next call; *name: the last part. */
int dir_cache_parent(struct dir_cache *c, const struct layout *l, unsigned root, const char *rel,
                     int *fd, const char **name, struct err *err) MUST_CHECK;
void dir_cache_free(struct dir_cache *c);

#endif
