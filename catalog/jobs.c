/* jobs.c - the table of jobs. */
#include "catalog/jobs.h"

#include "base/mem.h"
#include "catalog/kinds.h"
#include "catalog/sql.h"

int catalog_put_job(struct catalog *c, const struct catalog_job *j, struct err *err)
{
    const struct sql_value values[] = {
        SQL_TEXT(j->name),      SQL_TEXT(j->cluster), SQL_TEXT(j->command), SQL_TEXT(j->cron),
        SQL_TEXT(j->time_zone), SQL_TEXT(j->role),    SQL_INT(j->due_us),   SQL_INT(j->open),
        SQL_INT(j->retry_us),   SQL_INT(j->failures), SQL_INT(j->start_us),
    };

    return sql_run(c,
                   "INSERT INTO job (name, cluster, command, cron, time_zone, role, last_due_us,"
                   " open, retry_us, failures, last_start_us)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                   " ON CONFLICT (name) DO UPDATE SET cluster = excluded.cluster,"
                   " command = excluded.command, cron = excluded.cron,"
                   " time_zone = excluded.time_zone, role = excluded.role,"
                   " last_due_us = excluded.last_due_us, open = excluded.open,"
                   " retry_us = excluded.retry_us, failures = excluded.failures,"
                   " last_start_us = excluded.last_start_us",
                   values, LENGTH(values), "record a job", err);
}

int catalog_job_ended(struct catalog *c, const char *name, int64_t end_us, int status,
                      const char *note, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(name), SQL_INT(end_us), SQL_INT(status),
                                       SQL_TEXT(note)};

    return sql_run(c,
                   "UPDATE job SET last_end_us = ?2, last_status = ?3, note = ?4 WHERE name = ?1",
                   values, LENGTH(values), "record the end of a job", err);
}

int catalog_job_is_bad(struct catalog *c, const char *name, bool *bad, struct err *err)
{
    static const char doing[] = "look up a job's last event";
    AUTO(sql_done) sqlite3_stmt *s = NULL;
    const struct sql_value values[] = {SQL_TEXT(KIND_JOB), SQL_TEXT(name)};
    bool row;

    TRY(sql_query(c, &s,
                  "SELECT level <> 'info' FROM event WHERE kind = ? AND job = ?"
                  " ORDER BY id DESC LIMIT 1",
                  values, LENGTH(values), doing, err));
    TRY(sql_step(c, s, &row, doing, err));
    *bad = row && sqlite3_column_int64(s, 0) != 0;
    return 0;
}

int catalog_forget_job(struct catalog *c, const char *name, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(name)};

    return sql_run(c, "DELETE FROM job WHERE name = ?", values, LENGTH(values), "forget a job",
                   err);
}

static void read_job(struct sql_columns *k, void *row)
{
    struct catalog_job *j = row;

    j->name = col_text(k);
    j->cluster = col_text(k);
    j->command = col_text(k);
    j->cron = col_text(k);
    j->time_zone = col_text(k);
    j->role = col_text(k);
    j->due_us = col_int(k);
    j->open = col_int(k) != 0;
    j->retry_us = col_int(k);
    j->failures = (unsigned)col_int(k);
    j->start_us = col_int(k);
    j->end_us = col_int(k);
    j->status = (int)col_int(k);
    j->note = col_text(k);
}

int catalog_get_jobs(struct catalog *c, struct catalog_jobs *out, struct err *err)
{
    const struct sql_select q = {
        .doing = "list jobs",
        .sql = "SELECT name, cluster, command, cron, time_zone, role, last_due_us, open,"
               " retry_us, failures, last_start_us, last_end_us, last_status, note FROM job"
               " ORDER BY name",
        .row_size = sizeof *out->rows,
        .read = read_job,
    };

    return SQL_LIST(c, &q, out, err);
}

void catalog_jobs_free(struct catalog_jobs *l)
{
    texts_free(&l->texts);
    mem_free(&l->rows);
    l->n = 0;
}
