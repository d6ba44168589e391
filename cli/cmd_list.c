/* cmd_list.c - pgbr list [CLUSTER] - backups, WAL, gaps, and the moments one can go back to. */
#include <stdio.h>
#include <string.h>

#include "cli/app.h"
#include "cli/run_record.h"
#include "cli/show_jobs.h"
#include "cli/show_list.h"
#include "scheduler/status/policy.h"

struct wanted {
    const char *repo;
    bool json;
};

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    (void)err;
    if (code == 'r')
        w->repo = value;
    else
        w->json = true;
    return 0;
}

static int list_repo(struct app *app, const struct cluster_config *cluster, const char *name,
                     struct list_out *out, struct err *err)
{
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(view_free) struct view view = {0};
    AUTO(repo_config_free) struct repo_config conf = {0};
    AUTO(catalog_close) struct catalog *catalog = app_catalog(app);

    TRY(config_repo(app->config, cluster, name, &conf, err));
    TRY(view_open(app->config, cluster, name, &repo, err));
    TRY(view_load(&view, repo, app->config->state_dir, catalog, &app->stop, err));
    policy_judge(&conf, &view);
    view_remember(&view, repo, catalog);
    if (view.n_gaps != 0 || view.broken != 0 || view.harmed != 0)
        app->status = EXIT_WARNINGS;
    list_show_repo(out, repo, &view);
    return 0;
}

/* It is no part of what is stored: JSON tells that alone. */
static void show_running(struct app *app, const char *cluster, struct list_out *out)
{
    AUTO(catalog_close) struct catalog *c = app_catalog(app);

    if (c != NULL && !out->json) {
        run_record_show(c, cluster, &out->text);
        show_cluster_jobs(app, cluster, &out->text);
    }
}

/* *known: a repository that was asked for by name is one of this cluster's. */
static int list_cluster(struct app *app, const struct cluster_config *cluster,
                        const struct wanted *w, struct list_out *out, bool *known, struct err *err)
{
    int failed = 0;

    app_at_work(cluster);
    list_show_cluster(out, cluster->name);
    show_running(app, cluster->name, out);
    for (size_t i = 0; i < cluster->n_repos; i++) {
        struct err why = {0};

        if (w->repo != NULL && strcmp(w->repo, cluster->repos[i]) != 0)
            continue;
        *known = true;
        if (list_repo(app, cluster, cluster->repos[i], out, &why) == 0)
            continue;
        list_show_failure(out, cluster->repos[i], why.msg);
        *err = why;
        failed++;
    }
    list_end_cluster(out);
    return failed == 0 ? 0 : -1;
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    AUTO(list_out_free) struct list_out out = {0};
    const struct cluster_config *clusters;
    struct wanted wanted = {0};
    struct arguments args;
    bool known = false;
    size_t n;
    int rc = 0;

    TRY(app_arguments(app, argc, argv, &args, on_option, &wanted, err));
    TRY(app_clusters(app, args.n == 1 ? args.words[0] : NULL, &clusters, &n, err));
    list_begin_out(&out, wanted.json);
    for (size_t i = 0; i < n; i++)
        if (list_cluster(app, &clusters[i], &wanted, &out, &known, err) != 0)
            rc = -1;
    if (!known)
        return err_set(err, ERR_USAGE, "no cluster here has a repository \"%.100s\"", wanted.repo);
    list_print(&out);
    return rc;
}

static const struct option_row options[] = {
    {'r', "repo", "NAME", "this repository only; otherwise all"},
    {'j', "json", NULL, "show everything as one JSON document"},
    {0},
};
const struct command command_list = {
    .name = "list",
    .run = run,
    .words = "[CLUSTER]",
    .max_words = 1,
    .summary = "show backups, WAL, gaps and the moments one can go back to",
    .options = options,
};
const struct command command_info = {
    /* what pgBackRest calls it */
    .name = "info", .run = run, .words = "[CLUSTER]", .max_words = 1, .options = options,
};
