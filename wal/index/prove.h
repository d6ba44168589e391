/* prove.h - proofs that WAL reaches the repository: before a backup begins, and before it is
 * committed. */
#ifndef PGBR_WAL_INDEX_PROVE_H
#define PGBR_WAL_INDEX_PROVE_H

#include "base/queue.h"
#include "postgres/conn.h"
#include "repo/manifest/manifest.h"

struct wal_place { /* whose WAL, and where it must arrive */
    struct repo *repo;
    uint64_t system_id;
    unsigned major;
    uint32_t segment_size;
};
/* Switches WAL on the primary and waits until the finished segment is in the repository.
 * timeout_ms. On failure the message names the segment, archive_mode, archive_command and what
 * pg_stat_archiver says failed last. */
int wal_prove_archiving(const struct wal_place *p, struct pg *primary, int64_t timeout_ms,
                        const struct stop *stop, struct err *err) MUST_CHECK;
/* Calls fn for every segment that the spans need, in order of position; where a timeline ends
 * inside a segment, the next timeline's file of it stands for both (it begins with the same bytes).
 * Stops at the first call that does not return 0. */
int wal_spans_each(const struct wal_span *spans, size_t n, uint32_t segment_size,
                   int (*fn)(void *ctx, uint32_t timeline, uint64_t segno, struct err *err),
                   void *ctx, struct err *err) MUST_CHECK;

/* Waits until every segment of the spans, and the history files of their timelines, are in the
 * repository and whole: size, system id, magic, timeline and record chain are checked from the WAL
 * index (or, where it has none, from the segment). alive (may be NULL) is called about once a
 * second. ERR_UNREACHABLE names what is missing after timeout_ms. */
int wal_wait(const struct wal_place *p, const struct wal_span *spans, size_t n, int64_t timeout_ms,
             int (*alive)(void *ctx, struct err *err), void *ctx, const struct stop *stop,
             struct err *err) MUST_CHECK;

#endif
