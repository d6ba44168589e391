/*
 * expire_tidy.c - marks and leases that served their time, last of all. See expire_form.h.
 *
 * A tombstone stays until nothing of its backup is left: it tells the next run what is to be done,
 * and an adopter that the set is no interrupted one. Packs that other backups still need keep it.
 */
#include "base/crash.h"
#include "base/mem.h"
#include "repo/expire/expire_form.h"

static int doom(struct expiry *e, struct doomed *d, const char *key, struct err *err)
{
    e->made->tidied++;
    return doomed_add(d, key, err);
}

static bool has_packs(const struct expiry *e, const char *label)
{
    const struct listed_set *s = expire_set(e, label);

    return s != NULL && s->left != 0;
}

static int tidy_label(struct expiry *e, size_t i, struct doomed *d, struct err *err)
{
    const struct candidate *c = &e->last.c.items[i];
    const char *cluster = repo_cluster(e->repo);
    bool stays = candidate_committed(c) && !e->victims[i];
    AUTO(buf_free) struct buf key = BUF_INIT;

    if (stays || has_packs(e, c->label) || expire_live(e, c->label) != NULL)
        return 0;
    if (c->held)
        TRY(doom(e, d, name_hold(&key, cluster, c->label), err));
    if (c->expired)
        TRY(doom(e, d, name_expired(&key, cluster, c->label), err));
    if (c->final_fence && e->last.c.now_us - c->fenced_us < FENCE_KEPT_US)
        return 0;
    if (c->intent && (c->final_fence || c->expired)) /* alone it is another expirer at work */
        TRY(doom(e, d, name_fence_intent(&key, cluster, c->label), err));
    if (c->final_fence)
        TRY(doom(e, d, name_fence_final(&key, cluster, c->label), err));
    return 0;
}

/* A lease is deleted when it pins nothing and nobody may need to see it. A writer that wakes up may
 * make it again; then it is found again. */
static bool lease_is_over(const struct expiry *e, const struct lease_seen *l)
{
    enum set_kind kind = label_kind(l->set);

    if (strcmp(l->set, e->own) == 0)
        return false;
    if (l->released)
        return true;
    if (kind == SET_GC || kind == SET_RESTORE)
        return l->age_us >= e->last.restore_pin_us;
    return !lease_pins(l, &e->last) && l->age_us >= expire_window_us(e);
}

static int tidy(struct expiry *e, struct doomed *d, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;

    for (size_t i = 0; i < e->n_leases; i++)
        if (lease_is_over(e, &e->leases[i]))
            TRY(doom(e, d, name_lease(&key, repo_cluster(e->repo), e->leases[i].set), err));
    for (size_t i = 0; i < e->last.c.n; i++)
        TRY(tidy_label(e, i, d, err));
    return 0;
}

int expire_tidy(struct expiry *e, struct err *err)
{
    struct doomed d = {.e = e};
    int rc = tidy(e, &d, err);

    if (rc == 0)
        rc = doomed_flush(&d, err);
    doomed_clear(&d);
    crash_point("expire-tidied");
    return rc;
}
