#include "postgres/facts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "postgres/relfile.h"
#include "postgres/server.h"

/* All settings of interest in one answer: name, value, source. */
static const char settings_sql[] =
    "SELECT name, setting, source FROM pg_settings WHERE name IN ("
    "'data_directory', 'config_file', 'hba_file', 'ident_file', 'archive_mode', 'archive_command',"
    "'archive_library', 'archive_timeout', 'wal_level', 'wal_segment_size', 'block_size',"
    "'segment_size', 'data_checksums', 'full_page_writes', 'wal_log_hints', 'max_connections',"
    "'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions',"
    "'max_locks_per_transaction', 'TimeZone', 'log_timezone')";

static size_t row_of(const struct pg_rows *rows, const char *name)
{
    size_t row = 0;

    while (row < pg_count(rows) && strcmp(pg_text(rows, row, 0), name) != 0)
        row++;
    return row;
}

/* A setting that this server does not have, or has no value for, is "". */
static char *text_of(const struct pg_rows *rows, const char *name)
{
    size_t row = row_of(rows, name);

    return xstrdup(row < pg_count(rows) ? pg_text(rows, row, 1) : "");
}

static bool bool_of(const struct pg_rows *rows, const char *name)
{
    size_t row = row_of(rows, name);

    return row < pg_count(rows) && strcmp(pg_text(rows, row, 1), "on") == 0;
}

static int number_of(const struct pg_rows *rows, const char *name, int64_t *out, struct err *err)
{
    size_t row = row_of(rows, name);

    if (row == pg_count(rows))
        return err_set(err, ERR_CORRUPT, "server does not know the setting \"%s\"", name);
    if (pg_int(rows, row, 1, out, err) != 0)
        return err_context(err, "setting \"%s\"", name);
    return 0;
}

static int read_numbers(struct pg_facts *f, const struct pg_rows *rows, struct err *err)
{
    int64_t segment, block, relseg;

    TRY(number_of(rows, "wal_segment_size", &segment, err));
    TRY(number_of(rows, "block_size", &block, err));
    TRY(number_of(rows, "segment_size", &relseg, err));
    f->wal_segsz = (uint32_t)segment;
    f->block_size = (uint32_t)block;
    f->relseg_pages = (uint32_t)relseg;
    TRY(number_of(rows, "max_connections", &f->max_connections, err));
    TRY(number_of(rows, "max_worker_processes", &f->max_worker_processes, err));
    TRY(number_of(rows, "max_wal_senders", &f->max_wal_senders, err));
    TRY(number_of(rows, "max_prepared_transactions", &f->max_prepared_transactions, err));
    TRY(number_of(rows, "max_locks_per_transaction", &f->max_locks_per_transaction, err));
    return number_of(rows, "archive_timeout", &f->archive_timeout_s, err);
}

/* PGTZ in our own environment shows up as the session's TimeZone: then the log's zone, which only
 * the server's configuration sets, is the better guess. */
static char *server_zone(const struct pg_rows *rows)
{
    size_t row = row_of(rows, "TimeZone");
    bool ours = row < pg_count(rows) && strcmp(pg_text(rows, row, 2), "client") == 0;

    return text_of(rows, ours ? "log_timezone" : "TimeZone");
}

static int read_settings(struct pg *pg, struct pg_facts *f, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(pg_query(pg, settings_sql, PG_NONE, 3, &rows, err));
    f->data_directory = text_of(rows, "data_directory");
    if (*f->data_directory == '\0') {
        err_set(err, ERR_DENIED, "server hides its file locations from role \"%s\"", pg_user(pg));
        return pg_denied(pg, "pg_read_all_settings", err);
    }
    f->config_file = text_of(rows, "config_file");
    f->hba_file = text_of(rows, "hba_file");
    f->ident_file = text_of(rows, "ident_file");
    f->archive_mode = text_of(rows, "archive_mode");
    f->archive_command = text_of(rows, "archive_command");
    f->archive_library = text_of(rows, "archive_library");
    f->wal_level = text_of(rows, "wal_level");
    f->checksums = bool_of(rows, "data_checksums");
    f->full_page_writes = bool_of(rows, "full_page_writes");
    f->wal_log_hints = bool_of(rows, "wal_log_hints");
    f->time_zone = server_zone(rows);
    f->log_time_zone = text_of(rows, "log_timezone");
    return read_numbers(f, rows, err);
}

static int read_tablespaces(struct pg *pg, struct pg_facts *f, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(pg_query(pg,
                 "SELECT oid, spcname, pg_tablespace_location(oid) FROM pg_tablespace"
                 " WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY oid",
                 PG_NONE, 3, &rows, err));
    f->tablespaces = xcalloc(pg_count(rows) + 1, sizeof *f->tablespaces);
    for (size_t i = 0; i < pg_count(rows); i++) {
        struct pg_tablespace *t = &f->tablespaces[f->tablespace_count++];
        const char *location = pg_text(rows, i, 2);

        t->oid = oid_parse(pg_text(rows, i, 0));
        t->name = xstrdup(pg_text(rows, i, 1));
        t->location = xstrdup(*location == '/' ? location : "");
        if (t->oid == 0)
            return err_set(err, ERR_CORRUPT, "server sent \"%s\", expected an OID",
                           pg_text(rows, i, 0));
    }
    return 0;
}

