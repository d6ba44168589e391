/* test_changed.c - the set of changed blocks: what was told, and never less. */
#include "wal/index/changed.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "postgres/page.h"
#include "tests/lib/test.h"

enum { FILE_BLOCKS = PG_RELSEG_PAGES };
static struct err err;
static const uint32_t none = UINT32_MAX;
static const struct wal_locator table = {1663, 5, 16384}, second = {1663, 5, 16385},
                                elsewhere = {16500, 5, 16384}, other_db = {1663, 6, 16384};

/* What is told from now on becomes one index. */
struct teller {
    struct changed *set;
    struct wal_changes *changes;
    struct wal_event events[4];
    uint32_t n_events;
};

/* Of the sets that are made. */
static struct bit_store_room room = {NULL, CHANGED_IN_MEMORY, CHANGED_WINDOW};

static void tell_begin(struct teller *t)
{
    *t = (struct teller){.set = changed_new_within(&room), .changes = wal_changes_new()};
}

static void tell_end(struct teller *t)
{
    changed_free(&t->set);
    wal_changes_free(&t->changes);
}

/* One more index of a range. */
static void add(struct teller *t)
{
    struct wal_index ix;

    wal_index_init(&ix);
    wal_index_set_blocks(&ix, t->changes);
    for (uint32_t i = 0; i < t->n_events; i++)
        wal_index_add_event(&ix, &t->events[i]);
    changed_add(t->set, &ix);
    wal_index_free(&ix);
    wal_changes_free(&t->changes);
    t->changes = wal_changes_new();
    t->n_events = 0;
}

static void finish(struct teller *t)
{
    add(t);
    OK(changed_finish(t->set, &err), &err);
}

static void block(struct teller *t, struct wal_locator rel, uint32_t number)
{
    wal_changes_block(t->changes, &rel, FORK_MAIN, number);
}

static void run(struct teller *t, struct wal_locator rel, uint32_t first, uint32_t count)
{
    wal_changes_run(t->changes, &rel, FORK_MAIN, (struct wal_run){first, count});
}

static void limit(struct teller *t, struct wal_locator rel, uint32_t number)
{
    wal_changes_limit(t->changes, &rel, FORK_MAIN, number, WAL_REL_TRUNCATED);
}

static void event(struct teller *t, enum wal_event_kind kind, uint32_t spc, uint32_t db)
{
    t->events[t->n_events++] = (struct wal_event){.kind = kind, .spc = spc, .db = db};
}

static struct changed_file file(const struct teller *t, struct wal_locator rel, enum rel_fork fork,
                                uint32_t segno)
{
    struct rel_file f = {
        .spc = rel.spc, .db = rel.db, .rel = rel.rel, .fork = fork, .segno = segno};
    struct changed_file out;

    changed_file(t->set, &f, &out);
    return out;
}

static struct changed_file main_file(const struct teller *t, struct wal_locator rel, uint32_t segno)
{
    return file(t, rel, FORK_MAIN, segno);
}

static bool is_untouched(struct changed_file f)
{
    return !f.all && f.from == none && changed_next(&f, 0) == none;
}

/* ---- blocks ---- */

static void a_file_of_which_nothing_was_told_is_unchanged(void **state)
{
    struct teller t;
    (void)state;

    tell_begin(&t);
    block(&t, table, 7);
    finish(&t);
    assert_true(is_untouched(main_file(&t, second, 0)));
    assert_true(is_untouched(main_file(&t, elsewhere, 0)));
    assert_true(is_untouched(main_file(&t, other_db, 0)));
    assert_true(is_untouched(main_file(&t, table, 1)));
    assert_true(is_untouched(file(&t, table, FORK_VM, 0)));
    assert_false(is_untouched(main_file(&t, table, 0)));
    tell_end(&t);
}

