/* backups.c - which backups there are. See backups_list() in manifest.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "repo/manifest_form.h"

/* A label in the listing, and what lies below it. */
struct candidate {
    char label[LABEL_SIZE + 1];
    bool manifest, expired, fenced;
};
struct candidates {
    struct candidate *items;
    size_t n;
    size_t prefix_len;
};

static int note_entry(void *ctx, const struct store_entry *e, struct err *err)
{
    struct candidates *c = ctx;
    const char *label = e->key + c->prefix_len, *name;
    struct candidate *last = c->n != 0 ? &c->items[c->n - 1] : NULL;

    (void)err;
    if (strlen(label) <= LABEL_SIZE + 1 || label[LABEL_SIZE] != '/')
        return 0;
    name = label + LABEL_SIZE + 1;
    if (last == NULL || strncmp(last->label, label, LABEL_SIZE) != 0) {
        c->items = xrealloc(c->items, (c->n + 1) * sizeof *c->items);
        last = &c->items[c->n++];
        *last = (struct candidate){0};
        memcpy(last->label, label, LABEL_SIZE);
    }
    last->manifest |= strcmp(name, "manifest") == 0;
    last->expired |= strcmp(name, "expired") == 0;
    return 0;
}

static int by_label(const void *label, const void *candidate)
{
    return strncmp(label, ((const struct candidate *)candidate)->label, LABEL_SIZE);
}

static int note_fence(void *ctx, const struct store_entry *e, struct err *err)
{
    struct candidates *c = ctx;
    const char *label = e->key + c->prefix_len;
    struct candidate *found;

    (void)err;
    if (strlen(label) <= LABEL_SIZE || strcmp(label + LABEL_SIZE, ".final") != 0 || c->n == 0)
        return 0;
    found = bsearch(label, c->items, c->n, sizeof *c->items, by_label);
    if (found != NULL)
        found->fenced = true;
    return 0;
}

/* Fences are listed after manifests: a fence that makes a manifest void is older than it. */
static int find_candidates(struct repo *r, struct candidates *c, struct err *err)
{
    AUTO(buf_free) struct buf prefix = BUF_INIT;

    buf_addf(&prefix, "%s/backup/", repo_cluster(r));
    c->prefix_len = prefix.len;
    TRY(store_list(repo_store(r), prefix.p, STORE_DEEP, note_entry, c, NULL, err));
    buf_clear(&prefix);
    buf_addf(&prefix, "%s/fence/", repo_cluster(r));
    c->prefix_len = prefix.len;
    return store_list(repo_store(r), prefix.p, STORE_DEEP, note_fence, c, NULL, err);
}

static int add(struct repo *r, const char *label, struct backup_list *out, struct err *err)
{
    struct pubinfo p;
    uint64_t size;

    TRY(pubinfo_read(r, label, &p, &size, err));
    out->items = xrealloc(out->items, (out->n + 1) * sizeof *out->items);
    out->manifest_sizes = xrealloc(out->manifest_sizes, (out->n + 1) * sizeof *out->manifest_sizes);
    out->manifest_sizes[out->n] = size;
    out->items[out->n++] = p;
    return 0;
}

/* Deleted between listing and reading, or unreadable: the others still count. */
static int judge(const char *label, void (*broken)(void *, const char *, const struct err *),
                 void *ctx, struct err *err)
{
    if (err->code != ERR_CORRUPT && err->code != ERR_FOREIGN && err->code != ERR_UNSUPPORTED &&
        err->code != ERR_NOT_FOUND && err->code != ERR_KEY)
        return -1;
    if (broken != NULL && err->code != ERR_NOT_FOUND)
        broken(ctx, label, err);
    err_clear(err);
    return 0;
}

int backups_list(struct repo *r, struct backup_list *out,
                 void (*broken)(void *ctx, const char *label, const struct err *why), void *ctx,
                 struct err *err)
{
    struct candidates c = {0};
    int rc;

    *out = (struct backup_list){0};
    rc = find_candidates(r, &c, err);
    for (size_t i = 0; rc == 0 && i < c.n; i++) {
        const struct candidate *k = &c.items[i];

        if (!k->manifest || k->expired || k->fenced || !label_valid(k->label))
            continue;
        if (add(r, k->label, out, err) != 0)
            rc = judge(k->label, broken, ctx, err);
    }
    free(c.items);
    if (rc != 0)
        backups_free(out);
    return rc;
}

void backups_free(struct backup_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        pubinfo_free(&l->items[i]);
    free(l->items);
    free(l->manifest_sizes);
    *l = (struct backup_list){0};
}
