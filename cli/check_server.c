/* check_server.c - the server: connection, settings, rights, its primary. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/check.h"
#include "postgres/page.h"
#include "postgres/server.h"

enum { CONNECT_S = 10 };

static bool connected(struct check *k)
{
    struct err err = {0};

    if (pg_connect(&k->pg, k->cluster->connection, CONNECT_S, &err) != 0) {
        check_say(k, CHECK_FAILED, "connection", NULL,
                  "start the server, or see \"connection\" in the configuration", "%s", err.msg);
        return false;
    }
    pg_set_stop(k->pg, &k->app->stop);
    if (pg_discover(k->pg, &k->facts, &err) != 0) {
        check_say(k, CHECK_FAILED, "connection", NULL, NULL, "%s: %s", pg_where(k->pg), err.msg);
        return false;
    }
    k->has_facts = true;
    check_say(k, CHECK_OK, "connection", NULL, NULL, "%s as \"%s\": PostgreSQL %d.%d, timeline %u",
              pg_where(k->pg), pg_user(k->pg), k->facts.version_num / 10000,
              k->facts.version_num % 10000, k->facts.timeline);
    return true;
}

static void directory(struct check *k)
{
    struct stat ours, theirs;

    if (k->cluster->data == NULL || stat(k->cluster->data, &ours) != 0)
        return;
    if (stat(k->facts.data_directory, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
        ours.st_ino == theirs.st_ino)
        return;
    check_say(k, CHECK_FAILED, "data directory", NULL,
              "correct \"data\" or \"connection\" in the configuration",
              "the configuration says \"%s\", the server says \"%s\"", k->cluster->data,
              k->facts.data_directory);
}

/* ---- settings ---- */

static void wal_level(struct check *k)
{
    bool bad = strcmp(k->facts.wal_level, "minimal") == 0;

    check_say(k, bad ? CHECK_FAILED : CHECK_OK, "wal_level", NULL,
              bad ? "set wal_level = replica and restart the server" : NULL, "%s",
              k->facts.wal_level);
}

static void archive_mode(struct check *k)
{
    bool off = strcmp(k->facts.archive_mode, "off") == 0;

    k->archives = !off;
    check_say(k, off ? CHECK_FAILED : CHECK_OK, "archive_mode", NULL,
              off ? "set archive_mode = on and restart the server" : NULL, "%s",
              k->facts.archive_mode);
}

/* What the words of the command give away. The text of the trouble, or NULL. */
static const char *judge_command(const struct check *k, const struct archive_words *w,
                                 enum check_state *state)
{
    AUTO(mem_free) char *config = w->config != NULL ? realpath(w->config, NULL) : NULL;

    *state = CHECK_WARNING;
    if (!w->push)
        return "it does not say \"archive-push\": a script that calls it is fine";
    if (w->config != NULL &&
        (w->config[0] != '/' || config == NULL || strcmp(config, k->app->config_absolute) != 0))
        return "it names another configuration than this check uses";
    if (w->config == NULL && strcmp(k->app->config_path, CONFIG_DEFAULT_PATH) != 0)
        return "it names no configuration, this check uses another than the default one";
    *state = CHECK_FAILED;
    if (w->program != NULL && w->program[0] == '/' && access(w->program, X_OK) != 0)
        return "its program cannot be run";
    if (w->cluster != NULL && strcmp(w->cluster, k->cluster->name) != 0)
        return "it pushes into another cluster";
    if (w->cluster == NULL && k->app->config->n_clusters > 1)
        return "it does not say which cluster, and the configuration has several";
    if (!w->path)
        return "it does not end with \"%p\"";
    return NULL;
}

static void archive_command(struct check *k)
{
    AUTO(archive_words_free) struct archive_words words = {0};
    AUTO(buf_free) struct buf todo = BUF_INIT;
    const char *set = k->facts.archive_command, *library = k->facts.archive_library, *bad;
    bool empty = *set == '\0' || strcmp(set, "(disabled)") == 0;
    enum check_state state;

    buf_adds(&todo, "set archive_command = ");
    app_archive_command(k->app, k->cluster->name, &todo);
    if (*library != '\0') {
        k->archives = false;
        check_say(k, CHECK_FAILED, "archive_library", NULL, "set archive_library = ''",
                  "\"%s\" takes the place of archive_command, WAL does not come here", library);
        return;
    }
    if (empty) {
        check_say(k, k->archives ? CHECK_FAILED : CHECK_WARNING, "archive_command", NULL,
                  buf_text(&todo), "is not set, WAL piles up");
        k->archives = false;
        return;
    }
    archive_words_read(set, &words);
    bad = judge_command(k, &words, &state);
    if (bad == NULL)
        check_say(k, CHECK_OK, "archive_command", NULL, NULL, "%s", set);
    else
        check_say(k, state, "archive_command", NULL, buf_text(&todo), "%s: %s", set, bad);
}

