/* cmd_catalog.c - pgbr catalog rebuild [CLUSTER] - make the local catalog anew from the
 * repositories. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/app.h"
#include "cli/show.h"
#include "scheduler/status/view.h"

/* A catalog that is whole keeps its history of runs; one that is not is moved aside. */
static int open_catalog(struct app *app, struct catalog **c, struct err *err)
{
    AUTO(mem_free) char *path = app_catalog_path(app);
    AUTO(mem_free) char *moved = NULL;
    struct err why;

    TRY(fs_mkdirs(app->config->state_dir, 0700, err));
    if (catalog_open(c, path, err) == 0) {
        if (catalog_check(*c, err) == 0)
            return 0;
        catalog_close(c);
    }
    if (err->code != ERR_CORRUPT)
        return -1;
    log_warning("%s", err->msg);
    why = *err;
    TRY(catalog_replace(path, &moved, err));
    if (moved != NULL)
        printf("the damaged catalog was moved to \"%s\"\n", moved);
    event_put(app, LOG_WARNING, KIND_CATALOG, NULL, why.msg);
    return catalog_open(c, path, err);
}

static int rebuild_repo(struct app *app, const struct cluster_config *cluster, const char *name,
                        struct catalog *c, struct err *err)
{
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(view_free) struct view view = {0};

    TRY(view_open(app->config, cluster, name, &repo, err));
    TRY(view_load(&view, repo, NULL, c, &app->stop, err));
    TRY(view_record(&view, repo, c, true, err));
    if (view.broken != 0)
        app->status = EXIT_WARNINGS;
    printf("cluster \"%s\", repository \"%s\": %zu backup%s, %zu range%s of WAL, %zu gap%s\n",
           cluster->name, name, view.backups.n, plural_of(view.backups.n), view.n_lines,
           plural_of(view.n_lines), view.n_gaps, plural_of(view.n_gaps));
    return 0;
}

/* How many repositories could not be read; each was logged. */
static size_t rebuild_cluster(struct app *app, const struct cluster_config *cluster,
                              struct catalog *c)
{
    size_t failed = 0;

    app_at_work(cluster);
    for (size_t i = 0; i < cluster->n_repos; i++) {
        struct err why = {0};

        if (rebuild_repo(app, cluster, cluster->repos[i], c, &why) == 0)
            continue;
        log_error("%s", why.msg);
        failed++;
    }
    return failed;
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    AUTO(catalog_close) struct catalog *c = NULL;
    const struct cluster_config *clusters;
    struct arguments args;
    size_t n, failed = 0;

    TRY(app_arguments(app, argc, argv, &args, NULL, NULL, err));
    if (strcmp(args.words[0], "rebuild") != 0)
        return err_set(err, ERR_USAGE,
                       "\"catalog %.100s\" is unknown: usage is \"pgbr catalog %s\"", args.words[0],
                       app->command->words);
    TRY(app_clusters(app, args.n == 2 ? args.words[1] : NULL, &clusters, &n, err));
    TRY(open_catalog(app, &c, err));
    for (size_t i = 0; i < n; i++)
        failed += rebuild_cluster(app, &clusters[i], c);
    return failed == 0 ? 0 : err_set(err, ERR_FAILED, "%zu repositories could not be read", failed);
}

const struct command command_catalog = {
    .name = "catalog",
    .run = run,
    .words = "rebuild [CLUSTER]",
    .min_words = 1,
    .max_words = 2,
    .summary = "rebuild the local catalog from the repositories",
};
