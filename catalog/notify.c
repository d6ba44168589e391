/* notify.c - deliveries of events to receivers. */
#include "catalog/notify.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "catalog/sql.h"

static int64_t limit_of(size_t limit)
{
    return limit > INT64_MAX ? INT64_MAX : (int64_t)limit;
}

/* ---- deciding ---- */

static int know(struct catalog *c, const char *receiver, int64_t since_us, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(receiver), SQL_INT(since_us)};

    return sql_run(c,
                   "INSERT OR IGNORE INTO receiver (name, last_event)"
                   " SELECT ?1, coalesce(max(id), 0) FROM event WHERE time_us < ?2",
                   values, LENGTH(values), "remember a receiver", err);
}

static void read_event(struct sql_columns *k, void *row)
{
    struct catalog_event *e = row;

    e->id = col_int(k);
    e->time_us = col_int(k);
    e->level = col_text(k);
    e->kind = col_text(k);
    e->cluster = col_text(k);
    e->repo = col_text(k);
    e->job = col_text(k);
    e->text = col_text(k);
    e->json = NULL;
}
#define EVENT_COLUMNS "e.id, e.time_us, e.level, e.kind, e.cluster, e.repository, e.job, e.text"

int catalog_notify_new(struct catalog *c, const char *receiver, int64_t since_us, size_t limit,
                       struct catalog_events *out, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(receiver), SQL_INT(limit_of(limit))};
    const struct sql_select q = {
        .doing = "list new events",
        .sql = "SELECT " EVENT_COLUMNS " FROM event e"
               " WHERE e.id > (SELECT last_event FROM receiver WHERE name = ?1)"
               " ORDER BY e.id LIMIT ?2",
        .values = values,
        .n_values = LENGTH(values),
        .row_size = sizeof *out->rows,
        .read = read_event,
    };

    TRY(know(c, receiver, since_us, err));
    return SQL_LIST(c, &q, out, err);
}

int catalog_notify_seen(struct catalog *c, const char *receiver, int64_t event, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(receiver), SQL_INT(event)};

    return sql_run(c, "UPDATE receiver SET last_event = ?2 WHERE name = ?1", values, LENGTH(values),
                   "remember what was seen", err);
}

/* The first row of a query as numbers; none: zeros. */
static int numbers(struct catalog *c, const char *sql, const struct sql_value *values, size_t n,
                   int64_t *out, size_t n_out, struct err *err)
{
    static const char doing[] = "look up deliveries";
    AUTO(sql_done) sqlite3_stmt *s = NULL;
    bool row;

    memset(out, 0, n_out * sizeof *out);
    TRY(sql_query(c, &s, sql, values, n, doing, err));
    TRY(sql_step(c, s, &row, doing, err));
    for (size_t i = 0; row && i < n_out; i++)
        out[i] = sqlite3_column_int64(s, (int)i);
    return 0;
}

int catalog_notify_any(struct catalog *c, const char *receiver, bool *any, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(receiver)};
    int64_t found;

    TRY(numbers(c,
                "SELECT coalesce((SELECT max(id) FROM event), 0)"
                " > coalesce((SELECT last_event FROM receiver WHERE name = ?1), -1)",
                values, 1, &found, 1, err));
    *any = found != 0;
    return 0;
}

#define FROM_TOLD " FROM delivery d JOIN event e ON e.id = d.event WHERE d.receiver = ?4"
/* What failed before its repository was chosen is over when it works in one. */
#define OF_SAME                                            \
    " AND e.kind = ?1 AND e.cluster IS ?2 AND e.job IS ?3" \
    " AND (e.repository IS ?5 OR e.repository IS NULL OR ?5 IS NULL)"

/* "Told" leaves out what was given up, which nobody heard of. Only what came after the last event
 * that ended the problem is the same problem. */
