/*
 * schema.c - numbered migrations. A released one never changes; a change of a table is a new one at
 * the end. The number of the last one that ran stands in the file (PRAGMA user_version).
 *
 * Names of repositories and clusters are repeated in every table instead of numbered keys: rows
 * stay readable with the sqlite3 program, survive the rebuild of others, and need no lookup to be
 * written. Times end in _us (microseconds since 1970 UTC), LSNs and system identifiers are integers
 * with the bits of the unsigned value.
 */
#include "catalog/schema.h"

#include <stdio.h>

static const char first_tables[] =
    "CREATE TABLE cluster ("
    " name TEXT PRIMARY KEY, system_id INTEGER, pg_version INTEGER, data_directory TEXT,"
    " instance TEXT, host TEXT, seen_us INTEGER NOT NULL"
    ") WITHOUT ROWID;"

    "CREATE TABLE repository ("
    " cluster TEXT NOT NULL, name TEXT NOT NULL, type TEXT, location TEXT, repository_id TEXT,"
    " cipher TEXT, seen_us INTEGER NOT NULL, PRIMARY KEY (cluster, name)"
    ") WITHOUT ROWID;"

    "CREATE TABLE backup ("
    " cluster TEXT NOT NULL, repository TEXT NOT NULL, label TEXT NOT NULL,"
    " type TEXT NOT NULL, base_label TEXT, state TEXT NOT NULL, pg_version INTEGER,"
    " system_id INTEGER, timeline INTEGER, start_lsn INTEGER, stop_lsn INTEGER,"
    " start_us INTEGER, stop_us INTEGER, raw_bytes INTEGER, stored_bytes INTEGER,"
    " duration_us INTEGER, files INTEGER, checksum_failures INTEGER, instance TEXT, host TEXT,"
    " tool_version TEXT, hold TEXT, manifest_bytes INTEGER, manifest_id TEXT,"
    " gone_us INTEGER NOT NULL DEFAULT 0, verified_us INTEGER NOT NULL DEFAULT 0,"
    " verify_problems INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (cluster, repository, label)"
    ") WITHOUT ROWID;"

    "CREATE TABLE wal_range ("
    " id INTEGER PRIMARY KEY, cluster TEXT NOT NULL, repository TEXT NOT NULL,"
    " system_id INTEGER NOT NULL, pg_major INTEGER, timeline INTEGER NOT NULL,"
    " start_lsn INTEGER NOT NULL, end_lsn INTEGER NOT NULL, segments INTEGER,"
    " stored_bytes INTEGER, first_commit_us INTEGER, last_commit_us INTEGER,"
    " incomplete_segments INTEGER"
    ");"
    "CREATE INDEX wal_range_of ON wal_range (cluster, repository);"

    "CREATE TABLE gap ("
    " id INTEGER PRIMARY KEY, cluster TEXT NOT NULL, repository TEXT NOT NULL,"
    " system_id INTEGER NOT NULL, timeline INTEGER NOT NULL, start_lsn INTEGER NOT NULL,"
    " end_lsn INTEGER NOT NULL, segments INTEGER, noticed_us INTEGER NOT NULL"
    ");"
    "CREATE INDEX gap_of ON gap (cluster, repository);"

    "CREATE TABLE job ("
    " name TEXT PRIMARY KEY, cluster TEXT, command TEXT NOT NULL, cron TEXT NOT NULL,"
    " time_zone TEXT, role TEXT, last_due_us INTEGER, last_start_us INTEGER,"
    " failures INTEGER NOT NULL DEFAULT 0"
    ") WITHOUT ROWID;"

    "CREATE TABLE job_run ("
    " id INTEGER PRIMARY KEY, job TEXT, command TEXT NOT NULL, cluster TEXT, repository TEXT,"
    " instance TEXT, host TEXT, pid INTEGER, started_us INTEGER NOT NULL,"
    " finished_us INTEGER NOT NULL DEFAULT 0, exit_status INTEGER NOT NULL DEFAULT -1,"
    " label TEXT, message TEXT, bytes_done INTEGER, bytes_total INTEGER, files_done INTEGER,"
    " files_total INTEGER, bytes_stored INTEGER, progress_us INTEGER"
    ");"
    "CREATE INDEX job_run_started ON job_run (started_us);"
    "CREATE INDEX job_run_unfinished ON job_run (cluster) WHERE finished_us = 0;"

    "CREATE TABLE drill ("
    " id INTEGER PRIMARY KEY, run INTEGER REFERENCES job_run (id), cluster TEXT NOT NULL,"
    " repository TEXT NOT NULL, label TEXT, target TEXT, started_us INTEGER NOT NULL,"
    " restored_us INTEGER, recovered_us INTEGER, checked_us INTEGER, finished_us INTEGER,"
    " restored_bytes INTEGER, replayed_bytes INTEGER, reached_us INTEGER,"
    " outcome TEXT, report TEXT"
    ");"
    "CREATE INDEX drill_of ON drill (cluster, started_us);"

    "CREATE TABLE event ("
    " id INTEGER PRIMARY KEY, time_us INTEGER NOT NULL, level TEXT NOT NULL, kind TEXT NOT NULL,"
    " cluster TEXT, repository TEXT, text TEXT NOT NULL, details TEXT"
    ");"
    "CREATE INDEX event_time ON event (time_us);";

