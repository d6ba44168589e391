/* test_increment_faults.c - an incremental backup while files change under it, that is interrupted,
 * or whose store fails. */
#include "tests/unit/backup/increment_world.h"

/* ---- between listing and copying ---- */

static void vanish(struct world *w)
{
    data_remove(&w->dir, "base/5/1");
    data_remove(&w->dir, "base/5/2");
    data_remove(&w->dir, "base/5/3");
    data_remove(&w->dir, "base/5/4");
}

/* What was to be read and is gone is left out; what needed no reading need not be there. In both
 * cases the WAL has the drop. */
static void files_may_vanish_between_list_and_copy(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_pages(&w->dir, "base/5/3", 0, 3);
    data_pages(&w->dir, "base/5/4", 0, 3 * PART_PAGES / 2); /* several parts, all to be read */
    data_pages(&w->dir, "base/5/5", 0, 100);
    back_up(w);
    change(w, "base/5/1", 5, 2);
    change(w, "base/5/4", 5, 2);
    change(w, "base/5/4", PART_PAGES + 5, 2);
    change(w, "base/5/5", 5, 2);
    back_up_while(w, vanish);
    read_just(w, PAGE);
    assert_int_equal(atomic_load(&w->a.copied.vanished), 2);
    assert_false(stored(w, "base/5/1").there);
    assert_false(stored(w, "base/5/4").there);
    assert_int_equal(stored(w, "base/5/2").pages[2], 100);
    assert_int_equal(stored(w, "base/5/3").set, 2);
    assert_true(back_one(w->repo.repo, w->a.label, "data/base/5/2", &bytes));
    assert_int_equal(bytes.len, 100 * PAGE);
}

static void shrink(struct world *w)
{
    data_resize(&w->dir, "base/5/1", 60 * PAGE);
    data_resize(&w->dir, "base/5/2", 60 * PAGE);
    data_resize(&w->dir, "base/5/3", 0);
    data_resize(&w->dir, "base/5/4", 30 * PAGE + 100);
    data_resize(&w->dir, "base/5/5", 0);
}

/* It ends where a page that was to be read was not there any more; the WAL cuts off the rest. */
static void a_file_may_shrink_between_list_and_copy(void **state)
{
    static const struct {
        const char *name;
        uint32_t pages;
    } want[] = {
        {"base/5/1", 90}, {"base/5/2", 100}, {"base/5/3", 0}, {"base/5/4", 30}, {"base/5/5", 50}};
    AUTO(buf_free) struct buf was = BUF_INIT, bytes = BUF_INIT;
    struct world *w = *state;
    struct err err = {0};

    for (size_t i = 0; i < LENGTH(want); i++)
        data_pages(&w->dir, want[i].name, 0, 100);
    back_up(w);
    OK(fs_read_file(w->dir.fd, "base/5/1", 1 << 30, &was, &err), &err);
    tell(w, "base/5/1", 50); /* as it was */
    tell(w, "base/5/1", 90);
    tell(w, "base/5/3", 0);
    for (uint32_t i = 20; i < 40; i++)
        tell(w, "base/5/4", i);
    tell(w, "base/5/5", 50);
    back_up_while(w, shrink);
    read_just(w, (1 + 10) * PAGE + 100);
    for (size_t i = 0; i < LENGTH(want); i++) {
        AUTO(mem_free) char *path = xasprintf("data/%s", want[i].name);

        assert_true(back_one(w->repo.repo, w->a.label, path, &bytes));
        assert_int_equal(bytes.len, want[i].pages * PAGE);
        assert_true(bytes.len == 0 || memcmp(bytes.p, was.p, bytes.len) == 0);
    }
    assert_int_equal(stored(w, "base/5/3").place, PLACE_EMPTY);
    data_resize(&w->dir, "base/5/1", 90 * PAGE); /* so that the next one finds a smaller one */
    back_up(w);
}

static void grow(struct world *w)
{
    data_pages(&w->dir, "base/5/1", 100, 100);
    data_pages(&w->dir, "base/5/2", 100, 100);
    data_pages(&w->dir, "base/5/3", 3, 100);
}

/* What it got since is in the WAL. */
static void a_file_may_grow_between_list_and_copy(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_pages(&w->dir, "base/5/3", 0, 3);
    back_up(w);
    change(w, "base/5/1", 99, 2);
    change(w, "base/5/3", 2, 2);
    back_up_while(w, grow);
    assert_int_equal(stored(w, "base/5/1").size, 100 * PAGE);
    assert_int_equal(stored(w, "base/5/2").size, 100 * PAGE);
    assert_true(back_one(w->repo.repo, w->a.label, "data/base/5/3", &bytes));
    assert_true(bytes.len == 103 * PAGE); /* a small one is read to its end */
    tell(w, "base/5/3", 50);
    back_up(w);
    right(w, 200 - 100 + 200 - 100 + 1);
}

