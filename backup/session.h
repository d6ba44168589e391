/*
 * session.h - the sessions of a backup: with the server that is copied and, for a standby, with its
 * primary.
 *
 * The first one stays open from start to stop: the backup mode belongs to it and ends with it.
 */
#ifndef PGBR_BACKUP_SESSION_H
#define PGBR_BACKUP_SESSION_H

#include "backup/backup.h"
#include "postgres/conn.h"
#include "postgres/facts.h"
#include "postgres/server.h"

struct session {
    struct pg *pg;
    struct pg *primary; /* NULL: pg is the primary, or it cannot be reached */
    struct pg_facts facts;
    uint64_t start_lsn;
    struct backup_stop stop;
    unsigned warnings; /* logged */
};
/* Connects, learns the facts, refuses what cannot be backed up: a foreign cluster, wal_level
 * minimal, pages that are not 8 KiB, a data directory that is not the server's. */
int session_open(struct session *s, const struct backup_request *q, struct err *err) MUST_CHECK;
void session_close(struct session *s);
/* Whom to ask for a WAL switch; NULL: nobody can be reached. */
struct pg *session_primary(struct session *s);
/* The session lives; how far WAL goes now. */
int session_tend(struct session *s, uint64_t *insert_lsn, struct err *err) MUST_CHECK;
/* After the stop: the same server, the same role as at the start. */
int session_unchanged(struct session *s, struct err *err) MUST_CHECK;

#endif