static void archive_timeout(struct check *k)
{
    int64_t s = k->facts.archive_timeout_s;

    if (s == 0)
        check_say(k, CHECK_OK, "archive_timeout", NULL,
                  "set it to 60 s, say, to bound what a lost host takes along",
                  "0: a quiet server may keep commits to itself for any time");
    else
        check_say(k, CHECK_OK, "archive_timeout", NULL, NULL, "%" PRId64 " s", s);
}

static void pages(struct check *k)
{
    const struct pg_facts *f = &k->facts;

    if (f->block_size != PG_PAGE_SIZE)
        check_say(k, CHECK_FAILED, "pages", NULL, NULL, "they have %u bytes, only %u is served",
                  f->block_size, PG_PAGE_SIZE);
    if (f->full_page_writes)
        check_say(k, CHECK_OK, "full_page_writes", NULL, NULL, "on");
    else
        check_say(k, CHECK_WARNING, "full_page_writes", NULL, "set full_page_writes = on",
                  "off: a crash can leave torn pages, and a standby cannot be backed up");
    check_say(k, CHECK_OK, "data checksums", NULL,
              f->checksums ? NULL : "\"pg_checksums --enable\" switches them on, server stopped",
              f->checksums ? "on" : "off: a backup cannot notice damaged pages");
}

/* ---- rights ---- */

static void functions(struct check *k)
{
    static const char old[] = "SELECT f FROM unnest(ARRAY['pg_start_backup(text,boolean,boolean)',"
                              "'pg_stop_backup(boolean,boolean)', 'pg_switch_wal()']) f"
                              " WHERE NOT has_function_privilege('pg_catalog.' || f, 'EXECUTE')";
    static const char new[] =
        "SELECT f FROM unnest(ARRAY['pg_backup_start(text,boolean)', 'pg_backup_stop(boolean)',"
        "'pg_switch_wal()']) f WHERE NOT has_function_privilege('pg_catalog.' || f, 'EXECUTE')";
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;
    struct err err = {0};

    if (pg_query(k->pg, pg_major(k->pg) < 15 ? old : new, PG_NONE, 1, &rows, &err) != 0) {
        check_say(k, CHECK_FAILED, "rights", NULL, NULL, "%s", err.msg);
        return;
    }
    for (size_t i = 0; i < pg_count(rows); i++) {
        AUTO(mem_free)
        char *grant =
            xasprintf("a superuser can allow it: GRANT EXECUTE ON FUNCTION pg_catalog.%s TO \"%s\"",
                      pg_text(rows, i, 0), pg_user(k->pg));

        check_say(k, CHECK_FAILED, "rights", NULL, grant, "\"%s\" may not call %s", pg_user(k->pg),
                  pg_text(rows, i, 0));
    }
    if (k->facts.files_note != NULL)
        check_say(k, CHECK_WARNING, "rights", NULL, NULL, "%s", k->facts.files_note);
    if (pg_count(rows) == 0 && k->facts.files_note == NULL)
        check_say(k, CHECK_OK, "rights", NULL, NULL, "\"%s\" may do what a backup needs",
                  pg_user(k->pg));
}

/* ---- roles ---- */

static int reach_primary(struct check *k, struct err *err)
{
    bool in_recovery = true;
    uint64_t system_id = 0;

    TRY(pg_connect(&k->primary, k->cluster->primary, CONNECT_S, err));
    pg_set_stop(k->primary, &k->app->stop);
    TRY(pg_is_in_recovery(k->primary, &in_recovery, err));
    TRY(pg_system_id(k->primary, &system_id, err));
    if (in_recovery)
        return err_set(err, ERR_FOREIGN, "%s is a standby itself", pg_where(k->primary));
    if (system_id != k->facts.system_id)
        return err_set(err, ERR_FOREIGN, "%s has another system identifier: %" PRIu64,
                       pg_where(k->primary), system_id);
    return 0;
}

static void role(struct check *k)
{
    const char *was = k->cluster->role, *is = k->facts.in_recovery ? "standby" : "primary";
    struct err err = {0};

    if (was != NULL && (strcmp(was, "primary") == 0) != !k->facts.in_recovery)
        check_say(k, CHECK_OK, "role", NULL, NULL, "%s; the inventory made it \"%s\"", is, was);
    else
        check_say(k, CHECK_OK, "role", NULL, NULL, "%s", is);
    if (!k->facts.in_recovery)
        return;
    if (k->cluster->primary == NULL) {
        check_say(k, CHECK_WARNING, "primary", NULL, "set \"primary\" to its connection string",
                  "not configured: a backup here waits until the primary switches WAL by itself");
        return;
    }
    if (reach_primary(k, &err) == 0) {
        check_say(k, CHECK_OK, "primary", NULL, NULL, "%s as \"%s\"", pg_where(k->primary),
                  pg_user(k->primary));
        return;
    }
    pg_close(&k->primary);
    check_say(k, CHECK_WARNING, "primary", NULL,
              "see \"primary\" in the configuration; backups here wait for WAL without it", "%s",
              err.msg);
}

void check_server(struct check *k)
{
    if (!connected(k))
        return;
    directory(k);
    role(k);
    functions(k);
    wal_level(k);
    archive_mode(k);
    archive_command(k);
    archive_timeout(k);
    pages(k);
}
