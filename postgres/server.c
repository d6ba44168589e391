#include "postgres/server.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "postgres/label.h"

/* One row of one statement; what a refusal would need is said in grant. */
static int ask(struct pg *pg, const char *sql, const char *const *params, size_t count,
               size_t columns, const char *grant, struct pg_rows **rows, struct err *err)
{
    if (pg_query_row(pg, sql, params, count, columns, rows, err) == 0)
        return 0;
    return err->code == ERR_DENIED && grant != NULL ? pg_denied(pg, grant, err) : -1;
}

/* It is printed into a file that is read line by line. */
static int check_label(const char *label, struct err *err)
{
    size_t n = strlen(label);

    if (n == 0 || n > LABEL_NAME_MAX)
        return err_set(err, ERR_USAGE, "backup label has %zu bytes, expected 1 to %d", n,
                       LABEL_NAME_MAX);
    for (; *label != '\0'; label++)
        if (*label < ' ' || *label > '~')
            return err_set(err, ERR_USAGE, "backup label may hold printable ASCII only");
    return 0;
}

int pg_backup_start(struct pg *pg, const char *label, bool fast, uint64_t *start_lsn,
                    struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;
    bool renamed = pg_major(pg) >= 15;

    TRY(check_label(label, err));
    /* Before 15 the third argument defaults to true: the exclusive kind. */
    if (ask(pg,
            renamed ? "SELECT pg_backup_start($1, $2)" : "SELECT pg_start_backup($1, $2, false)",
            PG_PARAMS(label, fast ? "true" : "false"), 1,
            renamed ? "EXECUTE ON FUNCTION pg_catalog.pg_backup_start(text, boolean)"
                    : "EXECUTE ON FUNCTION pg_catalog.pg_start_backup(text, boolean, boolean)",
            &rows, err) != 0)
        return err_context(err, "start of the backup");
    return pg_lsn(rows, 0, 0, start_lsn, err);
}

void backup_stop_free(struct backup_stop *s)
{
    free(s->label);
    free(s->map);
    *s = (struct backup_stop)BACKUP_STOP_INIT;
}

int pg_backup_stop(struct pg *pg, struct backup_stop *out, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;
    bool renamed = pg_major(pg) >= 15;
    struct backup_stop s = BACKUP_STOP_INIT;

    if (ask(pg,
            renamed ? "SELECT lsn, labelfile, spcmapfile FROM pg_backup_stop(false)"
                    : "SELECT lsn, labelfile, spcmapfile FROM pg_stop_backup(false, false)",
            PG_NONE, 3,
            renamed ? "EXECUTE ON FUNCTION pg_catalog.pg_backup_stop(boolean)"
                    : "EXECUTE ON FUNCTION pg_catalog.pg_stop_backup(boolean, boolean)",
            &rows, err) != 0)
        return err_context(err, "end of the backup");
    TRY(pg_lsn(rows, 0, 0, &s.stop_lsn, err));
    if (*pg_text(rows, 0, 1) == '\0')
        return err_set(err, ERR_CORRUPT, "server ended the backup without a backup label");
    s.label = xstrdup(pg_text(rows, 0, 1));
    s.map = xstrdup(pg_text(rows, 0, 2));
    *out = s;
    return 0;
}

int pg_switch_wal(struct pg *pg, uint64_t *lsn, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(ask(pg, "SELECT pg_switch_wal()", PG_NONE, 1,
            "EXECUTE ON FUNCTION pg_catalog.pg_switch_wal()", &rows, err));
    return pg_lsn(rows, 0, 0, lsn, err);
}

int pg_create_restore_point(struct pg *pg, const char *name, uint64_t *lsn, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(ask(pg, "SELECT pg_create_restore_point($1)", PG_PARAMS(name), 1,
            "EXECUTE ON FUNCTION pg_catalog.pg_create_restore_point(text)", &rows, err));
    return pg_lsn(rows, 0, 0, lsn, err);
}

int pg_is_in_recovery(struct pg *pg, bool *in_recovery, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(ask(pg, "SELECT pg_is_in_recovery()", PG_NONE, 1, NULL, &rows, err));
    *in_recovery = pg_bool(rows, 0, 0);
    return 0;
}

int pg_insert_lsn(struct pg *pg, uint64_t *lsn, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(ask(pg,
            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
            " ELSE pg_current_wal_insert_lsn() END",
            PG_NONE, 1, NULL, &rows, err));
    return pg_lsn(rows, 0, 0, lsn, err);
}

/* Where the role may not see the WAL receiver its timeline is NULL, which greatest() skips. */
int pg_timeline(struct pg *pg, uint32_t *tli, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;
    char *end;

    TRY(ask(pg,
            "SELECT CASE WHEN pg_is_in_recovery() THEN to_hex(greatest("
            "(SELECT timeline_id FROM pg_control_checkpoint()),"
            "(SELECT min_recovery_end_timeline FROM pg_control_recovery()),"
            "(SELECT received_tli FROM pg_stat_wal_receiver)))"
            " ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END",
            PG_NONE, 1, "EXECUTE ON FUNCTION pg_catalog.pg_walfile_name(pg_lsn)", &rows, err));
    unsigned long long value = strtoull(pg_text(rows, 0, 0), &end, 16);
    if (value == 0 || value > UINT32_MAX || *end != '\0')
        return err_set(err, ERR_CORRUPT, "server sent \"%s\", expected a timeline",
                       pg_text(rows, 0, 0));
    *tli = (uint32_t)value;
    return 0;
}

int pg_system_id(struct pg *pg, uint64_t *system_id, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;
    int64_t value;

    TRY(ask(pg, "SELECT system_identifier FROM pg_control_system()", PG_NONE, 1,
            "EXECUTE ON FUNCTION pg_catalog.pg_control_system()", &rows, err));
    TRY(pg_int(rows, 0, 0, &value, err));
    *system_id = (uint64_t)value;
    return 0;
}

int pg_setting(struct pg *pg, const char *name, char **value, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(ask(pg, "SELECT current_setting($1)", PG_PARAMS(name), 1, "pg_read_all_settings", &rows,
            err));
    *value = xstrdup(pg_text(rows, 0, 0));
    return 0;
}
