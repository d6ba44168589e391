/* sample_repo.h - a repository in memory, plain or encrypted, that tests of packs, manifests and
 * WAL share. */
#ifndef PGBR_TESTS_UNIT_REPO_SAMPLE_REPO_H
#define PGBR_TESTS_UNIT_REPO_SAMPLE_REPO_H

#include "base/log.h"
#include "repo/repo.h"
#include "repo/store/store_driver.h"
#include "tests/lib/test.h"

enum { SAMPLE_SYSTEM_ID = 4711, SAMPLE_MAJOR = 15 };
#define SAMPLE_LABEL "20261122T140533Z-F-0a1b2c"
#define SAMPLE_OLDER "20261121T140533Z-F-0a0b0c"
#define SAMPLE_NEWER "20261123T140533Z-I-0d0e0f"

struct sample_repo {
    struct store *store; /* stays, whoever opens or closes repositories on it */
    struct repo_options options;
    struct repo *repo;
};

static inline struct repo *sample_repo_other(struct sample_repo *s, struct store *store,
                                             enum repo_open_mode mode)
{
    struct err err = {0};
    struct repo *r = NULL;

    OK(repo_open(&r, store, &s->options, mode, &err), &err);
    return r;
}

static inline void sample_repo_begin(struct sample_repo *s, bool encrypted, uint64_t pack_size)
{
    struct err err = {0};
    bool created;

    log_setup(LOG_TEXT, LOG_ERROR);
    *s = (struct sample_repo){
        .store = store_mem_new(),
        .options = {.name = "test", .cluster = "main", .level = 1, .pack_size = pack_size}};
    if (encrypted) {
        s->options.encrypted = true;
        s->options.secret.passphrase = "correct horse";
    }
    OK(repo_init(&s->repo, store_mem_share(s->store), &s->options, &created, &err), &err);
    OK(repo_accept(s->repo, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, &err), &err);
}

static inline void sample_repo_end(struct sample_repo *s)
{
    repo_close(&s->repo);
    store_close(&s->store);
}

static inline bool sample_is_remote(struct store *s)
{
    (void)s;
    return true;
}

/* From here on the store says that it is far away; ops must live as long as it does. */
static inline void sample_make_remote(struct store *store, struct store_ops *ops)
{
    *ops = *store->ops;
    ops->is_remote = sample_is_remote;
    store->ops = ops;
}

/* Flips a bit of a stored object; a negative place counts from its end. */
static inline void sample_repo_damage(struct sample_repo *s, const char *key, long at)
{
    AUTO(buf_free) struct buf whole = BUF_INIT;
    struct err err = {0};

    OK(store_read(s->store, key, 1 << 30, &whole, &err), &err);
    whole.p[at < 0 ? (long)whole.len + at : at] ^= 4;
    OK(store_put(s->store, key, STORE_REPLACE, whole.p, whole.len, &err), &err);
}

#endif
