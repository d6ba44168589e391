/* backups.c - which backups there are. See backups_list() in manifest.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "repo/lease/candidates.h"
#include "repo/manifest/manifest_form.h"

/* Labels tell whole seconds, and then chance. */
static bool comes_before(const struct pubinfo *a, const struct pubinfo *b)
{
    return label_time_us(a->label) == label_time_us(b->label) && a->start_us < b->start_us;
}

static void put_last_in_place(struct backup_list *l)
{
    for (size_t i = l->n - 1; i > 0 && comes_before(&l->items[i], &l->items[i - 1]); i--) {
        struct pubinfo later = l->items[i - 1];
        uint64_t size = l->manifest_sizes[i - 1];

        l->items[i - 1] = l->items[i];
        l->manifest_sizes[i - 1] = l->manifest_sizes[i];
        l->items[i] = later;
        l->manifest_sizes[i] = size;
    }
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
    put_last_in_place(out);
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
    AUTO(candidates_free) struct candidates c = {0};
    int rc;

    *out = (struct backup_list){0};
    rc = candidates_list(r, &c, err);
    for (size_t i = 0; rc == 0 && i < c.n; i++) {
        const struct candidate *k = &c.items[i];

        if (!candidate_committed(k) || k->expired)
            continue;
        if (add(r, k->label, out, err) != 0)
            rc = judge(k->label, broken, ctx, err);
    }
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