static void few_blocks_are_a_list_in_order_each_once(void **state)
{
    static const uint32_t told[] = {90, 7, FILE_BLOCKS - 1, 7, 0, 8, 90};
    static const uint32_t want[] = {0, 7, 8, 90, FILE_BLOCKS - 1};
    struct changed_file f;
    struct teller t;
    (void)state;

    tell_begin(&t);
    for (size_t i = 0; i < LENGTH(told); i++) {
        block(&t, table, told[i]);
        add(&t);
    }
    finish(&t);
    f = main_file(&t, table, 0);
    assert_null(f.bits);
    assert_int_equal(f.n, LENGTH(want));
    assert_memory_equal(f.some, want, sizeof want);
    assert_int_equal(changed_next(&f, 0), 0);
    assert_int_equal(changed_next(&f, 1), 7);
    assert_int_equal(changed_next(&f, 9), 90);
    assert_int_equal(changed_next(&f, 91), FILE_BLOCKS - 1);
    assert_int_equal(changed_next(&f, FILE_BLOCKS), none);
    assert_int_equal(changed_sum(t.set).blocks, LENGTH(want));
    tell_end(&t);
}

/* Blocks that are told again and again do not make a file one of many blocks. */
static void blocks_told_often_stay_a_list(void **state)
{
    struct changed_file f;
    struct teller t;
    (void)state;

    tell_begin(&t);
    for (uint32_t i = 0; i < 20000; i++) {
        block(&t, table, i * 7919 % 200);
        add(&t);
    }
    finish(&t);
    f = main_file(&t, table, 0);
    assert_null(f.bits);
    assert_int_equal(f.n, 200);
    for (uint32_t i = 0; i < f.n; i++)
        assert_int_equal(f.some[i], i);
    tell_end(&t);
}

/* Around the sizes at which a list is sorted, and at which it becomes bits. */
static void many_blocks_become_bits_and_none_is_lost(void **state)
{
    static const uint32_t sizes[] = {1,   7,   8,   9,   255, 256,  257,  258,
                                     511, 512, 513, 514, 600, 1000, 5000, FILE_BLOCKS / 3};
    (void)state;

    for (size_t i = 0; i < LENGTH(sizes); i++) {
        struct changed_file f;
        struct teller t;
        uint32_t at = 0;

        tell_begin(&t);
        for (uint32_t k = 0; k < sizes[i]; k++) { /* neither in order nor in one index */
            block(&t, table, (uint32_t)((uint64_t)k * 7 % sizes[i]) * 3);
            block(&t, table, k * 3);
            if (k % 100 == 0)
                add(&t);
        }
        finish(&t);
        f = main_file(&t, table, 0);
        assert_true(f.bits == NULL || sizes[i] > 250);
        assert_true(f.bits != NULL || sizes[i] <= 600);
        for (uint32_t k = 0; k < sizes[i]; k++, at++) {
            at = changed_next(&f, at);
            assert_int_equal(at, k * 3);
        }
        assert_int_equal(changed_next(&f, at), none);
        assert_int_equal(changed_sum(t.set).blocks, sizes[i]);
        tell_end(&t);
    }
}

static void check_run(uint32_t first, uint32_t count)
{
    struct teller t;

    tell_begin(&t);
    run(&t, table, first, count);
    finish(&t);
    for (uint32_t segno = first / FILE_BLOCKS; segno <= (first + count - 1) / FILE_BLOCKS;
         segno++) {
        struct changed_file f = main_file(&t, table, segno);
        uint64_t start = (uint64_t)segno * FILE_BLOCKS, end = (uint64_t)first + count;
        uint32_t from = first > start ? (uint32_t)(first - start) : 0;
        uint32_t to = (uint32_t)(MIN_OF(end, start + FILE_BLOCKS) - start);

        assert_false(f.all);
        assert_int_equal(changed_next(&f, 0), from);
        for (uint32_t b = from; b < to; b++)
            assert_int_equal(changed_next(&f, b), b);
        assert_int_equal(changed_next(&f, to), none);
    }
    if ((first + count - 1) / FILE_BLOCKS < RELSEG_MAX)
        assert_true(is_untouched(main_file(&t, table, (first + count - 1) / FILE_BLOCKS + 1)));
    if (first >= FILE_BLOCKS)
        assert_true(is_untouched(main_file(&t, table, first / FILE_BLOCKS - 1)));
    assert_int_equal(changed_sum(t.set).blocks, count);
    tell_end(&t);
}

