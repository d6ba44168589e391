/* candidates.c - see candidates.h. */
#include "repo/lease/candidates.h"

#include <stdlib.h>

#include "base/mem.h"

struct listing {
    struct candidates *c;
    size_t prefix_len, sorted; /* sorted: how many were there before */
};

static int by_label(const void *a, const void *b)
{
    return strncmp(((const struct candidate *)a)->label, ((const struct candidate *)b)->label,
                   LABEL_SIZE);
}

struct candidate *candidates_find(const struct candidates *c, const char *label)
{
    struct candidate like = {0};

    if (c->n == 0)
        return NULL;
    memcpy(like.label, label, LABEL_SIZE);
    return bsearch(&like, c->items, c->n, sizeof like, by_label);
}

/* Listings are in order of labels, so what belongs together comes together. */
static struct candidate *add(struct listing *l, const char *label)
{
    struct candidates *c = l->c;
    struct candidate *last = c->n > l->sorted ? &c->items[c->n - 1] : NULL;
    struct candidates before = {c->items, l->sorted, 0};
    struct candidate *known = candidates_find(&before, label);
    char text[LABEL_SIZE + 1] = "";

    if (known != NULL)
        return known;
    if (last != NULL && strncmp(last->label, label, LABEL_SIZE) == 0)
        return last;
    memcpy(text, label, LABEL_SIZE);
    if (!label_valid(text))
        return NULL;
    c->items = xrealloc(c->items, (c->n + 1) * sizeof *c->items);
    last = &c->items[c->n++];
    *last = (struct candidate){0};
    memcpy(last->label, text, sizeof text);
    return last;
}

static int note_backup(void *ctx, const struct store_entry *e, struct err *err)
{
    struct listing *l = ctx;
    const char *label = e->key + l->prefix_len, *name = label + LABEL_SIZE + 1;
    struct candidate *c;

    (void)err;
    if (strlen(label) <= LABEL_SIZE + 1 || label[LABEL_SIZE] != '/' || (c = add(l, label)) == NULL)
        return 0;
    c->manifest |= strcmp(name, "manifest") == 0;
    c->held |= strcmp(name, "hold") == 0;
    if (strcmp(name, "expired") != 0)
        return 0;
    c->expired = true;
    c->expired_us = e->modified_us;
    return 0;
}

static int note_fence(void *ctx, const struct store_entry *e, struct err *err)
{
    struct listing *l = ctx;
    const char *label = e->key + l->prefix_len, *name = label + LABEL_SIZE;
    bool intent, final_fence;
    struct candidate *c;

    (void)err;
    if (strlen(label) <= LABEL_SIZE)
        return 0;
    intent = strcmp(name, ".intent") == 0;
    final_fence = strcmp(name, ".final") == 0;
    if ((!intent && !final_fence) || (c = add(l, label)) == NULL)
        return 0;
    c->intent |= intent;
    c->final_fence |= final_fence;
    c->fenced_us = MAX_OF(c->fenced_us, e->modified_us);
    return 0;
}

static int list(struct repo *r, const char *folder, store_entry_fn *note, struct candidates *out,
                int64_t *now_us, struct err *err)
{
    AUTO(buf_free) struct buf prefix = BUF_INIT;
    struct listing l = {.c = out, .sorted = out->n};

    buf_addf(&prefix, "%s/%s/", repo_cluster(r), folder);
    l.prefix_len = prefix.len;
    return store_list(repo_store(r), prefix.p, STORE_DEEP, note, &l, now_us, err);
}

int candidates_list(struct repo *r, struct candidates *out, struct err *err)
{
    *out = (struct candidates){0};
    if (list(r, "backup", note_backup, out, &out->now_us, err) != 0 ||
        list(r, "fence", note_fence, out, NULL, err) != 0) {
        candidates_free(out);
        return -1;
    }
    if (out->n != 0)
        qsort(out->items, out->n, sizeof *out->items, by_label);
    return 0;
}

void candidates_free(struct candidates *c)
{
    free(c->items);
    *c = (struct candidates){0};
}
