/* cmd_backup.c - pgbr backup [CLUSTER] [--type full|auto] [--repo NAME] ... - take one backup now.
 */
#include <stdio.h>
#include <string.h>

#include "backup/backup.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/app.h"
#include "cli/record.h"
#include "cli/show.h"

static const char usage[] = "backup [CLUSTER] [--type full|auto] [--repo NAME] [--workers N] "
                            "[--slow-checkpoint] [--json]";

struct wanted {
    const char *repo;
    unsigned workers;
    bool slow, json;
};

static int on_option(void *ctx, int option, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    switch (option) {
    case 'r':
        w->repo = value;
        return 0;
    case 's':
        w->slow = true;
        return 0;
    case 'j':
        w->json = true;
        return 0;
    case 'w':
        return parse_count(value, "--workers", 256, &w->workers, err);
    default: /* --type */
        if (strcmp(value, "full") == 0 || strcmp(value, "auto") == 0)
            return 0;
        return err_set(
            err, ERR_USAGE,
            "--type \"%s\" is unknown; this version takes \"full\" backups (\"auto\" is the "
            "same)",
            value);
    }
}

int cmd_backup(struct app *app, int argc, char **argv, struct err *err)
{
    static const struct option options[] = {
        {"type", required_argument, NULL, 't'},    {"repo", required_argument, NULL, 'r'},
        {"workers", required_argument, NULL, 'w'}, {"slow-checkpoint", no_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},          {NULL, 0, NULL, 0},
    };
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(backup_made_free) struct backup_made made = {0};
    struct progress progress = {.mode = app_progress(app)};
    struct wanted wanted = {0};
    struct backup_request want = {.stop = &app->stop, .progress = &progress};
    struct arguments args;

    TRY(app_arguments(argc, argv, options, 1, &args, on_option, &wanted, usage, err));
    TRY(app_cluster(app, args.n == 1 ? args.words[0] : NULL, &want.cluster, err));
    TRY(app_catch_signals(app, err));
    TRY(config_open_repo(app->config, want.cluster, wanted.repo, REPO_OPEN_FULL, &repo, err));
    want.repo = repo;
    want.state_dir = app->config->state_dir;
    want.slow_checkpoint = wanted.slow;
    want.workers = wanted.workers != 0 ? wanted.workers : want.cluster->workers;
    want.rate_limit = want.cluster->rate_limit;
    progress.mode = app_progress(app);
    TRY(backup_run(&want, &made, err));
    record_backup(app, repo, &made.pub);
    if (made.warnings != 0 || made.pub.page_errors != 0)
        app->status = EXIT_WARNINGS;
    show_backup(&made, wanted.json);
    return 0;
}
