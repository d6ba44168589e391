#include "postgres/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/session.h"
#include "postgres/version.h"

enum { CONNECT_TIMEOUT_S = 10 };

static enum err_code connect_code(const char *message)
{
    /* libpq gives no SQLSTATE for a failed connection, so the text must do. A server that speaks
     * another language ends up as unreachable, which is merely tried again. */
    static const struct {
        const char *text;
        enum err_code code;
    } known[] = {
        {"authentication failed", ERR_DENIED},
        {"pg_hba.conf", ERR_DENIED},
        {"no password supplied", ERR_DENIED},
        {"role \"", ERR_DENIED},
        {"permission denied for", ERR_DENIED},
        {"connection slots", ERR_BUSY},
        {"too many c", ERR_BUSY},
        {"database \"", ERR_CONFIG},
        {"invalid port number", ERR_CONFIG},
        {"invalid integer value", ERR_CONFIG},
        {"value: \"", ERR_CONFIG},
    };
    for (size_t i = 0; i < LENGTH(known); i++)
        if (strstr(message, known[i].text) != NULL)
            return known[i].code;
    return ERR_UNREACHABLE;
}

static int connect_failed(const struct pg *pg, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    const char *message = pg->pq->PQerrorMessage(pg->conn);

    /* With several hosts each has its lines, and all of them matter. */
    for (size_t n; *message != '\0'; message += n) {
        message += strspn(message, " \t\n");
        n = strcspn(message, "\t\n");
        if (text.len > 0 && n > 0)
            buf_addc(&text, ' ');
        buf_add(&text, message, n);
    }
    return err_set(err, connect_code(buf_text(&text)), "cannot connect to PostgreSQL: %s",
                   buf_text(&text));
}

/* libpq's own message may quote a part of the string, and that part may be a password. */
static int check_conninfo(const struct libpq *pq, const char *conninfo, struct err *err)
{
    char *message = NULL;
    PQconninfoOption *options = pq->PQconninfoParse(conninfo, &message);

    pq->PQfreemem(message);
    if (options == NULL)
        return err_set(err, ERR_CONFIG,
                       "connection string is malformed (not shown, it may hold a password): "
                       "expected key=value pairs, values with blanks in single quotes, or a "
                       "postgresql:// URI");
    pq->PQconninfoFree(options);
    return 0;
}

static void notice(void *unused, const char *message)
{
    (void)unused;
    log_debug("server: %.*s", (int)strcspn(message, "\n"), message);
}

/* What stands before "dbname" gives way to the connection string, what stands behind it wins. */
static PGconn *connect_with(const struct libpq *pq, const char *conninfo, unsigned timeout_s)
{
    char timeout[16];
    const char *const keys[] = {
        "connect_timeout",     "application_name",
        "keepalives",          "keepalives_idle",
        "keepalives_interval", "keepalives_count",
        "tcp_user_timeout",    "dbname",
        "client_encoding",     NULL,
    };
    const char *const values[] = {
        timeout, "pgbr", "1", "30", "10", "6", "90000", conninfo, "UTF8", NULL,
    };

    snprintf(timeout, sizeof timeout, "%u", timeout_s == 0 ? CONNECT_TIMEOUT_S : timeout_s);
    return pq->PQconnectdbParams(keys, values, 1);
}

static int check_version(const struct pg *pg, struct err *err)
{
    int version = pg_version_num(pg);

    if (version < 10000)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s does not tell its version: connect to PostgreSQL "
                       "itself, not to a pooler",
                       pg->where);
    if (pg_version_by_major((unsigned)version / 10000) == NULL)
        return err_set(err, ERR_UNSUPPORTED, "%s runs PostgreSQL %d, expected one of %s", pg->where,
                       version / 10000, pg_versions_known());
    return 0;
}

/* Nothing set for the role, the database or the server may end a session that waits for hours. */
static int prepare_session(struct pg *pg, struct err *err)
{
    AUTO(buf_free) struct buf sql = BUF_INIT;
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;
    static const struct {
        unsigned since;
        const char *name, *value;
    } settings[] = {
        {0, "search_path", ""},
        {0, "statement_timeout", "0"},
        {0, "lock_timeout", "0"},
        {0, "idle_in_transaction_session_timeout", "0"},
        {14, "idle_session_timeout", "0"},
        {17, "transaction_timeout", "0"},
        {0, "client_min_messages", "warning"},
    };
    size_t columns = 1;

    buf_adds(&sql, "SELECT pg_catalog.pg_backend_pid()");
    for (size_t i = 0; i < LENGTH(settings); i++)
        if (pg_major(pg) >= settings[i].since) {
            buf_addf(&sql, ", pg_catalog.set_config('%s', '%s', false)", settings[i].name,
                     settings[i].value);
            columns++;
        }
    TRY(pg_query_row(pg, buf_text(&sql), PG_NONE, columns, &rows, err));
    return pg_int(rows, 0, 0, &pg->backend_pid, err);
}

int pg_connect(struct pg **out, const char *conninfo, unsigned timeout_s, struct err *err)
{
    AUTO(pg_close) struct pg *pg = xcalloc(1, sizeof *pg);
    const struct libpq *pq;

    TRY(libpq_load(&pq, err));
    TRY(check_conninfo(pq, conninfo, err));
    pg->pq = pq;
    pg->conn = connect_with(pq, conninfo, timeout_s);
    if (pq->PQstatus(pg->conn) != CONNECTION_OK)
        return connect_failed(pg, err);
    pq->PQsetNoticeProcessor(pg->conn, notice, NULL);
    pg->where = xasprintf("host \"%s\" port %s database \"%s\"", pq->PQhost(pg->conn),
                          pq->PQport(pg->conn), pq->PQdb(pg->conn));
    TRY(check_version(pg, err));
    if (prepare_session(pg, err) != 0)
        return err_context(err, "%s", pg->where);
    *out = TAKE(pg);
    return 0;
}

void pg_close(struct pg **pg)
{
    if (*pg == NULL)
        return;
    if ((*pg)->conn != NULL)
        (*pg)->pq->PQfinish((*pg)->conn);
    free((*pg)->where);
    free(*pg);
    *pg = NULL;
}

void pg_set_stop(struct pg *pg, const struct stop *stop)
{
    pg->stop = stop;
}

int pg_version_num(const struct pg *pg)
{
    return pg->pq->PQserverVersion(pg->conn);
}

unsigned pg_major(const struct pg *pg)
{
    return (unsigned)pg_version_num(pg) / 10000;
}

const char *pg_user(const struct pg *pg)
{
    return pg->pq->PQuser(pg->conn);
}

const char *pg_where(const struct pg *pg)
{
    return pg->where;
}

int pg_denied(const struct pg *pg, const char *grant, struct err *err)
{
    AUTO(mem_free) char *message = xstrdup(err->msg);

    return err_set(err, ERR_DENIED, "%s; a superuser can allow it: GRANT %s TO \"%s\"", message,
                   grant, pg_user(pg));
}
