/* test_sums_damage.c - sums of WAL indexes that are damaged, wrong, or of WAL that is gone: one is
 * never worse than none. */
#include "tests/unit/wal/sums_world.h"

/* The object of that key, changed. */
static void spoil(struct world *w, const char *key, size_t from)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    OK(store_read(w->rig.store, key, 32 << 20, &bytes, &err), &err);
    for (size_t i = from; i < bytes.len; i += 64)
        bytes.p[i] ^= 0x55;
    OK(store_put(w->rig.store, key, STORE_REPLACE, bytes.p, bytes.len, &err), &err);
}

static const char *key_of_sum(struct world *w, uint64_t first, uint64_t n)
{
    static struct buf key;
    struct sum_name name = {1, first * RIG_SEGSZ, (first + n) * RIG_SEGSZ};

    return name_sum(&key, "pg-test", RIG_SYSID, w->rig.major, &name);
}

static const char *key_of_segment(struct world *w, uint64_t segno)
{
    static struct buf key;
    char name[WAL_SEGMENT_NAME];

    wal_segment_name(1, segno, RIG_SEGSZ, name);
    OK(name_wal(&key, "pg-test", RIG_SYSID, w->rig.major, name, &err), &err);
    return key.p;
}

/* The range of plain_wal(20): blocks 0 to 18 are changed. */
static void is_right(struct world *w)
{
    struct err doubt;
    AUTO(changed_free) struct changed *c = collected(w, w->starts[0], w->starts[38], &doubt);
    struct rel_file f = {.spc = 1663, .db = 5, .rel = 20000, .fork = FORK_MAIN};
    struct changed_file file;

    if (c == NULL)
        fail_msg("doubt: %s", doubt.msg);
    changed_file(c, &f, &file);
    assert_false(file.all);
    assert_int_equal(file.from, UINT32_MAX);
    for (uint32_t b = 0; b < 20; b++)
        assert_int_equal(changed_next(&file, b), b);
    assert_int_equal(changed_next(&file, 20), UINT32_MAX);
}

static void a_damaged_sum_costs_only_the_slower_way(void **state)
{
    static const size_t from[] = {0, 128, 160, 200};
    (void)state;

    for (size_t i = 0; i < LENGTH(from); i++) {
        struct world w;

        with_sums(&w);
        is_right(&w);
        spoil(&w, key_of_sum(&w, 8, 8), from[i]);
        is_right(&w);
        spoil(&w, key_of_sum(&w, 4, 4), from[i]);
        is_right(&w);
        OK(store_put(w.rig.store, key_of_sum(&w, 16, 4), STORE_REPLACE, "", 0, &err), &err);
        is_right(&w);
        world_end(&w);
    }
}

/* A segment that was lost is missed, although a sum knows what it said. */
static void a_segment_that_was_lost_is_missed_all_the_same(void **state)
{
    AUTO(changed_free) struct changed *c = NULL;
    struct err doubt;
    struct world w;
    const char *key;
    (void)state;

    with_sums(&w);
    key = key_of_segment(&w, 10);
    OK(store_delete(w.rig.store, &key, 1, &err), &err);
    c = collected(&w, w.starts[0], w.starts[38], &doubt);
    assert_null(c);
    SAYS(doubt.msg, "00000001000000000000000A");
    SAYS(doubt.msg, "not in repository");
    world_end(&w);
}

/* Other WAL is there now under the names that a sum names: what is there counts. */
static void a_sum_of_other_segments_is_not_used(void **state)
{
    struct world w, other;
    AUTO(changed_free) struct changed *c = NULL;
    struct changed_file file;
    struct rel_file f = {.spc = 1663, .db = 5, .rel = 20004 - 1, .fork = FORK_MAIN};
    struct err doubt;
    (void)state;

    with_sums(&w);
    world_begin(&other, 2);
    for (size_t i = 0; i < 20; i++) {
        note(&other, long_change(&other.wal, (struct wal_locator){1663, 5, 20003}, FORK_MAIN,
                                 (uint32_t)i, 500));
        note(&other, wal_make_switch(&other.wal));
    }
    wal_make_noise(&other.wal, 50);
    for (uint64_t s = 3; s < 23; s++) {
        const char *key = key_of_segment(&w, s);

        OK(store_delete(w.rig.store, &key, 1, &err), &err);
    }
    rig_put_range(&w.rig, &other.wal, 0, 19, 1);
    c = collected(&w, other.starts[0], other.starts[38], &doubt);
    assert_non_null(c);
    changed_file(c, &f, &file);
    assert_int_equal(changed_next(&file, 0), 0);
    f.rel = 20000;
    changed_file(c, &f, &file);
    assert_int_equal(changed_next(&file, 0), UINT32_MAX);
    world_end(&other);
    world_end(&w);
}

/* ---- sums that are wrong ---- */

struct findings {
    size_t n;
    char key[160], why[400];
};
static void found(void *ctx, const char *key, const char *why)
{
    struct findings *f = ctx;

    f->n++;
    snprintf(f->key, sizeof f->key, "%s", key);
    snprintf(f->why, sizeof f->why, "%s", why);
}

