/*
 * expire.c - see expire.h. The order of the steps is the safety of the whole:
 *
 * tombstones come before anything is listed, so that a backup that begins later does not build on
 * what goes; packs and WAL are listed before leases, leases before manifests, so that what belongs
 * to a backup under way is either not in the list or seen to be claimed; dead writers are fenced
 * before that; manifests go before the packs that they name; tombstones are the last to go. Each
 * step is shown to be needed in tests/model/.
 */
#include "repo/expire/expire.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/expire/expire_form.h"
#include "repo/lease/marks.h"

static void expiry_free(struct expiry *e)
{
    retention_items_clear(e->items, e->n_items);
    free(e->items);
    free(e->item_of);
    for (size_t i = 0; i < e->n_sets; i++)
        free(e->sets[i].packs);
    free(e->sets);
    for (size_t i = 0; i < e->n_wal; i++) {
        retention_wal_clear(&e->wal[i].keep);
        free(e->wal[i].files);
        free(e->wal[i].sums);
    }
    free(e->wal);
    leases_free(&e->leases, e->n_leases);
    survey_free(&e->first);
    survey_free(&e->last);
    free(e->victims);
}

/* ---- one expirer at a time, out of politeness ---- */

static int relist_leases(struct expiry *e, struct err *err)
{
    leases_free(&e->leases, e->n_leases);
    e->n_leases = 0;
    return leases_list(e->repo, &e->leases, &e->n_leases, err);
}

int expire_make_way(const struct expiry *e, struct err *err)
{
    for (size_t i = 0; i < e->n_leases; i++) {
        const struct lease_seen *l = &e->leases[i];

        if (label_kind(l->set) == SET_GC && l->live &&
            (e->own[0] == '\0' || strcmp(l->set, e->own) < 0))
            return err_set(err, ERR_BUSY,
                           "repository \"%s\" is being expired by host \"%s\"; try again later",
                           repo_name(e->repo), l->host);
    }
    return 0;
}

static int take_turn(struct repo *r, char label[LABEL_SIZE + 1], struct lease **lease,
                     struct err *err)
{
    char host[256] = "";
    struct lease_terms terms = {.host = host, .pid = (uint32_t)getpid()};

    gethostname(host, sizeof host - 1);
    TRY(label_make(label, SET_GC, clock_now_us(), err));
    TRY(lease_take(lease, r, label, &terms, NULL, err));
    crash_point("expire-leased");
    return 0;
}

static void end_turn(struct lease **lease)
{
    struct err ignored = {0};

    if (*lease != NULL && lease_release(lease, &ignored) != 0)
        log_debug("the lease of this expiry could not be released: %s", ignored.msg);
}

/* ---- what goes ---- */

/* A clock that runs ahead must not make backups old, nor one that is behind make them future ones:
 * the earlier of the two keeps more. */
static int tell_time(struct expiry *e, struct err *err)
{
    int64_t store_us;

    TRY(store_now(repo_store(e->repo), &store_us, err));
    e->now_us = MIN_OF(store_us, clock_now_us());
    return 0;
}

static int find_grace(struct expiry *e, struct err *err)
{
    struct store_traits traits;

    e->grace_us = e->q->grace_us;
    if (e->grace_us >= 0)
        return 0;
    e->grace_us = 0;
    if (e->q->dry_run)
        return 0; /* probing writes */
    TRY(store_probe(repo_store(e->repo), &traits, err));
    e->grace_us = (int64_t)traits.grace_s * 1000000;
    return 0;
}

static void gather_items(struct expiry *e)
{
    const struct survey *s = &e->first;

    e->items = xcalloc(s->c.n, sizeof *e->items);
    e->item_of = xcalloc(s->c.n, sizeof *e->item_of);
    for (size_t i = 0; i < s->c.n; i++) {
        if (!s->read[i] || s->c.items[i].expired)
            continue;
        e->item_of[e->n_items] = i;
        e->items[e->n_items++] =
            (struct retention_item){.pub = &s->pubs[i],
                                    .held = s->held[i],
                                    .held_until_us = s->held_until_us[i],
                                    .note = s->notes[i],
                                    .harmed = expire_harmed(e, s->pubs[i].label)};
    }
}

