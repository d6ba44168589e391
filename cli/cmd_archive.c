/*
 * cmd_archive.c - pgbr archive-push [CLUSTER] PATH and pgbr archive-get [CLUSTER] FILE DEST.
 *
 * PostgreSQL runs these; their exit statuses are its protocol, not the program's usual one.
 */
#include <string.h>

#include "base/log.h"
#include "cli/app.h"
#include "wal/get.h"
#include "wal/push.h"

static int no_option(void *ctx, int option, const char *value, struct err *err)
{
    (void)ctx, (void)value;
    return err_set(err, ERR_USAGE, "unknown option %d", option);
}

int cmd_archive_push(struct app *app, int argc, char **argv, struct err *err)
{
    static const struct option options[] = {{NULL, 0, NULL, 0}};
    static const char usage[] = "archive-push [CLUSTER] PATH";
    const struct cluster_config *cluster;
    struct arguments args;

    TRY(app_arguments(argc, argv, options, 2, &args, no_option, NULL, usage, err));
    if (args.n == 0)
        return err_set(err, ERR_USAGE, "usage: pgbr %s", usage);
    TRY(app_cluster(app, args.n == 2 ? args.words[0] : NULL, &cluster, err));
    return wal_push(app->config, cluster, args.words[args.n - 1], err);
}

static int get_option(void *ctx, int option, const char *value, struct err *err)
{
    (void)option, (void)err;
    *(const char **)ctx = value;
    return 0;
}

static int get(struct app *app, int argc, char **argv, struct err *err)
{
    static const struct option options[] = {{"repo", required_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    static const char usage[] = "archive-get [CLUSTER] FILE DEST [--repo NAME]";
    const struct cluster_config *cluster;
    const char *repo = NULL;
    struct arguments args;

    TRY(app_arguments(argc, argv, options, 3, &args, get_option, &repo, usage, err));
    if (args.n < 2)
        return err_set(err, ERR_USAGE, "usage: pgbr %s", usage);
    TRY(app_cluster(app, args.n == 3 ? args.words[0] : NULL, &cluster, err));
    app->status =
        wal_get(app->config, cluster, repo, args.words[args.n - 2], args.words[args.n - 1], err);
    return 0;
}

/* Whatever goes wrong must not look like "no such file", which would end recovery. */
int cmd_archive_get(struct app *app, int argc, char **argv, struct err *err)
{
    if (get(app, argc, argv, err) != 0)
        app->status = wal_get_failure_status(argc > 1 ? argv[argc - 1] : "pg_wal/x");
    if (app->status == WAL_GET_ABSENT && err->code == ERR_NOT_FOUND)
        log_info("%s", err->msg);
    else if (app->status != WAL_GET_DELIVERED)
        log_error("%s", err->msg);
    return 0;
}
