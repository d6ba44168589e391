/*
 * expire_fence.c - writers that are taken for dead. See expire_form.h.
 *
 * A set without a manifest belongs to a backup that runs, that was interrupted and can be adopted,
 * or that is dead; only the last is touched, in two steps: the intent, then a look whether the
 * manifest is there after all, then the final fence. The intent is never taken back: another
 * expirer may have looked before the manifest came, and rely on it (tests/model/). A committed
 * backup is not harmed by an intent.
 */
#include <stdlib.h>

#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/expire/expire_form.h"

struct labels {
    char (*items)[LABEL_SIZE + 1];
    size_t n;
};

static void labels_free(struct labels *l)
{
    mem_free(&l->items);
}

static void note(struct labels *l, const char *label)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i], label) == 0)
            return;
    l->items = xrealloc(l->items, (l->n + 1) * sizeof *l->items);
    memcpy(l->items[l->n++], label, LABEL_SIZE + 1);
}

static int note_set(void *ctx, const struct store_entry *entry, struct err *err)
{
    AUTO(mem_free) char *path = xstrndup(entry->key, strlen(entry->key) - 1);
    const char *label = strrchr(path, '/') + 1;

    (void)err;
    if (entry->is_prefix && label_valid(label))
        note(ctx, label);
    return 0;
}

static const struct lease_seen *lease_of(const struct expiry *e, const char *set)
{
    for (size_t i = 0; i < e->n_leases; i++)
        if (strcmp(e->leases[i].set, set) == 0)
            return &e->leases[i];
    return NULL;
}

static bool of_a_backup(const char *label)
{
    enum set_kind kind = label_kind(label);

    return kind == SET_FULL || kind == SET_DIFF || kind == SET_INCR;
}

/* A lease is given a third of its TTL longer than its writer may be silent. */
static bool was_heard_lately(const struct expiry *e, const struct lease_seen *l)
{
    int64_t ttl_us = (int64_t)repo_lease_ttl_s(e->repo) * 1000000;

    return l != NULL && !l->released && l->age_us < ttl_us + ttl_us / 3;
}

/* It is silent, or leases would not have been listed; but what it pins is not known. */
static bool cannot_be_read(const struct lease_seen *l)
{
    return l != NULL && !l->released && l->id.major == 0;
}

static bool is_dead(const struct expiry *e, const char *set)
{
    const struct candidate *c = candidates_find(&e->first.c, set);

    if (!of_a_backup(set) || (c != NULL && (c->manifest || c->expired || c->final_fence)))
        return false;
    if (cannot_be_read(lease_of(e, set)))
        return true;
    if (was_heard_lately(e, lease_of(e, set)) || expire_pinned(e, &e->first, set))
        return false;
    if (c != NULL && c->intent)
        return true; /* what another expirer began */
    return e->first.c.now_us - label_time_us(set) >= expire_window_us(e);
}

static int has_manifest(struct repo *r, const char *label, bool *has, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct store_entry ignored;

    *has =
        store_stat(repo_store(r), name_manifest(&key, repo_cluster(r), label), &ignored, err) == 0;
    if (!*has && err->code != ERR_NOT_FOUND)
        return -1;
    err_clear(err);
    return 0;
}

static int fence(struct expiry *e, const char *set, struct err *err)
{
    bool committed;

    TRY(fence_intent(e->repo, set, err));
    crash_point("expire-intent");
    TRY(has_manifest(e->repo, set, &committed, err));
    if (committed)
        return 0;
    TRY(fence_final(e->repo, set, err));
    crash_point("expire-fenced");
    log_info("the interrupted backup %s can no longer be continued and is removed", set);
    return 0;
}

int expire_fence_dead(struct expiry *e, struct err *err)
{
    AUTO(labels_free) struct labels sets = {0};
    AUTO(mem_free) char *prefix = xasprintf("%s/data/", repo_cluster(e->repo));

    TRY(store_list(repo_store(e->repo), prefix, STORE_SHALLOW, note_set, &sets, NULL, err));
    for (size_t i = 0; i < e->n_leases; i++)
        if (!e->leases[i].released)
            note(&sets, e->leases[i].set);
    for (size_t i = 0; i < e->first.c.n; i++)
        if (e->first.c.items[i].intent)
            note(&sets, e->first.c.items[i].label);
    for (size_t i = 0; i < sets.n; i++) {
        if (!is_dead(e, sets.items[i]))
            continue;
        e->made->dead_sets++;
        if (!e->q->dry_run)
            TRY(fence(e, sets.items[i], err));
    }
    return 0;
}
