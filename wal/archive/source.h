/*
 * source.h - a file of pg_wal in memory, and whose it is. Internal to wal/.
 *
 * Segments say in their long header which cluster wrote them; for history files and backup labels
 * the control file of the data directory beside them is asked.
 */
#ifndef PGBR_WAL_ARCHIVE_SOURCE_H
#define PGBR_WAL_ARCHIVE_SOURCE_H

#include "base/buf.h"
#include "base/err.h"
#include "postgres/lsn.h"

enum { WAL_SMALL_MAX = 1 << 20 }; /* bytes of a history file or backup label */

struct wal_identity {
    uint64_t system_id;
    unsigned major;
};
/*
 * The control file of the data directory that a path in its pg_wal belongs to: "pg_wal/X" and
 * "/data/pg_wal/X" lead to global/pg_control two levels up; where there is none, data_dir (may be
 * NULL) is tried. ERR_NOT_FOUND.
 */
int wal_identity_near(const char *path, const char *data_dir, struct wal_identity *id,
                      struct err *err) MUST_CHECK;

struct wal_memory {
    uint8_t *data;
    size_t len;
    bool mapped;
};
/* The whole file: segments are mapped, not copied, so a file that is cut off meanwhile is a SIGBUS.
 * A size no WAL file has is ERR_CORRUPT. */
int wal_file_read(const char *path, enum wal_kind kind, struct wal_memory *m,
                  struct err *err) MUST_CHECK;
void wal_memory_free(struct wal_memory *m);

#endif
