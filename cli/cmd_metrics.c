/* cmd_metrics.c - pgbr metrics [CLUSTER] - everything worth a graph or an alarm, for Prometheus. */
#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cli/app.h"
#include "scheduler/page/metrics.h"

enum { READABLE_BY_ALL = 0644 }; /* node_exporter is another user */

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    (void)code;
    (void)err;
    *(const char **)ctx = value;
    return 0;
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    AUTO(status_free) struct status status = {0};
    AUTO(buf_free) struct buf text = BUF_INIT;
    const struct cluster_config *list;
    const char *file = NULL;
    struct arguments args;
    size_t n;

    TRY(app_arguments(app, argc, argv, &args, on_option, &file, err));
    TRY(app_clusters(app, args.n == 1 ? args.words[0] : NULL, &list, &n, err));
    TRY(app_catch_signals(app, err));
    status_init(&status, app->config, n == 1 ? list : NULL);
    TRY(status_refresh(&status, STATUS_ALL, &app->stop, err));
    metrics_write(&status, clock_now_us(), &text);
    if (file != NULL)
        return fs_replace(AT_FDCWD, file, text.p, text.len, READABLE_BY_ALL, err);
    fwrite(text.p, 1, text.len, stdout);
    return 0;
}

static const struct option_row options[] = {
    {'o', "output", "FILE", "write to this file, replacing it as a whole"},
    {0},
};
const struct command command_metrics = {
    .name = "metrics",
    .run = run,
    .words = "[CLUSTER]",
    .max_words = 1,
    .summary = "show the state of all clusters as Prometheus metrics",
    .options = options,
};
