/*
 * manifest.h - the complete description of one backup, and its commit point.
 *
 * <cluster>/backup/<label>/manifest is created last; it exists, so the backup does. PUBINFO (what
 * kind, when, which WAL), SETTAB and PACKTAB (which packs) are readable without the key; INFO, the
 * file table and the maps are not. The file table is written and read as a stream in path order
 * (component by component, by bytes: '/' sorts lowest): memory does not grow with the number of
 * files.
 *
 * Paths begin with the tree they belong to: "data/base/5/1259",
 * "data/pg_tblspc/16400/PG_15_202209061/5/16401", "config/etc/postgresql/15/main/postgresql.conf".
 */
#ifndef PGBR_REPO_MANIFEST_MANIFEST_H
#define PGBR_REPO_MANIFEST_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "repo/pack/pack.h"

enum backup_type { BACKUP_FULL = 'F', BACKUP_DIFF = 'D', BACKUP_INCR = 'I' };
/* How a backup knew what it had to store. */
enum changes_found {
    CHANGES_NOT_TOLD, /* of a backup by a program that did not say */
    CHANGES_READ,     /* everything was read and stored */
    CHANGES_FROM_WAL, /* the WAL index named the blocks */
    CHANGES_COMPARED, /* everything was read, and compared with what the base holds */
};

struct wal_span {
    uint32_t timeline;
    uint64_t start, stop; /* [start, stop) LSNs needed on this timeline */
};
/* Public facts: all that list, retention and WAL expiry need, without the key. Strings owned. */
struct pubinfo {
    char label[LABEL_SIZE + 1];
    enum backup_type type;
    char base[LABEL_SIZE + 1];              /* "" for a full */
    char *cluster, *instance, *host, *tool; /* tool: "pgbr 0.1.0" */
    uint64_t system_id;
    uint32_t pg_version; /* server_version_num, e.g. 150018 */
    uint32_t timeline;   /* at the stop */
    uint64_t start_lsn, stop_lsn;
    int64_t start_us, stop_us;
    uint32_t page_size, wal_segment_size;
    struct wal_span *spans; /* oldest first */
    uint32_t n_spans;
    uint64_t raw_bytes, stored_bytes; /* files' bytes; objects written by this set */
    uint64_t files;
    uint64_t page_errors; /* pages whose checksum failed */
    uint64_t read_bytes;  /* of the cluster's files, by this backup; 0: not told */
    enum changes_found changes_found;
    bool from_standby;
};
void pubinfo_free(struct pubinfo *p);

struct tablespace_info {
    uint32_t oid;
    char *location; /* "" for an in-place one */
};
struct setting {
    char *name, *value;
};
struct page_error {
    char *path; /* within the tree "data" */
    uint32_t block;
};
/* Private facts of a backup. All owned. */
struct backup_info {
    struct buf backup_label, tablespace_map; /* byte for byte */
    struct tablespace_info *tablespaces;
    uint32_t n_tablespaces;
    struct setting *settings; /* what a restore wants to know: max_connections, data_directory,
                                 config_file, TimeZone ... */
    uint32_t n_settings;
    struct page_error *errors;
    uint32_t n_errors; /* the first 10,000 at most; pubinfo.page_errors counts all */
    bool checksums;    /* data checksums on */
    uint32_t catalog_version;
    uint64_t min_recovery_lsn; /* standby: pg_control's minRecoveryPoint as copied */
};
void backup_info_free(struct backup_info *i);
void backup_info_setting(struct backup_info *i, const char *name, const char *value);
const char *backup_info_get(const struct backup_info *i, const char *name); /* NULL when absent */

enum entry_type { ENTRY_DIR = 1, ENTRY_FILE = 2, ENTRY_LINK = 3 };
enum entry_place { PLACE_EMPTY, PLACE_MAP, PLACE_BUNDLE };
struct entry {
    const char *path; /* with tree; valid until the next call */
    enum entry_type type;
    uint32_t mode;            /* permission bits */
    const char *user, *group; /* names, or decimal ids where there is no name */
    int64_t mtime_s;
    /* files */
    uint64_t size;    /* bytes as stored */
    uint32_t crc32c;  /* of all bytes as stored: goes into backup_manifest */
    bool crc_unknown; /* crc32c is 0: only some of its pages were read by this backup */
    enum entry_place place;
    const uint8_t *map; /* PLACE_MAP: encoded, see extent.h */
    size_t map_len;
    uint32_t set, pack, chunk, offset; /* PLACE_BUNDLE */
    /* links */
    const char *target;
};