static bool inside(const char *path, const char *directory)
{
    size_t n = strlen(directory);

    return strncmp(path, directory, n) == 0 && path[n] == '/';
}

void pg_facts_add_file(struct pg_facts *f, const char *path)
{
    if (*path != '/' || inside(path, f->data_directory))
        return;
    for (size_t i = 0; i < f->outside_count; i++)
        if (strcmp(f->outside[i], path) == 0)
            return;
    f->outside = xrealloc(f->outside, (f->outside_count + 1) * sizeof *f->outside);
    f->outside[f->outside_count++] = xstrdup(path);
}

/* Where the server tells which files it has read. The views and the functions below them are closed
 * to everybody but superusers, and opened by two grants each. */
static const struct {
    unsigned since;
    const char *sql, *grant;
} file_sources[] = {
    {0, "SELECT DISTINCT sourcefile FROM pg_settings WHERE sourcefile IS NOT NULL",
     "pg_read_all_settings"},
    {0, "SELECT DISTINCT sourcefile FROM pg_file_settings WHERE sourcefile IS NOT NULL",
     "SELECT ON pg_catalog.pg_file_settings and EXECUTE ON FUNCTION "
     "pg_catalog.pg_show_all_file_settings()"},
    {16, "SELECT DISTINCT file_name FROM pg_hba_file_rules WHERE file_name IS NOT NULL",
     "SELECT ON pg_catalog.pg_hba_file_rules and EXECUTE ON FUNCTION "
     "pg_catalog.pg_hba_file_rules()"},
    {16, "SELECT DISTINCT file_name FROM pg_ident_file_mappings WHERE file_name IS NOT NULL",
     "SELECT ON pg_catalog.pg_ident_file_mappings and EXECUTE ON FUNCTION "
     "pg_catalog.pg_ident_file_mappings()"},
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_files(struct pg *pg, struct pg_facts *f, struct err *err)
{
    AUTO(buf_free) struct buf note = BUF_INIT;

    pg_facts_add_file(f, f->config_file);
    pg_facts_add_file(f, f->hba_file);
    pg_facts_add_file(f, f->ident_file);
    for (size_t i = 0; i < LENGTH(file_sources); i++) {
        AUTO(pg_rows_free) struct pg_rows *rows = NULL;

        if (pg_major(pg) < file_sources[i].since)
            continue;
        if (pg_query(pg, file_sources[i].sql, PG_NONE, 1, &rows, err) != 0) {
            if (err->code != ERR_DENIED)
                return -1;
            err_clear(err);
            buf_addf(&note, "%s%s",
                     note.len > 0 ? ", "
                                  : "included files may be missing from the "
                                    "list of configuration files, grant to "
                                    "complete it: ",
                     file_sources[i].grant);
            continue;
        }
        for (size_t row = 0; row < pg_count(rows); row++)
            pg_facts_add_file(f, pg_text(rows, row, 0));
    }
    if (f->outside_count > 1)
        qsort(f->outside, f->outside_count, sizeof *f->outside, by_name);
    f->files_note = note.len > 0 ? buf_steal(&note) : NULL;
    return 0;
}

int pg_discover(struct pg *pg, struct pg_facts *out, struct err *err)
{
    AUTO(pg_facts_free) struct pg_facts f = {0};

    f.version_num = pg_version_num(pg);
    f.version = pg_version_by_major(pg_major(pg));
    TRY(pg_is_in_recovery(pg, &f.in_recovery, err));
    TRY(read_settings(pg, &f, err));
    TRY(pg_system_id(pg, &f.system_id, err));
    TRY(pg_timeline(pg, &f.timeline, err));
    TRY(read_tablespaces(pg, &f, err));
    TRY(read_files(pg, &f, err));
    *out = f;
    f = (struct pg_facts){0};
    return 0;
}

void pg_facts_free(struct pg_facts *f)
{
    char *const texts[] = {
        f->data_directory, f->config_file,  f->hba_file,        f->ident_file,
        f->files_note,     f->archive_mode, f->archive_command, f->archive_library,
        f->wal_level,      f->time_zone,    f->log_time_zone,
    };
    for (size_t i = 0; i < LENGTH(texts); i++)
        free(texts[i]);
    for (size_t i = 0; i < f->outside_count; i++)
        free(f->outside[i]);
    free(f->outside);
    for (size_t i = 0; i < f->tablespace_count; i++) {
        free(f->tablespaces[i].name);
        free(f->tablespaces[i].location);
    }
    free(f->tablespaces);
    *f = (struct pg_facts){0};
}