static void a_run_goes_on_in_the_next_file(void **state)
{
    (void)state;
    check_run(FILE_BLOCKS - 1, 1);
    check_run(FILE_BLOCKS - 1, 2);
    check_run(FILE_BLOCKS, 1);
    check_run(FILE_BLOCKS - 300, 600);
    check_run(FILE_BLOCKS - 300, 301);
    check_run(2 * FILE_BLOCKS - 65, 130);
    check_run(63, 2);
    check_run(64, 1000);
    check_run(63, 66 + 512);
    check_run(0, FILE_BLOCKS);
    check_run(5, 3 * FILE_BLOCKS);
    check_run(UINT32_MAX - 700, 700); /* the last ones there can be */
}

static void of_very_many_relations_each_is_found(void **state)
{
    enum { RELATIONS = 30000 };
    struct teller t;
    (void)state;

    tell_begin(&t);
    for (uint32_t i = 0; i < RELATIONS; i++) {
        struct wal_locator rel = {1663 + i % 3, 5 + i % 7, 16384 + i};

        block(&t, rel, i);
        wal_changes_block(t.changes, &rel, FORK_VM, i + 1);
        if (i % 1000 == 0)
            add(&t);
    }
    finish(&t);
    for (uint32_t i = 0; i < RELATIONS; i++) {
        struct wal_locator rel = {1663 + i % 3, 5 + i % 7, 16384 + i}, near = rel;
        struct changed_file f = main_file(&t, rel, 0), vm = file(&t, rel, FORK_VM, 0);

        near.db += 7;
        assert_int_equal(f.n, 1);
        assert_int_equal(f.some[0], i);
        assert_int_equal(vm.n, 1);
        assert_int_equal(vm.some[0], i + 1);
        assert_true(is_untouched(main_file(&t, near, 0)));
    }
    assert_int_equal(changed_sum(t.set).files, 2 * RELATIONS);
    tell_end(&t);
}

/* ---- limits ---- */

static void at_and_behind_a_limit_everything_counts(void **state)
{
    static const struct {
        uint32_t limit;
        struct {
            bool all;
            uint32_t from;
        } want[3]; /* by segment */
    } cases[] = {
        {0, {{true, 0}, {true, 0}, {true, 0}}},
        {1, {{false, 1}, {true, 0}, {true, 0}}},
        {FILE_BLOCKS - 1, {{false, FILE_BLOCKS - 1}, {true, 0}, {true, 0}}},
        {FILE_BLOCKS, {{false, UINT32_MAX}, {true, 0}, {true, 0}}},
        {FILE_BLOCKS + 1, {{false, UINT32_MAX}, {false, 1}, {true, 0}}},
        {2 * FILE_BLOCKS, {{false, UINT32_MAX}, {false, UINT32_MAX}, {true, 0}}},
        {3 * FILE_BLOCKS, {{false, UINT32_MAX}, {false, UINT32_MAX}, {false, UINT32_MAX}}},
        {UINT32_MAX - 1, {{false, UINT32_MAX}, {false, UINT32_MAX}, {false, UINT32_MAX}}},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct teller t;

        tell_begin(&t);
        limit(&t, table, cases[i].limit);
        finish(&t);
        for (uint32_t s = 0; s < 3; s++) {
            struct changed_file f = main_file(&t, table, s);
            uint32_t from = cases[i].want[s].from;

            assert_int_equal(f.all, cases[i].want[s].all);
            if (f.all) {
                assert_int_equal(changed_next(&f, 0), 0);
                assert_int_equal(changed_next(&f, 4711), 4711);
                continue;
            }
            assert_int_equal(f.from, from);
            assert_int_equal(changed_next(&f, 0), from);
            if (from != none)
                assert_int_equal(changed_next(&f, FILE_BLOCKS - 1), FILE_BLOCKS - 1);
        }
        assert_true(is_untouched(main_file(&t, second, 0)));
        assert_true(is_untouched(file(&t, table, FORK_INIT, 0)));
        tell_end(&t);
    }
}

