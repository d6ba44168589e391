/*
 * s3_list.c - listings, page by page, and the store's clock.
 *
 * A page brings objects and, where it is shallow, what lies deeper, each in order; they are merged,
 * so that callers see one order. Callers rely on it, so a store that breaks it is refused.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/store/s3_form.h"

struct listing {
    struct s3 *s;
    char *prefix; /* of the keys in the bucket */
    bool shallow;
    struct buf last; /* the key that was told last */
    int64_t now_us;
};

static void listing_free(struct listing *l)
{
    mem_free(&l->prefix);
    buf_free(&l->last);
}

static int fetch_page(struct listing *l, const char *token, struct s3_answer *a, struct err *err)
{
    struct s3_pair query[6] = {
        {"list-type", "2"}, {"encoding-type", "url"}, {"max-keys", "1000"}, {"prefix", l->prefix}};
    struct s3_call c = {.method = "GET", .query = query, .n_query = 4};

    if (l->shallow)
        query[c.n_query++] = (struct s3_pair){"delimiter", "/"};
    if (token != NULL)
        query[c.n_query++] = (struct s3_pair){"continuation-token", token};
    TRY(s3_send(l->s, &c, a, err));
    if (a->reply.root != S3_ROOT_LIST)
        return err_set(err, ERR_FAILED,
                       "the answer, %ld, is no listing of a bucket: see \"s3_endpoint\", "
                       "\"storage_port\" and \"s3_uri_style\"",
                       a->http.status);
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct s3_item *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* What other programs put there is not an object of this store: see store_key_valid(). */
static bool ours(const struct s3_item *i, const char *key)
{
    size_t len = strlen(key);
    AUTO(mem_free) char *name = NULL;

    if (!i->is_prefix)
        return store_key_valid(key);
    if (len == 0 || key[len - 1] != '/')
        return false;
    name = xstrndup(key, len - 1);
    return store_key_valid(name);
}

static int tell_item(struct listing *l, const struct s3_item *i, store_entry_fn *fn, void *ctx,
                     struct err *err)
{
    const char *key = i->key + strlen(l->s->prefix);
    struct store_entry entry = {.key = key, .is_prefix = i->is_prefix};
    int order = strcmp(i->key, buf_text(&l->last));

    if (l->last.len != 0 && order == 0)
        return 0; /* some stores name what lies deeper once on each page */
    if (order < 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "the store lists \"%.200s\" after \"%.200s\", expected the order of bytes",
                       i->key, buf_text(&l->last));
    buf_clear(&l->last);
    buf_adds(&l->last, i->key);
    if (!i->is_prefix) {
        entry.size = i->size;
        entry.modified_us = i->modified_us;
    }
    return ours(i, key) ? fn(ctx, &entry, err) : 0;
}

static int tell_page(struct listing *l, struct s3_reply *r, store_entry_fn *fn, void *ctx,
                     struct err *err)
{
    if (r->n_items != 0)
        qsort(r->items, r->n_items, sizeof *r->items, by_key);
    for (size_t i = 0; i < r->n_items; i++) {
        int result;

        if (strncmp(r->items[i].key, l->prefix, strlen(l->prefix)) != 0)
            return err_set(err, ERR_FAILED, "the store lists \"%.200s\", which was not asked for",
                           r->items[i].key);
        result = tell_item(l, &r->items[i], fn, ctx, err);
        if (result != 0)
            return result;
    }
    return 0;
}

int s3_list(struct store *store, const char *prefix, enum store_depth depth, store_entry_fn *fn,
            void *ctx, int64_t *now_us, struct err *err)
{
    struct s3 *s = s3_of(store);
    AUTO(listing_free) struct listing l = {.s = s, .shallow = depth == STORE_SHALLOW};
    AUTO(s3_answer_free) struct s3_answer a = {0};
    AUTO(mem_free) char *token = NULL;

    l.prefix = xasprintf("%s%s", s->prefix, prefix);
    for (bool first = true;; first = false) {
        int result;

        TRY(fetch_page(&l, token, &a, err));
        if (first && now_us != NULL) {
            if (a.http.date_us == 0)
                return err_set(err, ERR_UNSUPPORTED, "the store does not tell its time");
            *now_us = a.http.date_us;
        }
        result = tell_page(&l, &a.reply, fn, ctx, err);
        if (result != 0 || !a.reply.truncated)
            return result;
        free(token);
        token = TAKE(a.reply.next);
    }
}

int s3_now(struct store *store, int64_t *now_us, struct err *err)
{
    struct s3 *s = s3_of(store);
    AUTO(s3_answer_free) struct s3_answer a = {0};
    const struct s3_pair query[] = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", s->prefix}};
    const struct s3_call c = {.method = "GET", .query = query, .n_query = LENGTH(query)};

    TRY(s3_send(s, &c, &a, err));
    if (a.http.date_us == 0)
        return err_set(err, ERR_UNSUPPORTED, "the store does not tell its time");
    *now_us = a.http.date_us;
    return 0;
}
