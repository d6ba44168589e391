/* cmd_restore.c - pgbr restore [CLUSTER] [--target-… …] - bring a cluster back to any moment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/app.h"
#include "cli/show.h"
#include "restore/restore.h"

static const char usage[] =
    "restore [CLUSTER] [--target-time T | --target-lsn L | --target-xid X | --target-name N | "
    "--target immediate|latest] [--exclusive] [--target-timeline latest|current|N] "
    "[--target-action pause|promote|shutdown] [--set LABEL] [--repo NAME] [--data-dir DIR] "
    "[--wal-dir DIR] [--tablespace-map OLD=NEW] [--standby] [--archive on|off] [--delta] [--plan] "
    "[--force] [--workers N] [--json]";

enum { MOVES_MAX = 1000 };

struct wanted {
    struct restore_request q;
    const char *time; /* parsed when the configuration's time zone is known */
    struct tablespace_move *moves;
    bool json;
};

static int set_kind(struct wanted *w, enum target_kind kind, struct err *err)
{
    if (w->q.target.kind != TARGET_LATEST)
        return err_set(err, ERR_USAGE, "only one --target-… can be given; usage: pgbr %s", usage);
    w->q.target.kind = kind;
    return 0;
}

static int set_name(struct wanted *w, const char *name, struct err *err)
{
    TRY(set_kind(w, TARGET_NAME, err));
    if (strlen(name) >= sizeof w->q.target.name || name[0] == '\0')
        return err_set(err, ERR_USAGE, "a restore point's name has 1 to 63 bytes");
    memcpy(w->q.target.name, name, strlen(name) + 1);
    return 0;
}

static int set_plain_target(struct wanted *w, const char *value, struct err *err)
{
    if (strcmp(value, "latest") == 0)
        return 0;
    if (strcmp(value, "immediate") == 0)
        return set_kind(w, TARGET_IMMEDIATE, err);
    return err_set(err, ERR_USAGE, "--target is \"immediate\" or \"latest\", not \"%s\"", value);
}

static int add_move(struct wanted *w, const char *value, struct err *err)
{
    const char *equals = strchr(value, '=');

    if (equals == NULL || equals == value || equals[1] != '/')
        return err_set(err, ERR_USAGE,
                       "--tablespace-map takes OLD=NEW, OLD a name, an OID or a location, NEW an "
                       "absolute path; not \"%s\"",
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
        return err_set(err, ERR_USAGE, "%s takes an absolute path, not \"%s\"", option, value);
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
                       "--target-action is \"pause\", \"promote\" or \"shutdown\", not \"%s\"",
                       value);
    return 0;
}

static int set_archive(struct wanted *w, const char *value, struct err *err)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return err_set(err, ERR_USAGE, "--archive is \"on\" or \"off\", not \"%s\"", value);
    w->q.archive = strcmp(value, "on") == 0 ? RESTORE_ARCHIVE_ON : RESTORE_ARCHIVE_OFF;
    return 0;
}

static int set_target(struct wanted *w, int option, const char *value, struct err *err)
{
    switch (option) {
    case 't':
        w->time = value;
        return set_kind(w, TARGET_TIME, err);
    case 'l':
        TRY(set_kind(w, TARGET_LSN, err));
        return target_parse_lsn(value, &w->q.target, err);
    case 'x':
        TRY(set_kind(w, TARGET_XID, err));
        return target_parse_xid(value, &w->q.target, err);
    case 'n':
        return set_name(w, value, err);
    case 'T':
        return set_plain_target(w, value, err);
    case 'e':
        w->q.target.exclusive = true;
        return 0;
    default: /* 'L' */
        return target_parse_timeline(value, &w->q.target, err);
    }
}

static int on_option(void *ctx, int option, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    switch (option) {
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
        return parse_count(value, "--workers", 256, &w->q.workers, err);
    default:
        return set_target(w, option, value, err);
    }
}

static void wanted_free(struct wanted *w)
{
    for (size_t i = 0; i < w->q.n_moves; i++)
        mem_free(&w->moves[i].from);
    free(w->moves);
}

/* The plan is shown before anything is touched, and shall be out even when the restore fails later.
 */
static int run(struct app *app, struct wanted *w, struct err *err)
{
    AUTO(restore_plan_free) struct restore_plan plan = {0};
    struct progress progress = {.mode = app_progress(app)};

    w->q.progress = &progress;
    TRY(restore_prepare(&w->q, &plan, err));
    if (!w->json || w->q.plan_only)
        show_plan(&plan, &w->q, w->json);
    fflush(stdout);
    if (w->q.plan_only)
        return 0;
    TRY(restore_run(&w->q, &plan, err));
    show_restored(&plan, w->json);
    if (plan.warnings != 0)
        app->status = EXIT_WARNINGS;
    return 0;
}

int cmd_restore(struct app *app, int argc, char **argv, struct err *err)
{
    static const struct option options[] = {
        {"target-time", required_argument, NULL, 't'},
        {"target-lsn", required_argument, NULL, 'l'},
        {"target-xid", required_argument, NULL, 'x'},
        {"target-name", required_argument, NULL, 'n'},
        {"target", required_argument, NULL, 'T'},
        {"exclusive", no_argument, NULL, 'e'},
        {"target-timeline", required_argument, NULL, 'L'},
        {"target-action", required_argument, NULL, 'a'},
        {"set", required_argument, NULL, 's'},
        {"repo", required_argument, NULL, 'r'},
        {"data-dir", required_argument, NULL, 'd'},
        {"wal-dir", required_argument, NULL, 'W'},
        {"tablespace-map", required_argument, NULL, 'm'},
        {"standby", no_argument, NULL, 'S'},
        {"archive", required_argument, NULL, 'A'},
        {"delta", no_argument, NULL, 'D'},
        {"plan", no_argument, NULL, 'p'},
        {"force", no_argument, NULL, 'f'},
        {"workers", required_argument, NULL, 'w'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    AUTO(wanted_free) struct wanted w = {.q = {.stop = &app->stop, .program = app->program}};
    struct arguments args;

    TRY(app_arguments(argc, argv, options, 1, &args, on_option, &w, usage, err));
    TRY(app_cluster(app, args.n == 1 ? args.words[0] : NULL, &w.q.cluster, err));
    TRY(app_catch_signals(app, err));
    w.q.config = app->config;
    if (w.q.workers == 0)
        w.q.workers = w.q.cluster->workers;
    if (w.time != NULL)
        TRY(clock_parse(w.time, NULL, &w.q.target.time_us, err));
    return run(app, &w, err);
}
