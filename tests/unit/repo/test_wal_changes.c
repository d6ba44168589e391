/* test_wal_changes.c - changed blocks and limits, compared with a plain model. */
#include "repo/wal/wal_changes.h"

#include <stdlib.h>

#include "tests/lib/test.h"

static const struct wal_locator table = {1663, 5, 16384}, other = {1663, 5, 16385};

static void expect(struct wal_changes *c, const struct wal_locator *rel, uint8_t fork,
                   uint32_t limit, const uint32_t *blocks, uint32_t n)
{
    struct wal_fork_changes f;

    assert_true(wal_changes_find(c, rel, fork, &f));
    assert_int_equal(f.limit, limit);
    assert_int_equal(f.n_blocks, n);
    if (n > 0)
        assert_memory_equal(f.blocks, blocks, n * sizeof *blocks);
}

static void blocks_come_out_sorted_and_once(void **state)
{
    static const uint32_t in[] = {7, 3, 7, 7, 0, 4294967294u, 3, 1},
                          out[] = {0, 1, 3, 7, 4294967294u};
    AUTO(wal_changes_free) struct wal_changes *c = wal_changes_new();
    (void)state;

    for (size_t i = 0; i < LENGTH(in); i++)
        wal_changes_block(c, &table, FORK_MAIN, in[i]);
    wal_changes_block(c, &table, FORK_MAIN, WAL_NO_BLOCK); /* does not exist */
    expect(c, &table, FORK_MAIN, WAL_NO_BLOCK, out, LENGTH(out));
}

static void a_limit_forgets_what_was_told_before_it_only(void **state)
{
    static const uint32_t out[] = {1, 2, 9};
    struct wal_run run = {8, 2};
    AUTO(wal_changes_free) struct wal_changes *c = wal_changes_new();
    (void)state;

    for (uint32_t b = 0; b < 6; b++)
        wal_changes_block(c, &table, FORK_MAIN, 5 - b);
    wal_changes_limit(c, &table, FORK_MAIN, 3, WAL_REL_TRUNCATED);
    wal_changes_run(c, &table, FORK_MAIN, run);
    wal_changes_limit(c, &table, FORK_MAIN, 9, WAL_REL_TRUNCATED);
    wal_changes_block(c, &table, FORK_MAIN, 9);
    wal_changes_limit(c, &table, FORK_MAIN, 0, 0);
    wal_changes_block(c, &table, FORK_MAIN, 9);
    wal_changes_block(c, &table, FORK_MAIN, 1);
    wal_changes_block(c, &table, FORK_MAIN, 2);
    expect(c, &table, FORK_MAIN, 0, out, 3);
}

static void a_block_told_again_after_a_limit_counts(void **state)
{
    static const uint32_t out[] = {5};
    AUTO(wal_changes_free) struct wal_changes *c = wal_changes_new();
    (void)state;

    wal_changes_block(c, &table, FORK_MAIN, 5);
    wal_changes_limit(c, &table, FORK_MAIN, 2, 0);
    wal_changes_block(c, &table, FORK_MAIN, 5);
    expect(c, &table, FORK_MAIN, 2, out, 1);
}

static void a_drop_voids_all_forks(void **state)
{
    AUTO(wal_changes_free) struct wal_changes *c = wal_changes_new();
    struct wal_fork_changes f;
    (void)state;

    wal_changes_block(c, &table, FORK_MAIN, 5);
    wal_changes_block(c, &table, FORK_VM, 1);
    wal_changes_drop(c, &table);
    wal_changes_block(c, &table, FORK_INIT, 0);
    wal_changes_block(c, &other, FORK_VM, 3);
    for (uint8_t fork = 0; fork < WAL_FORKS; fork++) {
        assert_true(wal_changes_find(c, &table, fork, &f));
        assert_int_equal(f.limit, 0);
        assert_int_equal(f.n_blocks, fork == FORK_INIT ? 1 : 0);
    }
    assert_false(wal_changes_find(c, &other, FORK_MAIN, &f));
    assert_true(wal_changes_find(c, &other, FORK_VM, &f));
    assert_int_equal(f.limit, WAL_NO_BLOCK);
}

static void forks_come_in_order(void **state)
{
    AUTO(wal_changes_free) struct wal_changes *c = wal_changes_new();
    struct wal_fork_changes f, last;
    size_t n;
    (void)state;

    for (uint32_t i = 0; i < 5000; i++) {
        uint32_t x = (uint32_t)(i * UINT64_C(2654435761) % 5000); /* all of 0 to 4999 */
        struct wal_locator rel = {1663 + x % 3, x % 7, x};
        wal_changes_block(c, &rel, (uint8_t)(x % WAL_FORKS), x);
    }
    n = wal_changes_sort(c);
    assert_int_equal(n, 5000);
    wal_changes_at(c, 0, &last);
    for (size_t i = 1; i < n; i++) {
        wal_changes_at(c, i, &f);
        assert_true(
            f.rel.spc > last.rel.spc ||
            (f.rel.spc == last.rel.spc &&
             (f.rel.db > last.rel.db || (f.rel.db == last.rel.db && f.rel.rel > last.rel.rel))));
        assert_int_equal(f.blocks[0], f.rel.rel);
        last = f;
    }
}

/* Long random histories against a bitmap. */
static void long_histories_agree_with_a_bitmap(void **state)
{
    static const uint32_t ranges[] = {20, 300, 5000, 70000};
    (void)state;

    for (size_t r = 0; r < LENGTH(ranges); r++) {
        AUTO(wal_changes_free) struct wal_changes *c = wal_changes_new();
        static bool set[70000];
        uint32_t range = ranges[r], limit = WAL_NO_BLOCK, seed = 12345, n = 0;
        struct wal_fork_changes f;

        memset(set, 0, sizeof set);
        for (int i = 0; i < 100000; i++) {
            uint32_t x = (seed = seed * 1664525 + 1013904223) >> 8;
            if (x % 1000 == 0) {
                uint32_t cut = x / 1000 % range;
                wal_changes_limit(c, &table, FORK_MAIN, cut, 0);
                memset(set + cut, 0, (range - cut) * sizeof *set);
                limit = MIN_OF(limit, cut);
            } else {
                wal_changes_block(c, &table, FORK_MAIN, x % range);
                set[x % range] = true;
            }
        }
        assert_true(wal_changes_find(c, &table, FORK_MAIN, &f));
        assert_int_equal(f.limit, limit);
        for (uint32_t b = 0; b < range; b++)
            if (set[b])
                assert_int_equal(f.blocks[n++], b);
        assert_int_equal(f.n_blocks, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_come_out_sorted_and_once),
        cmocka_unit_test(a_limit_forgets_what_was_told_before_it_only),
        cmocka_unit_test(a_block_told_again_after_a_limit_counts),
        cmocka_unit_test(a_drop_voids_all_forks),
        cmocka_unit_test(forks_come_in_order),
        cmocka_unit_test(long_histories_agree_with_a_bitmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
