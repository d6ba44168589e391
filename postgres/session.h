/* session.h - what conn.c and query.c share; nobody else includes it. */
#ifndef PGBR_POSTGRES_SESSION_H
#define PGBR_POSTGRES_SESSION_H

#include "postgres/conn.h"
#include "postgres/libpq.h"

struct pg {
    const struct libpq *pq;
    PGconn *conn;
    const struct stop *stop;
    int64_t backend_pid;
    bool lost;
    char *where;
};

struct pg_rows {
    const struct libpq *pq;
    PGresult *result;
};

#endif