static void the_lowest_limit_holds_and_blocks_below_it_are_kept(void **state)
{
    static const uint32_t limits[] = {900, 50, 400};
    struct changed_file f;
    struct teller t;
    (void)state;

    tell_begin(&t);
    for (size_t i = 0; i < LENGTH(limits); i++) {
        block(&t, table, 3);
        block(&t, table, 60);
        limit(&t, table, limits[i]);
        add(&t);
    }
    block(&t, table, 70);
    finish(&t);
    f = main_file(&t, table, 0);
    assert_int_equal(f.from, 50);
    assert_int_equal(changed_next(&f, 0), 3);
    assert_int_equal(changed_next(&f, 4), 50);
    assert_int_equal(changed_next(&f, 61), 61);
    tell_end(&t);
}

/* Every fork, those too of which nothing else was told; and what is made again under that number.
 */
static void a_dropped_relation_is_void_in_all_forks(void **state)
{
    struct teller t;
    (void)state;

    tell_begin(&t);
    block(&t, table, 7);
    wal_changes_block(t.changes, &second, FORK_FSM, 1);
    add(&t);
    wal_changes_drop(t.changes, &table);
    add(&t);
    wal_changes_limit(t.changes, &table, FORK_MAIN, 0, WAL_REL_CREATED);
    block(&t, table, 0);
    finish(&t);
    for (int fork = 0; fork < WAL_FORKS; fork++)
        for (uint32_t s = 0; s < 3; s++) {
            assert_true(file(&t, table, (enum rel_fork)fork, s).all);
            assert_false(file(&t, second, (enum rel_fork)fork, s).all);
        }
    tell_end(&t);
}

/* ---- databases ---- */

static void a_database_that_came_or_went_is_void_in_its_tablespace(void **state)
{
    static const struct {
        enum wal_event_kind kind;
        bool voids;
    } cases[] = {
        {WAL_EVENT_DB_CREATE_COPY, true}, {WAL_EVENT_DB_CREATE_LOGGED, true},
        {WAL_EVENT_DB_DROP, true},        {WAL_EVENT_CHECKPOINT_ONLINE, false},
        {WAL_EVENT_BACKUP_END, false},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct teller t;

        tell_begin(&t);
        block(&t, other_db, 3);
        event(&t, cases[i].kind, table.spc, table.db);
        event(&t, cases[i].kind, table.spc, table.db);
        finish(&t);
        assert_int_equal(main_file(&t, table, 0).all, cases[i].voids);
        assert_int_equal(main_file(&t, second, 3).all, cases[i].voids);
        assert_int_equal(file(&t, second, FORK_VM, 0).all, cases[i].voids);
        assert_true(is_untouched(main_file(&t, elsewhere, 0)));
        assert_false(main_file(&t, other_db, 0).all);
        assert_int_equal(changed_sum(t.set).databases, cases[i].voids);
        tell_end(&t);
    }
}

static void a_database_in_several_tablespaces_is_void_in_each(void **state)
{
    struct teller t;
    (void)state;

    tell_begin(&t);
    for (uint32_t i = 0; i < 40; i++) {
        event(&t, WAL_EVENT_DB_DROP, 20000 + i, 5);
        add(&t);
    }
    finish(&t);
    for (uint32_t i = 0; i < 40; i++)
        assert_true(main_file(&t, (struct wal_locator){20000 + i, 5, 16384}, 0).all);
    assert_true(is_untouched(main_file(&t, (struct wal_locator){20040, 5, 16384}, 0)));
    assert_int_equal(changed_sum(t.set).databases, 40);
    tell_end(&t);
}

/* ---- against a simulation ---- */