/* What the scheduler has to remember of a job: see catalog/jobs.h. */
static const char job_memory[] =
    "ALTER TABLE job ADD COLUMN open INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE job ADD COLUMN retry_us INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE job ADD COLUMN last_end_us INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE job ADD COLUMN last_status INTEGER NOT NULL DEFAULT -1;"
    "ALTER TABLE job ADD COLUMN note TEXT;"
    "CREATE INDEX job_run_of ON job_run (job, started_us)"
    " WHERE job IS NOT NULL;";

/* What was, or is to be, told to the receivers of notifications: one row for each event that
 * concerns a receiver. Up to which event that was decided stands in "receiver". */
static const char deliveries[] =
    "ALTER TABLE event ADD COLUMN job TEXT;"

    "CREATE TABLE receiver ("
    " name TEXT PRIMARY KEY, last_event INTEGER NOT NULL"
    ") WITHOUT ROWID;"

    "CREATE TABLE delivery ("
    " id INTEGER PRIMARY KEY, event INTEGER NOT NULL REFERENCES event (id),"
    " receiver TEXT NOT NULL, state TEXT NOT NULL, problem TEXT, repeats INTEGER NOT NULL DEFAULT "
    "0,"
    " recovered INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,"
    " created_us INTEGER NOT NULL, next_try_us INTEGER NOT NULL DEFAULT 0,"
    " finished_us INTEGER NOT NULL DEFAULT 0, carrier INTEGER, error TEXT,"
    " UNIQUE (receiver, event)"
    ");"
    "CREATE INDEX delivery_due ON delivery (receiver, state, next_try_us);"
    "CREATE INDEX delivery_of ON delivery (event);";

static const char *const migrations[] = {first_tables, job_memory, deliveries};

/* One snapshot: between two reads of a catalog in the making, another process may have finished it.
 */
static int read_marks(struct catalog *c, int64_t *id, int64_t *version, int64_t *tables,
                      struct err *err)
{
    static const char doing[] = "read its version";

    TRY(sql_number(c, "PRAGMA application_id", id, doing, err));
    TRY(sql_number(c, "PRAGMA user_version", version, doing, err));
    return sql_number(c, "SELECT count(*) FROM sqlite_schema", tables, doing, err);
}

int schema_check(struct catalog *c, struct err *err)
{
    AUTO(scope_abandon) struct sql_scope snapshot = {0};
    int64_t id, version, tables;

    TRY(scope_read(c, &snapshot, "read its version", err));
    TRY(read_marks(c, &id, &version, &tables, err));
    if (id != SCHEMA_APPLICATION_ID && (id != 0 || version != 0 || tables != 0))
        return err_set(err, ERR_CORRUPT,
                       "catalog \"%s\" is a database of another program; \"pgbr catalog rebuild\" "
                       "sets it aside and makes a catalog",
                       c->path);
    if (version > (int64_t)LENGTH(migrations))
        return err_set(
            err, ERR_UNSUPPORTED,
            "catalog \"%s\" was made by a newer pgbr (version %lld, this one knows %zu): "
            "it is left alone; use that pgbr",
            c->path, (long long)version, LENGTH(migrations));
    return 0;
}

static int run_from(struct catalog *c, int64_t version, const char *doing, struct err *err)
{
    char mark[64];

    for (size_t i = version < 0 ? 0 : (size_t)version; i < LENGTH(migrations); i++)
        TRY(sql_script(c, migrations[i], doing, err));
    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %zu",
             SCHEMA_APPLICATION_ID, LENGTH(migrations));
    return sql_script(c, mark, doing, err);
}

int schema_migrate(struct catalog *c, struct err *err)
{
    static const char doing[] = "bring its tables up to date";
    AUTO(scope_abandon) struct sql_scope scope = {0};
    int64_t version;

    TRY(sql_number(c, "PRAGMA user_version", &version, doing, err));
    if (version == (int64_t)LENGTH(migrations))
        return 0;
    TRY(scope_begin(c, &scope, doing, err));
    TRY(schema_check(c, err)); /* another process may have come first, even a newer one */
    TRY(sql_number(c, "PRAGMA user_version", &version, doing, err));
    if (version < (int64_t)LENGTH(migrations))
        TRY(run_from(c, version, doing, err));
    return scope_commit(&scope, doing, err);
}
