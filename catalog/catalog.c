/* catalog.c - the file: opening, replacing, checking, transactions. See catalog.h. */
#include "catalog/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "catalog/schema.h"
#include "catalog/sql.h"

/*
 * Makes the file before SQLite does, which would give it the mode the umask leaves; its -wal and
 * -shm files then take the mode of this one. Only when it is missing: closing a descriptor of a
 * database in use would drop the POSIX locks that SQLite holds on it in this process.
 */
static int make_file(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 && errno == EEXIST)
        return 0;
    if (fd < 0)
        return err_sys(err, "catalog \"%s\"", path);
    close(fd);
    return 0;
}

/* Switching to WAL needs the file for itself for a moment, and SQLite does not wait for that. */
static int use_wal_mode(struct catalog *c, struct err *err)
{
    static const char doing[] = "switch it to WAL mode";
    int rc = SQLITE_BUSY;

    for (int waited = 0; rc == SQLITE_BUSY && waited < SQL_WAIT_MS; waited += 20) {
        rc = sqlite3_exec(c->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if (rc == SQLITE_BUSY)
            clock_sleep_ms(20);
    }
    if (rc != SQLITE_OK)
        return sql_fail(c, err, doing);
    /* a lost last commit costs a row of history; a corrupt file would cost all of it: NORMAL */
    return sql_script(c, "PRAGMA synchronous = NORMAL", doing, err);
}

static int connect(struct catalog *c, struct err *err)
{
    if (sqlite3_open_v2(c->path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        return sql_fail(c, err, "open it");
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_busy_timeout(c->db, SQL_WAIT_MS);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return 0;
}

int catalog_open(struct catalog **out, const char *path, struct err *err)
{
    AUTO(catalog_close) struct catalog *c = xcalloc(1, sizeof *c);

    c->path = xstrdup(path);
    TRY(sqlite_load(err));
    TRY(make_file(path, err));
    TRY(connect(c, err));
    TRY(schema_check(c, err));
    TRY(use_wal_mode(c, err));
    TRY(schema_migrate(c, err));
    *out = TAKE(c);
    return 0;
}

void catalog_close(struct catalog **c)
{
    if (*c == NULL)
        return;
    sqlite3_close((*c)->db); /* every statement is finalized where it was made */
    free((*c)->path);
    free(*c);
    *c = NULL;
}

static int move_aside(const char *path, const char *suffix, const char *to, struct err *err)
{
    AUTO(mem_free) char *from = xasprintf("%s%s", path, suffix);
    AUTO(mem_free) char *new_name = xasprintf("%s%s", to, suffix);

    if (rename(from, new_name) != 0 && errno != ENOENT)
        return err_sys(err, "cannot rename catalog \"%s\" to \"%s\"", from, new_name);
    return 0;
}

/* A name for the old file that is not taken yet. */
static char *name_aside(const char *path)
{
    time_t now = (time_t)(clock_now_us() / 1000000);
    char stamp[32];
    struct tm utc;
    char *name;

    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    name = xasprintf("%s.broken-%s", path, stamp);
    for (unsigned n = 2; access(name, F_OK) == 0; n++) {
        free(name);
        name = xasprintf("%s.broken-%s-%u", path, stamp, n);
    }
    return name;
}

int catalog_replace(const char *path, char **moved_to, struct err *err)
{
    AUTO(catalog_close) struct catalog *fresh = NULL;
    AUTO(mem_free) char *to = name_aside(path);

    *moved_to = NULL;
    if (access(path, F_OK) == 0) {
        /* the journal first: the file without its journal is a catalog of some moments ago, the
         * journal of the old file beside the new one would be a mixture */
        TRY(move_aside(path, "-wal", to, err));
        TRY(move_aside(path, "-shm", to, err));
        TRY(move_aside(path, "", to, err));
        *moved_to = TAKE(to);
    }
    return catalog_open(&fresh, path, err);
}

int catalog_check(struct catalog *c, struct err *err)
{
    static const char doing[] = "check it";
    AUTO(sql_done) sqlite3_stmt *s = NULL;
    const char *found;
    bool row;

    TRY(sql_query(c, &s, "PRAGMA quick_check(1)", NULL, 0, doing, err));
    TRY(sql_step(c, s, &row, doing, err));
    found = row ? (const char *)sqlite3_column_text(s, 0) : NULL;
    if (found != NULL && strcmp(found, "ok") == 0)
        return 0;
    return err_set(err, ERR_CORRUPT,
                   "catalog \"%s\" is damaged: %s; \"pgbr catalog rebuild\" makes it anew from the "
                   "repositories",
                   c->path, found != NULL ? found : "it cannot be checked");
}

int catalog_begin(struct catalog *c, struct err *err)
{
    return sql_script(c, "BEGIN IMMEDIATE", "begin a transaction", err);
}

int catalog_commit(struct catalog *c, struct err *err)
{
    return sql_script(c, "COMMIT", "commit a transaction", err);
}

void catalog_rollback(struct catalog *c)
{
    if (!sqlite3_get_autocommit(c->db))
        sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
}