static void wrong_before(struct wal_sum *s)
{
    s->ix.first_prev -= 8;
}

static void wrong_last(struct wal_sum *s)
{
    s->ix.last_lsn -= 8;
}

/* A record goes on behind the end, where none does. */
static void wrong_tail(struct wal_sum *s)
{
    s->ix.tail_total = 100;
    s->ix.tail_seen = 40;
    for (int i = 0; i < 40; i++)
        buf_u8(&s->ix.tail, 0);
}

static void longer_tail(struct wal_sum *s)
{
    s->ix.tail_total += 8;
}

static void other_tail(struct wal_sum *s)
{
    if (s->ix.tail.len != 0)
        s->ix.tail.p[s->ix.tail.len - 1] ^= 1;
}

static void no_tail(struct wal_sum *s)
{
    s->ix.tail_total = s->ix.tail_seen = 0;
    s->ix.flags &= ~(uint32_t)WAL_INDEX_TAIL_OMITTED;
    buf_clear(&s->ix.tail);
}

static void no_events(struct wal_sum *s)
{
    s->ix.n_events = 0;
}

static void wrong_blocks(struct wal_sum *s)
{
    s->ix.runs[0].first += 500;
}

/* A sum that says something else, and is stored as if it were one. */
static void forge(struct world *w, uint64_t first, uint64_t n, void (*change)(struct wal_sum *s))
{
    AUTO(wal_sum_free) struct wal_sum s;
    struct wal_place place = place_of(w);
    const char *key = key_of_sum(w, first, n);
    bool made;

    wal_sum_init(&s);
    OK(sum_merge(&place, 1, first, first + n - 1, NULL, NULL, &s, &err), &err);
    change(&s);
    OK(store_delete(w->rig.store, &key, 1, &err), &err);
    OK(wal_sum_put(w->rig.repo, &s, &made, &err), &err);
    assert_true(made);
}

/* Wherever it is wrong: at its end that shows only where the next sum, or a segment, goes on. */
static void a_sum_that_does_not_continue_the_rest_makes_no_doubt(void **state)
{
    static void (*const changes[])(struct wal_sum * s) = {wrong_before, wrong_last, wrong_tail};
    static const uint64_t sums[][2] = {{8, 8}, {16, 4}}; /* before a sum; before segments */
    (void)state;

    for (size_t i = 0; i < LENGTH(changes); i++)
        for (size_t k = 0; k < LENGTH(sums); k++) {
            struct world w;

            with_sums(&w);
            forge(&w, sums[k][0], sums[k][1], changes[i]);
            is_right(&w);
            world_end(&w);
        }
}

/* Segments 3 to 7 and some more; a record of that length goes on from the end of 7. */
static void long_record_wal(struct world *w, size_t len)
{
    world_begin(w, 2);
    for (uint32_t i = 0; i < 5; i++) {
        note(w, wal_make_change(&w->wal, rel_of(0), i));
        if (i < 4)
            note(w, wal_make_switch(&w->wal));
    }
    wal_make_fill(&w->wal, 2000);
    note(w, long_change(&w->wal, rel_of(0), FORK_MAIN, 5, len));
    for (uint32_t i = 6; i < 9; i++) {
        note(w, wal_make_switch(&w->wal));
        note(w, wal_make_change(&w->wal, rel_of(0), i));
    }
    rig_put_range(&w->rig, &w->wal, 0, wal_make_count(&w->wal) - 2, 1);
}

/* A record that goes on from the end of a sum is missed where it ends, which may be segments
 * later. */
static void a_sum_with_another_end_makes_no_doubt(void **state)
{
    static const size_t lengths[] = {3000, 2 * FRAGMENT, RIG_SEGSZ + RIG_SEGSZ / 2};
    static void (*const changes[])(struct wal_sum * s) = {wrong_last, longer_tail, other_tail,
                                                          no_tail};
    (void)state;

    for (size_t i = 0; i < LENGTH(lengths); i++)
        for (size_t k = 0; k < LENGTH(changes); k++) {
            AUTO(changed_free) struct changed *without = NULL, *with = NULL;
            struct err doubt;
            struct world w;

            long_record_wal(&w, lengths[i]);
            without = collected(&w, w.starts[0], w.starts[w.n_starts - 2], &doubt);
            assert_non_null(without);
            forge(&w, 4, 4, changes[k]);
            with = collected(&w, w.starts[0], w.starts[w.n_starts - 2], &doubt);
            if (with == NULL)
                fail_msg("%zu, %zu: %s", i, k, doubt.msg);
            same_set(without, with);
            world_end(&w);
        }
}

