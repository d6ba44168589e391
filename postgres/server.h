/*
 * server.h - what pgbr asks a PostgreSQL server to do: backups, WAL switches, restore points.
 *
 * Each call is one statement that hides the differences between 13 and 18. A missing privilege is
 * ERR_DENIED and names the GRANT that helps. Nothing here waits for archiving: pgbr does that
 * against its own repository.
 */
#ifndef PGBR_POSTGRES_SERVER_H
#define PGBR_POSTGRES_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "postgres/conn.h"

/*
 * Begins a non-exclusive backup that lives as long as the session; returns when the checkpoint is
 * done, which takes minutes unless fast. label: 1 to 1024 printable ASCII characters. *start_lsn
 * is the checkpoint's redo position; on a standby two backups may share it.
 */
int pg_backup_start(struct pg *pg, const char *label, bool fast, uint64_t *start_lsn,
                    struct err *err) MUST_CHECK;

struct backup_stop {
    uint64_t stop_lsn; /* end + 1 of the last record needed; on a standby minRecoveryPoint */
    char *label;       /* backup_label, to be stored byte for byte */
    char *map;         /* tablespace_map; "" when there is none and no file may be written */
};
#define BACKUP_STOP_INIT \
    {                    \
        0, NULL, NULL    \
    }
void backup_stop_free(struct backup_stop *s);
/* Ends it. ERR_FAILED, among others, when a standby was promoted meanwhile. *out is the caller's.
 */
int pg_backup_stop(struct pg *pg, struct backup_stop *out, struct err *err) MUST_CHECK;

/* Ends the current segment; *lsn is the end + 1 within it (of the switch record, or of what was
 * there when nothing was written since the last switch). Primary only. */
int pg_switch_wal(struct pg *pg, uint64_t *lsn, struct err *err) MUST_CHECK;
/* Primary only. name: at most 63 bytes. *lsn: end + 1 of its record. */
int pg_create_restore_point(struct pg *pg, const char *name, uint64_t *lsn,
                            struct err *err) MUST_CHECK;

int pg_is_in_recovery(struct pg *pg, bool *in_recovery, struct err *err) MUST_CHECK;
/* No page on disk can have a greater LSN: the insert position, on a standby the replay position. */
int pg_insert_lsn(struct pg *pg, uint64_t *lsn, struct err *err) MUST_CHECK;
/*
 * The timeline the server writes or follows. On a primary from its current WAL file name, since
 * pg_control is late after a promotion. On a standby the newest of: last restartpoint, minimum
 * recovery point, what the WAL receiver streams.
 */
int pg_timeline(struct pg *pg, uint32_t *tli, struct err *err) MUST_CHECK;
/* pg_control's identity as the server sees it. */
int pg_system_id(struct pg *pg, uint64_t *system_id, struct err *err) MUST_CHECK;
/* The setting as current_setting() gives it; *value is the caller's. */
int pg_setting(struct pg *pg, const char *name, char **value, struct err *err) MUST_CHECK;

#endif
