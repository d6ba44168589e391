/* history.c - what happened: events, and runs of commands with their progress; and that it is
 * forgotten again when it is old. */
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/jobs.h"
#include "catalog/sql.h"

static int64_t limit_of(size_t limit)
{
    return limit > INT64_MAX ? INT64_MAX : (int64_t)limit;
}

/* ---- forgetting ---- */

#define HISTORY_US (CATALOG_HISTORY_DAYS * INT64_C(86400000000))
enum { FORGET_EVERY = 64 }; /* rows written between two looks for old ones */

/* After the row with this number was written. Nothing depends on it: it is tried again. */
static void forget_old(struct catalog *c, const char *sql, int64_t id)
{
    const struct sql_value values[] = {SQL_INT(clock_now_us() - HISTORY_US),
                                       SQL_INT(id - CATALOG_HISTORY_ROWS)};
    struct err err = {0};

    if (id % FORGET_EVERY == 0 &&
        sql_run(c, sql, values, LENGTH(values), "forget old history", &err) != 0)
        log_debug("%s", err.msg);
}

/* The last of its class says whether something is wrong still; of what is to be told, or was told,
 * the deliveries speak. */
static const char old_events[] =
    "DELETE FROM event WHERE (time_us < ?1 OR id <= ?2)"
    " AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.event = event.id)"
    " AND id NOT IN (SELECT max(id) FROM event GROUP BY kind, cluster, repository, job)";

/* How a job went last, and when it went well, is told however long ago it was and whatever ran
 * since. */
#define LAST_ENDS                                                                              \
    "(SELECT max(id) FROM job_run WHERE finished_us <> 0 GROUP BY job, command, cluster UNION" \
    " SELECT max(id) FROM job_run WHERE exit_status IN (0, 3) GROUP BY job, command, cluster)"

/* A drill names its run. */
static const char old_runs[] =
    "DELETE FROM job_run WHERE (started_us < ?1 OR id <= ?2) AND id NOT IN " LAST_ENDS
    " AND id NOT IN (SELECT run FROM drill WHERE run IS NOT NULL)";

/* ---- events ---- */