/* The end of the base lies in segments that a sum stands for. */
static void a_sum_that_does_not_know_the_base_makes_no_doubt(void **state)
{
    AUTO(changed_free) struct changed *c = NULL;
    AUTO(history_free) struct history h = HISTORY_INIT;
    struct changed_range range = {.history = &h, .data_fd = -1};
    uint8_t redo[8];
    struct err doubt = {0};
    struct world w;
    (void)state;

    world_begin(&w, 2);
    plain_wal(&w, 2);
    range.from = range.backup_lsn = w.starts[0];
    put_u64(redo, w.starts[0]);
    wal_make_record(&w.wal, WAL_RM_XLOG, 0x50, 0, NULL, 0, redo, sizeof redo);
    plain_wal(&w, 4);
    rig_put_range(&w.rig, &w.wal, 0, 5, 1);
    range.place = place_of(&w);
    range.to = w.wal.start + 5 * RIG_SEGSZ + 100;
    history_root(1, &h);
    forge(&w, 4, 2, no_events);
    OK(changed_collect(&range, &c, &doubt, &err), &err);
    if (c == NULL)
        fail_msg("doubt: %s", doubt.msg);
    world_end(&w);
}

/* A larger one is made all the same, and says what is right. */
static void a_wrong_sum_keeps_no_larger_one_from_being_made(void **state)
{
    static void (*const changes[])(struct wal_sum * s) = {wrong_before, wrong_last, wrong_tail};
    (void)state;

    for (size_t i = 0; i < LENGTH(changes); i++) {
        struct findings f = {0};
        const char *key;
        struct sums_made made;
        struct world w;

        with_sums(&w);
        key = key_of_sum(&w, 8, 8);
        OK(store_delete(w.rig.store, &key, 1, &err), &err);
        forge(&w, 8, 4, changes[i]);
        made = make(&w, 4, 8);
        assert_int_equal(made.refused, 0);
        assert_int_equal(made.made, 1);
        OK(sums_verify(w.rig.repo, NULL, found, &f, &err), &err);
        assert_int_equal(f.n, 1);
        assert_string_equal(f.key, key_of_sum(&w, 8, 4));
        world_end(&w);
    }
}

static void verify_finds_sums_that_say_something_else(void **state)
{
    struct findings f = {0};
    struct world w;
    const char *key;
    (void)state;

    with_sums(&w);
    OK(sums_verify(w.rig.repo, NULL, found, &f, &err), &err);
    assert_int_equal(f.n, 0);
    forge(&w, 8, 8, wrong_blocks);
    OK(sums_verify(w.rig.repo, NULL, found, &f, &err), &err);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.key, key_of_sum(&w, 8, 8));
    SAYS(f.why, "does not say what the indexes of its segments say");
    f.n = 0; /* no proof against the longer one */
    key = key_of_sum(&w, 8, 8);
    OK(store_delete(w.rig.store, &key, 1, &err), &err);
    make(&w, 4, 8);
    forge(&w, 8, 4, wrong_blocks);
    OK(sums_verify(w.rig.repo, NULL, found, &f, &err), &err);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.key, key_of_sum(&w, 8, 4));
    f.n = 0;
    key = key_of_sum(&w, 8, 4);
    OK(store_delete(w.rig.store, &key, 1, &err), &err);
    spoil(&w, key_of_sum(&w, 16, 4), 128);
    OK(sums_verify(w.rig.repo, NULL, found, &f, &err), &err);
    assert_int_equal(f.n, 1);
    f.n = 0; /* expired while it went on */
    key = key_of_segment(&w, 5);
    OK(store_delete(w.rig.store, &key, 1, &err), &err);
    key = key_of_sum(&w, 16, 4);
    OK(store_delete(w.rig.store, &key, 1, &err), &err);
    OK(sums_verify(w.rig.repo, NULL, found, &f, &err), &err);
    assert_int_equal(f.n, 0);
    world_end(&w);
}

/* "I could not ask" is neither a doubt nor a set. */
static void a_store_that_does_not_answer_is_no_doubt(void **state)
{
    struct world w;
    long calls;
    (void)state;

    with_sums(&w);
    calls = calls_for(&w, w.starts[0], w.starts[38]);
    for (long nth = 0; nth < calls; nth++) {
        AUTO(repo_close) struct repo *repo = NULL;
        struct changed *c = NULL;
        struct store *flaky = store_fault_new(w.rig.store, nth, FAULT_BEFORE);
        struct repo_options o = {.name = "main", .cluster = "pg-test", .level = 1};
        struct err doubt;

        if (repo_open(&repo, flaky, &o, REPO_OPEN_FULL, &err) != 0) {
            err_clear(&err);
            calls++;
            continue;
        }
        FAILS(collect_from(&w, repo, w.starts[0], w.starts[38], &c, &doubt), &err, ERR_UNREACHABLE);
        assert_null(c);
        assert_int_equal(doubt.code, 0);
    }
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_sum_costs_only_the_slower_way),
        cmocka_unit_test(a_segment_that_was_lost_is_missed_all_the_same),
        cmocka_unit_test(a_sum_of_other_segments_is_not_used),
        cmocka_unit_test(a_sum_that_does_not_continue_the_rest_makes_no_doubt),
        cmocka_unit_test(a_sum_with_another_end_makes_no_doubt),
        cmocka_unit_test(a_sum_that_does_not_know_the_base_makes_no_doubt),
        cmocka_unit_test(a_wrong_sum_keeps_no_larger_one_from_being_made),
        cmocka_unit_test(verify_finds_sums_that_say_something_else),
        cmocka_unit_test(a_store_that_does_not_answer_is_no_doubt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
