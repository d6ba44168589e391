/*
 * pgmanifest.h - backup_manifest, for pg_verifybackup (and for anybody else who reads it).
 *
 * Written while the restore goes through the entries; memory does not grow with their number. The
 * format: version 1 up to PostgreSQL 16, 2 with the system identifier from 17 on
 * (src/backend/backup/backup_manifest.c); checksums are CRC32C, written as the four bytes lie in
 * memory, least significant first. The file excludes itself, pg_wal and the files pg_verifybackup
 * ignores.
 */
#ifndef PGBR_RESTORE_PGMANIFEST_H
#define PGBR_RESTORE_PGMANIFEST_H

#include <stdint.h>

#include "base/err.h"
#include "repo/manifest/manifest.h"

struct pgmanifest;
/* Creates "backup_manifest" in the directory, which must not have one. */
int pgmanifest_begin(struct pgmanifest **m, int dirfd, const struct pubinfo *pub,
                     struct err *err) MUST_CHECK;
/* path: relative to the data directory ("pg_tblspc/16400/PG_15_..." for tablespaces). */
int pgmanifest_add(struct pgmanifest *m, const char *path, uint64_t size, int64_t mtime_s,
                   uint32_t crc32c, struct err *err) MUST_CHECK;
/* The same of a file whose CRC-32C is not known yet: *at is for pgmanifest_set(), which any thread
 * may call once, before pgmanifest_finish(). */
int pgmanifest_add_later(struct pgmanifest *m, const char *path, uint64_t size, int64_t mtime_s,
                         uint64_t *at, struct err *err) MUST_CHECK;
int pgmanifest_set(struct pgmanifest *m, uint64_t at, uint32_t crc32c, struct err *err) MUST_CHECK;
/* The WAL ranges and the file's own checksum. The caller makes it durable. */
int pgmanifest_finish(struct pgmanifest *m, struct err *err) MUST_CHECK;
void pgmanifest_free(struct pgmanifest **m);

/* Appends one file's line, without what separates it from others: pure. */
void pgmanifest_line(struct buf *out, const char *path, uint64_t size, int64_t mtime_s,
                     uint32_t crc32c);
/* "YYYY-MM-DD HH:MM:SS GMT"; years 0 to 9999, others are shown as the nearest of these. */
void pgmanifest_time(struct buf *out, int64_t unix_s);

#endif
