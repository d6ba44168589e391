/*
 * retention.c - see retention.h.
 *
 * First the full backups are judged, newest first; then what hangs on each of them; holds come
 * last, because they change what happens but not what the policy says.
 */
#include "repo/expire/retention.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

#define DAY_US INT64_C(86400000000)
/* Hosts' clocks differ a little; a backup that has just ended must count. */
#define FUTURE_US INT64_C(300000000)

struct judgement {
    const struct retention_policy *p;
    int64_t now_us;
    struct retention_item **order; /* newest first */
    struct retention_item *items;
    struct retention_item **bases; /* of each in items; NULL: none */
    size_t n;
    const struct pubinfo *oldest; /* of the full backups that the policy keeps; NULL: none */
};

static bool is_future(const struct judgement *j, const struct pubinfo *p)
{
    return p->stop_us > j->now_us + FUTURE_US;
}

static const char *date(int64_t us, char out[40])
{
    return clock_format_utc(us - us % 1000000, out);
}

static void decide(struct retention_item *item, enum retention_verdict verdict, char *reason,
                   char *until, int64_t until_us)
{
    item->verdict = verdict;
    item->reason = reason;
    item->until = until;
    item->until_us = until_us;
}

/* Newest first. Where times are equal the rest only makes the order a certain one. */
static int newest_first(const void *a, const void *b)
{
    const struct pubinfo *x = (*(struct retention_item *const *)a)->pub;
    const struct pubinfo *y = (*(struct retention_item *const *)b)->pub;

    if (x->stop_us != y->stop_us)
        return x->stop_us < y->stop_us ? 1 : -1;
    if (x->start_us != y->start_us)
        return x->start_us < y->start_us ? 1 : -1;
    if (x->system_id != y->system_id)
        return x->system_id < y->system_id ? 1 : -1;
    if (x->start_lsn != y->start_lsn)
        return x->start_lsn < y->start_lsn ? 1 : -1;
    return strcmp(y->label, x->label);
}

/* ---- full backups ---- */

static void keep_all(struct retention_item *item)
{
    decide(item, RETENTION_KEEP, xstrdup("no retention is configured"), xstrdup("never"), 0);
}

static void keep_future(struct retention_item *item)
{
    char when[40];

    decide(
        item, RETENTION_KEEP,
        xasprintf("it is dated in the future (%s), so nothing can be said of its age; look at the "
                  "clocks",
                  date(item->pub->stop_us, when)),
        xasprintf("judged from %s on", when), item->pub->stop_us);
}

/* newer: how many that count are kept and are newer. */
static void keep_harmed(const struct judgement *j, struct retention_item *item, unsigned newer)
{
    unsigned more = j->p->full - newer;

    decide(item, RETENTION_KEEP,
           xstrdup("it is damaged, and does not count among the full backups that are kept"),
           xasprintf("after %u more full backup%s", more, more == 1 ? "" : "s"), 0);
}

/* place: from 1, the newest. */
static void judge_by_count(const struct judgement *j, struct retention_item *item, unsigned place)
{
    unsigned keep = j->p->full, more;

    if (place > keep) {
        decide(item, RETENTION_EXPIRE,
               xasprintf("%u newer full backup%s kept", keep, keep == 1 ? " is" : "s are"), NULL,
               0);
        return;
    }
    more = keep - place + 1;
    decide(item, RETENTION_KEEP, xasprintf("full backup %u of the %u that are kept", place, keep),
           xasprintf("after %u more full backup%s", more, more == 1 ? "" : "s"), 0);
}

/* newer: the full backup after this one; NULL: there is none yet. */
static void judge_by_time(const struct judgement *j, struct retention_item *item,
                          const struct pubinfo *newer)
{
    int64_t days_us = (int64_t)j->p->full * DAY_US;
    const char *plural = j->p->full == 1 ? "" : "s";
    char when[40];

    if (newer != NULL && newer->stop_us <= j->now_us - days_us) {
        decide(item, RETENTION_EXPIRE,
               xasprintf("newer full backup %s covers all of the last %u day%s", newer->label,
                         j->p->full, plural),
               NULL, 0);
        return;
    }
    if (item->pub->stop_us <= j->now_us - days_us)
        item->reason =
            xasprintf("the beginning of the last %u day%s is restored from it", j->p->full, plural);
    else
        item->reason = xasprintf("it is not %u day%s old", j->p->full, plural);
    item->verdict = RETENTION_KEEP;
    item->until_us = newer != NULL ? newer->stop_us + days_us : 0;
    item->until = newer != NULL
                      ? xasprintf("%s", date(item->until_us, when))
                      : xasprintf("%u day%s after the next full backup", j->p->full, plural);
}

static void judge_fulls(struct judgement *j)
{
    const struct pubinfo *newer = NULL;
    unsigned place = 0;

    for (size_t i = 0; i < j->n; i++) {
        struct retention_item *item = j->order[i];

        if (item->pub->type != BACKUP_FULL)
            continue;
        if (j->p->full == 0)
            keep_all(item);
        else if (is_future(j, item->pub))
            keep_future(item);
        else if (j->p->full_type == RETENTION_TIME)
            judge_by_time(j, item, newer);
        else if (item->harmed && place < j->p->full)
            keep_harmed(j, item, place);
        else
            judge_by_count(j, item, item->harmed ? place + 1 : ++place);
        if (is_future(j, item->pub) || item->harmed)
            continue;
        newer = item->pub;
        if (item->verdict == RETENTION_KEEP)
            j->oldest = item->pub;
    }
}

/* ---- what hangs on them ---- */

