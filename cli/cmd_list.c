/* cmd_list.c - pgbr list [CLUSTER] [--repo NAME] [--json] - backups, WAL, gaps, and the moments one
 * can go back to. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/app.h"
#include "cli/show_list.h"
#include "cli/view.h"

static const char usage[] = "list [CLUSTER] [--repo NAME] [--json]";

struct wanted {
    const char *repo;
    bool json;
};

static int on_option(void *ctx, int option, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    (void)err;
    if (option == 'r')
        w->repo = value;
    else
        w->json = true;
    return 0;
}

/* With the key where it can be had: without it the windows are not known. */
static int open_repo(const struct app *app, const struct cluster_config *cluster, const char *name,
                     struct repo **r, struct err *err)
{
    TRY(config_open_repo(app->config, cluster, name, REPO_OPEN_NO_KEY, r, err));
    if (repo_encrypted(*r)) {
        struct repo *opened = NULL;
        struct err why = {0};

        if (config_open_repo(app->config, cluster, name, REPO_OPEN_QUICK, &opened, &why) != 0) {
            log_warning("%s; the moments one can go back to are not known without the key",
                        why.msg);
            return 0;
        }
        repo_close(r);
        *r = opened;
    }
    return 0;
}

static void record(struct app *app, const struct view *v, const struct repo *r)
{
    AUTO(catalog_close) struct catalog *c = app_catalog(app);
    struct err err = {0};

    if (c != NULL && view_record(v, r, c, &err) != 0)
        log_warning("the catalog could not be brought up to date: %s", err.msg);
}

static int list_repo(struct app *app, const struct cluster_config *cluster, const char *name,
                     struct list_out *out, struct err *err)
{
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(view_free) struct view view = {0};

    TRY(open_repo(app, cluster, name, &repo, err));
    TRY(view_load(&view, repo, &app->stop, err));
    record(app, &view, repo);
    if (view.n_gaps != 0 || view.broken != 0)
        app->status = EXIT_WARNINGS;
    list_show_repo(out, repo, &view);
    return 0;
}

static int list_cluster(struct app *app, const struct cluster_config *cluster,
                        const struct wanted *w, struct list_out *out, struct err *err)
{
    int failed = 0;

    list_show_cluster(out, cluster->name);
    for (size_t i = 0; i < cluster->n_repos; i++) {
        struct err why = {0};

        if (w->repo != NULL && strcmp(w->repo, cluster->repos[i]) != 0)
            continue;
        if (list_repo(app, cluster, cluster->repos[i], out, &why) == 0)
            continue;
        list_show_failure(out, cluster->repos[i], why.msg);
        *err = why;
        failed++;
    }
    list_end_cluster(out);
    return failed == 0 ? 0 : -1;
}

int cmd_list(struct app *app, int argc, char **argv, struct err *err)
{
    static const struct option options[] = {
        {"repo", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    AUTO(list_out_free) struct list_out out = {0};
    const struct cluster_config *cluster;
    struct wanted wanted = {0};
    struct arguments args;
    int rc = 0;

    TRY(app_arguments(argc, argv, options, 1, &args, on_option, &wanted, usage, err));
    TRY(app_config(app, err));
    TRY(app_cluster(app,
                    args.n == 1 || app->config->n_clusters == 0 ? args.n == 1 ? args.words[0] : NULL
                                                                : app->config->clusters[0].name,
                    &cluster, err));
    list_begin_out(&out, wanted.json);
    if (args.n == 1)
        rc = list_cluster(app, cluster, &wanted, &out, err);
    for (size_t i = 0; args.n == 0 && i < app->config->n_clusters; i++)
        if (list_cluster(app, &app->config->clusters[i], &wanted, &out, err) != 0)
            rc = -1;
    list_print(&out);
    return rc;
}
