/*
 * mem.c - objects in memory, for tests. Handles made by store_mem_share() see the same objects, as
 * hosts that share a repository do.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/store/store_driver.h"

struct object {
    char *key;
    struct buf data;
    int64_t modified_us;
};

/* What handles share. */
struct shelf {
    pthread_mutex_t lock; /* of all below */
    unsigned handles;
    struct object *objects; /* in order of keys */
    size_t n, cap;
};

struct mem {
    struct store store;
    struct shelf *shelf;
};

struct mem_writer {
    struct store_writer writer;
    char *key;
    enum store_mode mode;
    struct buf data;
};

static struct shelf *lock_shelf(struct store *s)
{
    struct shelf *shelf = ((struct mem *)s)->shelf;

    pthread_mutex_lock(&shelf->lock);
    return shelf;
}

/* Index of the first key that is not less; *same tells whether it is this one. */
static size_t search(const struct shelf *shelf, const char *key, bool *same)
{
    size_t low = 0, high = shelf->n;

    *same = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(shelf->objects[mid].key, key);
        *same |= order == 0;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int mem_create(struct store *s, const char *key, enum store_mode mode,
                      struct store_writer **out, struct err *err)
{
    struct mem_writer *w = xcalloc(1, sizeof *w);

    (void)s;
    (void)err;
    w->key = xstrdup(key);
    w->mode = mode;
    *out = &w->writer;
    return 0;
}

static int mem_write(struct store_writer *sw, const void *data, size_t len, struct err *err)
{
    (void)err;
    buf_add(&((struct mem_writer *)sw)->data, data, len);
    return 0;
}

static struct object *insert_at(struct shelf *shelf, size_t at, const char *key)
{
    if (shelf->n == shelf->cap) {
        shelf->cap = shelf->cap * 2;
        shelf->objects = xrealloc(shelf->objects, shelf->cap * sizeof *shelf->objects);
    }
    memmove(shelf->objects + at + 1, shelf->objects + at, (shelf->n - at) * sizeof *shelf->objects);
    shelf->n++;
    shelf->objects[at] = (struct object){.key = xstrdup(key)};
    return &shelf->objects[at];
}

static int mem_commit(struct store_writer *sw, enum store_commit_mode mode, struct err *err)
{
    struct mem_writer *w = (struct mem_writer *)sw;
    struct shelf *shelf = lock_shelf(sw->store);
    struct object *o;
    bool same;
    size_t at = search(shelf, w->key, &same);

    (void)mode;
    if (same && w->mode == STORE_CREATE_ONLY) {
        pthread_mutex_unlock(&shelf->lock);
        return err_set(err, ERR_EXISTS, "there is an object of that name");
    }
    o = same ? &shelf->objects[at] : insert_at(shelf, at, w->key);
    buf_free(&o->data);
    o->data = w->data;
    w->data = (struct buf)BUF_INIT;
    o->modified_us = clock_now_us();
    pthread_mutex_unlock(&shelf->lock);
    return 0;
}

static void mem_drop(struct store_writer *sw)
{
    struct mem_writer *w = (struct mem_writer *)sw;

    buf_free(&w->data);
    mem_free(&w->key);
    free(w);
}

/* Copies out a part; with from_end the last bytes. */
static int copy_out(struct store *s, const char *key, uint64_t offset, size_t from_end, size_t len,
                    void *dst, size_t *got, uint64_t *size, struct err *err)
{
    struct shelf *shelf = lock_shelf(s);
    bool found;
    const struct object *o = shelf->objects + search(shelf, key, &found);

    *got = 0;
    if (found) {
        *size = o->data.len;
        if (from_end != 0)
            offset = *size > from_end ? *size - from_end : 0;
        if (offset < *size)
            *got = MIN_OF(len, (size_t)(*size - offset));
        if (*got != 0)
            memcpy(dst, o->data.p + offset, *got);
    }
    pthread_mutex_unlock(&shelf->lock);
    return found ? 0 : err_set(err, ERR_NOT_FOUND, "no such object");
}

static int mem_get(struct store *s, const char *key, uint64_t offset, size_t len, void *dst,
                   size_t *got, uint64_t *size, struct err *err)
{
    return copy_out(s, key, offset, 0, len, dst, got, size, err);
}

static int mem_tail(struct store *s, const char *key, size_t len, void *dst, size_t *got,
                    uint64_t *size, struct err *err)
{
    return copy_out(s, key, 0, len, len, dst, got, size, err);
}

static int mem_stat(struct store *s, const char *key, struct store_entry *entry, struct err *err)
{
    struct shelf *shelf = lock_shelf(s);
    bool found;
    const struct object *o = shelf->objects + search(shelf, key, &found);

    if (found) {
        entry->size = o->data.len;
        entry->modified_us = o->modified_us;
    }
    pthread_mutex_unlock(&shelf->lock);
    return found ? 0 : err_set(err, ERR_NOT_FOUND, "no such object");
}

/*
 * The next entry of a listing whose key is greater than *last (which is replaced; first: "").
 * Entry by entry, so that the callback runs without the lock and may use the store.
 */
static bool next_entry(struct store *s, const char *prefix, enum store_depth depth,
                       struct buf *last, struct store_entry *entry)
{
    size_t prefix_len = strlen(prefix);
    struct shelf *shelf = lock_shelf(s);
    bool same, found = false;
    size_t at = search(shelf, last->len != 0 ? buf_text(last) : prefix, &same);

    for (; at < shelf->n && !found; at++) {
        const struct object *o = &shelf->objects[at];
        const char *slash;
        size_t len = strlen(o->key);
        if (strncmp(o->key, prefix, prefix_len) != 0)
            break;
        slash = depth == STORE_SHALLOW ? strchr(o->key + prefix_len, '/') : NULL;
        if (slash != NULL)
            len = (size_t)(slash - o->key) + 1;
        if (last->len == len && memcmp(buf_text(last), o->key, len) == 0)
            continue; /* told already */
        buf_clear(last);
        buf_add(last, o->key, len);
        *entry = (struct store_entry){.is_prefix = slash != NULL};
        if (slash == NULL) {
            entry->size = o->data.len;
            entry->modified_us = o->modified_us;
        }
        found = true;
    }
    pthread_mutex_unlock(&shelf->lock);
    entry->key = buf_text(last);
    return found;
}

static int mem_list(struct store *s, const char *prefix, enum store_depth depth, store_entry_fn *fn,
                    void *ctx, int64_t *now_us, struct err *err)
{
    AUTO(buf_free) struct buf last = BUF_INIT;
    struct store_entry entry;

    if (now_us != NULL)
        *now_us = clock_now_us();
    while (next_entry(s, prefix, depth, &last, &entry)) {
        int result = fn(ctx, &entry, err);
        if (result != 0)
            return result;
    }
    return 0;
}

static int mem_remove(struct store *s, const char *const *keys, size_t n, struct err *err)
{
    struct shelf *shelf = lock_shelf(s);

    (void)err;
    for (size_t i = 0; i < n; i++) {
        bool found;
        size_t at = search(shelf, keys[i], &found);
        if (!found)
            continue;
        free(shelf->objects[at].key);
        buf_free(&shelf->objects[at].data);
        shelf->n--;
        memmove(shelf->objects + at, shelf->objects + at + 1,
                (shelf->n - at) * sizeof *shelf->objects);
    }
    pthread_mutex_unlock(&shelf->lock);
    return 0;
}

static int mem_sync(struct store *s, struct err *err)
{
    (void)s;
    (void)err;
    return 0;
}

static int mem_confirm(struct store *s, const char *key, struct err *err)
{
    struct store_entry ignored;
    return mem_stat(s, key, &ignored, err);
}

static int mem_now(struct store *s, int64_t *now_us, struct err *err)
{
    (void)s;
    (void)err;
    *now_us = clock_now_us();
    return 0;
}

static int mem_probe(struct store *s, struct store_traits *traits, struct err *err)
{
    (void)s;
    (void)err;
    *traits = (struct store_traits){
        .exact_create_only = true, .listing_consistent = true, .may_delete = true, .kind = "mem"};
    return 0;
}

static void mem_close(struct store *s)
{
    struct shelf *shelf = lock_shelf(s);
    bool last = --shelf->handles == 0;

    pthread_mutex_unlock(&shelf->lock);
    free(s);
    if (!last)
        return;
    for (size_t i = 0; i < shelf->n; i++) {
        free(shelf->objects[i].key);
        buf_free(&shelf->objects[i].data);
    }
    pthread_mutex_destroy(&shelf->lock);
    free(shelf->objects);
    free(shelf);
}

static const struct store_ops mem_ops = {
    .create = mem_create,
    .write = mem_write,
    .commit = mem_commit,
    .drop = mem_drop,
    .get = mem_get,
    .tail = mem_tail,
    .stat = mem_stat,
    .list = mem_list,
    .remove = mem_remove,
    .sync = mem_sync,
    .confirm = mem_confirm,
    .now = mem_now,
    .probe = mem_probe,
    .free = mem_close,
};

static struct store *new_handle(struct shelf *shelf)
{
    struct mem *m = xcalloc(1, sizeof *m);

    m->store.ops = &mem_ops;
    m->store.where = xstrdup("memory");
    m->shelf = shelf;
    return &m->store;
}

struct store *store_mem_new(void)
{
    struct shelf *shelf = xcalloc(1, sizeof *shelf);

    pthread_mutex_init(&shelf->lock, NULL);
    shelf->handles = 1;
    shelf->cap = 16;
    shelf->objects = xcalloc(shelf->cap, sizeof *shelf->objects);
    return new_handle(shelf);
}

struct store *store_mem_share(struct store *mem)
{
    struct shelf *shelf = lock_shelf(mem);

    shelf->handles++;
    pthread_mutex_unlock(&shelf->lock);
    return new_handle(shelf);
}
