/*
 * conn.h - a session with a PostgreSQL server, and queries in it.
 *
 * The session is made for long backups: no time-outs of its own, TCP keepalives, UTF-8, an empty
 * search_path (so SQL here names pg_catalog only through its implicit place), autocommit. A struct
 * pg belongs to one thread at a time. Everything comes back as text. A connection that was lost is
 * ERR_UNREACHABLE and stays lost. Passwords never appear in a message: a connection string is not
 * quoted in errors, only host, port, user and database.
 */
#ifndef PGBR_POSTGRES_CONN_H
#define PGBR_POSTGRES_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/queue.h"

struct pg;

/*
 * conninfo: key=value pairs or a URI, as libpq takes it; several hosts are tried in turn.
 * timeout_s: for each host, 0 is 10 s; a connect_timeout in conninfo wins. Errors: ERR_CONFIG
 * (malformed), ERR_UNREACHABLE (nobody answers, starting up), ERR_DENIED (authentication), ERR_BUSY
 * (too many connections), ERR_UNSUPPORTED (server older than 13 or newer than known, libpq
 * missing).
 */
int pg_connect(struct pg **out, const char *conninfo, unsigned timeout_s,
               struct err *err) MUST_CHECK;
/* Hangs up; the server then ends a backup that was running in the session. */
void pg_close(struct pg **pg);

/* Waiting for an answer also ends (ERR_INTERRUPTED, the statement is cancelled) when stop is
 * wanted; NULL: never. Borrowed. */
void pg_set_stop(struct pg *pg, const struct stop *stop);

unsigned pg_major(const struct pg *pg);    /* 15 */
int pg_version_num(const struct pg *pg);   /* 150020 */
const char *pg_user(const struct pg *pg);  /* for messages */
const char *pg_where(const struct pg *pg); /* "host \"h\" port 5432 database \"d\"" */

/* The rows of an answer. */
struct pg_rows;
void pg_rows_free(struct pg_rows **rows);
size_t pg_count(const struct pg_rows *rows);
bool pg_is_null(const struct pg_rows *rows, size_t row, size_t column);
/* "" for NULL; valid until the rows are freed. Row and column must exist. */
const char *pg_text(const struct pg_rows *rows, size_t row, size_t column);
/* Typed readings of one field; ERR_CORRUPT when the server sent something else, or NULL. */
int pg_int(const struct pg_rows *rows, size_t row, size_t column, int64_t *out,
           struct err *err) MUST_CHECK;
int pg_lsn(const struct pg_rows *rows, size_t row, size_t column, uint64_t *out,
           struct err *err) MUST_CHECK;
bool pg_bool(const struct pg_rows *rows, size_t row, size_t column); /* "t" */

/*
 * Runs one statement with text parameters $1, $2, ... (NULL: SQL NULL). columns: how many the
 * answer must have; rows may be NULL when the answer does not matter. Errors by SQLSTATE:
 * ERR_DENIED for missing privileges, ERR_UNREACHABLE when the session is gone, ERR_INTERRUPTED,
 * else ERR_FAILED; the message is the server's first line.
 */
int pg_query(struct pg *pg, const char *sql, const char *const *params, size_t count,
             size_t columns, struct pg_rows **rows, struct err *err) MUST_CHECK;
/* The same, and exactly one row must come back. */
int pg_query_row(struct pg *pg, const char *sql, const char *const *params, size_t count,
                 size_t columns, struct pg_rows **rows, struct err *err) MUST_CHECK;
/* A parameter list for the two calls above: pg_query(pg, sql, PG_PARAMS(a, b), 1, &rows, err). */
#define PG_PARAMS(...) \
    (const char *const[]){__VA_ARGS__}, LENGTH(((const char *const[]){__VA_ARGS__}))
#define PG_NONE NULL, 0

/* Is the session still there? Asks the server, waits at most timeout_ms. ERR_UNREACHABLE when it is
 * not; then the session counts as lost. Call while no query runs. */
int pg_alive(struct pg *pg, unsigned timeout_ms, struct err *err) MUST_CHECK;

/* Adds to an ERR_DENIED which grant is missing; object: "FUNCTION pg_catalog.pg_switch_wal()" gives
 * "... grant execute on ...". Returns -1 like err_set. */
int pg_denied(const struct pg *pg, const char *grant, struct err *err);

#endif
