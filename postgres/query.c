/*
 * query.c - statements and their answers.
 *
 * Waiting is done here, not in libpq: with poll() on the socket a query can be interrupted and a
 * probe can give up, which PQexec() cannot.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "postgres/session.h"

enum {
    LOOK_EVERY_MS = 200,  /* how late a wish to stop is noticed */
    CANCEL_WAIT_MS = 5000 /* for the server to confirm a cancelled statement */
};

/* The first line of a message; the rest is advice for psql users. */
static void first_line(const char *text, struct buf *out)
{
    size_t n = strcspn(text, "\n");

    buf_add(out, text, n);
}

static int lost(struct pg *pg, const char *why, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;

    first_line(why, &text);
    pg->lost = true;
    return err_set(err, ERR_UNREACHABLE, "connection to PostgreSQL is lost: %s", buf_text(&text));
}

/* Waits until the whole next result is here. 1: the deadline passed (INT64_MAX: none); 2: stop is
 * wanted (heeded only when watch is true). */
static int await(struct pg *pg, int64_t deadline_us, bool watch, struct err *err)
{
    while (pg->pq->PQisBusy(pg->conn)) {
        int unsent = pg->pq->PQflush(pg->conn);
        struct pollfd fd = {pg->pq->PQsocket(pg->conn), POLLIN, 0};

        if (unsent > 0)
            fd.events |= POLLOUT;
        if (watch && stop_wanted(pg->stop))
            return 2;
        int64_t left_ms = (deadline_us - clock_monotonic_us()) / 1000;
        if (left_ms < 0)
            return 1;
        if (unsent < 0 ||
            (poll(&fd, 1, (int)MIN_OF(left_ms + 1, LOOK_EVERY_MS)) < 0 && errno != EINTR))
            return lost(pg, pg->pq->PQerrorMessage(pg->conn), err);
        if ((fd.revents & (POLLIN | POLLERR | POLLHUP)) != 0 && !pg->pq->PQconsumeInput(pg->conn))
            return lost(pg, pg->pq->PQerrorMessage(pg->conn), err);
    }
    return 0;
}

/* The statement's first result; later ones (there are none but the end) are thrown away. */
static int collect(struct pg *pg, int64_t deadline_us, bool watch, PGresult **out, struct err *err)
{
    PGresult *first = NULL;

    for (;;) {
        int waited = await(pg, deadline_us, watch, err);
        if (waited != 0) {
            pg->pq->PQclear(first);
            return waited;
        }
        PGresult *next = pg->pq->PQgetResult(pg->conn);
        if (next == NULL)
            break;
        if (first == NULL)
            first = next;
        else
            pg->pq->PQclear(next);
    }
    *out = first;
    return 0;
}

/* Ends the running statement; when the server does not confirm soon the session is given up. */
static int cancel(struct pg *pg, struct err *err)
{
    char message[256];
    struct err ignored = {0};
    PGcancel *request = pg->pq->PQgetCancel(pg->conn);
    PGresult *result = NULL;

    if (request != NULL)
        pg->pq->PQcancel(request, message, sizeof message);
    pg->pq->PQfreeCancel(request);
    if (collect(pg, clock_monotonic_us() + CANCEL_WAIT_MS * INT64_C(1000), false, &result,
                &ignored) != 0)
        pg->lost = true;
    pg->pq->PQclear(result);
    return stop_check(pg->stop, err);
}

static enum err_code code_of(const char *state)
{
    if (strcmp(state, "42501") == 0 || strncmp(state, "28", 2) == 0)
        return ERR_DENIED;
    if (strncmp(state, "08", 2) == 0 || strncmp(state, "57P0", 4) == 0)
        return ERR_UNREACHABLE;
    if (strcmp(state, "53100") == 0)
        return ERR_NO_SPACE;
    return strncmp(state, "53", 2) == 0 || strncmp(state, "55P", 3) == 0 ? ERR_BUSY : ERR_FAILED;
}

static int refused(struct pg *pg, const PGresult *result, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    const struct libpq *pq = pg->pq;
    const char *state = pq->PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = pq->PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *hint = pq->PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

    if (pq->PQstatus(pg->conn) != CONNECTION_OK)
        return lost(pg, primary != NULL ? primary : pq->PQerrorMessage(pg->conn), err);
    first_line(primary != NULL ? primary : pq->PQresultErrorMessage(result), &text);
    if (hint != NULL) {
        buf_adds(&text, " (");
        first_line(hint, &text);
        buf_addc(&text, ')');
    }
    return err_set(err, state == NULL ? ERR_FAILED : code_of(state), "server: %s", buf_text(&text));
}