static struct retention_item *find_base(const struct judgement *j,
                                        const struct retention_item *item)
{
    if (item->pub->type == BACKUP_FULL || item->pub->base[0] == '\0')
        return NULL;
    for (size_t i = 0; i < j->n; i++)
        if (strcmp(j->items[i].pub->label, item->pub->base) == 0 &&
            j->items[i].pub->system_id == item->pub->system_id)
            return &j->items[i];
    return NULL;
}

/* The full backup at the root, and the differential on the way; NULL where the chain is broken (or,
 * written by somebody malicious, a ring). */
struct chain {
    struct retention_item *full, *diff;
};
static struct chain chain_of(const struct judgement *j, struct retention_item *item)
{
    struct chain c = {0};

    for (size_t steps = 0; item != NULL && steps <= j->n; steps++) {
        if (item->pub->type == BACKUP_FULL) {
            c.full = item;
            return c;
        }
        if (item->pub->type == BACKUP_DIFF && c.diff == NULL)
            c.diff = item;
        item = j->bases[item - j->items];
    }
    return (struct chain){0};
}

/* It can be restored all the same, since its manifest names all it needs. It goes as its full would
 * have gone, which was older. */
static void judge_orphan(const struct judgement *j, struct retention_item *item)
{
    if (j->p->full == 0) {
        keep_all(item);
    } else if (is_future(j, item->pub)) {
        keep_future(item);
    } else if (j->oldest != NULL && item->pub->stop_us < j->oldest->stop_us) {
        decide(item, RETENTION_EXPIRE,
               xasprintf("its full backup is gone, and it is older than %s, the oldest full one "
                         "that is kept",
                         j->oldest->label),
               NULL, 0);
    } else {
        decide(item, RETENTION_KEEP,
               xstrdup("its full backup is gone, but no newer full one stands for it"),
               xstrdup("when all full backups that are kept are newer"), 0);
    }
}

static void judge_dependent(struct retention_item *item, const struct chain *c)
{
    const struct retention_item *full = c->full;

    if (full->verdict == RETENTION_EXPIRE) {
        decide(item, RETENTION_EXPIRE, xasprintf("it depends on %s, which goes", full->pub->label),
               NULL, 0);
        return;
    }
    decide(item, RETENTION_KEEP, xasprintf("it belongs to full backup %s", full->pub->label),
           xasprintf("with it: %s", full->until), full->until_us);
}

static void judge_dependents(struct judgement *j)
{
    for (size_t i = 0; i < j->n; i++) {
        struct retention_item *item = j->order[i];
        struct chain c;

        if (item->pub->type == BACKUP_FULL)
            continue;
        c = chain_of(j, item);
        if (c.full == NULL)
            judge_orphan(j, item);
        else
            judge_dependent(item, &c);
    }
}

/* ---- differentials that go earlier ---- */

static void replace(struct retention_item *item, enum retention_verdict verdict, char *reason,
                    char *until, int64_t until_us)
{
    free(item->reason);
    free(item->until);
    decide(item, verdict, reason, until, until_us);
}

/* As pgBackRest counts: a full backup takes the place of a differential. */
static void thin_out_diffs(struct judgement *j)
{
    unsigned place = 0;

    for (size_t i = 0; i < j->n; i++) {
        struct retention_item *item = j->order[i];

        if (item->pub->type == BACKUP_INCR || is_future(j, item->pub) ||
            item->verdict == RETENTION_EXPIRE)
            continue;
        place += !item->harmed;
        if (item->pub->type != BACKUP_DIFF || place + item->harmed <= j->p->diff)
            continue;
        replace(item, RETENTION_EXPIRE,
                xasprintf("%u newer differential or full backup%s kept", j->p->diff,
                          j->p->diff == 1 ? " is" : "s are"),
                NULL, 0);
    }
    for (size_t i = 0; i < j->n; i++) {
        struct retention_item *item = j->order[i];
        struct chain c = chain_of(j, item);

        if (item->verdict != RETENTION_EXPIRE && c.diff != NULL && c.diff != item &&
            c.diff->verdict == RETENTION_EXPIRE)
            replace(item, RETENTION_EXPIRE,
                    xasprintf("it depends on %s, which goes", c.diff->pub->label), NULL, 0);
    }
}

/* ---- holds ---- */

static bool is_held(const struct judgement *j, const struct retention_item *item)
{
    return item->held && (item->held_until_us == 0 || item->held_until_us > j->now_us);
}

static void apply_hold(const struct judgement *j, struct retention_item *item)
{
    bool noted = item->note != NULL && item->note[0] != '\0';
    char when[40];

    if (item->verdict != RETENTION_EXPIRE || !is_held(j, item))
        return;
    replace(item, RETENTION_HOLD,
            xasprintf("it is held%s%s; else it would go: %s", noted ? ": " : "",
                      noted ? item->note : "", item->reason),
            item->held_until_us != 0
                ? xasprintf("when its hold ends, %s", date(item->held_until_us, when))
                : xstrdup("when its hold is taken away"),
            item->held_until_us);
}

void retention_judge(const struct retention_policy *p, int64_t now_us, struct retention_item *items,
                     size_t n)
{
    AUTO(mem_free) struct retention_item **order = xcalloc(n, sizeof *order);
    AUTO(mem_free) struct retention_item **bases = xcalloc(n, sizeof *bases);
    struct judgement j = {p, now_us, order, items, bases, n, NULL};

    for (size_t i = 0; i < n; i++) {
        order[i] = &items[i];
        bases[i] = find_base(&j, &items[i]);
    }
    if (n != 0)
        qsort(order, n, sizeof *order, newest_first);
    judge_fulls(&j);
    judge_dependents(&j);
    if (p->diff != 0)
        thin_out_diffs(&j);
    for (size_t i = 0; i < n; i++)
        apply_hold(&j, &items[i]);
}

void retention_items_clear(struct retention_item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(&items[i].reason);
        mem_free(&items[i].until);
    }
}
