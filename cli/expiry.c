/* expiry.c - see expiry.h. */
#include "cli/expiry.h"

#include <string.h>

#include "base/log.h"
#include "cli/record.h"

int expiry_open(struct app *app, const struct cluster_config *cluster, const char *name,
                struct repo **r, struct err *err)
{
    if (config_open_repo(app->config, cluster, name, REPO_OPEN_FULL, r, err) == 0)
        return 0;
    if (err->code != ERR_KEY)
        return -1;
    err_clear(err);
    return config_open_repo(app->config, cluster, name, REPO_OPEN_NO_KEY, r, err);
}

struct harms {
    const char *repo;
    struct catalog_backups known;
};

static void harms_free(struct harms *h)
{
    catalog_backups_free(&h->known);
}

/* ---- the catalog ---- */

static int record_hidden(struct catalog *c, const struct repo *r, const char *label,
                         struct err *err)
{
    AUTO(catalog_backups_free) struct catalog_backups known = {0};

    TRY(catalog_get_backups(c, repo_name(r), repo_cluster(r), false, &known, err));
    for (size_t i = 0; i < known.n; i++) {
        if (strcmp(known.rows[i].label, label) != 0)
            continue;
        known.rows[i].state = "expired";
        return catalog_put_backup(c, &known.rows[i], err);
    }
    return 0;
}

static int record_all(struct catalog *c, const struct repo *r, const struct expire_made *made,
                      struct err *err)
{
    for (size_t i = 0; i < made->n_backups; i++) {
        const struct expire_backup *b = &made->backups[i];

        if (b->state == EXPIRE_GONE)
            TRY(catalog_backup_gone(c, repo_name(r), repo_cluster(r), b->pub.label, err));
        if (b->state == EXPIRE_HIDDEN)
            TRY(record_hidden(c, r, b->pub.label, err));
    }
    return 0;
}

static void record(struct app *app, const struct repo *r, const struct expire_made *made)
{
    AUTO(catalog_close) struct catalog *c = app_catalog(app);
    struct err err = {0};

    if (c != NULL && record_all(c, r, made, &err) != 0)
        log_warning("what was expired could not be recorded in the catalog: %s", err.msg);
}

static bool is_harmed(const void *ctx, const char *label)
{
    const struct harms *h = ctx;

    return catalog_harm(&h->known, h->repo, label) != NULL;
}

int expiry_run(struct app *app, const struct repo_config *conf, struct repo *r, const char *label,
               bool dry_run, struct expire_made *made, struct err *err)
{
    AUTO(harms_free) struct harms harms = {.repo = repo_name(r)};
    const struct expire_request q = {
        .repo = r,
        .is_harmed = is_harmed,
        .harm_ctx = &harms,
        .policy = expiry_policy(conf),
        .label = label,
        .grace_us = conf->expire_grace_ms < 0 ? -1 : conf->expire_grace_ms * 1000,
        .dry_run = dry_run,
        .stop = &app->stop,
    };

    record_known(app, repo_cluster(r), &harms.known);
    TRY(expire_run(&q, made, err));
    if (!dry_run)
        record(app, r, made);
    return 0;
}