/* Sends the statement and waits; 1 when the deadline passed, with the statement still running. */
static int run(struct pg *pg, const char *sql, const char *const *params, size_t count,
               int64_t deadline_us, PGresult **out, struct err *err)
{
    const struct libpq *pq = pg->pq;

    if (pg->lost || pq->PQstatus(pg->conn) != CONNECTION_OK)
        return lost(pg, "it was lost before", err);
    if (!pq->PQsendQueryParams(pg->conn, sql, (int)count, NULL, params, NULL, NULL, 0))
        return lost(pg, pq->PQerrorMessage(pg->conn), err);
    int waited = collect(pg, deadline_us, pg->stop != NULL, out, err);
    if (waited == 2)
        return cancel(pg, err);
    if (waited == 0 && *out == NULL)
        return lost(pg, "no answer", err);
    return waited;
}

static int expect(struct pg *pg, const PGresult *result, size_t columns, struct err *err)
{
    ExecStatusType status = pg->pq->PQresultStatus(result);

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        return refused(pg, result, err);
    if ((size_t)pg->pq->PQnfields(result) != columns)
        return err_set(err, ERR_CORRUPT, "server answered with %d columns, expected %zu",
                       pg->pq->PQnfields(result), columns);
    return 0;
}

int pg_query(struct pg *pg, const char *sql, const char *const *params, size_t count,
             size_t columns, struct pg_rows **rows, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *got = xcalloc(1, sizeof *got);

    got->pq = pg->pq;
    TRY(run(pg, sql, params, count, INT64_MAX, &got->result, err));
    TRY(expect(pg, got->result, columns, err));
    if (rows != NULL)
        *rows = TAKE(got);
    return 0;
}

int pg_query_row(struct pg *pg, const char *sql, const char *const *params, size_t count,
                 size_t columns, struct pg_rows **rows, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *got = NULL;

    TRY(pg_query(pg, sql, params, count, columns, &got, err));
    if (pg_count(got) != 1)
        return err_set(err, ERR_CORRUPT, "server answered with %zu rows, expected 1",
                       pg_count(got));
    if (rows != NULL)
        *rows = TAKE(got);
    return 0;
}

/* The process id gives a transaction pooler away: there the session, and the backup in it, would
 * wander from one server process to the next. */
int pg_alive(struct pg *pg, unsigned timeout_ms, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *got = xcalloc(1, sizeof *got);
    int64_t deadline = clock_monotonic_us() + timeout_ms * INT64_C(1000), pid;

    got->pq = pg->pq;
    int done = run(pg, "SELECT pg_catalog.pg_backend_pid()", PG_NONE, deadline, &got->result, err);
    if (done > 0)
        return lost(pg, "no answer in time", err);
    TRY(done);
    TRY(expect(pg, got->result, 1, err));
    if (pg_count(got) != 1)
        return lost(pg, "it does not answer a simple query", err);
    TRY(pg_int(got, 0, 0, &pid, err));
    if (pid != pg->backend_pid)
        return lost(pg, "another server process answers: connect without a transaction pooler",
                    err);
    return 0;
}

void pg_rows_free(struct pg_rows **rows)
{
    if (*rows == NULL)
        return;
    (*rows)->pq->PQclear((*rows)->result);
    free(*rows);
    *rows = NULL;
}

size_t pg_count(const struct pg_rows *rows)
{
    return (size_t)rows->pq->PQntuples(rows->result);
}

bool pg_is_null(const struct pg_rows *rows, size_t row, size_t column)
{
    return rows->pq->PQgetisnull(rows->result, (int)row, (int)column) != 0;
}

const char *pg_text(const struct pg_rows *rows, size_t row, size_t column)
{
    return rows->pq->PQgetvalue(rows->result, (int)row, (int)column);
}

int pg_int(const struct pg_rows *rows, size_t row, size_t column, int64_t *out, struct err *err)
{
    const char *text = pg_text(rows, row, column);
    char *end;

    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0)
        return err_set(err, ERR_CORRUPT, "server sent \"%s\", expected a whole number", text);
    *out = value;
    return 0;
}

int pg_lsn(const struct pg_rows *rows, size_t row, size_t column, uint64_t *out, struct err *err)
{
    const char *text = pg_text(rows, row, column);

    if (lsn_parse(text, out) != 0)
        return err_set(err, ERR_CORRUPT, "server sent \"%s\", expected a WAL position", text);
    return 0;
}

bool pg_bool(const struct pg_rows *rows, size_t row, size_t column)
{
    return strcmp(pg_text(rows, row, column), "t") == 0;
}
