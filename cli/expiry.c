/* expiry.c - see expiry.h. */
#include "cli/expiry.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct retention_policy expiry_policy(const struct repo_config *conf)
{
    static const enum backup_type counted[] = {[CONFIG_ARCHIVE_FULL] = BACKUP_FULL,
                                               [CONFIG_ARCHIVE_DIFF] = BACKUP_DIFF,
                                               [CONFIG_ARCHIVE_INCR] = BACKUP_INCR};

    return (struct retention_policy){
        .full_type =
            conf->retention_full_type == CONFIG_RETENTION_TIME ? RETENTION_TIME : RETENTION_COUNT,
        .full = conf->retention_full,
        .diff = conf->retention_diff,
        .archive_type = counted[conf->retention_archive_type],
        .archive = conf->retention_archive,
    };
}

bool expiry_configured(const struct repo_config *conf)
{
    return conf->retention_full != 0 || conf->retention_diff != 0 || conf->retention_archive != 0;
}

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

int expiry_run(struct app *app, const struct repo_config *conf, struct repo *r, const char *label,
               bool dry_run, struct expire_made *made, struct err *err)
{
    const struct expire_request q = {
        .repo = r,
        .policy = expiry_policy(conf),
        .label = label,
        .grace_us = conf->expire_grace_ms < 0 ? -1 : conf->expire_grace_ms * 1000,
        .dry_run = dry_run,
        .stop = &app->stop,
    };

    TRY(expire_run(&q, made, err));
    if (!dry_run)
        record(app, r, made);
    return 0;
}

/* ---- gaps ---- */

/* Which backups are held is not needed: a held one counts here like any other, so that a gap may be
 * shown but none is left out that matters. */
static struct retention_item *judged(const struct retention_policy *policy,
                                     const struct backup_list *backups)
{
    struct retention_item *items = xcalloc(backups->n, sizeof *items);

    for (size_t i = 0; i < backups->n; i++)
        items[i].pub = &backups->items[i];
    retention_judge(policy, clock_now_us(), items, backups->n);
    for (size_t i = 0; i < backups->n; i++)
        if (items[i].verdict == RETENTION_EXPIRE) /* it is still there, because it is held */
            items[i].verdict = RETENTION_HOLD;
    return items;
}

static bool is_wanted(const struct wal_gap *g, const struct retention_policy *policy,
                      const struct retention_item *items, size_t n)
{
    const struct identity id = {g->system_id, g->major};
    struct retention_wal w;
    bool wanted = false;

    retention_judge_wal(policy, &id, items, n, &w);
    for (uint64_t s = g->first_segno; !wanted && s <= g->last_segno; s++)
        wanted = w.segment_size != g->segment_size || !retention_wal_goes(&w, s);
    retention_wal_clear(&w);
    return wanted;
}

void expiry_forget_gaps(const struct repo_config *conf, const struct backup_list *backups,
                        struct wal_gap *gaps, size_t *n)
{
    const struct retention_policy policy = expiry_policy(conf);
    struct retention_item *items = judged(&policy, backups);
    size_t kept = 0;

    for (size_t i = 0; i < *n; i++)
        if (gaps[i].label[0] != '\0' || is_wanted(&gaps[i], &policy, items, backups->n))
            gaps[kept++] = gaps[i];
    *n = kept;
    retention_items_clear(items, backups->n);
    free(items);
}