static void judge_beside(struct retention_item *item, const char *named)
{
    char *reason = item->reason;

    if (strcmp(item->pub->label, named) == 0) {
        mem_free(&item->until);
        item->verdict = RETENTION_EXPIRE;
        item->reason = xstrdup("it was named on the command line");
    } else if (item->verdict == RETENTION_EXPIRE) {
        item->verdict = RETENTION_KEEP;
        item->reason = xasprintf("another one was named; by the policy it goes: %s", reason);
        item->until = xstrdup("when retention is applied");
    } else {
        return;
    }
    free(reason);
}

/* One backup goes because somebody said so; the others are judged only to tell of them. */
static int judge_one(struct expiry *e, struct err *err)
{
    const struct candidate *c = candidates_find(&e->first.c, e->q->label);

    if (!candidate_committed(c))
        return err_set(err, ERR_NOT_FOUND, "there is no backup \"%.100s\" in repository \"%s\"",
                       e->q->label, repo_name(e->repo));
    if (e->first.held[c - e->first.c.items])
        return err_set(err, ERR_CONFLICT, "backup %s is held: \"pgbr unhold %s\" first", c->label,
                       c->label);
    for (size_t i = 0; i < e->n_items; i++)
        judge_beside(&e->items[i], c->label);
    return 0;
}

static int judge(struct expiry *e, struct err *err)
{
    TRY(tell_time(e, err));
    TRY(find_grace(e, err));
    TRY(survey_load(&e->first, e->repo, e->now_us, e->q->label, err));
    gather_items(e);
    retention_judge(&e->q->policy, e->now_us, e->items, e->n_items);
    return e->q->label != NULL ? judge_one(e, err) : 0;
}

static int hide(struct expiry *e, struct err *err)
{
    for (size_t i = 0; i < e->n_items; i++) {
        if (e->items[i].verdict != RETENTION_EXPIRE)
            continue;
        TRY(expired_mark(e->repo, e->items[i].pub->label, e->items[i].reason, err));
        crash_point("expire-marked");
    }
    if (e->q->label != NULL) /* one that cannot be read is no item */
        TRY(expired_mark(e->repo, e->q->label, "it was named on the command line", err));
    return 0;
}

/* ---- what can be deleted now ---- */

/* A dry run sees the tombstones that it did not make. */
static void pretend_hidden(struct expiry *e)
{
    for (size_t i = 0; i < e->n_items; i++) {
        struct candidate *c = candidates_find(&e->last.c, e->items[i].pub->label);

        if (c == NULL || e->items[i].verdict != RETENTION_EXPIRE || c->expired)
            continue;
        c->expired = true;
        c->expired_us = e->last.c.now_us;
    }
}

static void choose_victims(struct expiry *e)
{
    e->victims = xcalloc(e->last.c.n, sizeof *e->victims);
    for (size_t i = 0; i < e->last.c.n; i++) {
        const struct candidate *c = &e->last.c.items[i];

        e->victims[i] = candidate_committed(c) && c->expired && !e->last.held[i] &&
                        e->last.c.now_us - c->expired_us >= e->grace_us &&
                        !expire_pinned(e, &e->last, c->label);
    }
}

/* In this order only: see the head of this file. */
static int look(struct expiry *e, struct err *err)
{
    TRY(expire_list_packs(e, err));
    TRY(expire_list_wal(e, err));
    TRY(relist_leases(e, err));
    TRY(survey_load(&e->last, e->repo, e->now_us, e->q->dry_run ? e->q->label : NULL, err));
    crash_point("expire-listed");
    if (e->q->dry_run)
        pretend_hidden(e);
    choose_victims(e);
    return expire_judge_wal(e, err);
}

static int remove_all(struct expiry *e, struct err *err)
{
    TRY(expire_delete_manifests(e, err));
    TRY(expire_delete_packs(e, err));
    TRY(expire_delete_wal(e, err));
    return expire_tidy(e, err);
}

/* ---- telling ---- */

static int by_time(const void *a, const void *b)
{
    const struct expire_backup *x = a, *y = b;

    if (x->pub.stop_us != y->pub.stop_us)
        return x->pub.stop_us < y->pub.stop_us ? -1 : 1;
    return strcmp(x->pub.label, y->pub.label);
}

/* Why a backup that is hidden is still there. */
static void tell_hidden(const struct expiry *e, const struct candidate *c, bool held,
                        struct expire_backup *b)
{
    char when[40];

