/* cmd_expire.c - pgbr expire [CLUSTER] - apply retention: delete what is not to be kept. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/expiry.h"
#include "cli/upkeep.h"

struct wanted {
    const char *repo, *label;
    bool dry_run, json;
};

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    (void)err;
    switch (code) {
    case 'r':
        w->repo = value;
        return 0;
    case 's':
        w->label = value;
        return 0;
    case 'd':
        w->dry_run = true;
        return 0;
    default:
        w->json = true;
        return 0;
    }
}

static void tell(struct app *app, const char *repo, const struct expire_made *made)
{
    size_t n = 0;

    for (size_t i = 0; i < made->n_backups; i++)
        n += made->backups[i].state == EXPIRE_GONE;
    if (n != 0)
        event_tell(app, LOG_INFO, repo, "%zu backup%s deleted in repository \"%s\"", n,
                   n == 1 ? " was" : "s were", repo);
}

static int expire_repo(struct app *app, const struct cluster_config *cluster, const char *name,
                       const struct wanted *w, struct json *j, struct err *err)
{
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(repo_config_free) struct repo_config conf = {0};
    AUTO(expire_made_free) struct expire_made made = {0};

    TRY(config_repo(app->config, cluster, name, &conf, err));
    TRY(expiry_open(app, cluster, name, &repo, err));
    TRY(expiry_run(app, &conf, repo, w->label, w->dry_run, &made, err));
    expiry_show(&made, repo, w->dry_run, j);
    if (w->dry_run)
        event_leave_out(app);
    else
        tell(app, name, &made);
    if (!w->dry_run && w->label == NULL)
        upkeep_sums(app, repo, &made);
    return 0;
}

static void json_failure(struct json *j, const char *repo, const char *why)
{
    json_open(j, NULL, '{');
    json_text(j, "repository", repo);
    json_text(j, "error", why);
    json_close(j, '}');
}

/* One repository that cannot be expired does not keep the others from it. A label may be in any. */
static int expire_all(struct app *app, const struct cluster_config *cluster, const struct wanted *w,
                      struct json *j, struct err *err)
{
    bool done = false;
    int rc = 0;

    for (size_t i = 0; i < cluster->n_repos && !stop_wanted(&app->stop); i++) {
        struct err why = {0};

        if (w->repo != NULL && strcmp(w->repo, cluster->repos[i]) != 0)
            continue;
        if (expire_repo(app, cluster, cluster->repos[i], w, j, &why) == 0) {
            done = true;
            continue;
        }
        if (w->label != NULL && why.code == ERR_NOT_FOUND)
            continue;
        if (j != NULL)
            json_failure(j, cluster->repos[i], why.msg);
        if (rc != 0)
            log_error("%s", err->msg);
        *err = why;
        rc = -1;
    }
    if (rc == 0 && !done && w->label != NULL)
        return err_set(err, ERR_NOT_FOUND, "no repository here has a backup \"%.100s\"", w->label);
    return rc != 0 ? rc : stop_check(&app->stop, err);
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    AUTO(repo_config_free) struct repo_config known = {0};
    const struct cluster_config *cluster;
    struct wanted wanted = {0};
    struct arguments args;
    struct json j;
    int rc;

    TRY(app_arguments(app, argc, argv, &args, on_option, &wanted, err));
    TRY(app_cluster(app, args.n == 1 ? args.words[0] : NULL, &cluster, err));
    if (wanted.repo != NULL)
        TRY(config_repo(app->config, cluster, wanted.repo, &known, err));
    TRY(app_catch_signals(app, err));
    json_begin(&j, &text, true);
    json_open(&j, NULL, '[');
    rc = expire_all(app, cluster, &wanted, wanted.json ? &j : NULL, err);
    json_close(&j, ']');
    if (wanted.json)
        fputs(buf_text(&text), stdout);
    return rc;
}

static const struct option_row options[] = {
    {'d', "dry-run", NULL, "only tell what would be deleted, and when the rest will be"},
    {'s', "set", "LABEL", "this backup only, whatever the policy says"},
    {'r', "repo", "NAME", "this repository only; otherwise all"},
    {'j', "json", NULL, "show the results as JSON"},
    {0},
};
const struct command command_expire = {
    .name = "expire",
    .run = run,
    .words = "[CLUSTER]",
    .max_words = 1,
    .summary = "delete backups and WAL that are not to be kept",
    .event = KIND_EXPIRE,
    .options = options,
};
