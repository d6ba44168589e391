/*
 * store_driver.h - what a driver of a store provides; store.c adds what all share (checks of keys,
 * the context of messages, calls made of others).
 *
 * Functions mean what store.h says of the call of the same name. Keys are valid when they come
 * here. Messages of a driver need not name the call, the key or the store.
 */
#ifndef PGBR_REPO_STORE_STORE_DRIVER_H
#define PGBR_REPO_STORE_STORE_DRIVER_H

#include "repo/store/store.h"

enum { STORE_KEY_MAX = 255 };

struct store_ops {
    int (*create)(struct store *s, const char *key, enum store_mode mode, struct store_writer **w,
                  struct err *err);
    int (*write)(struct store_writer *w, const void *data, size_t len, struct err *err);
    /* The writer still lives afterwards: drop() follows. */
    int (*commit)(struct store_writer *w, enum store_commit_mode mode, struct err *err);
    void (*drop)(struct store_writer *w); /* frees it; abandons what was not committed */
    int (*get)(struct store *s, const char *key, uint64_t offset, size_t len, void *dst,
               size_t *got, uint64_t *size, struct err *err);
    int (*tail)(struct store *s, const char *key, size_t len, void *dst, size_t *got,
                uint64_t *size, struct err *err);
    int (*stat)(struct store *s, const char *key, struct store_entry *entry, struct err *err);
    int (*list)(struct store *s, const char *prefix, enum store_depth depth, store_entry_fn *fn,
                void *ctx, int64_t *now_us, struct err *err); /* now_us may be NULL */
    int (*remove)(struct store *s, const char *const *keys, size_t n, struct err *err);
    int (*sync)(struct store *s, struct err *err);
    int (*confirm)(struct store *s, const char *key, struct err *err);
    int (*now)(struct store *s, int64_t *now_us, struct err *err);
    int (*probe)(struct store *s, struct store_traits *traits, struct err *err);
    void (*free)(struct store *s);

    /* These may be NULL: made of the ones above. */
    int (*put)(struct store *s, const char *key, enum store_mode mode, const void *data, size_t len,
               struct err *err);
    int (*read)(struct store *s, const char *key, size_t max, struct buf *out, struct err *err);

    /* These may be NULL: nothing needs proof. */
    void (*recall)(struct store *s, const struct store_proofs *p);
    void (*proofs)(struct store *s, struct store_proofs *p);

    /* NULL: never. */
    bool (*is_remote)(struct store *s);
};

/* A driver's own structs begin with these. */
struct store {
    const struct store_ops *ops;
    char *where; /* for messages; freed by store_close() */
};
struct store_writer {
    struct store *store; /* set by store.c, as is key */
    char *key;
};

/* Whether every driver takes this key. "tmp" as first or second component belongs to the POSIX
 * driver. */
bool store_key_valid(const char *key);

#endif
