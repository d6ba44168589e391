/*
 * cmd_archive.c - pgbr archive-push [CLUSTER] PATH and pgbr archive-get [CLUSTER] FILE DEST.
 *
 * PostgreSQL runs these; their exit statuses are its protocol, not the program's usual one.
 */
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/app.h"
#include "postgres/lsn.h"
#include "wal/archive/get.h"
#include "wal/archive/push.h"

/* ---- archive-push ---- */

/* Anything from 1 to 125 makes the archiver try again, anything above restarts it. */
static int push_failure_status(int usual, int argc, char **argv)
{
    (void)argc, (void)argv;
    return usual;
}

/* The segment is mapped: a failing disk, or somebody who cuts the file off, shows as a signal. */
static void on_bus_error(int number)
{
    static const char text[] = "pgbr: the WAL file cannot be read to its end; not archived\n";

    (void)number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(EXIT_FAILED);
    _exit(EXIT_FAILED);
}

static int push(struct app *app, int argc, char **argv, struct err *err)
{
    const struct cluster_config *cluster;
    struct arguments args;

    TRY(app_arguments(app, argc, argv, &args, NULL, NULL, err));
    TRY(app_cluster(app, args.n == 2 ? args.words[0] : NULL, &cluster, err));
    signal(SIGBUS, on_bus_error);
    return wal_push(app->config, cluster, args.words[args.n - 1], err);
}

const struct command command_archive_push = {
    .name = "archive-push",
    .run = push,
    .words = "[CLUSTER] PATH",
    .min_words = 1,
    .max_words = 2,
    .summary = "for archive_command: store a WAL file",
    .failure_status = push_failure_status,
};

/* ---- archive-get ---- */

/* Whatever goes wrong must not look like "no such file", which would end recovery. */
static int get_failure_status(int usual, int argc, char **argv)
{
    (void)usual;
    return wal_get_failure_status(argc > 1 ? argv[argc - 1] : "");
}

struct get_wanted {
    const char *repo;
    struct wal_guard guard;
};

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct get_wanted *w = ctx;

    if (code == 'r') {
        w->repo = value;
        return 0;
    }
    w->guard.kind = code == 's' ? WAL_GUARD_SANDBOX : WAL_GUARD_COPY;
    if (lsn_parse(value, &w->guard.end) != 0 || w->guard.end == 0)
        return err_set(err, ERR_USAGE, "%s \"%.100s\" is no position in the WAL",
                       code == 's' ? "--sandbox" : "--side-copy", value);
    return 0;
}

static int get(struct app *app, int argc, char **argv, struct err *err)
{
    const struct cluster_config *cluster;
    struct get_wanted wanted = {0};
    const char *file, *dest;
    struct arguments args;

    TRY(app_arguments(app, argc, argv, &args, on_option, &wanted, err));
    TRY(app_cluster(app, args.n == 3 ? args.words[0] : NULL, &cluster, err));
    file = args.words[args.n - 2];
    dest = args.words[args.n - 1];
    mem_exit_status(wal_get_failure_status(dest));
    app->status = wal_get(app->config, cluster, wanted.repo, &wanted.guard, file, dest, err);
    if (app->status == WAL_GET_ABSENT && err->code == ERR_NOT_FOUND)
        log_debug(
            "%s",
            err->msg); /* how every recovery ends, and what a standby asks every few seconds */
    else if (app->status != WAL_GET_DELIVERED)
        log_error("%s", err->msg);
    return 0;
}

static const struct option_row get_options[] = {
    {'r', "repo", "NAME", "ask this repository only; otherwise all, the default one first"},
    {'s', "sandbox", "LSN",
     "for a rehearsal that replays up to there: refuse WAL that would write outside of the data "
     "directory"},
    {'b', "side-copy", "LSN",
     "for a copy that replays up to there: refuse WAL that would enter a directory in which "
     "another cluster has a tablespace"},
    {0},
};
const struct command command_archive_get = {
    .name = "archive-get",
    .run = get,
    .words = "[CLUSTER] FILE DEST",
    .min_words = 2,
    .max_words = 3,
    .summary = "for restore_command: fetch a WAL file",
    .options = get_options,
    .failure_status = get_failure_status,
};
