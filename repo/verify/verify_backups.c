/*
 * verify_backups.c - whether every pack that a manifest names is there, with its size. See
 * verify.h.
 *
 * Sets are listed, not asked for pack by pack: a thousand packs cost one request. What a listing
 * lacks is asked for once more before it counts as missing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/lease/lease.h"
#include "repo/verify/place.h"
#include "repo/verify/verify_form.h"

/* ---- what is listed ---- */

struct listing {
    const char *cluster;
    struct listed_set *set;
};

static int note_pack(void *ctx, const struct store_entry *e, struct err *err)
{
    struct listing *l = ctx;
    struct listed_set *s = l->set;
    char label[LABEL_SIZE + 1];
    uint32_t number;

    (void)err;
    if (!place_pack(l->cluster, e->key, label, &number))
        return 0;
    if (s->n % 1024 == 0)
        s->packs = xrealloc(s->packs, (s->n + 1024) * sizeof *s->packs);
    s->packs[s->n++] = (struct pack_info){.number = number, .size = e->size};
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct pack_info *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

static int list_set(struct check *c, const char *label, const struct listed_set **out,
                    struct err *err)
{
    AUTO(buf_free) struct buf prefix = BUF_INIT;
    struct repo *r = c->q->repo;
    struct listed_set *s;

    for (size_t i = 0; i < c->n_sets; i++)
        if (strcmp(c->sets[i].label, label) == 0) {
            *out = &c->sets[i];
            return 0;
        }
    c->sets = xrealloc(c->sets, (c->n_sets + 1) * sizeof *c->sets);
    s = &c->sets[c->n_sets++];
    *s = (struct listed_set){0};
    memcpy(s->label, label, sizeof s->label);
    TRY(store_list(repo_store(r), name_set(&prefix, repo_cluster(r), label), STORE_DEEP, note_pack,
                   &(struct listing){repo_cluster(r), s}, NULL, err));
    if (s->n != 0)
        qsort(s->packs, s->n, sizeof *s->packs, by_number);
    *out = s;
    return 0;
}

void check_sets_free(struct check *c)
{
    for (size_t i = 0; i < c->n_sets; i++)
        free(c->sets[i].packs);
    free(c->sets);
    c->sets = NULL;
    c->n_sets = 0;
}

/* ---- what is needed ---- */

static int pack_size(struct check *c, const struct listed_set *set, const struct pack_info *wanted,
                     const char *key, uint64_t *size, bool *found, struct err *err)
{
    const struct pack_info *p =
        set->n == 0 ? NULL : bsearch(wanted, set->packs, set->n, sizeof *p, by_number);
    struct store_entry e;

    *found = true;
    if (p != NULL) {
        *size = p->size;
        return 0;
    }
    if (store_stat(repo_store(c->q->repo), key, &e, err) == 0) {
        *size = e.size;
        return 0;
    }
    if (err->code != ERR_NOT_FOUND)
        return -1;
    err_clear(err);
    *found = false;
    return 0;
}

/* *lost counts packs that are missing. */
static int check_pack(struct check *c, const struct listed_set *set, const struct pack_info *pack,
                      bool report, size_t *lost, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    AUTO(mem_free) char *why = NULL;
    uint64_t size = 0;
    bool found;

    name_pack(&key, repo_cluster(c->q->repo), set->label, pack->number);
    TRY(pack_size(c, set, pack, key.p, &size, &found, err));
    *lost += !found;
    if (!report || (found && size == pack->size))
        return 0;
    why = found ? xasprintf("it has %llu bytes, the manifest says %llu", (unsigned long long)size,
                            (unsigned long long)pack->size)
                : xstrdup("it is missing");
    check_damaged(c, key.p, why);
    return 0;
}

static int check_packs(struct check *c, const struct manifest *m, bool report, size_t *lost,
                       struct err *err)
{
    for (uint32_t i = 1; i < manifest_sets(m); i++) {
        const struct listed_set *set;
        const struct pack_info *packs;
        size_t n;

        packs = manifest_packs(m, i, &n);
        TRY(list_set(c, manifest_set(m, i), &set, err));
        for (size_t k = 0; k < n; k++)
            TRY(check_pack(c, set, &packs[k], report, lost, err));
    }
    return 0;
}

/* Expired since it was opened: then its packs may go. */
static int is_gone(struct repo *r, const char *label, bool *gone, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct store_entry e;

    TRY(expired_seen(r, label, gone, err));
    if (*gone ||
        store_stat(repo_store(r), name_manifest(&key, repo_cluster(r), label), &e, err) == 0)
        return 0;
    if (err->code != ERR_NOT_FOUND)
        return -1;
    err_clear(err);
    *gone = true;
    return 0;
}

static int check_backup(struct check *c, const char *label, struct err *err)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(buf_free) struct buf name = BUF_INIT;
    struct repo *r = c->q->repo;
    bool gone = false;
    size_t lost = 0;

    TRY(stop_check(c->q->stop, err));
    if (manifest_open(&m, r, label, err) != 0)
        return check_judge(c, name_manifest(&name, repo_cluster(r), label), err);
    TRY(check_packs(c, m, false, &lost, err));
    if (lost != 0)
        TRY(is_gone(r, label, &gone, err));
    if (gone && c->q->label == NULL)
        return 0;
    c->made->backups++;
    return check_packs(c, m, true, &lost, err);
}

static void broken_backup(void *ctx, const char *label, const struct err *why)
{
    struct check *c = ctx;
    AUTO(buf_free) struct buf name = BUF_INIT;

    check_damaged(c, name_manifest(&name, repo_cluster(c->q->repo), label), why->msg);
}

int check_backups(struct check *c, struct err *err)
{
    AUTO(backups_free) struct backup_list list = {0};

    if (c->q->label != NULL)
        return check_backup(c, c->q->label, err);
    TRY(backups_list(c->q->repo, &list, broken_backup, c, err));
    for (size_t i = 0; i < list.n; i++)
        TRY(check_backup(c, list.items[i].label, err));
    return 0;
}
