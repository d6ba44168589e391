/* upkeep.c - see upkeep.h. */
#include "cli/upkeep.h"

#include "base/log.h"
#include "repo/manifest.h"
#include "wal/sums.h"

enum { SUMS_TIME_US = 60 * 1000000 };

static bool is_newer(const struct pubinfo *p, const struct pubinfo *than)
{
    return than == NULL || p->stop_us > than->stop_us;
}

static bool same_cluster(const struct pubinfo *a, const struct pubinfo *b)
{
    return a->system_id == b->system_id && a->pg_version / 10000 == b->pg_version / 10000;
}

/* The backup from whose start on WAL will be read: the newest one, or where differentials are taken
 * the full one that they build on. NULL: there is none. */
static const struct pubinfo *next_base(const struct backup_list *l)
{
    const struct pubinfo *newest = NULL, *full = NULL;
    bool diffs = false;

    for (size_t i = 0; i < l->n; i++)
        if (is_newer(&l->items[i], newest))
            newest = &l->items[i];
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i].type == BACKUP_FULL && same_cluster(&l->items[i], newest) &&
            is_newer(&l->items[i], full))
            full = &l->items[i];
    for (size_t i = 0; full != NULL && i < l->n; i++)
        diffs |= l->items[i].type == BACKUP_DIFF && is_newer(&l->items[i], full) &&
                 same_cluster(&l->items[i], full);
    return diffs ? full : newest;
}

static int make_sums(struct app *app, struct repo *r, struct sums_made *made, struct err *err)
{
    AUTO(backups_free) struct backup_list l = {0};
    struct sums_request q = {
        .small = SUM_SMALL, .large = SUM_LARGE, .time_limit_us = SUMS_TIME_US, .stop = &app->stop};
    const struct pubinfo *base;

    TRY(backups_list(r, &l, NULL, NULL, err));
    base = next_base(&l);
    if (base == NULL)
        return 0;
    q.place =
        (struct wal_place){r, base->system_id, base->pg_version / 10000, base->wal_segment_size};
    q.from = base->start_lsn;
    return sums_make(&q, made, err);
}

void upkeep_sums(struct app *app, struct repo *r)
{
    struct sums_made made = {0};
    struct err err = {0};

    if (repo_read_only(r) != NULL)
        return;
    if (make_sums(app, r, &made, &err) != 0)
        log_warning("repository \"%s\": WAL indexes could not be summed up, which only would have "
                    "made later backups faster: %s",
                    repo_name(r), err.msg);
    else if (made.made != 0)
        log_info("repository \"%s\": %llu sum%s of WAL indexes made for later backups",
                 repo_name(r), (unsigned long long)made.made, made.made == 1 ? "" : "s");
    if (made.refused != 0)
        log_debug("repository \"%s\": WAL indexes that cannot be summed up: %s", repo_name(r),
                  made.why.msg);
}