int catalog_notify_told(struct catalog *c, const char *receiver, const struct catalog_event *e,
                        const char *problem, struct catalog_told *out, struct err *err)
{
    static const char last[] = "SELECT 1, e.level <> 'info'" FROM_TOLD OF_SAME
                               " AND d.state IN ('pending', 'sent') ORDER BY d.event DESC LIMIT 1";
    static const char same[] =
        "SELECT e.time_us, e.id" FROM_TOLD OF_SAME
        " AND e.repository IS ?5 AND d.problem = ?6 AND d.state IN ('pending', 'sent')"
        " ORDER BY d.event DESC LIMIT 1";
    static const char since[] =
        "SELECT count(*)" FROM_TOLD OF_SAME
        " AND e.repository IS ?5 AND d.problem = ?6 AND d.state = 'repeated' AND d.event > ?7";
    struct sql_value values[] = {SQL_TEXT(e->kind),  SQL_TEXT(e->cluster), SQL_TEXT(e->job),
                                 SQL_TEXT(receiver), SQL_TEXT(e->repo),    SQL_TEXT(problem),
                                 SQL_INT(0)};
    int64_t found[2];

    *out = (struct catalog_told){0};
    TRY(numbers(c, last, values, 5, found, 2, err));
    out->any = found[0] != 0;
    out->error_or_warning = found[1] != 0;
    if (!out->error_or_warning)
        return 0;
    TRY(numbers(c, same, values, 6, found, 2, err));
    out->same_us = found[0];
    values[6] = SQL_INT(found[1]);
    TRY(numbers(c, since, values, 7, found, 1, err));
    out->repeats = (unsigned)found[0];
    return 0;
}

int catalog_put_delivery(struct catalog *c, const struct catalog_delivery *d, struct err *err)
{
    const struct sql_value values[] = {
        SQL_INT(d->event),
        SQL_TEXT(d->receiver),
        SQL_TEXT(d->state),
        SQL_TEXT(d->problem),
        SQL_INT(d->repeats),
        SQL_INT(d->recovered),
        SQL_INT(time_or_now(d->created_us)),
    };

    return sql_run(c,
                   "INSERT OR IGNORE INTO delivery (event, receiver, state, problem, repeats,"
                   " recovered, created_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   values, LENGTH(values), "record a delivery", err);
}

/* ---- delivering ---- */

static void read_delivery(struct sql_columns *k, void *row)
{
    struct catalog_delivery *d = row;

    d->id = col_int(k);
    d->event = col_int(k);
    d->receiver = col_text(k);
    d->state = col_text(k);
    d->problem = col_text(k);
    d->repeats = (unsigned)col_int(k);
    d->recovered = col_int(k) != 0;
    d->tries = (unsigned)col_int(k);
    d->created_us = col_int(k);
    d->next_try_us = col_int(k);
    d->finished_us = col_int(k);
    d->carrier = col_int(k);
    d->error = col_text(k);
    read_event(k, &d->e);
}
#define DELIVERY_COLUMNS                                                              \
    "d.id, d.event, d.receiver, d.state, d.problem, d.repeats, d.recovered, d.tries," \
    " d.created_us, d.next_try_us, d.finished_us, d.carrier, d.error, " EVENT_COLUMNS \
    " FROM delivery d JOIN event e ON e.id = d.event"

static int read_deliveries(struct catalog *c, const char *sql, const struct sql_value *values,
                           size_t n, struct catalog_deliveries *out, struct err *err)
{
    const struct sql_select q = {
        .doing = "list deliveries",
        .sql = sql,
        .values = values,
        .n_values = n,
        .row_size = sizeof *out->rows,
        .read = read_delivery,
    };

    return SQL_LIST(c, &q, out, err);
}

int catalog_notify_due(struct catalog *c, const char *receiver, int64_t now_us, size_t limit,
                       struct catalog_deliveries *out, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(receiver), SQL_INT(now_us),
                                       SQL_INT(limit_of(limit))};

    return read_deliveries(c,
                           "SELECT " DELIVERY_COLUMNS
                           " WHERE d.receiver = ?1 AND d.state = 'pending' AND d.next_try_us <= ?2"
                           " ORDER BY d.tries, d.event LIMIT ?3",
                           values, LENGTH(values), out, err);
}

