/*
 * expire_packs.c - manifests and packs: what is listed, what is needed, what goes. See
 * expire_form.h.
 *
 * Packs are listed before leases, and leases before manifests: a pack that was listed belongs to a
 * set whose lease or manifest is seen later, if it has one.
 */
#include <stdlib.h>

#include "base/crash.h"
#include "base/mem.h"
#include "repo/expire/expire_form.h"
#include "repo/verify/place.h"

/* ---- batches ---- */

void doomed_clear(struct doomed *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->keys[i]);
    d->n = 0;
}

int doomed_flush(struct doomed *d, struct err *err)
{
    int rc = 0;

    if (d->n != 0 && (rc = stop_check(d->e->q->stop, err)) == 0 && !d->e->q->dry_run)
        rc = store_delete(repo_store(d->e->repo), (const char *const *)d->keys, d->n, err);
    doomed_clear(d);
    return rc;
}

int doomed_add(struct doomed *d, const char *key, struct err *err)
{
    if (d->n == LENGTH(d->keys))
        TRY(doomed_flush(d, err));
    d->keys[d->n++] = xstrdup(key);
    return 0;
}

/* ---- listing ---- */

/* Keys come in order of sets. */
static struct listed_set *set_for(struct expiry *e, const char *label)
{
    struct listed_set *last = e->n_sets != 0 ? &e->sets[e->n_sets - 1] : NULL;

    if (last != NULL && strcmp(last->label, label) == 0)
        return last;
    if (e->n_sets % 64 == 0)
        e->sets = xrealloc(e->sets, (e->n_sets + 64) * sizeof *e->sets);
    last = &e->sets[e->n_sets++];
    *last = (struct listed_set){0};
    memcpy(last->label, label, sizeof last->label);
    return last;
}

static int note_pack(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct expiry *e = ctx;
    char label[LABEL_SIZE + 1];
    struct listed_set *s;
    uint32_t number;

    (void)err;
    if (entry->is_prefix || !place_pack(repo_cluster(e->repo), entry->key, label, &number))
        return 0;
    s = set_for(e, label);
    if (s->n % 256 == 0)
        s->packs = xrealloc(s->packs, (s->n + 256) * sizeof *s->packs);
    s->packs[s->n++] = (struct listed_pack){.number = number, .size = entry->size};
    s->left = s->n;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct listed_pack *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

static int by_label(const void *a, const void *b)
{
    return strcmp(((const struct listed_set *)a)->label, ((const struct listed_set *)b)->label);
}

int expire_list_packs(struct expiry *e, struct err *err)
{
    AUTO(mem_free) char *prefix = xasprintf("%s/data/", repo_cluster(e->repo));

    TRY(store_list(repo_store(e->repo), prefix, STORE_DEEP, note_pack, e, NULL, err));
    if (e->n_sets != 0)
        qsort(e->sets, e->n_sets, sizeof *e->sets, by_label);
    for (size_t i = 0; i < e->n_sets; i++)
        qsort(e->sets[i].packs, e->sets[i].n, sizeof *e->sets[i].packs, by_number);
    return 0;
}

static struct listed_set *find_set(const struct expiry *e, const char *label)
{
    struct listed_set like = {0};

    if (e->n_sets == 0)
        return NULL;
    memcpy(like.label, label, sizeof like.label);
    return bsearch(&like, e->sets, e->n_sets, sizeof like, by_label);
}

const struct listed_set *expire_set(const struct expiry *e, const char *label)
{
    return find_set(e, label);
}

/* ---- what stays ---- */

static void mark_needed(struct expiry *e, const struct set_table *t)
{
    for (uint32_t i = 1; i < t->n; i++) {
        struct listed_set *s = find_set(e, t->sets[i].label);

        for (size_t k = 0; s != NULL && k < t->sets[i].n; k++) {
            struct listed_pack like = {.number = t->sets[i].packs[k].number};
            struct listed_pack *p = bsearch(&like, s->packs, s->n, sizeof like, by_number);

            if (p != NULL)
                p->needed = true;
        }
    }
}

static int mark_needs_of(struct expiry *e, const char *label, struct err *err)
{
    AUTO(pubinfo_free) struct pubinfo pub = {0};
    AUTO(set_table_free) struct set_table sets = {0};

    if (manifest_public(e->repo, label, &pub, &sets, err) == 0)
        mark_needed(e, &sets);
    else if (err->code == ERR_NOT_FOUND) /* another expirer took it since it was listed */
        err_clear(err);
    else
        return err_context(err, "nothing is deleted, because it is not known what backup %s needs",
                           label);
    return 0;
}

static int find_needed(struct expiry *e, struct err *err)
{
    for (size_t i = 0; i < e->last.c.n; i++) {
        TRY(stop_check(e->q->stop, err));
        if (candidate_committed(&e->last.c.items[i]) && !e->victims[i])
            TRY(mark_needs_of(e, e->last.c.items[i].label, err));
    }
    return 0;
}

/* Whether packs of this set that no manifest needs may go: it became a backup, or it never will. */
static bool may_lose_packs(const struct expiry *e, const char *label)
{
    const struct candidate *c = candidates_find(&e->last.c, label);

    if (c == NULL || !(c->manifest || c->expired || c->final_fence))
        return false;
    return expire_live(e, label) == NULL && !expire_pinned(e, &e->last, label);
}

/* ---- deleting ---- */

/* Void ones go as well: they are no backups. */
int expire_delete_manifests(struct expiry *e, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct doomed d = {.e = e};
    int rc = 0;

    TRY(find_needed(e, err));
    for (size_t i = 0; rc == 0 && i < e->last.c.n; i++) {
        const struct candidate *c = &e->last.c.items[i];

        if (e->victims[i] || (c->manifest && c->final_fence && expire_live(e, c->label) == NULL))
            rc = doomed_add(&d, name_manifest(&key, repo_cluster(e->repo), c->label), err);
    }
    if (rc == 0)
        rc = doomed_flush(&d, err);
    doomed_clear(&d);
    crash_point("expire-manifests");
    return rc;
}

static int delete_of(struct expiry *e, struct listed_set *s, struct doomed *d, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;

    for (size_t k = 0; k < s->n; k++) {
        if (s->packs[k].needed)
            continue;
        TRY(doomed_add(d, name_pack(&key, repo_cluster(e->repo), s->label, s->packs[k].number),
                       err));
        s->left--;
        e->made->packs++;
        e->made->pack_bytes += s->packs[k].size;
        crash_point("expire-pack");
    }
    return 0;
}

int expire_delete_packs(struct expiry *e, struct err *err)
{
    struct doomed d = {.e = e};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < e->n_sets; i++)
        if (may_lose_packs(e, e->sets[i].label))
            rc = delete_of(e, &e->sets[i], &d, err);
    if (rc == 0)
        rc = doomed_flush(&d, err);
    doomed_clear(&d);
    crash_point("expire-packs");
    return rc;
}