enum { RELS = 3, SEGMENTS = 3, BLOCKS = SEGMENTS * FILE_BLOCKS };
struct model {
    struct wal_locator rels[RELS];
    uint64_t random;
    bool dropped[RELS], void_db[2];
    uint32_t limits[RELS][WAL_FORKS];
    uint8_t changed[RELS][2][BLOCKS]; /* main and vm */
};

static uint32_t any(struct model *m, uint32_t n)
{
    m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((m->random >> 33) % n);
}

static uint8_t any_fork(struct model *m)
{
    return any(m, 4) == 0 ? FORK_VM : FORK_MAIN;
}

static void model_begin(struct model *m, uint64_t seed)
{
    memset(m, 0, sizeof *m);
    m->random = seed;
    for (uint32_t i = 0; i < RELS; i++) {
        m->rels[i] = (struct wal_locator){1663, 5 + i / 2, 16384 + i};
        for (int fork = 0; fork < WAL_FORKS; fork++)
            m->limits[i][fork] = none;
    }
}

static void any_run(struct model *m, struct teller *t, uint32_t rel)
{
    static const uint32_t longest[] = {1, 3, 70, 2000, 150000};
    uint8_t fork = any_fork(m);
    uint32_t count = 1 + any(m, longest[any(m, LENGTH(longest))]);
    uint32_t first =
        any(m, 3) == 0 ? FILE_BLOCKS * (1 + any(m, 2)) - any(m, count + 1) : any(m, BLOCKS - count);

    first = MIN_OF(first, BLOCKS - count);
    wal_changes_run(t->changes, &m->rels[rel], fork, (struct wal_run){first, count});
    memset(&m->changed[rel][fork == FORK_VM][first], 1, count);
}

static void any_change(struct model *m, struct teller *t)
{
    uint32_t rel = any(m, RELS), what = any(m, 1000), at;
    uint8_t fork = any_fork(m);

    if (what < 10) {
        at = any(m, 2) == 0 ? FILE_BLOCKS * any(m, SEGMENTS + 1) : any(m, BLOCKS);
        wal_changes_limit(t->changes, &m->rels[rel], fork, at, WAL_REL_TRUNCATED);
        m->limits[rel][fork] = MIN_OF(m->limits[rel][fork], at);
    } else if (what == 10) {
        wal_changes_drop(t->changes, &m->rels[rel]);
        m->dropped[rel] = true;
    } else if (what == 11 && any(m, 4) == 0) {
        event(t, WAL_EVENT_DB_CREATE_LOGGED, 1663, m->rels[rel].db);
        m->void_db[m->rels[rel].db - 5] = true;
        add(t);
    } else {
        any_run(m, t, rel);
    }
    if (any(m, 10) == 0)
        add(t);
}

static bool is_changed(const struct model *m, uint32_t rel, uint8_t fork, uint32_t number)
{
    return m->dropped[rel] || m->void_db[m->rels[rel].db - 5] || number >= m->limits[rel][fork] ||
           m->changed[rel][fork == FORK_VM][number] != 0;
}

/* From the end, so that the next changed block is always known; asked wherever something begins or
 * ends, and now and then. */
static void compare_file(const struct model *m, const struct teller *t, uint32_t rel, uint8_t fork,
                         uint32_t segno)
{
    struct changed_file f = file(t, m->rels[rel], fork, segno);
    uint32_t next = none;
    bool before = false;

    for (uint32_t b = FILE_BLOCKS; b-- > 0;) {
        bool now = is_changed(m, rel, fork, segno * FILE_BLOCKS + b);
        bool ask = now != before || b % 61 == 0;
        uint32_t got = ask ? changed_next(&f, b) : next;

        before = now;
        if (now)
            next = b;
        if (ask && got != next)
            fail_msg("relation %u fork %u segment %u: behind %u comes %u, not %u", rel, fork, segno,
                     b, got, next);
    }
}

