/* store.c - what all stores share: checked keys, messages that name call, key and store. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/store/store_driver.h"

enum { FIRST_READ = 64 << 10 }; /* nearly every object that is read whole fits */

static bool char_valid(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("._@-", c) != NULL);
}

static bool part_valid(const char *part, size_t len, unsigned depth)
{
    if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && memcmp(part, "..", 2) == 0))
        return false;
    if (depth < 2 && len == 3 && memcmp(part, "tmp", 3) == 0)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!char_valid(part[i]))
            return false;
    return true;
}

bool store_key_valid(const char *key)
{
    if (strnlen(key, STORE_KEY_MAX + 1) > STORE_KEY_MAX)
        return false;
    for (unsigned depth = 0;; depth++) {
        size_t len = strcspn(key, "/");
        if (!part_valid(key, len, depth))
            return false;
        if (key[len] == '\0')
            return true;
        key += len + 1;
    }
}

static int check_key(const struct store *s, const char *key, struct err *err)
{
    if (store_key_valid(key))
        return 0;
    return err_set(err, ERR_FAILED,
                   "\"%.300s\" cannot be the key of an object in %s: letters, digits, '.', '_', "
                   "'@', '-' and single '/' are allowed, 255 bytes at most, no \"..\"",
                   key, s->where);
}

/* Says where a failed call happened. */
static int told(const struct store *s, int result, const char *call, const char *key,
                struct err *err)
{
    if (result == 0)
        return 0;
    if (key == NULL)
        return err_context(err, "%s: %s", s->where, call);
    return err_context(err, "%s: %s \"%s\"", s->where, call, key);
}

int store_create(struct store *s, const char *key, enum store_mode mode, struct store_writer **w,
                 struct err *err)
{
    TRY(check_key(s, key, err));
    TRY(told(s, s->ops->create(s, key, mode, w, err), "create", key, err));
    (*w)->store = s;
    (*w)->key = xstrdup(key);
    return 0;
}

int store_write(struct store_writer *w, const void *data, size_t len, struct err *err)
{
    return told(w->store, w->store->ops->write(w, data, len, err), "write", w->key, err);
}

void store_abandon(struct store_writer **w)
{
    if (*w == NULL)
        return;
    mem_free(&(*w)->key);
    (*w)->store->ops->drop(*w);
    *w = NULL;
}

int store_commit(struct store_writer **w, enum store_commit_mode mode, struct err *err)
{
    struct store *s = (*w)->store;
    int result = told(s, s->ops->commit(*w, mode, err), "commit", (*w)->key, err);

    store_abandon(w);
    return result;
}

static int put_in_steps(struct store *s, const char *key, enum store_mode mode, const void *data,
                        size_t len, struct err *err)
{
    AUTO(store_abandon) struct store_writer *w = NULL;

    TRY(s->ops->create(s, key, mode, &w, err));
    w->store = s;
    TRY(s->ops->write(w, data, len, err));
    return s->ops->commit(w, STORE_DURABLE, err);
}

int store_put(struct store *s, const char *key, enum store_mode mode, const void *data, size_t len,
              struct err *err)
{
    int result;

    TRY(check_key(s, key, err));
    result = s->ops->put != NULL ? s->ops->put(s, key, mode, data, len, err)
                                 : put_in_steps(s, key, mode, data, len, err);
    return told(s, result, "put", key, err);
}

int store_get(struct store *s, const char *key, uint64_t offset, size_t len, void *dst, size_t *got,
              uint64_t *size, struct err *err)
{
    uint64_t ignored;

    TRY(check_key(s, key, err));
    return told(s, s->ops->get(s, key, offset, len, dst, got, size != NULL ? size : &ignored, err),
                "get", key, err);
}

int store_tail(struct store *s, const char *key, size_t len, void *dst, size_t *got, uint64_t *size,
               struct err *err)
{
    uint64_t ignored;

    TRY(check_key(s, key, err));
    return told(s, s->ops->tail(s, key, len, dst, got, size != NULL ? size : &ignored, err), "get",
                key, err);
}

/* Objects never change, so two requests see the same one; the size is checked all the same. */
static int read_in_steps(struct store *s, const char *key, size_t max, struct buf *out,
                         struct err *err)
{
    size_t got, more = 0, first = MIN_OF(max, (size_t)FIRST_READ);
    uint64_t size;

