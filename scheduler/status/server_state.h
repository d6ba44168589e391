/*
 * server_state.h - what a running server and its pg_wal say about archiving, asked once and judged
 * by others (scheduler/status/findings.h, the status page, "pgbr windows").
 */
#ifndef PGBR_SCHEDULER_STATUS_SERVER_STATE_H
#define PGBR_SCHEDULER_STATUS_SERVER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "postgres/conn.h"

struct server_state {
    uint64_t system_id;
    unsigned major;
    uint32_t timeline; /* that it writes or follows */
    bool in_recovery;
    bool archives; /* archive_mode is not off */
    uint32_t segment_size;
    uint64_t wal_lsn; /* all WAL written so far; on a standby, replayed */
    int64_t
        last_commit_us; /* of the newest commit, where track_commit_timestamp is on; 0: not known */
    int64_t now_us;     /* the server's clock */
    int64_t asked_us;   /* this host's clock at that moment */
    /* pg_stat_archiver; times 0: never */
    int64_t archived, failed, archived_us, failed_us;
    char archived_wal[64], failed_wal[64];
};
/* One statement. */
int server_state_ask(struct pg *pg, struct server_state *out, struct err *err) MUST_CHECK;

/* pg_wal of a data directory on this host. */
struct pg_wal_state {
    uint64_t waiting;          /* files that are to be archived */
    int64_t oldest_us;         /* when the one that waits longest was finished; 0: none waits */
    uint64_t finished;         /* segments whose end is known: waiting, and archived lately */
    int64_t finished_since_us; /* when the oldest of them was finished */
    uint64_t free_bytes, total_bytes; /* of its file system */
};
int pg_wal_look(const char *data_directory, struct pg_wal_state *out, struct err *err) MUST_CHECK;

/* Seconds until the disk of pg_wal is full if nothing is archived and WAL goes on being written as
 * fast as lately; 0: cannot be said. */
uint64_t pg_wal_forecast(const struct pg_wal_state *s, uint32_t segment_size, int64_t now_us);

#endif
