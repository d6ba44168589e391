/*
 * label.h - backup_label and tablespace_map, as pg_backup_stop() returns them.
 *
 * The server reads both with a strict parser (xlogrecovery.c: read_backup_label,
 * read_tablespace_map), so backup_label is stored and restored byte for byte and only read here. A
 * tablespace_map is rewritten when a restore moves tablespaces.
 */
#ifndef PGBR_POSTGRES_LABEL_H
#define PGBR_POSTGRES_LABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "postgres/lsn.h"

enum { LABEL_MAX_BYTES = 8192, LABEL_NAME_MAX = 1024 };

struct backup_label {
    uint64_t start_lsn;              /* redo pointer: where recovery begins */
    uint64_t checkpoint_lsn;         /* the checkpoint record */
    uint32_t tli;                    /* START TIMELINE */
    char wal_file[WAL_SEGMENT_NAME]; /* segment that holds start_lsn; its timeline equals tli */
    bool streamed; /* BACKUP METHOD: streamed, so an end-of-backup is required; else pg_rewind */
    bool from_standby; /* BACKUP FROM */
    bool incremental; /* made by a server-side incremental (17+): a server refuses to start on it */
    char start_time[128]; /* in the server's log_timezone: for people only */
    char label[LABEL_NAME_MAX + 1];
};

/* ERR_CORRUPT names the line that does not fit. */
int backup_label_parse(const char *text, size_t len, struct backup_label *out,
                       struct err *err) MUST_CHECK;

struct tablespace_link {
    uint32_t oid;
    char *path; /* absolute; unescaped */
};
struct tablespace_map {
    struct tablespace_link *links;
    size_t count;
    unsigned major; /* decides the escapes, see tablespace_map_format() */
};
#define TABLESPACE_MAP_INIT \
    {                       \
        NULL, 0, 0          \
    }

/* major: of the server that wrote it. Empty text is an empty map. *out is set on success only and
 * then the caller's to free. */
int tablespace_map_parse(const char *text, size_t len, unsigned major, struct tablespace_map *out,
                         struct err *err) MUST_CHECK;
void tablespace_map_free(struct tablespace_map *m);
/* Appends the text that server m->major reads. A backslash stands before newline and carriage
 * return, and from 14 on before a backslash too; 13 writes and reads a backslash as it is (seen on
 * 13.23 and 14.23). */
void tablespace_map_format(const struct tablespace_map *m, struct buf *out);

#endif
