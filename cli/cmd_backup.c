/* cmd_backup.c - pgbr backup [CLUSTER] - take one backup now. */
#include <string.h>

#include "backup/backup.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/expiry.h"
#include "cli/record.h"
#include "cli/run_record.h"
#include "cli/show.h"
#include "cli/upkeep.h"
#include "wal/reach/fill.h"

struct wanted {
    int type;
    const char *repo;
    unsigned workers;
    bool slow, json;
};

static int parse_type(const char *value, int *type, struct err *err)
{
    static const struct {
        const char *name;
        int type;
    } types[] = {
        {"full", BACKUP_FULL}, {"diff", BACKUP_DIFF}, {"incr", BACKUP_INCR}, {"auto", BACKUP_AUTO}};

    for (size_t i = 0; i < LENGTH(types); i++)
        if (strcmp(value, types[i].name) == 0) {
            *type = types[i].type;
            return 0;
        }
    return err_set(err, ERR_USAGE,
                   "--type \"%.100s\" is unknown; it is \"full\", \"diff\", \"incr\" or \"auto\"",
                   value);
}

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    switch (code) {
    case 't':
        return parse_type(value, &w->type, err);
    case 'r':
        w->repo = value;
        return 0;
    case 'w':
        return parse_count(value, "--workers", THREADS_MAX, &w->workers, err);
    case 's':
        w->slow = true;
        return 0;
    default:
        w->json = true;
        return 0;
    }
}

/* What a repository misses of the WAL comes from the others. It does no harm to the backup where
 * that fails: the gap is shown by "list" and "check", and the next backup tries again. */
static void fill_gaps(struct app *app, const struct cluster_config *cluster,
                      const struct pubinfo *made)
{
    AUTO(open_repos_close) struct open_repos repos = {0};
    uint64_t copied = 0;
    struct err err = {0};

    if (cluster->n_repos < 2)
        return;
    if (config_open_repos(app->config, cluster, NULL, REPO_OPEN_QUICK, &repos, &err) != 0 ||
        wal_fill(&repos, made, &app->stop, &copied, &err) != 0)
        log_warning("%s", err.msg);
    if (copied != 0)
        log_info("repositories got %llu WAL files that they had missed",
                 (unsigned long long)copied);
}

/* Another expirer that is at work does what is to be done here. */
static void apply_retention(struct app *app, const struct cluster_config *cluster,
                            struct repo *repo)
{
    AUTO(repo_config_free) struct repo_config conf = {0};
    AUTO(expire_made_free) struct expire_made made = {0};
    struct err err = {0};

    if (config_repo(app->config, cluster, repo_name(repo), &conf, &err) != 0 || !conf.expire_auto ||
        !expiry_configured(&conf))
        return;
    if (expiry_run(app, &conf, repo, NULL, false, &made, &err) == 0) {
        for (size_t i = 0; i < made.n_backups; i++)
            if (made.backups[i].state == EXPIRE_GONE)
                log_info("backup %s was deleted: %s", made.backups[i].pub.label,
                         made.backups[i].reason);
        event_change(app, LOG_INFO, KIND_EXPIRE, repo_name(repo), "retention is applied again");
        return;
    }
    if (err.code == ERR_BUSY) {
        log_info("%s", err.msg);
        return;
    }
    log_warning("the backup is complete, but old ones were not removed: %s", err.msg);
    event_put(app, LOG_WARNING, KIND_EXPIRE, repo_name(repo), err.msg);
    app->status = EXIT_WARNINGS;
}

static void tell(struct app *app, const struct repo *repo, const struct backup_made *made)
{
    const struct pubinfo *p = &made->pub;
    char raw[24], stored[24], took[40];

    event_tell(app, LOG_INFO, repo_name(repo), "%s backup %s is done: %s, stored in %s, %s",
               backup_type_name(p->type), p->label, format_bytes(p->raw_bytes, raw),
               format_bytes(p->stored_bytes, stored),
               clock_format_duration(p->stop_us - p->start_us, took));
    if (p->page_errors != 0)
        event_tell(app, LOG_ERROR, repo_name(repo), "%llu pages have a wrong checksum",
                   (unsigned long long)p->page_errors);
    if (made->warnings != 0)
        event_tell(app, LOG_WARNING, repo_name(repo), "%u warnings, which the log has",
                   made->warnings);
}

static int take(struct app *app, struct backup_request *want, struct backup_made *made,
                struct err *err)
{
    struct run_record record;
    int rc;

    run_record_begin(&record, app, want->cluster, repo_name(want->repo), want->progress);
    rc = backup_run(want, made, err);
    if (rc == 0) {
        record_backup(app, want->repo, &made->pub);
        tell(app, want->repo, made);
        if (made->alarm != NULL)
            event_put(app, LOG_ERROR, KIND_ALARM, repo_name(want->repo), made->alarm);
        fill_gaps(app, want->cluster, &made->pub);
        apply_retention(app, want->cluster, want->repo);
        if (made->pub.type == BACKUP_DIFF) /* the next one reads the same WAL, and more */
            upkeep_sums(app, want->repo, NULL);
        if (made->warnings != 0 || made->pub.page_errors != 0)
            app->status = EXIT_WARNINGS;
    }
    run_record_end(&record, app, rc, rc == 0 ? made->pub.label : NULL, err);
    return rc;
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(catalog_backups_free) struct catalog_backups known = {0};
    AUTO(backup_made_free) struct backup_made made = {0};
    struct progress progress = {0};
    struct wanted wanted = {.type = BACKUP_AUTO};
    struct backup_request want = {.stop = &app->stop, .progress = &progress};
    struct arguments args;

    TRY(app_arguments(app, argc, argv, &args, on_option, &wanted, err));
    TRY(app_cluster(app, args.n == 1 ? args.words[0] : NULL, &want.cluster, err));
    event_at(app, wanted.repo != NULL ? wanted.repo : want.cluster->default_repo);
    TRY(app_catch_signals(app, err));
    TRY(config_open_repo(app->config, want.cluster, wanted.repo, REPO_OPEN_FULL, &repo, err));
    progress.mode = app_progress(app);
    want.type = wanted.type;
    want.repo = repo;
    record_known(app, want.cluster->name, &known);
    want.known = &known;
    want.state_dir = app->config->state_dir;
    want.slow_checkpoint = wanted.slow;
    want.workers = wanted.workers != 0 ? wanted.workers : want.cluster->workers;
    want.rate_limit = want.cluster->rate_limit;
    TRY(take(app, &want, &made, err));
    show_backup(&made, wanted.json);
    return 0;
}

static const struct option_row options[] = {
    {'t', "type", "full|diff|incr|auto",
     "everything; what changed since the last full backup; since the last backup; or, if "
     "not told, incr, and full when that is due"},
    {'r', "repo", "NAME", "back up into this repository instead of the default one"},
    {'w', "workers", "N", "threads that read, compress and encrypt"},
    {'s', "slow-checkpoint", NULL, "let PostgreSQL spread the checkpoint at the start"},
    {'j', "json", NULL, "show the result as JSON"},
    {0},
};
const struct command command_backup = {
    .name = "backup",
    .run = run,
    .words = "[CLUSTER]",
    .max_words = 1,
    .summary = "take a backup now",
    .event = KIND_BACKUP,
    .options = options,
};
