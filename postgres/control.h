/*
 * control.h - global/pg_control, the cluster's own account of itself (PostgreSQL 13 to 18).
 *
 * Source: src/include/catalog/pg_control.h of each release; compared with pg_controldata. Times are
 * Unix seconds. The server rewrites the file in place, so a reader may see a torn mix of old and
 * new: control_read() tries again until the CRC fits. Nothing is owned: the struct is plain data.
 */
#ifndef PGBR_POSTGRES_CONTROL_H
#define PGBR_POSTGRES_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "postgres/version.h"

#define CONTROL_PATH "global/pg_control" /* below the data directory */
enum { CONTROL_SIZE = 8192 };            /* PG_CONTROL_FILE_SIZE; about 300 bytes matter */

/* DBState */
enum control_state {
    CONTROL_STARTING = 0,
    CONTROL_SHUT_DOWN = 1,
    CONTROL_SHUT_DOWN_IN_RECOVERY = 2,
    CONTROL_SHUTTING_DOWN = 3,
    CONTROL_IN_CRASH_RECOVERY = 4,
    CONTROL_IN_ARCHIVE_RECOVERY = 5,
    CONTROL_IN_PRODUCTION = 6,
};

enum control_wal_level { WAL_LEVEL_MINIMAL = 0, WAL_LEVEL_REPLICA = 1, WAL_LEVEL_LOGICAL = 2 };

struct pg_control {
    uint64_t system_id;
    const struct pg_version *version; /* never NULL after a successful parse */
    enum control_state state;
    int64_t updated_at;
    uint64_t checkpoint_lsn; /* of the last checkpoint record */

    /* the copy of that checkpoint */
    uint64_t redo_lsn;
    uint32_t tli, prev_tli; /* right after a promotion still the old ones */
    bool full_page_writes;
    uint64_t next_xid; /* epoch << 32 | xid */
    uint32_t next_oid, next_multi, next_multi_offset;
    uint32_t oldest_xid, oldest_multi, oldest_active_xid;
    int64_t checkpoint_time;

    uint64_t min_recovery_point; /* 0 on a primary */
    uint32_t min_recovery_tli;
    uint64_t backup_start, backup_end;
    bool backup_end_required;

    enum control_wal_level wal_level;
    bool wal_log_hints, track_commit_timestamp;
    int32_t max_connections, max_worker_processes, max_wal_senders, max_prepared_transactions,
        max_locks_per_transaction;

    uint32_t block_size, relseg_pages; /* pages in a full relation segment */
    uint32_t wal_block_size, wal_segsz;
    uint32_t checksum_version; /* 0: off, 1: on */
};

/*
 * Reads the content of the file. Errors: ERR_CORRUPT (too short, CRC, values that no server
 * writes), ERR_UNSUPPORTED (another major, a beta, a fork, or another byte order). Page sizes other
 * than 8192 are parsed: refusing them is the caller's decision.
 */
int control_parse(const void *data, size_t len, struct pg_control *out, struct err *err) MUST_CHECK;

/*
 * Reads path (normally CONTROL_PATH) relative to dirfd, up to ten times 10 ms apart while the CRC
 * does not fit. When raw is not NULL it is cleared and gets the bytes that were parsed.
 */
int control_read(int dirfd, const char *path, struct buf *raw, struct pg_control *out,
                 struct err *err) MUST_CHECK;

/* "in production", as pg_controldata says it. */
const char *control_state_name(enum control_state state);

#endif