static void any_set_says_what_a_simple_one_says(void **state)
{
    AUTO(mem_free) struct model *m = xmalloc(sizeof *m);
    (void)state;

    for (uint64_t seed = 1; seed <= 12; seed++) {
        static const uint32_t changes[] = {3, 30, 200, 600};
        struct teller t;

        model_begin(m, seed);
        tell_begin(&t);
        for (uint32_t i = 0; i < changes[seed % LENGTH(changes)]; i++)
            any_change(m, &t);
        finish(&t);
        for (uint32_t rel = 0; rel < RELS; rel++)
            for (uint32_t s = 0; s < SEGMENTS; s++) {
                compare_file(m, &t, rel, FORK_MAIN, s);
                compare_file(m, &t, rel, FORK_VM, s);
            }
        tell_end(&t);
    }
}

/* The file of which hardly anything is mapped makes no difference; nor that there is no room. */
static void a_set_that_lies_in_a_file_says_the_same(void **state)
{
    static const struct bit_store_room small[] = {
        {"/tmp", 0, 0}, {"/tmp", 0, 16 << 10}, {"/tmp", 32 << 10, 48 << 10}, {"/nowhere", 0, 0}};
    const struct bit_store_room usual = room;

    log_setup(LOG_TEXT, LOG_ERROR);
    for (size_t i = 0; i < LENGTH(small); i++) {
        room = small[i];
        any_set_says_what_a_simple_one_says(state);
        many_blocks_become_bits_and_none_is_lost(state);
    }
    room = usual;
}

/* ---- memory ---- */

static size_t in_use(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

/* Each index is of 10,000 blocks here and there; all together are all blocks. */
static void add_dense(struct changed *c, uint32_t blocks)
{
    const uint32_t step = blocks / 10000;
    AUTO(mem_free) struct wal_run *runs = xcalloc(10000, sizeof *runs);
    struct wal_index_rel r = {.rel = table, .forks = 1 << FORK_MAIN};
    struct wal_index ix;

    wal_index_init(&ix);
    r.fork[FORK_MAIN] = (struct wal_index_fork){WAL_NO_BLOCK, 0, 10000};
    ix.rels = &r;
    ix.n_rels = 1;
    ix.runs = runs;
    ix.n_runs = 10000;
    for (uint32_t i = 0; i < step; i += 50) {
        for (uint32_t k = 0; k < 10000; k++)
            runs[k] = (struct wal_run){k * step + i * 7919 % step, 50};
        changed_add(c, &ix);
    }
}

static void a_hundred_million_dense_blocks_take_few_megabytes(void **state)
{
    const uint32_t blocks = 100000000;
    size_t before = in_use(), after;
    struct changed *c = changed_new(NULL);
    (void)state;

    add_dense(c, blocks);
    OK(changed_finish(c, &err), &err);
    after = in_use();
    assert_int_equal(changed_sum(c).blocks, blocks);
    assert_int_equal(changed_sum(c).files, (blocks + FILE_BLOCKS - 1) / FILE_BLOCKS);
    assert_true(after - before < 20 << 20);
    changed_free(&c);
}

static uint64_t any_number(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *random >> 20;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* One index of that many blocks that lie anywhere in as many files; 8 files are a relation. */
static int64_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static int64_t adding_us; /* processor time of adding them, without that of making them up */

static void add_scattered(struct changed *c, uint64_t blocks, uint32_t files, uint64_t *random)
{
    uint32_t relations = (files + 7) / 8, each = (uint32_t)(blocks / relations);
    AUTO(mem_free) struct wal_index_rel *rels = xcalloc(relations, sizeof *rels);
    AUTO(mem_free) struct wal_run *runs = xcalloc((size_t)relations * each, sizeof *runs);
    AUTO(mem_free) uint32_t *numbers = xcalloc(each, sizeof *numbers);
    struct wal_index ix;

    wal_index_init(&ix);
    for (uint32_t i = 0; i < relations; i++) {
        for (uint32_t k = 0; k < each; k++)
            numbers[k] = (uint32_t)(any_number(random) % (8 * FILE_BLOCKS));
        qsort(numbers, each, sizeof *numbers, by_number);
        rels[i] = (struct wal_index_rel){.rel = {1663, 5, 16384 + i}, .forks = 1 << FORK_MAIN};
        rels[i].fork[FORK_MAIN] = (struct wal_index_fork){WAL_NO_BLOCK, ix.n_runs, each};
        for (uint32_t k = 0; k < each; k++)
            runs[ix.n_runs++] = (struct wal_run){numbers[k], 1};
    }
    ix.rels = rels;
    ix.n_rels = relations;
    ix.runs = runs;
    adding_us -= cpu_us();
    changed_add(c, &ix);
    adding_us += cpu_us();
}

static size_t resident(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*u %lu", &pages), 1);
    fclose(f);
    return pages * 4096;
}

/* Sanitizers keep memory of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif

static void scattered_blocks_take_no_more_memory_than_they_may(void **state)
{
    const struct bit_store_room little = {"/tmp", 8 << 20, 4 << 20};
    struct changed *c = changed_new_within(&little);
    size_t before = resident(), most = 0;
    struct changed_sum sum;
    uint64_t random = 1;
    (void)state;

    for (int i = 0; i < 10; i++) { /* 4,000 files: 62 MiB of bits */
        add_scattered(c, 400000, 4000, &random);
        most = MAX_OF(most, resident());
    }
    OK(changed_finish(c, &err), &err);
    sum = changed_sum(c);
    most = MAX_OF(most, resident());
    assert_int_equal(sum.files, 4000);
    assert_true(sum.blocks > 3900000 && sum.blocks <= 4000000);
    assert_true(sum.in_file > 50 << 20);
    if (most > before + (40 << 20) && !SANITIZED)
        fail_msg("%zu MiB, and %zu before", most >> 20, before >> 20);
    changed_free(&c);
}

