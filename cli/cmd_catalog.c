/* cmd_catalog.c - pgbr catalog rebuild [CLUSTER] - make the local catalog anew from the
 * repositories. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/app.h"
#include "cli/view.h"

static const char usage[] = "catalog rebuild [CLUSTER]";

static int no_option(void *ctx, int option, const char *value, struct err *err)
{
    (void)ctx, (void)value;
    return err_set(err, ERR_USAGE, "unknown option %d", option);
}

/* A catalog that is whole keeps its history of runs; one that is not is moved aside. */
static int open_catalog(const struct app *app, struct catalog **c, struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("%s/catalog.db", app->config->state_dir);
    AUTO(mem_free) char *moved = NULL;

    TRY(fs_mkdirs(app->config->state_dir, 0700, err));
    if (catalog_open(c, path, err) == 0) {
        if (catalog_check(*c, err) == 0)
            return 0;
        catalog_close(c);
    }
    if (err->code != ERR_CORRUPT)
        return -1;
    log_warning("%s", err->msg);
    TRY(catalog_replace(path, &moved, err));
    if (moved != NULL)
        printf("the damaged catalog was moved to \"%s\"\n", moved);
    return catalog_open(c, path, err);
}

static int rebuild_repo(struct app *app, const struct cluster_config *cluster, const char *name,
                        struct catalog *c, struct err *err)
{
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(view_free) struct view view = {0};

    TRY(config_open_repo(app->config, cluster, name, REPO_OPEN_FULL, &repo, err));
    TRY(view_load(&view, repo, &app->stop, err));
    TRY(catalog_forget(c, name, cluster->name, err));
    TRY(view_record(&view, repo, c, err));
    printf("cluster \"%s\", repository \"%s\": %zu backups, %zu stretches of WAL, %zu gaps\n",
           cluster->name, name, view.backups.n, view.n_lines, view.n_gaps);
    return 0;
}

int cmd_catalog(struct app *app, int argc, char **argv, struct err *err)
{
    static const struct option options[] = {{NULL, 0, NULL, 0}};
    AUTO(catalog_close) struct catalog *c = NULL;
    const struct cluster_config *cluster;
    struct arguments args;
    int failed = 0;

    TRY(app_arguments(argc, argv, options, 2, &args, no_option, NULL, usage, err));
    if (args.n == 0 || strcmp(args.words[0], "rebuild") != 0)
        return err_set(err, ERR_USAGE, "usage: pgbr %s", usage);
    TRY(app_config(app, err));
    if (args.n == 1 && app->config->n_clusters != 0)
        TRY(app_cluster(app, app->config->clusters[0].name, &cluster, err));
    TRY(app_cluster(app, args.n == 2 ? args.words[1] : app->config->clusters[0].name, &cluster,
                    err));
    TRY(open_catalog(app, &c, err));
    for (size_t i = 0; i < app->config->n_clusters; i++) {
        const struct cluster_config *one = &app->config->clusters[i];

        if (args.n == 2 && strcmp(one->name, cluster->name) != 0)
            continue;
        for (size_t k = 0; k < one->n_repos; k++) {
            struct err why = {0};

            if (rebuild_repo(app, one, one->repos[k], c, &why) == 0)
                continue;
            log_error("%s", why.msg); /* the others can still be recorded */
            failed++;
        }
    }
    return failed == 0 ? 0 : err_set(err, ERR_FAILED, "%d repositories could not be read", failed);
}
