/* An expirer with each call of the store failing once, or all from one on, as when it is killed:
 * what is listed is whole at any moment, and the next run finishes what was begun. */
#include "tests/unit/repo/expire_world.h"

#include "repo/verify/verify.h"

/* What there is, and what must be left. */
struct scene {
    struct world w;
    const char *f1, *i1, *f2, *f3, *dead, *held;
};

static void scene_end(struct scene *s)
{
    world_end(&s->w);
}

static void scene_begin(struct scene *s)
{
    struct lease *l = NULL;
    const struct lease_terms terms = {.id = identity, .host = "db2"};

    world_begin(&s->w, false, REPO_OPEN_FULL);
    s->f1 = backup(&s->w, 'F', 40, NULL);
    s->held = backup(&s->w, 'I', 38, s->f1);
    s->i1 = backup(&s->w, 'I', 35, s->f1);
    s->dead = interrupted(&s->w, 33);
    s->f2 = backup(&s->w, 'F', 30, NULL);
    s->f3 = backup(&s->w, 'F', 10, NULL);
    OK(expire_hold(s->w.r, s->held, NULL, 0, &err), &err);
    OK(lease_take(&l, s->w.s.repo, s->f2, &terms, NULL, &err), &err);
    OK(lease_release(&l, &err), &err);
}

static bool is_listed(const struct scene *s, const char *label)
{
    return has(&s->w, manifest_key(label)) && !is_hidden(&s->w, label);
}

static void listed_is_whole(const struct scene *s)
{
    const char *const all[] = {s->f1, s->held, s->i1, s->f2, s->f3};

    for (size_t i = 0; i < LENGTH(all); i++)
        if (is_listed(s, all[i]) && !is_whole(&s->w, all[i]))
            fail_msg("backup %zu is listed and not whole", i);
    assert_true(is_listed(s, s->held));
    assert_true(is_listed(s, s->f3));
    for (unsigned i = 6 * WAL_STEP; i <= s->w.n * WAL_STEP; i++)
        assert_true(has_wal(&s->w, 1, i));
    assert_true(has_wal(&s->w, 1, 2 * WAL_STEP)); /* of the held one */
}

static void all_is_done(const struct scene *s)
{
    assert_false(has(&s->w, manifest_key(s->f1)));
    assert_true(has_pack(&s->w, s->f1, 0)); /* the held one needs it */
    assert_false(has_pack(&s->w, s->f1, 1));
    assert_true(is_gone(&s->w, s->i1));
    assert_true(is_gone(&s->w, s->f2));
    assert_true(is_gone(&s->w, s->dead));
    assert_int_equal(first_wal(&s->w), 2 * WAL_STEP);
    for (unsigned i = 2 * WAL_STEP + 1; i < 6 * WAL_STEP; i++)
        assert_false(has_wal(&s->w, 1, i));
}

static void nothing_is_damaged(struct repo *r)
{
    AUTO(verify_made_free) struct verify_made made = {0};
    struct progress progress = {.mode = PROGRESS_QUIET};
    const struct verify_request q = {.repo = r, .deep = true, .workers = 1, .progress = &progress};

    OK(verify_run(&q, &made, &err), &err);
    for (size_t i = 0; i < made.n_damages; i++)
        if (strstr(made.damages[i].object, "/wal/") == NULL) /* those are no real WAL */
            fail_msg("\"%s\": %s", made.damages[i].object, made.damages[i].why);
}

struct tally {
    unsigned done, failed;
};

/* False: there was no nth call any more. */
static bool fail_once(long nth, enum store_fault_kind kind, struct tally *t)
{
    AUTO(scene_end) struct scene s = {0};
    AUTO(repo_close) struct repo *flaky = NULL;
    AUTO(expire_made_free) struct expire_made made = {0};
    struct expire_request q;
    struct store *fault;
    bool reached;
    long opening;
    int rc;

    scene_begin(&s);
    flaky = sample_repo_other(&s.w.s, store_fault_new(s.w.s.store, -1, kind), REPO_OPEN_FULL);
    opening = store_fault_calls(repo_store(flaky));
    repo_close(&flaky);
    fault = store_fault_new(s.w.s.store, opening + nth, kind);
    flaky = sample_repo_other(&s.w.s, fault, REPO_OPEN_FULL);
    q = request(&s.w, POLICY_COUNT(1));
    q.repo = flaky;
    rc = expire_run(&q, &made, &err);
    if (rc != 0)
        assert_int_equal(err.code, ERR_UNREACHABLE);
    reached = store_fault_calls(fault) - opening > nth;
    rc == 0 ? t->done++ : t->failed++;
    listed_is_whole(&s);
    if (rc == 0)
        all_is_done(&s);
    ahead_us = DAY / 24; /* the lease of a killed one is old by now */
    expire(&s.w, POLICY_COUNT(1));
    listed_is_whole(&s);
    all_is_done(&s);
    nothing_is_damaged(s.w.s.repo);
    return reached;
}

static void whatever_call_fails_what_is_listed_is_whole_and_the_next_run_finishes(void **state)
{
    static const enum store_fault_kind kinds[] = {FAULT_BEFORE, FAULT_AFTER, FAULT_FOREVER};

    (void)state;
    for (size_t k = 0; k < LENGTH(kinds); k++) {
        struct tally t = {0};

        for (long nth = 0; fail_once(nth, kinds[k], &t); nth++)
            assert_true(nth < 500);
        assert_true(t.failed > 20);
        assert_true(t.done >= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_call_fails_what_is_listed_is_whole_and_the_next_run_finishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
