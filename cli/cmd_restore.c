/* cmd_restore.c - pgbr restore [CLUSTER] - bring a cluster back to any moment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/app.h"
#include "cli/record.h"
#include "cli/run_record.h"
#include "cli/show.h"
#include "cli/target_options.h"
#include "restore/restore.h"

enum { MOVES_MAX = 1000 };

struct wanted {
    struct restore_request q;
    struct tablespace_move *moves;
    bool json;
};

static int add_move(struct wanted *w, const char *value, struct err *err)
{
    const char *equals = strchr(value, '=');

    if (equals == NULL || equals == value || equals[1] != '/')
        return err_set(err, ERR_USAGE,
                       "--tablespace-map takes OLD=NEW, OLD a name, an OID or a location, NEW an "
                       "absolute path; not \"%.100s\"",
                       value);
    if (w->q.n_moves == MOVES_MAX)
        return err_set(err, ERR_USAGE, "more than %d tablespaces", MOVES_MAX);
    w->moves = xrealloc(w->moves, (w->q.n_moves + 1) * sizeof *w->moves);
    w->moves[w->q.n_moves++] =
        (struct tablespace_move){xstrndup(value, (size_t)(equals - value)), equals + 1};
    w->q.moves = w->moves;
    return 0;
}

static int absolute(const char *option, const char *value, const char **out, struct err *err)
{
    if (value[0] != '/')
        return err_set(err, ERR_USAGE, "%s takes an absolute path, not \"%.100s\"", option, value);
    *out = value;
    return 0;
}

static int set_action(struct wanted *w, const char *value, struct err *err)
{
    if (strcmp(value, "pause") == 0)
        w->q.action = ACTION_PAUSE;
    else if (strcmp(value, "promote") == 0)
        w->q.action = ACTION_PROMOTE;
    else if (strcmp(value, "shutdown") == 0)
        w->q.action = ACTION_SHUTDOWN;
    else
        return err_set(err, ERR_USAGE,
                       "--target-action is \"pause\", \"promote\" or \"shutdown\", not \"%.100s\"",
                       value);
    return 0;
}

static int set_archive(struct wanted *w, const char *value, struct err *err)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return err_set(err, ERR_USAGE, "--archive is \"on\" or \"off\", not \"%.100s\"", value);
    w->q.archive = strcmp(value, "on") == 0 ? RESTORE_ARCHIVE_ON : RESTORE_ARCHIVE_OFF;
    return 0;
}

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    switch (code) {
    case 'a':
        return set_action(w, value, err);
    case 'A':
        return set_archive(w, value, err);
    case 's':
        w->q.set = value;
        return 0;
    case 'r':
        w->q.repo = value;
        return 0;
    case 'd':
        return absolute("--data-dir", value, &w->q.data_dir, err);
    case 'W':
        return absolute("--wal-dir", value, &w->q.wal_dir, err);
    case 'm':
        return add_move(w, value, err);
    case 'S':
        w->q.standby = true;
        return 0;
    case 'D':
        w->q.delta = true;
        return 0;
    case 'p':
        w->q.plan_only = true;
        return 0;
    case 'f':
        w->q.force = true;
        return 0;
    case 'j':
        w->json = true;
        return 0;
    case 'w':
        return parse_count(value, "--workers", THREADS_MAX, &w->q.workers, err);
    default:
        return target_option(&w->q.target, code, value, err);
    }
}

static void wanted_free(struct wanted *w)
{
    for (size_t i = 0; i < w->q.n_moves; i++)
        mem_free(&w->moves[i].from);
    free(w->moves);
}

static int carry_out(struct app *app, struct wanted *w, struct restore_plan *plan, struct err *err)
{
    struct run_record record;
    int rc;

    run_record_begin(&record, app, w->q.cluster, plan->repo, w->q.progress);
    rc = restore_run(&w->q, plan, err);
    run_record_end(&record, app, rc, plan->label, err);
    return rc;
}

/* The plan is shown before anything is touched, and shall be out even when the restore fails
 * later. */
static int restore(struct app *app, struct wanted *w, struct err *err)
{
    AUTO(restore_plan_free) struct restore_plan plan = {0};
    struct progress progress = {.mode = app_progress(app)};

    w->q.progress = &progress;
    TRY(restore_prepare(&w->q, &plan, err));
    if (!w->json || w->q.plan_only)
        show_plan(&plan, &w->q, w->json);
    fflush(stdout);
    if (w->q.plan_only) {
        event_leave_out(app);
        return 0;
    }
    TRY(carry_out(app, w, &plan, err));
    show_restored(&plan, w->json);
    if (plan.warnings != 0)
        app->status = EXIT_WARNINGS;
    event_tell(app, LOG_INFO, plan.repo, "backup %s is restored into \"%s\"", plan.label,
               plan.data_dir);
    return 0;
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    AUTO(wanted_free) struct wanted w = {.q = {.stop = &app->stop, .program = app->program}};
    AUTO(catalog_backups_free) struct catalog_backups known = {0};
    struct arguments args;

    TRY(app_arguments(app, argc, argv, &args, on_option, &w, err));
    TRY(target_options_check(&w.q.target, err));
    TRY(app_cluster(app, args.n == 1 ? args.words[0] : NULL, &w.q.cluster, err));
    TRY(app_catch_signals(app, err));
    w.q.config = app->config;
    record_known(app, w.q.cluster->name, &known);
    w.q.known = &known;
    if (w.q.workers == 0)
        w.q.workers = w.q.cluster->workers;
    return restore(app, &w, err);
}

static const struct option_row options[] = {
    TARGET_OPTIONS,
    {'T', "target", "immediate|latest",
     "the end of the backup, or of all WAL; latest where nothing else is said"},
    {'a', "target-action", "pause|promote|shutdown", "what PostgreSQL does at the target"},
    {'s', "set", "LABEL", "start from this backup instead of the newest that fits"},
    {'r', "repo", "NAME", "from this repository; otherwise the default one, then the others"},
    {'d', "data-dir", "DIR", "where to, instead of the configured data directory"},
    {'W', "wal-dir", "DIR", "put the WAL there, behind a link"},
    {'m', "tablespace-map", "OLD=NEW",
     "put the tablespace with this name, OID or location somewhere else; may be repeated"},
    {'S', "standby", NULL, "make a standby"},
    {'A', "archive", "on|off", "whether the restored cluster archives its WAL (off)"},
    {'D', "delta", NULL, "use what the directory holds; continue an interrupted restore"},
    {'p', "plan", NULL, "tell what would be done, and do nothing"},
    {'f', "force", NULL, "replace the cluster that the directory holds, even another one"},
    {'w', "workers", "N", "threads that fetch and write"},
    {'j', "json", NULL, "show the result as JSON"},
    {0},
};
const struct command command_restore = {
    .name = "restore",
    .run = run,
    .words = "[CLUSTER]",
    .max_words = 1,
    .summary = "bring a cluster back, to the latest or to any moment",
    .event = KIND_RESTORE,
    .options = options,
};
