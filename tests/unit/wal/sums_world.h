/* sums_world.h - made-up WAL in a repository in memory, sums of its indexes, and what an
 * incremental is told by them. */
#ifndef PGBR_TESTS_UNIT_WAL_SUMS_WORLD_H
#define PGBR_TESTS_UNIT_WAL_SUMS_WORLD_H

#include "base/log.h"
#include "repo/object/names.h"
#include "tests/unit/wal/target_rig.h"
#include "wal/index/changed.h"
#include "wal/index/sums.h"

static struct err err;
enum { FRAGMENT = WAL_FRAGMENT_MAX, RELS = 5, BLOCKS = 64, FIRST = 3 };

struct world {
    struct rig rig;
    struct wal_make wal;
    uint64_t random;
    uint64_t starts[4096]; /* of records, in order */
    size_t n_starts;
};

static inline struct wal_locator rel_of(uint32_t i)
{
    return (struct wal_locator){1663, 5 + i / 3, 20000 + i};
}

static inline uint64_t long_change(struct wal_make *m, struct wal_locator rel, uint8_t fork,
                                   uint32_t block, size_t len)
{
    struct wal_make_block b = {.rel = rel, .fork = fork, .block = block, .data_len = 20};
    AUTO(mem_free) uint8_t *main = xcalloc(1, len);

    memset(main, 7, len);
    return wal_make_record(m, 10, 0x00, 1000, &b, 1, main, len);
}

static inline void note(struct world *w, uint64_t lsn)
{
    assert_true(w->n_starts < LENGTH(w->starts));
    w->starts[w->n_starts++] = lsn;
}

static inline void world_begin(struct world *w, uint64_t seed)
{
    log_setup(LOG_TEXT, LOG_ERROR);
    memset(w, 0, sizeof *w);
    w->random = seed;
    rig_begin(&w->rig, 13 + (unsigned)(seed % 6));
    rig_make(&w->wal, w->rig.major);
}

static inline void world_end(struct world *w)
{
    wal_make_free(&w->wal);
    rig_end(&w->rig);
}

static inline struct wal_place place_of(const struct world *w)
{
    return (struct wal_place){w->rig.repo, RIG_SYSID, w->rig.major, RIG_SEGSZ};
}

/* ---- asking ---- */

static inline int collect_from(struct world *w, struct repo *repo, uint64_t from, uint64_t to,
                               struct changed **c, struct err *doubt)
{
    AUTO(history_free) struct history h = HISTORY_INIT;
    struct changed_range range = {.place = {repo, RIG_SYSID, w->rig.major, RIG_SEGSZ},
                                  .history = &h,
                                  .from = from,
                                  .to = to,
                                  .data_fd = -1};

    err = (struct err){0};
    *doubt = err;
    history_root(1, &h);
    return changed_collect(&range, c, doubt, &err);
}

static inline struct changed *collected(struct world *w, uint64_t from, uint64_t to,
                                        struct err *doubt)
{
    struct changed *c = NULL;

    OK(collect_from(w, w->rig.repo, from, to, &c, doubt), &err);
    return c;
}

static inline void same_file(const struct changed *a, const struct changed *b,
                             struct wal_locator rel, enum rel_fork fork)
{
    struct rel_file f = {.spc = rel.spc, .db = rel.db, .rel = rel.rel, .fork = fork};
    struct changed_file x, y;

    changed_file(a, &f, &x);
    changed_file(b, &f, &y);
    assert_int_equal(x.all, y.all);
    assert_int_equal(x.from, y.from);
    for (uint32_t block = 0; block <= BLOCKS; block++)
        assert_int_equal(changed_next(&x, block), changed_next(&y, block));
}

static inline void same_set(const struct changed *a, const struct changed *b)
{
    assert_int_equal(a == NULL, b == NULL);
    for (uint32_t i = 0; a != NULL && i <= RELS; i++)
        for (int fork = 0; fork < WAL_FORKS; fork++)
            same_file(a, b, rel_of(i), (enum rel_fork)fork);
    if (a != NULL)
        assert_int_equal(changed_sum(a).databases, changed_sum(b).databases);
}

/* ---- making ---- */

static inline struct sums_made make(struct world *w, uint32_t small, uint32_t large)
{
    const struct sums_request q = {.place = place_of(w), .small = small, .large = large};
    struct sums_made made;

    OK(sums_make(&q, &made, &err), &err);
    return made;
}

static inline struct sum_list sums_of(struct world *w)
{
    struct sum_list l;

    OK(wal_sums_list(w->rig.repo, RIG_SYSID, w->rig.major, &l, &err), &err);
    return l;
}

/* n segments, each of which changes one block. */
static inline void plain_wal(struct world *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        note(w, wal_make_change(&w->wal, rel_of(0), (uint32_t)i));
        note(w, wal_make_switch(&w->wal));
    }
    note(w, wal_make_noise(&w->wal, 50));
}

static inline long calls_for(struct world *w, uint64_t from, uint64_t to)
{
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(changed_free) struct changed *c = NULL;
    struct store *counting = store_fault_new(w->rig.store, -1, FAULT_BEFORE);
    struct repo_options o = {.name = "main", .cluster = "pg-test", .level = 1};
    struct err doubt;
    long before;

    OK(repo_open(&repo, counting, &o, REPO_OPEN_FULL, &err), &err);
    before = store_fault_calls(counting);
    OK(collect_from(w, repo, from, to, &c, &doubt), &err);
    assert_non_null(c);
    return store_fault_calls(counting) - before;
}

static inline void with_sums(struct world *w)
{
    world_begin(w, 2);
    plain_wal(w, 20); /* 3 to 22 */
    rig_put_range(&w->rig, &w->wal, 0, 19, 1);
    make(w, 4, 8);
}

#endif
