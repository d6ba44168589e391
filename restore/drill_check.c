/*
 * drill_check.c - is it the moment that was asked for, and does the cluster answer as it should?
 *
 * pg_last_wal_replay_lsn() and pg_last_xact_replay_timestamp() keep what recovery ended with after
 * the server has gone live, so both are asked then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "postgres/wal_reader.h"
#include "restore/drill_form.h"

/* Whoever holds a lock here for longer than a moment is a prepared transaction, which nobody ends.
 */
int drill_connect(struct drill *d, const char *database, struct pg **pg, struct err *err)
{
    AUTO(pg_close) struct pg *made = NULL;

    TRY(server_connect(&d->server, database, d->plan.backup.system_id, &made, err));
    pg_set_stop(made, d->q->stop);
    TRY(pg_query(made, "SET lock_timeout = '5s'", PG_NONE, 0, NULL, err));
    *pg = TAKE(made);
    return 0;
}

/* ---- the moment ---- */

struct reached {
    bool in_recovery;
    uint64_t lsn;
    int64_t us; /* of the last commit or abort; 0: none was replayed */
};

static int ask_reached(struct drill *d, struct reached *r, struct err *err)
{
    static const char sql[] =
        "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn(),"
        " COALESCE(extract(epoch FROM date_trunc('second', t))::bigint * 1000000"
        " + extract(microseconds FROM t)::bigint % 1000000, 0)"
        " FROM pg_last_xact_replay_timestamp() t";
    AUTO(pg_close) struct pg *pg = NULL;
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(drill_connect(d, "template1", &pg, err));
    TRY(pg_query_row(pg, sql, PG_NONE, 3, &rows, err));
    r->in_recovery = pg_bool(rows, 0, 0);
    TRY(pg_lsn(rows, 0, 1, &r->lsn, err));
    return pg_int(rows, 0, 2, &r->us, err);
}

/* The end of one record and the start of the next are one place, but for a page header between. */
static bool same_place(uint64_t planned, uint64_t found)
{
    uint64_t behind = planned - found;

    return planned == found ||
           (found % WAL_PAGE == 0 && (behind == WAL_SHORT_HEADER || behind == WAL_LONG_HEADER));
}

static void judge_place(struct drill *d, const struct reached *r, int64_t took_us)
{
    uint64_t planned = d->plan.reach.end_lsn;
    bool fits = !r->in_recovery && same_place(planned, r->lsn);
    char a[LSN_TEXT], b[LSN_TEXT];
    struct drill_finding *f =
        drill_find(d, fits ? DRILL_OK : DRILL_BAD, "recovery target", took_us);

    drill_compare(f, lsn_format(planned, a), lsn_format(r->lsn, b));
    if (r->in_recovery)
        drill_say(f, "the server is still in recovery");
    else if (!fits)
        drill_say(f, "recovery ended %s the place that the plan had found for the target",
                  r->lsn < planned ? "before" : "behind");
}

/* Judged by what the server says, independent of the plan's place. */
static void judge_time(struct drill *d, const struct reached *r)
{
    const struct target *t = &d->restore.target;
    int64_t known = d->plan.reach.last_commit_us;
    bool beyond = t->kind == TARGET_TIME && r->us != 0 &&
                  (t->exclusive ? r->us >= t->time_us : r->us > t->time_us);
    bool before = known != 0 && r->us < known;
    char a[40] = "none", b[40] = "none";
    struct drill_finding *f =
        drill_find(d, beyond || before ? DRILL_BAD : DRILL_OK, "last commit", 0);

    if (known != 0)
        clock_format_utc(known, a);
    if (r->us != 0)
        clock_format_utc(r->us, b);
    drill_compare(f, a, b);
    if (beyond)
        drill_say(f, "there is something later than the target %s",
                  clock_format_utc(t->time_us, a));
    else if (before)
        drill_say(f, "a commit that the archived WAL holds before the target is not there");
}

int drill_check_target(struct drill *d, struct err *err)
{
    int64_t began = clock_monotonic_us();
    struct reached r = {0};

    if (ask_reached(d, &r, err) != 0) {
        TRY(stop_check(d->q->stop, err));
        drill_say(drill_find(d, DRILL_BAD, "recovery target", clock_monotonic_us() - began), "%s",
                  err->msg);
        return 0;
    }
    d->made->reached_us = r.us != 0 ? r.us : d->plan.reach.last_commit_us;
    d->made->end_lsn = r.lsn;
    if (r.lsn > d->plan.backup.start_lsn)
        d->made->replayed_bytes = r.lsn - d->plan.backup.start_lsn;
    judge_place(d, &r, clock_monotonic_us() - began);
    judge_time(d, &r);
    return 0;
}

/* ---- databases ---- */

static int try_database(struct drill *d, const char *name, struct err *err)
{
    AUTO(pg_close) struct pg *pg = NULL;
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(drill_connect(d, name, &pg, err));
    return pg_query_row(pg, "SELECT count(*) FROM pg_catalog.pg_class", PG_NONE, 1, &rows, err);
}

int drill_databases(struct drill *d, struct pg_rows **rows, struct err *err)
{
    AUTO(pg_close) struct pg *pg = NULL;

    TRY(drill_connect(d, "template1", &pg, err));
    return pg_query(pg,
                    "SELECT datname, datallowconn AND datconnlimit <> -2, datallowconn"
                    " FROM pg_catalog.pg_database ORDER BY 1",
                    PG_NONE, 3, rows, err);
}