/* "test_changed measure BLOCKS FILES BLOCKS-PER-INDEX DIR" */
static int measure(char **argv)
{
    uint64_t blocks = strtoull(argv[2], NULL, 10), each = strtoull(argv[4], NULL, 10), random = 1;
    uint32_t files = (uint32_t)strtoul(argv[3], NULL, 10);
    struct changed *c = changed_new(argv[5]);
    struct changed_sum sum;
    struct rusage usage;

    for (uint64_t told = 0; told < blocks; told += each)
        add_scattered(c, each, files, &random);
    adding_us -= cpu_us();
    if (changed_finish(c, &err) != 0)
        return 1;
    adding_us += cpu_us();
    sum = changed_sum(c);
    getrusage(RUSAGE_SELF, &usage);
    printf(
        "%llu blocks in %llu files: %.1f s CPU, at most %ld MiB resident, %llu MiB in the file\n",
        (unsigned long long)sum.blocks, (unsigned long long)sum.files, (double)adding_us / 1e6,
        usage.ru_maxrss >> 10, (unsigned long long)sum.in_file >> 20);
    changed_free(&c);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_which_nothing_was_told_is_unchanged),
        cmocka_unit_test(few_blocks_are_a_list_in_order_each_once),
        cmocka_unit_test(blocks_told_often_stay_a_list),
        cmocka_unit_test(many_blocks_become_bits_and_none_is_lost),
        cmocka_unit_test(a_run_goes_on_in_the_next_file),
        cmocka_unit_test(of_very_many_relations_each_is_found),
        cmocka_unit_test(at_and_behind_a_limit_everything_counts),
        cmocka_unit_test(the_lowest_limit_holds_and_blocks_below_it_are_kept),
        cmocka_unit_test(a_dropped_relation_is_void_in_all_forks),
        cmocka_unit_test(a_database_that_came_or_went_is_void_in_its_tablespace),
        cmocka_unit_test(a_database_in_several_tablespaces_is_void_in_each),
        cmocka_unit_test(any_set_says_what_a_simple_one_says),
        cmocka_unit_test(a_set_that_lies_in_a_file_says_the_same),
        cmocka_unit_test(a_hundred_million_dense_blocks_take_few_megabytes),
        cmocka_unit_test(scattered_blocks_take_no_more_memory_than_they_may),
    };

    if (argc == 6 && strcmp(argv[1], "measure") == 0)
        return measure(argv);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