/* ---- interrupted attempts ---- */

/* Both an incremental and the full one before it were interrupted; what they stored is used. The
 * set that the base adopted is named by the base and offered again. */
static void what_interrupted_increments_stored_is_adopted(void **state)
{
    struct world *w = *state;
    struct attempt lost[2];
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 300);
    data_pages(&w->dir, "base/5/2", 0, 5);
    OK(attempt_list(next_attempt(w), &err), &err);
    OK(attempt_copy(&w->a, &err), &err); /* and never committed */
    lost[0] = w->a;
    w->a = (struct attempt){.list = {.fd = -1}, .results = {.fd = -1, .map_fd = -1}};
    back_up(w);
    assert_int_equal(adopt_sets(w->a.adoption), 1);
    assert_true(atomic_load(&w->a.copied.adopted_bytes) >= 305 * PAGE);
    for (int i = 0; i < 2; i++) {
        change_run(w, "base/5/1", 50, 40, 2);
        change(w, "base/5/1", 200, 2);
        change(w, "base/5/2", 1, 2);
        if (i == 1)
            break;
        OK(attempt_list(next_attempt(w), &err), &err);
        OK(attempt_copy(&w->a, &err), &err);
        lost[1] = w->a;
        w->a = (struct attempt){.list = {.fd = -1}, .results = {.fd = -1, .map_fd = -1}};
    }
    back_up(w);
    right(w, 41 + 5);
    assert_int_equal(adopt_sets(w->a.adoption), 2);
    assert_int_equal(atomic_load(&w->a.copied.adopted_bytes), 46 * PAGE + 3);
    change(w, "base/5/1", 299, 2);
    back_up(w);
    right(w, 1);
    attempt_free(&lost[0]);
    attempt_free(&lost[1]);
}

static void a_request_to_stop_ends_an_increment(void **state)
{
    struct world *w = *state;
    struct stop stop = {0};
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 300);
    back_up(w);
    change_run(w, "base/5/1", 50, 100, 2);
    next_attempt(w);
    w->a.stop = &stop;
    OK(attempt_list(&w->a, &err), &err);
    atomic_store(&stop.signal, 15);
    FAILS(attempt_copy(&w->a, &err), &err, ERR_INTERRUPTED);
}

/* One incremental with the nth call failing; false: there were fewer. */
static bool increment_with_fault(long nth, enum store_fault_kind kind)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w;
    struct store *flaky;
    struct repo *repo = NULL;
    struct manifest *seen = NULL;
    struct err err = {0};
    bool reached = true;

    begin((void **)&w);
    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 3);
    back_up(w);
    change_run(w, "base/5/1", 20, 10, 2);
    change(w, "base/5/2", 1, 2);
    next_attempt(w);
    flaky = store_fault_new(w->repo.store, nth, kind);
    if (repo_open(&repo, flaky, &w->repo.options, REPO_OPEN_FULL, &err) == 0) {
        w->a.repo = repo;
        /* After a failure it may be there: the answer was lost, nothing else. */
        if (attempt_all(&w->a, &err) == 0 ||
            (w->a.label[0] != '\0' && manifest_open(&seen, w->repo.repo, w->a.label, &err) == 0))
            as_it_lies_there(w);
        reached = store_fault_calls(flaky) > nth;
    }
    assert_true(back_one(w->repo.repo, w->labels[0], "data/base/5/1", &bytes)); /* still */
    manifest_close(&seen);
    attempt_free(&w->a);
    repo_close(&repo);
    end((void **)&w);
    return reached;
}

static void whichever_call_of_the_store_fails_there_is_a_whole_increment_or_none(void **state)
{
    static const enum store_fault_kind kinds[] = {FAULT_BEFORE, FAULT_AFTER, FAULT_FOREVER};
    (void)state;

    for (size_t i = 0; i < LENGTH(kinds); i++) {
        long nth = 0;

        while (increment_with_fault(nth, kinds[i]))
            nth++;
        assert_true(nth > 15);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(files_may_vanish_between_list_and_copy),
        PLAIN(a_file_may_shrink_between_list_and_copy),
        PLAIN(a_file_may_grow_between_list_and_copy),
        PLAIN(what_interrupted_increments_stored_is_adopted),
        PLAIN(a_request_to_stop_ends_an_increment),
        cmocka_unit_test(whichever_call_of_the_store_fails_there_is_a_whole_increment_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
