/* fault.c - a driver around another one that makes one chosen call fail, for tests. */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "repo/store/store_driver.h"

struct fault {
    struct store store;
    struct store *inner; /* not owned */
    enum store_fault_kind kind;
    long nth; /* negative: never */
    atomic_long calls;
};

struct fault_writer {
    struct store_writer writer;
    struct store_writer *inner;
};

/* One call, counted. */
struct turn {
    bool fail_before, fail_after;
};

static struct turn next_turn(struct store *s)
{
    struct fault *f = (struct fault *)s;
    long n = atomic_fetch_add(&f->calls, 1);

    if (f->nth < 0)
        return (struct turn){false, false};
    return (struct turn){
        .fail_before =
            (f->kind == FAULT_BEFORE && n == f->nth) || (f->kind == FAULT_FOREVER && n >= f->nth),
        .fail_after = f->kind == FAULT_AFTER && n == f->nth,
    };
}

static int broken(struct err *err)
{
    return err_set(err, ERR_UNREACHABLE, "the connection was lost (injected fault)");
}

/* Runs a call of the inner store in the turn's way. */
#define PASS_ON(s, err, call)                   \
    do {                                        \
        const struct turn turn_ = next_turn(s); \
        int result_;                            \
        if (turn_.fail_before)                  \
            return broken(err);                 \
        result_ = (call);                       \
        if (result_ == 0 && turn_.fail_after)   \
            return broken(err);                 \
        return result_;                         \
    } while (0)

static struct store *inner_of(struct store *s)
{
    return ((struct fault *)s)->inner;
}

static int fault_create(struct store *s, const char *key, enum store_mode mode,
                        struct store_writer **out, struct err *err)
{
    const struct turn turn = next_turn(s);
    AUTO(store_abandon) struct store_writer *inner = NULL;
    struct fault_writer *w;

    if (turn.fail_before)
        return broken(err);
    TRY(store_create(inner_of(s), key, mode, &inner, err));
    if (turn.fail_after)
        return broken(err);
    w = xcalloc(1, sizeof *w);
    w->inner = TAKE(inner);
    *out = &w->writer;
    return 0;
}

static int fault_write(struct store_writer *sw, const void *data, size_t len, struct err *err)
{
    PASS_ON(sw->store, err, store_write(((struct fault_writer *)sw)->inner, data, len, err));
}

static int fault_commit(struct store_writer *sw, enum store_commit_mode mode, struct err *err)
{
    PASS_ON(sw->store, err, store_commit(&((struct fault_writer *)sw)->inner, mode, err));
}

static void fault_drop(struct store_writer *sw)
{
    struct fault_writer *w = (struct fault_writer *)sw;

    store_abandon(&w->inner);
    free(w);
}

static int fault_put(struct store *s, const char *key, enum store_mode mode, const void *data,
                     size_t len, struct err *err)
{
    PASS_ON(s, err, store_put(inner_of(s), key, mode, data, len, err));
}

static int fault_get(struct store *s, const char *key, uint64_t offset, size_t len, void *dst,
                     size_t *got, uint64_t *size, struct err *err)
{
    PASS_ON(s, err, store_get(inner_of(s), key, offset, len, dst, got, size, err));
}

static int fault_tail(struct store *s, const char *key, size_t len, void *dst, size_t *got,
                      uint64_t *size, struct err *err)
{
    PASS_ON(s, err, store_tail(inner_of(s), key, len, dst, got, size, err));
}

/* Nothing may have been added when it fails, not even by a lost reply. */
static int fault_read(struct store *s, const char *key, size_t max, struct buf *out,
                      struct err *err)
{
    const struct turn turn = next_turn(s);
    size_t before = out->len;

    if (turn.fail_before)
        return broken(err);
    TRY(store_read(inner_of(s), key, max, out, err));
    if (!turn.fail_after)
        return 0;
    out->len = before;
    return broken(err);
}

static int fault_stat(struct store *s, const char *key, struct store_entry *entry, struct err *err)
{
    PASS_ON(s, err, store_stat(inner_of(s), key, entry, err));
}

static int fault_list(struct store *s, const char *prefix, enum store_depth depth,
                      store_entry_fn *fn, void *ctx, int64_t *now_us, struct err *err)
{
    PASS_ON(s, err, store_list(inner_of(s), prefix, depth, fn, ctx, now_us, err));
}

static int fault_remove(struct store *s, const char *const *keys, size_t n, struct err *err)
{
    PASS_ON(s, err, store_delete(inner_of(s), keys, n, err));
}

static int fault_sync(struct store *s, struct err *err)
{
    PASS_ON(s, err, store_sync(inner_of(s), err));
}

static int fault_confirm(struct store *s, const char *key, struct err *err)
{
    PASS_ON(s, err, store_confirm(inner_of(s), key, err));
}

static int fault_now(struct store *s, int64_t *now_us, struct err *err)
{
    PASS_ON(s, err, store_now(inner_of(s), now_us, err));
}

static int fault_probe(struct store *s, struct store_traits *traits, struct err *err)
{
    PASS_ON(s, err, store_probe(inner_of(s), traits, err));
}

static bool fault_is_remote(struct store *s)
{
    return store_is_remote(inner_of(s));
}

static void fault_free(struct store *s)
{
    free(s);
}

static const struct store_ops fault_ops = {
    .create = fault_create,
    .write = fault_write,
    .commit = fault_commit,
    .drop = fault_drop,
    .get = fault_get,
    .tail = fault_tail,
    .stat = fault_stat,
    .list = fault_list,
    .remove = fault_remove,
    .sync = fault_sync,
    .confirm = fault_confirm,
    .now = fault_now,
    .probe = fault_probe,
    .free = fault_free,
    .put = fault_put,
    .is_remote = fault_is_remote,
    .read = fault_read,
};

struct store *store_fault_new(struct store *inner, long nth, enum store_fault_kind kind)
{
    struct fault *f = xcalloc(1, sizeof *f);

    f->store.ops = &fault_ops;
    f->store.where = xstrdup(store_where(inner));
    f->inner = inner;
    f->kind = kind;
    f->nth = nth;
    return &f->store;
}

long store_fault_calls(const struct store *s)
{
    return atomic_load(&((const struct fault *)s)->calls);
}