int catalog_put_event(struct catalog *c, const struct catalog_event *e, struct err *err)
{
    const struct sql_value values[] = {
        SQL_INT(time_or_now(e->time_us)),
        SQL_TEXT(e->level),
        SQL_TEXT(e->kind),
        SQL_TEXT(e->cluster),
        SQL_TEXT(e->repo),
        SQL_TEXT(e->text),
        SQL_TEXT(e->json),
        SQL_TEXT(e->job),
    };

    TRY(sql_run(c,
                "INSERT INTO event (time_us, level, kind, cluster, repository, text, details, job)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values, LENGTH(values), "record an event", err));
    forget_old(c, old_events, sqlite3_last_insert_rowid(c->db));
    return 0;
}

static void read_event(struct sql_columns *k, void *row)
{
    struct catalog_event *e = row;

    e->time_us = col_int(k);
    e->level = col_text(k);
    e->kind = col_text(k);
    e->cluster = col_text(k);
    e->repo = col_text(k);
    e->text = col_text(k);
    e->json = col_text(k);
    e->id = col_int(k);
    e->job = col_text(k);
}

int catalog_get_events(struct catalog *c, const char *cluster, int64_t since_us, size_t limit,
                       struct catalog_events *out, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(cluster), SQL_INT(since_us),
                                       SQL_INT(limit_of(limit))};
    const struct sql_select q = {
        .doing = "list events",
        .sql = "SELECT time_us, level, kind, cluster, repository, text, details, id,"
               " job FROM event"
               " WHERE (?1 IS NULL OR cluster = ?1) AND time_us >= ?2"
               " ORDER BY id DESC LIMIT ?3",
        .values = values,
        .n_values = LENGTH(values),
        .row_size = sizeof *out->rows,
        .read = read_event,
    };

    return SQL_LIST(c, &q, out, err);
}

/* ---- runs ---- */

int catalog_run_begin(struct catalog *c, const struct catalog_run *r, int64_t *id, struct err *err)
{
    const struct sql_value values[] = {
        SQL_TEXT(r->job),
        SQL_TEXT(r->command),
        SQL_TEXT(r->cluster),
        SQL_TEXT(r->repo),
        SQL_TEXT(r->instance),
        SQL_TEXT(r->host),
        SQL_INT(r->pid != 0 ? r->pid : getpid()),
        SQL_INT(time_or_now(r->started_us)),
    };

    TRY(sql_run(c,
                "INSERT INTO job_run (job, command, cluster, repository, instance, host, pid,"
                " started_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values, LENGTH(values), "record the start of a run", err));
    *id = sqlite3_last_insert_rowid(c->db);
    forget_old(c, old_runs, *id);
    return 0;
}

int catalog_run_progress(struct catalog *c, const struct catalog_run *r, struct err *err)
{
    const struct sql_value values[] = {
        SQL_INT(r->id),
        SQL_INT(r->bytes_done),
        SQL_INT(r->bytes_total),
        SQL_INT(r->files_done),
        SQL_INT(r->files_total),
        SQL_INT(r->bytes_stored),
        SQL_INT(time_or_now(r->progress_us)),
    };
    int rc;

    sqlite3_busy_timeout(c->db, 0); /* the next report is a second away */
    rc = sql_run(c,
                 "UPDATE job_run SET bytes_done = ?2, bytes_total = ?3, files_done = ?4,"
                 " files_total = ?5, bytes_stored = ?6, progress_us = ?7 WHERE id = ?1",
                 values, LENGTH(values), "record progress", err);
    sqlite3_busy_timeout(c->db, SQL_WAIT_MS);
    return rc;
}

int catalog_run_finish(struct catalog *c, const struct catalog_run *r, struct err *err)
{
    const struct sql_value values[] = {
        SQL_INT(r->id),          SQL_INT(time_or_now(r->finished_us)),
        SQL_INT(r->exit_status), SQL_TEXT(r->label),
        SQL_TEXT(r->message),    SQL_INT(r->bytes_done),
        SQL_INT(r->bytes_total), SQL_INT(r->files_done),
        SQL_INT(r->files_total), SQL_INT(r->bytes_stored),
    };

    return sql_run(c,
                   "UPDATE job_run SET finished_us = ?2, exit_status = ?3, label = ?4,"
                   " message = ?5, bytes_done = ?6, bytes_total = ?7, files_done = ?8,"
                   " files_total = ?9, bytes_stored = ?10, progress_us = ?2 WHERE id = ?1",
                   values, LENGTH(values), "record the end of a run", err);
}

static void read_run(struct sql_columns *k, void *row)
{
    struct catalog_run *r = row;

    r->id = col_int(k);
    r->job = col_text(k);
    r->command = col_text(k);
    r->cluster = col_text(k);
    r->repo = col_text(k);
    r->instance = col_text(k);
    r->host = col_text(k);
    r->pid = col_int(k);
    r->started_us = col_int(k);
    r->finished_us = col_int(k);
    r->exit_status = (int)col_int(k);
    r->label = col_text(k);
    r->message = col_text(k);
    r->bytes_done = col_u64(k);
    r->bytes_total = col_u64(k);
    r->files_done = col_u64(k);
    r->files_total = col_u64(k);
    r->bytes_stored = col_u64(k);
    r->progress_us = col_int(k);
}

/* A query whose columns are those of read_run(). */
static int read_runs(struct catalog *c, const char *sql, const struct sql_value *values, size_t n,
                     struct catalog_runs *out, struct err *err)
{
    const struct sql_select q = {
        .doing = "list runs",
        .sql = sql,
        .values = values,
        .n_values = n,
        .row_size = sizeof *out->rows,
        .read = read_run,
    };

    return SQL_LIST(c, &q, out, err);
}

/* Newest first is as they were recorded: a clock may have been wrong. */
#define SELECT_RUNS                                                                   \
    "SELECT id, job, command, cluster, repository, instance, host, pid, started_us,"  \
    " finished_us, exit_status, label, message, bytes_done, bytes_total, files_done," \
    " files_total, bytes_stored, progress_us FROM job_run"

int catalog_get_runs(struct catalog *c, const char *cluster, bool unfinished, size_t limit,
                     struct catalog_runs *out, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(cluster), SQL_INT(unfinished),
                                       SQL_INT(limit_of(limit))};

    return read_runs(c,
                     SELECT_RUNS
                     " WHERE (?1 IS NULL OR cluster = ?1) AND (NOT ?2 OR finished_us = 0)"
                     " ORDER BY id DESC LIMIT ?3",
                     values, LENGTH(values), out, err);
}

int catalog_get_last_runs(struct catalog *c, const char *cluster, size_t limit,
                          struct catalog_runs *out, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(cluster), SQL_INT(limit_of(limit))};

    return read_runs(c,
                     SELECT_RUNS " WHERE cluster = ?1 AND (id IN (SELECT id FROM job_run"
                                 " WHERE cluster = ?1 ORDER BY id DESC LIMIT ?2)"
                                 " OR id IN " LAST_ENDS ") ORDER BY id DESC",
                     values, LENGTH(values), out, err);
}

int catalog_get_job_runs(struct catalog *c, const char *job, size_t limit, struct catalog_runs *out,
                         struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(job), SQL_INT(limit_of(limit))};

    return read_runs(c, SELECT_RUNS " WHERE job = ?1 ORDER BY id DESC LIMIT ?2", values,
                     LENGTH(values), out, err);
}

void catalog_events_free(struct catalog_events *l)
{
    texts_free(&l->texts);
    mem_free(&l->rows);
    l->n = 0;
}

void catalog_runs_free(struct catalog_runs *l)
{
    texts_free(&l->texts);
    mem_free(&l->rows);
    l->n = 0;
}