static void tell_databases(struct drill *d, size_t good, size_t n, int64_t took_us)
{
    char want[24], got[24];

    snprintf(want, sizeof want, "%zu", n);
    snprintf(got, sizeof got, "%zu", good);
    drill_compare(drill_find(d, good == n ? DRILL_OK : DRILL_BAD, "databases", took_us), want, got);
}

int drill_check_databases(struct drill *d, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;
    int64_t began = clock_monotonic_us();
    size_t n = 0, good = 0;

    if (drill_databases(d, &rows, err) != 0) {
        TRY(stop_check(d->q->stop, err));
        drill_say(drill_find(d, DRILL_BAD, "databases", 0), "%s", err->msg);
        return 0;
    }
    for (size_t i = 0; i < pg_count(rows); i++) {
        AUTO(mem_free) char *name = xasprintf("database \"%s\"", pg_text(rows, i, 0));
        struct err why = {0};

        if (pg_bool(rows, i, 2) && !pg_bool(rows, i, 1))
            drill_say(drill_find(d, DRILL_SKIPPED, name, 0),
                      "a DROP DATABASE of it was interrupted: only that can be done again");
        if (!pg_bool(rows, i, 1))
            continue;
        n++;
        if (try_database(d, pg_text(rows, i, 0), &why) == 0) {
            good++;
            continue;
        }
        TRY(stop_check(d->q->stop, err));
        drill_say(drill_find(d, DRILL_BAD, name, 0), "%s", why.msg);
    }
    tell_databases(d, good, n, clock_monotonic_us() - began);
    return 0;
}

/* ---- statements ---- */

static bool same_boolean(const char *expect, const char *answer)
{
    return (strcmp(answer, "t") == 0 && strcasecmp(expect, "true") == 0) ||
           (strcmp(answer, "f") == 0 && strcasecmp(expect, "false") == 0);
}

static bool number_of(const char *text, long double *out)
{
    char *end;

    *out = strtold(text, &end);
    return end != text && *end == '\0' && *out == *out; /* and not "nan" */
}

bool drill_answer_fits(const struct drill_check *check, const char *answer, bool is_null)
{
    long double value, limit;

    if (is_null)
        return check->expect != NULL && strcasecmp(check->expect, "null") == 0;
    if (check->expect != NULL)
        return strcmp(check->expect, answer) == 0 || same_boolean(check->expect, answer);
    if (!number_of(answer, &value))
        return false;
    return (check->expect_min == NULL ||
            (number_of(check->expect_min, &limit) && value >= limit)) &&
           (check->expect_max == NULL || (number_of(check->expect_max, &limit) && value <= limit));
}

void drill_expectation(const struct drill_check *check, struct buf *out)
{
    if (check->expect != NULL)
        buf_adds(out, check->expect);
    else if (check->expect_min != NULL && check->expect_max != NULL)
        buf_addf(out, "%s to %s", check->expect_min, check->expect_max);
    else if (check->expect_min != NULL)
        buf_addf(out, "at least %s", check->expect_min);
    else
        buf_addf(out, "at most %s", check->expect_max);
}

/* search_path is the one that the cluster, the database or the role has. */
static int ask(struct drill *d, const struct drill_check *check, struct pg_rows **rows,
               struct err *err)
{
    AUTO(pg_close) struct pg *pg = NULL;

    TRY(drill_connect(d, check->database, &pg, err));
    TRY(pg_query(pg, "RESET search_path", PG_NONE, 0, NULL, err));
    TRY(pg_query(pg, check->sql, PG_NONE, 1, rows, err));
    if (pg_count(*rows) == 1)
        return 0;
    return err_set(err, ERR_FAILED, "the statement gives %zu rows, expected is one",
                   pg_count(*rows));
}

static int run_check(struct drill *d, const struct drill_check *check, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;
    AUTO(buf_free) struct buf expected = BUF_INIT;
    AUTO(mem_free) char *name = xasprintf("check \"%s\"", check->name);
    int64_t began = clock_monotonic_us();
    struct drill_finding *f;
    bool null, fits;

    drill_expectation(check, &expected);
    if (ask(d, check, &rows, err) != 0) {
        TRY(stop_check(d->q->stop, err));
        f = drill_find(d, DRILL_BAD, name, clock_monotonic_us() - began);
        drill_compare(f, buf_text(&expected), NULL);
        drill_say(f, "%s%s", err->msg,
                  err->code == ERR_BUSY ? " (locks that outlive recovery are those of prepared "
                                          "transactions: see pg_prepared_xacts)"
                                        : "");
        return 0;
    }
    null = pg_is_null(rows, 0, 0);
    fits = drill_answer_fits(check, pg_text(rows, 0, 0), null);
    f = drill_find(d, fits ? DRILL_OK : DRILL_BAD, name, clock_monotonic_us() - began);
    drill_compare(f, buf_text(&expected), null ? "null" : pg_text(rows, 0, 0));
    return 0;
}

int drill_check_sql(struct drill *d, struct err *err)
{
    const struct drill_config *c = &d->q->cluster->drill;

    for (size_t i = 0; i < c->n_checks; i++)
        TRY(run_check(d, &c->checks[i], err));
    return 0;
}