    buf_reserve(out, first);
    TRY(s->ops->get(s, key, 0, first, out->p + out->len, &got, &size, err));
    if (size > max)
        return err_set(err, ERR_CORRUPT, "%llu bytes, expected at most %zu",
                       (unsigned long long)size, max);
    if (got < size) {
        buf_reserve(out, (size_t)size);
        TRY(s->ops->get(s, key, got, (size_t)size - got, out->p + out->len + got, &more, &size,
                        err));
    }
    if (got + more != size)
        return err_set(err, ERR_CORRUPT, "ended after %zu of %llu bytes", got + more,
                       (unsigned long long)size);
    out->len += (size_t)size;
    return 0;
}

int store_read(struct store *s, const char *key, size_t max, struct buf *out, struct err *err)
{
    int result;

    TRY(check_key(s, key, err));
    result = s->ops->read != NULL ? s->ops->read(s, key, max, out, err)
                                  : read_in_steps(s, key, max, out, err);
    return told(s, result, "read", key, err);
}

int store_stat(struct store *s, const char *key, struct store_entry *entry, struct err *err)
{
    TRY(check_key(s, key, err));
    *entry = (struct store_entry){.key = key};
    return told(s, s->ops->stat(s, key, entry, err), "stat", key, err);
}

static int check_prefix(const struct store *s, const char *prefix, struct err *err)
{
    size_t len = strlen(prefix);
    AUTO(mem_free) char *key = NULL;

    if (len == 0)
        return 0;
    key = xstrndup(prefix, len - 1);
    if (prefix[len - 1] == '/' && store_key_valid(key))
        return 0;
    return err_set(err, ERR_FAILED, "\"%.300s\" cannot be listed in %s: it must end in '/'", prefix,
                   s->where);
}

/* What the callback returned is handed on: it may be a caller's way to stop, with no error set. */
struct listing {
    store_entry_fn *fn;
    void *ctx;
    int result;
};

static int listed(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct listing *l = ctx;

    l->result = l->fn(l->ctx, entry, err);
    return l->result;
}

int store_list(struct store *s, const char *prefix, enum store_depth depth, store_entry_fn *fn,
               void *ctx, int64_t *now_us, struct err *err)
{
    struct listing l = {fn, ctx, 0};
    int result;

    TRY(check_prefix(s, prefix, err));
    result = s->ops->list(s, prefix, depth, listed, &l, now_us, err);
    if (l.result != 0)
        return l.result;
    return told(s, result, "list", prefix, err);
}

int store_delete(struct store *s, const char *const *keys, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        TRY(check_key(s, keys[i], err));
    if (n == 0)
        return 0;
    return told(s, s->ops->remove(s, keys, n, err), "delete", n == 1 ? keys[0] : NULL, err);
}

int store_sync(struct store *s, struct err *err)
{
    return told(s, s->ops->sync(s, err), "sync", NULL, err);
}

int store_confirm(struct store *s, const char *key, struct err *err)
{
    TRY(check_key(s, key, err));
    return told(s, s->ops->confirm(s, key, err), "confirm", key, err);
}

int store_now(struct store *s, int64_t *now_us, struct err *err)
{
    return told(s, s->ops->now(s, now_us, err), "ask for the time", NULL, err);
}

int store_probe(struct store *s, struct store_traits *traits, struct err *err)
{
    *traits = (struct store_traits){0};
    return told(s, s->ops->probe(s, traits, err), "probe", NULL, err);
}

void store_recall(struct store *s, const struct store_proofs *p)
{
    if (s->ops->recall != NULL)
        s->ops->recall(s, p);
}

struct store_proofs store_known(struct store *s)
{
    struct store_proofs p = {0};

    if (s->ops->proofs != NULL)
        s->ops->proofs(s, &p);
    return p;
}

bool store_is_remote(struct store *s)
{
    return s->ops->is_remote != NULL && s->ops->is_remote(s);
}

const char *store_where(const struct store *s)
{
    return s->where;
}

void store_close(struct store **s)
{
    if (*s == NULL)
        return;
    mem_free(&(*s)->where);
    (*s)->ops->free(*s);
    *s = NULL;
}
