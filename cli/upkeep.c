/* upkeep.c - see upkeep.h. */
#include "cli/upkeep.h"

#include "base/log.h"
#include "base/mem.h"
#include "repo/manifest/manifest.h"
#include "wal/index/sums.h"

enum { SUMS_TIME_US = 60 * 1000000 };

static bool is_newer(const struct pubinfo *p, const struct pubinfo *than)
{
    return than == NULL || p->stop_us > than->stop_us;
}

static bool same_cluster(const struct pubinfo *a, const struct pubinfo *b)
{
    return a->system_id == b->system_id && a->pg_version / 10000 == b->pg_version / 10000;
}

struct backups {
    const struct pubinfo **items;
    size_t n;
};

/* The backup from whose start on WAL will be read: the newest one, or where differentials are taken
 * the full one that they build on. NULL: there is none. */
static const struct pubinfo *next_base(const struct backups *l)
{
    const struct pubinfo *newest = NULL, *full = NULL;
    bool diffs = false;

    for (size_t i = 0; i < l->n; i++)
        if (is_newer(l->items[i], newest))
            newest = l->items[i];
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i]->type == BACKUP_FULL && same_cluster(l->items[i], newest) &&
            is_newer(l->items[i], full))
            full = l->items[i];
    for (size_t i = 0; full != NULL && i < l->n; i++)
        diffs |= l->items[i]->type == BACKUP_DIFF && is_newer(l->items[i], full) &&
                 same_cluster(l->items[i], full);
    return diffs ? full : newest;
}

static int make_behind(struct app *app, struct repo *r, const struct backups *l,
                       struct sums_made *made, struct err *err)
{
    struct sums_request q = {
        .small = SUM_SMALL, .large = SUM_LARGE, .time_limit_us = SUMS_TIME_US, .stop = &app->stop};
    const struct pubinfo *base = next_base(l);

    if (base == NULL)
        return 0;
    q.place =
        (struct wal_place){r, base->system_id, base->pg_version / 10000, base->wal_segment_size};
    q.from = base->start_lsn;
    return sums_make(&q, made, err);
}

static int make_of_known(struct app *app, struct repo *r, const struct expire_made *known,
                         struct sums_made *made, struct err *err)
{
    AUTO(mem_free) const struct pubinfo **items = xcalloc(known->n_backups, sizeof *items);
    struct backups l = {.items = items};

    for (size_t i = 0; i < known->n_backups; i++) {
        const struct expire_backup *b = &known->backups[i];

        if ((b->state == EXPIRE_STAYS || b->state == EXPIRE_HELD) && b->pub.system_id != 0)
            l.items[l.n++] = &b->pub;
    }
    return make_behind(app, r, &l, made, err);
}

static int make_of_all(struct app *app, struct repo *r, struct sums_made *made, struct err *err)
{
    AUTO(backups_free) struct backup_list all = {0};
    AUTO(mem_free) const struct pubinfo **items = NULL;
    struct backups l;

    TRY(backups_list(r, &all, NULL, NULL, err));
    items = xcalloc(all.n, sizeof *items);
    l = (struct backups){items, all.n};
    for (size_t i = 0; i < all.n; i++)
        items[i] = &all.items[i];
    return make_behind(app, r, &l, made, err);
}

void upkeep_sums(struct app *app, struct repo *r, const struct expire_made *known)
{
    struct sums_made made = {0};
    struct err err = {0};
    int rc;

    if (repo_read_only(r) != NULL)
        return;
    rc = known != NULL ? make_of_known(app, r, known, &made, &err)
                       : make_of_all(app, r, &made, &err);
    if (rc != 0)
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