int catalog_get_deliveries(struct catalog *c, const char *receiver, const char *state, size_t limit,
                           struct catalog_deliveries *out, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(receiver), SQL_TEXT(state),
                                       SQL_INT(limit_of(limit))};

    return read_deliveries(c,
                           "SELECT " DELIVERY_COLUMNS
                           " WHERE (?1 IS NULL OR d.receiver = ?1) AND (?2 IS NULL OR d.state = ?2)"
                           " ORDER BY d.event DESC, d.id DESC LIMIT ?3",
                           values, LENGTH(values), out, err);
}

void catalog_deliveries_free(struct catalog_deliveries *l)
{
    texts_free(&l->texts);
    mem_free(&l->rows);
    l->n = 0;
}

/* One statement for each row, all or none; the row's number is the first of the values. */
static int update_all(struct catalog *c, const char *sql, const struct catalog_delivery *rows,
                      size_t n, struct sql_value *values, size_t n_values, const char *doing,
                      struct err *err)
{
    AUTO(scope_abandon) struct sql_scope scope = {0};

    TRY(scope_begin(c, &scope, doing, err));
    for (size_t i = 0; i < n; i++) {
        values[0] = SQL_INT(rows[i].id);
        TRY(sql_run(c, sql, values, n_values, doing, err));
    }
    return scope_commit(&scope, doing, err);
}

int catalog_notify_try(struct catalog *c, const struct catalog_delivery *rows, size_t n,
                       int64_t next_try_us, struct err *err)
{
    struct sql_value values[] = {SQL_INT(0), SQL_INT(next_try_us)};

    return update_all(c, "UPDATE delivery SET tries = tries + 1, next_try_us = ?2 WHERE id = ?1",
                      rows, n, values, LENGTH(values), "record a try", err);
}

int catalog_notify_sent(struct catalog *c, const struct catalog_delivery *rows, size_t n,
                        int64_t now_us, struct err *err)
{
    struct sql_value values[] = {SQL_INT(0), SQL_INT(now_us), SQL_INT(rows[0].id)};

    return update_all(c,
                      "UPDATE delivery SET state = 'sent', finished_us = ?2, carrier = ?3,"
                      " error = NULL WHERE id = ?1",
                      rows, n, values, LENGTH(values), "record what was sent", err);
}

int catalog_notify_failed(struct catalog *c, const struct catalog_delivery *rows, size_t n,
                          const char *error, int64_t next_try_us, struct err *err)
{
    static const char doing[] = "record a failed try";
    AUTO(scope_abandon) struct sql_scope scope = {0};
    struct sql_value values[] = {SQL_INT(0), SQL_TEXT(error), SQL_INT(next_try_us)};
    const struct sql_value others[] = {SQL_TEXT(rows[0].receiver), SQL_INT(next_try_us)};

    TRY(scope_begin(c, &scope, doing, err));
    TRY(update_all(c, "UPDATE delivery SET error = ?2, next_try_us = ?3 WHERE id = ?1", rows, n,
                   values, LENGTH(values), doing, err));
    TRY(sql_run(c,
                "UPDATE delivery SET next_try_us = max(next_try_us, ?2)"
                " WHERE receiver = ?1 AND state = 'pending'",
                others, LENGTH(others), doing, err));
    return scope_commit(&scope, doing, err);
}

int catalog_notify_give_up(struct catalog *c, const char *receiver, int64_t before_us, size_t *n,
                           struct err *err)
{
    static const char doing[] = "give deliveries up";
    AUTO(scope_abandon) struct sql_scope scope = {0};
    const struct sql_value values[] = {SQL_TEXT(receiver), SQL_INT(before_us),
                                       SQL_INT(time_or_now(0))};
    int64_t found;

    TRY(numbers(c,
                "SELECT count(*) FROM delivery"
                " WHERE receiver = ?1 AND state = 'pending' AND created_us < ?2",
                values, 2, &found, 1, err));
    *n = (size_t)found;
    if (found == 0)
        return 0;
    TRY(scope_begin(c, &scope, doing, err));
    TRY(sql_run(c,
                "UPDATE delivery SET state = 'given up', finished_us = ?3"
                " WHERE receiver = ?1 AND state = 'pending' AND created_us < ?2",
                values, LENGTH(values), doing, err));
    return scope_commit(&scope, doing, err);
}