/* ---- writing ---- */

/* Set 1 of the SETTAB is the writer's own; adopted or base sets follow. */
struct manifest_writer;
int manifest_begin(struct manifest_writer **w, struct set *own, struct err *err) MUST_CHECK;
/* Another set whose chunks entries may name; its SETTAB index is returned through *index. packs:
 * all its packs. */
int manifest_add_set(struct manifest_writer *w, const char *label, const struct pack_info *packs,
                     size_t n, uint32_t *index, struct err *err) MUST_CHECK;
/* Entries must come in path order (checked). Which chunks of foreign sets are live is learned from
 * them. */
int manifest_add(struct manifest_writer *w, const struct entry *e, struct err *err) MUST_CHECK;
/* Writes what belongs into metadata packs, so that set_check_listing() and store_sync() can follow.
 */
int manifest_flush(struct manifest_writer *w, struct err *err) MUST_CHECK;
/* Creates the manifest: from here on the backup exists. pub->stored_bytes is filled in. ERR_EXISTS:
 * not ours. */
int manifest_commit(struct manifest_writer *w, struct pubinfo *pub, const struct backup_info *info,
                    struct err *err) MUST_CHECK;
void manifest_abandon(struct manifest_writer **w);

/* Order of paths as above: <0, 0, >0. */
int path_compare(const char *a, const char *b);

/* ---- reading ---- */

struct manifest;
/* Opens and checks PUBINFO, SETTAB, PACKTAB, INFO. A manifest whose cluster or label differs from
 * its key, or whose system id the repository does not know, is refused: ERR_FOREIGN. Void by a
 * final fence: ERR_NOT_FOUND. */
int manifest_open(struct manifest **m, struct repo *r, const char *label,
                  struct err *err) MUST_CHECK;
void manifest_close(struct manifest **m);
const struct pubinfo *manifest_pub(const struct manifest *m);
const struct backup_info *manifest_info(const struct manifest *m);
uint32_t manifest_sets(const struct manifest *m); /* SETTAB length, index 0 included */
const char *manifest_set(const struct manifest *m, uint32_t index); /* label of a set */
/* Packs of a set that this backup needs, ascending. */
const struct pack_info *manifest_packs(const struct manifest *m, uint32_t set, size_t *n);

/* Streams the file table: 1 and an entry, 0 at the end, -1 on error. Several walks of one manifest
 * are fine, each in one thread. */
struct entry_walk;
int entry_walk_begin(struct entry_walk **w, struct manifest *m, struct err *err) MUST_CHECK;
/* Starts at the first entry whose path is >= from. */
int entry_walk_seek(struct entry_walk *w, const char *from, struct err *err) MUST_CHECK;
int entry_walk_next(struct entry_walk *w, struct entry *e, struct err *err) MUST_CHECK;
void entry_walk_end(struct entry_walk **w);

/* Only PUBINFO, without the key (checked by trailer hash and, with a key, MAC). *manifest_size may
 * be NULL. */
int pubinfo_read(struct repo *r, const char *label, struct pubinfo *p, uint64_t *manifest_size,
                 struct err *err) MUST_CHECK;
int pubinfo_parse(const void *bytes, size_t len, struct pubinfo *p, struct err *err) MUST_CHECK;

/* All committed, not expired, not fenced backups of the cluster, oldest first. Those that cannot be
 * read are reported through `broken` (may be NULL; label and error) and left out. Free with
 * backups_free. */
struct backup_list {
    struct pubinfo *items;
    uint64_t *manifest_sizes;
    size_t n;
};
int backups_list(struct repo *r, struct backup_list *out,
                 void (*broken)(void *ctx, const char *label, const struct err *why), void *ctx,
                 struct err *err) MUST_CHECK;
void backups_free(struct backup_list *l);

#endif
