/*
 * lsn.h - WAL positions, segment arithmetic and the names of files in pg_wal.
 *
 * An LSN is a uint64_t byte position in the WAL. A segment number (segno) is LSN / segment size;
 * the segment size (segsz) is a power of two from 1 MiB to 1 GiB and fixed for a cluster. Names
 * need both the timeline and the segment size: PostgreSQL prints segno in two halves of which the
 * lower counts to 2^32 / segsz (xlog_internal.h: XLogFileName). Nothing here allocates or fails
 * with a message: parsers return 0, or -1 for "not such a thing", and the caller knows what to say.
 */
#ifndef PGBR_POSTGRES_LSN_H
#define PGBR_POSTGRES_LSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LSN_TEXT = 24,         /* room for "FFFFFFFF/FFFFFFFF" */
    WAL_SEGMENT_NAME = 25, /* room for a segment name: 24 hex digits */
    WAL_NAME = 48,         /* room for any name below */
    WAL_SEGSZ_MIN = 1 << 20,
    WAL_SEGSZ_MAX = 1 << 30,
};

/* "16/B374D848", padded or not, either case, nothing around it. */
int lsn_parse(const char *text, uint64_t *lsn);
/* As PostgreSQL prints it: "%X/%X". Returns out. */
const char *lsn_format(uint64_t lsn, char out[LSN_TEXT]);

bool wal_segsz_valid(uint64_t segsz);
static inline uint64_t lsn_segno(uint64_t lsn, uint32_t segsz)
{
    return lsn / segsz;
}
/* The segment that holds the byte before lsn: the last one needed up to an end position. */
static inline uint64_t lsn_last_segno(uint64_t lsn, uint32_t segsz)
{
    return lsn == 0 ? 0 : (lsn - 1) / segsz;
}
static inline uint64_t segno_lsn(uint64_t segno, uint32_t segsz)
{
    return segno * segsz;
}
static inline uint32_t lsn_offset(uint64_t lsn, uint32_t segsz)
{
    return (uint32_t)(lsn % segsz);
}
static inline uint64_t segments_per_log(uint32_t segsz)
{
    return (UINT64_C(1) << 32) / segsz;
}

/* "000000010000000000000007". Returns out. */
const char *wal_segment_name(uint32_t tli, uint64_t segno, uint32_t segsz,
                             char out[WAL_SEGMENT_NAME]);

enum wal_kind {
    WAL_SEGMENT,      /* 24 hex digits */
    WAL_PARTIAL,      /* 24 hex digits, ".partial" */
    WAL_HISTORY,      /* 8 hex digits, ".history" */
    WAL_BACKUP_LABEL, /* 24 hex digits, ".", 8 hex digits, ".backup" */
};

/* What a file name in the archive says. Upper-case hex only, as PostgreSQL writes it; timeline 0 is
 * refused. log and seg are the two halves of the segment number, zero for a history file. */
struct wal_file {
    enum wal_kind kind;
    uint32_t tli, log, seg;
    uint32_t offset; /* of the backup's start in the segment: WAL_BACKUP_LABEL only */
};

int wal_file_parse(const char *name, struct wal_file *out);
const char *wal_file_format(const struct wal_file *f, char out[WAL_NAME]);
/* The segment number; -1 when the name cannot be one of a cluster with this segment size. */
int wal_file_segno(const struct wal_file *f, uint32_t segsz, uint64_t *segno);

#endif