    b->state = EXPIRE_HIDDEN;
    if (held) {
        b->until = xstrdup("when its hold is taken away");
    } else if (e->last.c.now_us - c->expired_us < e->grace_us) {
        b->until_us = c->expired_us + e->grace_us;
        b->until = xasprintf("by the first run after %s", clock_format_utc(b->until_us, when));
    } else {
        b->until = xstrdup("when the backup or restore that uses it is over");
    }
}

/* The reason in the tombstone of an earlier run. */
static char *reason_of(const struct expiry *e, const char *label)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    AUTO(mark_free) struct mark m = {0};
    struct err ignored = {0};

    if (mark_read(e->repo, name_expired(&key, repo_cluster(e->repo), label), &m, &ignored) != 0 ||
        m.reason[0] == '\0')
        return xstrdup("it was expired by an earlier run");
    return TAKE(m.reason);
}

static void tell_backup(struct expiry *e, size_t i, struct retention_item *item)
{
    struct expire_backup *b = &e->made->backups[e->made->n_backups++];
    const char *label = e->first.c.items[i].label;
    const struct candidate *now = candidates_find(&e->last.c, label);

    if (item != NULL)
        b->reason = TAKE(item->reason);
    else
        b->reason = reason_of(e, label);
    if (item != NULL && item->verdict != RETENTION_EXPIRE) {
        b->state = item->verdict == RETENTION_HOLD ? EXPIRE_HELD : EXPIRE_STAYS;
        b->until = TAKE(item->until);
        b->until_us = item->until_us;
    } else if (candidate_committed(now) && !e->victims[now - e->last.c.items]) {
        tell_hidden(e, now, e->last.held[now - e->last.c.items], b);
    } else {
        b->state = EXPIRE_GONE;
    }
    b->pub = e->first.pubs[i];
    memcpy(b->pub.label, label, LABEL_SIZE + 1);
    e->first.pubs[i] = (struct pubinfo){0};
}

/* What will have become of each backup; takes what was judged out of e. Tombstones, which tell why
 * earlier runs hid a backup, are still there. */
static void tell(struct expiry *e)
{
    struct expire_made *m = e->made;

    m->backups = xcalloc(e->first.c.n, sizeof *m->backups);
    for (size_t i = 0, k = 0; i < e->first.c.n; i++) {
        bool is_item = k < e->n_items && e->item_of[k] == i;

        if (candidate_committed(&e->first.c.items[i]))
            tell_backup(e, i, is_item ? &e->items[k] : NULL);
        k += is_item;
    }
    if (m->n_backups != 0)
        qsort(m->backups, m->n_backups, sizeof *m->backups, by_time);
}

void expire_made_free(struct expire_made *m)
{
    for (size_t i = 0; i < m->n_backups; i++) {
        pubinfo_free(&m->backups[i].pub);
        free(m->backups[i].reason);
        free(m->backups[i].until);
    }
    for (size_t i = 0; i < m->n_wal; i++) {
        free(m->wal[i].reason);
        free(m->wal[i].until);
    }
    free(m->backups);
    free(m->wal);
    *m = (struct expire_made){0};
}

/* ---- all of it ---- */

static int expire(struct expiry *e, struct err *err)
{
    TRY(relist_leases(e, err));
    if (!e->q->dry_run)
        TRY(expire_make_way(e, err));
    TRY(judge(e, err));
    if (!e->q->dry_run)
        TRY(hide(e, err));
    TRY(expire_fence_dead(e, err));
    TRY(look(e, err));
    tell(e);
    return remove_all(e, err);
}

int expire_run(const struct expire_request *q, struct expire_made *made, struct err *err)
{
    AUTO(expiry_free) struct expiry e = {.q = q, .made = made, .repo = q->repo};
    struct lease *lease = NULL;
    int rc;

    *made = (struct expire_made){0};
    TRY(repo_may_delete(q->repo, err));
    if (!q->dry_run)
        TRY(take_turn(q->repo, e.own, &lease, err));
    rc = expire(&e, err);
    end_turn(&lease);
    crash_point("expire-over");
    if (rc == 0)
        return 0;
    expire_made_free(made);
    return err_context(err, "expire of \"%s\" in repository \"%s\"", repo_cluster(q->repo),
                       repo_name(q->repo));
}
