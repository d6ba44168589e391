/* test_increment_base.c - a base that is missing or damaged. */
#include "tests/unit/backup/increment_world.h"

/* ---- a base that cannot be used ---- */

static void a_base_that_is_not_there_ends_the_attempt(void **state)
{
    struct world *w = *state;
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 100);
    back_up(w);
    next_attempt(w);
    w->a.base = SAMPLE_OLDER;
    FAILS(attempt_list(&w->a, &err), &err, ERR_NOT_FOUND);
}

/* ---- packs that are damaged ---- */

enum { FILES = 6, FILE_PAGES = 128 };

/* A full backup of maps, which the WAL does not vouch for, and of tables. */
static void back_up_files(struct world *w)
{
    for (unsigned i = 1; i <= FILES; i++) {
        AUTO(mem_free) char *table = xasprintf("base/5/%u", i);
        AUTO(mem_free) char *map = xasprintf("base/5/%u_vm", i);

        data_pages(&w->dir, table, 0, FILE_PAGES);
        data_pages(&w->dir, map, 0, FILE_PAGES);
    }
    back_up(w);
}

static size_t packs_of(struct world *w, const char *label)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    struct err err = {0};
    size_t n;

    OK(manifest_open(&m, w->repo.repo, label, &err), &err);
    (void)manifest_packs(m, 1, &n);
    return n;
}

static void damage_pack(struct world *w, const char *label, uint32_t pack)
{
    AUTO(buf_free) struct buf key = BUF_INIT;

    sample_repo_damage(&w->repo, name_pack(&key, "main", label, pack), -80);
}

/* Nothing that is referenced lies in the packs that are damaged, and each is told of once. */
static void where_all_is_compared_what_a_damaged_pack_holds_is_stored_anew(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    size_t n;

    back_up_files(w);
    n = packs_of(w, w->labels[0]);
    assert_true(n > 2);
    damage_pack(w, w->labels[0], 0);
    damage_pack(w, w->labels[0], 1);
    next_attempt(w);
    changed_free(&w->a.changed); /* the WAL cannot tell */
    OK(attempt_all(&w->a, &err), &err);
    assert_int_equal(atomic_load(&w->a.copied.bad_packs), 2);
    assert_false(atomic_load(&w->a.copied.base_bad));
    as_it_lies_there(w);
}

/* What is not read would still be needed of it. */
static void where_the_wal_tells_a_damaged_pack_makes_the_base_unfit(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    size_t n;

    back_up_files(w);
    n = packs_of(w, w->labels[0]);
    for (uint32_t i = 0; i < n; i++)
        damage_pack(w, w->labels[0], i);
    FAILS(attempt_all(next_attempt(w), &err), &err, ERR_CORRUPT);
    assert_true(atomic_load(&w->a.copied.base_bad));
}

/* The manifest opens, but cannot be read to its end. */
static void damaged_tables_make_the_base_unfit(void **state)
{
    struct world *w = *state;
    AUTO(buf_free) struct buf key = BUF_INIT, whole = BUF_INIT;
    unsigned told = 0;
    struct err err = {0};

    back_up_files(w);
    OK(store_read(w->repo.store, name_manifest(&key, "main", w->labels[0]), 1 << 20, &whole, &err),
       &err);
    for (long at = 128; at < (long)whole.len; at += 16) {
        sample_repo_damage(&w->repo, key.p, at);
        if (attempt_list(next_attempt(w), &err) == 0 && attempt_copy(&w->a, &err) != 0) {
            assert_int_equal(err.code, ERR_CORRUPT);
            assert_true(atomic_load(&w->a.copied.base_bad));
            told++;
        }
        err_clear(&err);
        sample_repo_damage(&w->repo, key.p, at);
    }
    assert_true(told != 0);
}

/* What is wrong elsewhere is not the base's fault. */
static void another_error_does_not_make_the_base_unfit(void **state)
{
    struct world *w = *state;
    struct err err = {0};

    back_up_files(w);
    OK(attempt_list(next_attempt(w), &err), &err);
    data_remove(&w->dir, "PG_VERSION");
    FAILS(attempt_copy(&w->a, &err), &err, ERR_NOT_FOUND);
    assert_false(atomic_load(&w->a.copied.base_bad));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(a_base_that_is_not_there_ends_the_attempt),
        PLAIN(where_all_is_compared_what_a_damaged_pack_holds_is_stored_anew),
        PLAIN(where_the_wal_tells_a_damaged_pack_makes_the_base_unfit),
        PLAIN(damaged_tables_make_the_base_unfit),
        PLAIN(another_error_does_not_make_the_base_unfit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