static void read_time(struct sql_columns *k, void *row)
{
    *(int64_t *)row = col_int(k);
}

int catalog_notify_times(struct catalog *c, const char *receiver, int64_t since_us, int64_t **times,
                         size_t *n, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(receiver), SQL_INT(since_us)};
    const struct sql_select q = {
        .doing = "look up what was sent",
        .sql = "SELECT finished_us FROM delivery WHERE receiver = ?1 AND state = 'sent'"
               " AND carrier = id AND finished_us > ?2 ORDER BY finished_us",
        .values = values,
        .n_values = LENGTH(values),
        .row_size = sizeof **times,
        .read = read_time,
    };
    void *rows;
    int rc = sql_rows(c, &q, &rows, n, NULL, err);

    *times = rows;
    return rc;
}

/* ---- telling and forgetting ---- */

static int last_failure(struct catalog *c, const char *receiver, struct catalog_receiver *out,
                        struct err *err)
{
    static const char doing[] = "look up failed deliveries";
    AUTO(sql_done) sqlite3_stmt *s = NULL;
    const struct sql_value values[] = {SQL_TEXT(receiver)};
    struct sql_columns k = {NULL, 0, &out->texts};
    bool row;

    TRY(sql_query(c, &s,
                  "SELECT created_us, error FROM delivery WHERE receiver = ?1"
                  " AND state IN ('pending', 'given up') AND error IS NOT NULL"
                  " ORDER BY id DESC LIMIT 1",
                  values, LENGTH(values), doing, err));
    TRY(sql_step(c, s, &row, doing, err));
    if (!row)
        return 0;
    k.row = s;
    out->failed_us = col_int(&k);
    out->error = col_text(&k);
    return 0;
}

int catalog_get_receiver(struct catalog *c, const char *receiver, struct catalog_receiver *out,
                         struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(receiver)};
    int64_t found[6];

    *out = (struct catalog_receiver){0};
    TRY(numbers(c,
                "SELECT total(state = 'pending'), total(state = 'sent'), total(state = 'repeated'),"
                " total(state = 'given up'), max(CASE state WHEN 'sent' THEN finished_us END),"
                " min(CASE state WHEN 'pending' THEN next_try_us END)"
                " FROM delivery WHERE receiver = ?1",
                values, 1, found, LENGTH(found), err));
    out->pending = (uint64_t)found[0];
    out->sent = (uint64_t)found[1];
    out->repeated = (uint64_t)found[2];
    out->given_up = (uint64_t)found[3];
    out->last_sent_us = found[4];
    out->next_try_us = found[5];
    return last_failure(c, receiver, out, err);
}

void catalog_receiver_free(struct catalog_receiver *r)
{
    texts_free(&r->texts);
    r->error = NULL;
}

int catalog_notify_prune(struct catalog *c, int64_t before_us, struct err *err)
{
    const struct sql_value values[] = {SQL_INT(before_us)};

    return sql_run(c,
                   "DELETE FROM delivery WHERE state <> 'pending'"
                   " AND max(finished_us, created_us) < ?1",
                   values, LENGTH(values), "forget old deliveries", err);
}

int catalog_put_change(struct catalog *c, const struct catalog_event *e, bool *put, struct err *err)
{
    static const char doing[] = "record an event";
    AUTO(scope_abandon) struct sql_scope scope = {0};
    const struct sql_value values[] = {SQL_TEXT(e->kind), SQL_TEXT(e->cluster), SQL_TEXT(e->job),
                                       SQL_TEXT(NULL), SQL_TEXT(e->repo)};
    int64_t worse;

    TRY(scope_begin(c, &scope, doing, err));
    TRY(numbers(c,
                "SELECT level <> 'info' FROM event e WHERE ?4 IS NULL" OF_SAME
                " ORDER BY id DESC LIMIT 1",
                values, LENGTH(values), &worse, 1, err));
    if (strcmp(e->level, "info") == 0 && worse == 0)
        return 0;
    TRY(catalog_put_event(c, e, err));
    *put = true;
    return scope_commit(&scope, doing, err);
}
