/* pack_list.c - whether the packs of a set are in the store. See packs_there() in pack.h. */
#include <string.h>

#include "repo/pack/pack.h"

struct recount {
    struct repo *repo;
    const char *set;
    const struct pack_info *packs;
    size_t n, there; /* found in the listing so far; both are in order */
};

static int count_pack(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct recount *c = ctx;
    AUTO(buf_free) struct buf name = BUF_INIT;

    (void)err;
    if (c->there < c->n && entry->size == c->packs[c->there].size &&
        strcmp(entry->key,
               name_pack(&name, repo_cluster(c->repo), c->set, c->packs[c->there].number)) == 0)
        c->there++;
    return 0;
}

int packs_there(struct repo *r, const char *set, const struct pack_info *packs, size_t n,
                bool *there, struct err *err)
{
    AUTO(buf_free) struct buf prefix = BUF_INIT;
    struct recount c = {.repo = r, .set = set, .packs = packs, .n = n};

    TRY(store_list(repo_store(r), name_set(&prefix, repo_cluster(r), set), STORE_DEEP, count_pack,
                   &c, NULL, err));
    *there = c.there == n;
    return 0;
}
