/* policy.c - see policy.h. */
#include "scheduler/status/policy.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "postgres/lsn.h"

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

/* Which backups are held is not needed: a held one counts here like any other, so that a gap may be
 * shown but none is left out that matters. */
static struct retention_item *judged(const struct retention_policy *policy,
                                     const struct backup_list *backups, const char *repo,
                                     const struct catalog_backups *known)
{
    struct retention_item *items = xcalloc(backups->n, sizeof *items);

    for (size_t i = 0; i < backups->n; i++) {
        items[i].pub = &backups->items[i];
        items[i].harmed = catalog_harm(known, repo, backups->items[i].label) != NULL;
    }
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
                        const struct catalog_backups *known, struct wal_gap *gaps, size_t *n)
{
    const struct retention_policy policy = expiry_policy(conf);
    struct retention_item *items = judged(&policy, backups, conf->name, known);
    size_t kept = 0;

    for (size_t i = 0; i < *n; i++)
        if (gaps[i].label[0] != '\0' || is_wanted(&gaps[i], &policy, items, backups->n))
            gaps[kept++] = gaps[i];
    *n = kept;
    retention_items_clear(items, backups->n);
    free(items);
}

/* ---- what retention made ---- */

static bool overlaps(const struct wal_gap *g, const struct hole *h)
{
    return g->system_id == h->system_id && g->timeline == h->timeline &&
           g->first_segno <= h->last_segno && g->last_segno >= h->first_segno;
}

void policy_judge(const struct repo_config *conf, struct view *v)
{
    expiry_forget_gaps(conf, &v->backups, &v->known, v->gaps, &v->n_gaps);
    for (size_t i = 0; i < v->windows.n_holes; i++) {
        struct hole *h = &v->windows.holes[i];
        bool wanted = h->kind != HOLE_MISSING || h->to_us == 0;

        for (size_t k = 0; k < v->n_gaps; k++)
            wanted |= overlaps(&v->gaps[k], h);
        h->expired = !wanted && expiry_configured(conf);
    }
}
