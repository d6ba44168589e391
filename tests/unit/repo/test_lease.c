/* test_lease.c - leases, fences and marks, with two hosts that share a store in memory. */
#include "repo/lease/lease.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/lease/lease_form.h"
#include "repo/lease/marks.h"
#include "repo/object/fields.h"
#include "repo/store/store_driver.h"
#include "tests/lib/test.h"

#define MINE "20260102T030405Z-I-0a1b2c"
#define OTHER "20260103T030405Z-F-0d0e0f"
#define BASE "20260101T030405Z-F-112233"
#define OLDER "20251231T030405Z-F-445566"

#define IDENTITY                  \
    {                             \
        0x6512345678901234, 15, 3 \
    }
static const struct set_identity identity = IDENTITY;
static const struct lease_terms plain_terms = {.id = IDENTITY, .host = "db1", .pid = 4711};

struct world {
    struct store *store; /* a handle that stays, whatever becomes of the repositories */
    struct repo *repo;
    unsigned heartbeat_s, ttl_s;
};

static struct repo_options options(const struct world *w)
{
    return (struct repo_options){.name = "test",
                                 .cluster = "main",
                                 .lease_heartbeat_s = w->heartbeat_s,
                                 .lease_ttl_s = w->ttl_s};
}

static void world_begin(struct world *w)
{
    struct repo_options o = options(w);
    struct err err = {0};
    bool created;

    log_setup(LOG_TEXT, LOG_ERROR);
    w->store = store_mem_new();
    OK(repo_init(&w->repo, store_mem_share(w->store), &o, &created, &err), &err);
}

static void world_end(struct world *w)
{
    repo_close(&w->repo);
    store_close(&w->store);
}

/* The same repository through another store handle, which is taken. */
static struct repo *other_host(const struct world *w, struct store *store)
{
    struct repo_options o = options(w);
    struct err err = {0};
    struct repo *r = NULL;

    OK(repo_open(&r, store, &o, REPO_OPEN_FULL, &err), &err);
    return r;
}

static void seen_all(struct repo *r, struct lease_seen **seen, size_t *n)
{
    struct err err = {0};

    OK(leases_list(r, seen, n, &err), &err);
}

/* How many leases are live. */
static size_t count_live(struct repo *r)
{
    struct lease_seen *seen = NULL;
    size_t n, live = 0;

    seen_all(r, &seen, &n);
    for (size_t i = 0; i < n; i++)
        live += seen[i].live;
    leases_free(&seen, n);
    return live;
}

/* Waits up to five seconds for the flag. */
static bool was_stopped(const struct stop *stop)
{
    for (int i = 0; i < 500 && !stop_wanted(stop); i++)
        clock_sleep_ms(10);
    return stop_wanted(stop);
}

static void put_body(struct world *w, const char *set, const struct buf *body)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct object_head head = {.kind = OBJECT_LEASE};
    struct err err = {0};

    lease_label(head.label, set);
    memcpy(head.repo_id, repo_id(w->repo), sizeof head.repo_id);
    OK(repo_coder(w->repo, head.label, &coder, &err), &err);
    OK(object_put_small(w->store, name_lease(&key, "main", set), STORE_REPLACE, &head, coder,
                        CHUNK_TEXT, CHUNK_PUBLIC, body->p, body->len, &err),
       &err);
}

/* ---- taking, updating, releasing ---- */

static void another_host_sees_all_terms(void **state)
{
    AUTO(world_end) struct world w = {0};
    AUTO(lease_drop) struct lease *l = NULL;
    const char *const adopted[] = {OLDER, OTHER};
    struct lease_terms terms = {identity, BASE, adopted, 2, "db1.example", 4711, 0x5000028};
    struct lease_seen *seen = NULL;
    struct err err = {0};
    size_t n;

    (void)state;
    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &terms, NULL, &err), &err);
    seen_all(w.repo, &seen, &n);
    assert_int_equal(n, 1);
    assert_string_equal(seen->set, MINE);
    assert_memory_equal(&seen->id, &identity, sizeof identity);
    assert_string_equal(seen->base, BASE);
    assert_int_equal(seen->n_adopted, 2);
    assert_string_equal(seen->adopted[0], OLDER);
    assert_string_equal(seen->adopted[1], OTHER);
    assert_string_equal(seen->host, "db1.example");
    assert_true(seen->wal_lsn == 0x5000028);
    assert_true(seen->live);
    assert_false(seen->released);
    assert_in_range(seen->age_us, 0, 60 * 1000000);
    leases_free(&seen, n);
    assert_null(seen);
}

static void new_terms_replace_the_old_ones(void **state)
{
    AUTO(world_end) struct world w = {0};
    AUTO(lease_drop) struct lease *l = NULL;
    const char *const adopted[] = {OLDER};
    struct lease_terms more = {identity, NULL, adopted, 1, "db1", 4711, 0};
    struct lease_seen *seen = NULL;
    struct err err = {0};
    size_t n;

    (void)state;
    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &plain_terms, NULL, &err), &err);
    OK(lease_update(l, &more, &err), &err);
    seen_all(w.repo, &seen, &n);
    assert_int_equal(n, 1);
    assert_string_equal(seen->base, "");
    assert_int_equal(seen->n_adopted, 1);
    leases_free(&seen, n);

    OK(lease_release(&l, &err), &err);
    assert_null(l);
    seen_all(w.repo, &seen, &n);
    assert_int_equal(seen->n_adopted, 1);
    assert_true(seen->released);
    assert_false(seen->live);
    leases_free(&seen, n);
}

static void a_set_cannot_be_leased_twice(void **state)
{
    AUTO(world_end) struct world w = {0};
    AUTO(lease_drop) struct lease *l = NULL, *second = NULL;
    struct err err = {0};

    (void)state;
    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &plain_terms, NULL, &err), &err);
    FAILS(lease_take(&second, w.repo, MINE, &plain_terms, NULL, &err), &err, ERR_EXISTS);
    OK(lease_release(&l, &err), &err);
    FAILS(lease_take(&second, w.repo, MINE, &plain_terms, NULL, &err), &err, ERR_EXISTS);
    assert_null(second);
    FAILS(lease_take(&second, w.repo, "../escape", &plain_terms, NULL, &err), &err, ERR_FAILED);
}

static void a_dropped_lease_stays_like_that_of_a_crashed_writer(void **state)
{
    AUTO(world_end) struct world w = {0};
    struct lease *l = NULL;
    struct err err = {0};

    (void)state;
    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &plain_terms, NULL, &err), &err);
    lease_drop(&l);
    assert_null(l);
    lease_drop(&l);
    OK(lease_release(&l, &err), &err);
    assert_int_equal(count_live(w.repo), 1);
}

/* A driver whose reply to a commit was lost, and which then finds its own object. */
static const struct store_ops *real_ops;

static int commit_twice(struct store_writer *w, enum store_commit_mode mode, struct err *err)
{
    TRY(real_ops->commit(w, mode, err));
    return err_set(err, ERR_EXISTS, "there is an object of that name");
}

static void a_lease_that_is_taken_back_was_never_there(void **state)
{
    struct world w = {.heartbeat_s = 60, .ttl_s = 900};
    AUTO(lease_drop) struct lease *again = NULL;
    struct lease *l = NULL;
    struct lease_seen *seen;
    struct err err = {0};
    size_t n;
    (void)state;

    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &plain_terms, NULL, &err), &err);
    OK(lease_withdraw(&l, &err), &err);
    assert_null(l);
    seen_all(w.repo, &seen, &n);
    assert_int_equal(n, 0);
    leases_free(&seen, n);
    OK(lease_take(&again, w.repo, MINE, &plain_terms, NULL, &err), &err);
    lease_drop(&again);
    OK(lease_withdraw(&again, &err), &err); /* of none: nothing */
    world_end(&w);
}

static void its_own_object_is_no_conflict_after_a_lost_reply(void **state)
{
    AUTO(world_end) struct world w = {0};
    AUTO(lease_drop) struct lease *l = NULL;
    struct store *store;
    struct store_ops ops;
    struct err err = {0};

    (void)state;
    world_begin(&w);
    store = repo_store(w.repo);
    real_ops = store->ops;
    ops = *real_ops;
    ops.commit = commit_twice;
    store->ops = &ops;
    OK(lease_take(&l, w.repo, MINE, &plain_terms, NULL, &err), &err);
    store->ops = real_ops;
    assert_int_equal(count_live(w.repo), 1);
}

static void whatever_call_fails_taking_says_so(void **state)
{
    struct err err = {0};
    long calls = -1;

    (void)state;
    for (int kind = FAULT_BEFORE; kind <= FAULT_AFTER; kind++)
        for (long nth = -1; nth < calls || calls < 0; nth++) {
            AUTO(world_end) struct world w = {0};
            AUTO(store_close) struct store *inner = NULL;
            AUTO(repo_close) struct repo *r = NULL;
            AUTO(lease_drop) struct lease *l = NULL;
            struct store *flaky;
            long before;
            world_begin(&w);
            inner = store_mem_share(w.store);
            flaky = store_fault_new(inner, -1, (enum store_fault_kind)kind);
            r = other_host(&w, flaky);
            before = store_fault_calls(flaky);
            repo_close(&r);
            r = other_host(&w, store_fault_new(inner, nth < 0 ? nth : before + nth,
                                               (enum store_fault_kind)kind));
            if (nth < 0) {
                OK(lease_take(&l, r, MINE, &plain_terms, NULL, &err), &err);
                calls = store_fault_calls(repo_store(r)) - before;
                assert_true(calls >= 2);
            } else {
                FAILS(lease_take(&l, r, MINE, &plain_terms, NULL, &err), &err, ERR_UNREACHABLE);
                assert_null(l);
                assert_in_range(count_live(w.repo), 0, kind == FAULT_AFTER);
            }
        }
}

/* ---- renewing ---- */

static void a_lease_outlives_its_ttl_by_being_renewed(void **state)
{
    AUTO(world_end) struct world w = {.heartbeat_s = 1, .ttl_s = 2};
    AUTO(lease_drop) struct lease *l = NULL;
    struct stop stop = {0};
    struct err err = {0};

    (void)state;
    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &plain_terms, &stop, &err), &err);
    for (int i = 0; i < 25; i++) { /* longer than the TTL */
        assert_int_equal(count_live(w.repo), 1);
        clock_sleep_ms(100);
    }
    OK(lease_check(l, &err), &err);
    assert_false(stop_wanted(&stop));
}

static void letting_go_does_not_wait_for_the_heartbeat(void **state)
{
    AUTO(world_end) struct world w = {.heartbeat_s = 60, .ttl_s = 900};
    struct lease *l = NULL;
    struct err err = {0};
    int64_t began_us;

    (void)state;
    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &plain_terms, NULL, &err), &err);
    began_us = clock_monotonic_us();
    OK(lease_release(&l, &err), &err);
    assert_in_range(clock_monotonic_us() - began_us, 0, 5 * 1000000);
}

/* Which fence it is does not matter to the writer. */
static void check_that_a_fence_stops(int (*fence)(struct repo *, const char *, struct err *),
                                     const char *word)
{
    AUTO(world_end) struct world w = {.heartbeat_s = 1, .ttl_s = 5};
    AUTO(lease_drop) struct lease *l = NULL;
    struct stop stop = {0};
    struct err err = {0};

    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &plain_terms, &stop, &err), &err);
    OK(lease_check(l, &err), &err);
    OK(fence(w.repo, OTHER, &err), &err); /* another's */
    OK(lease_check(l, &err), &err);
    OK(fence(w.repo, MINE, &err), &err);
    assert_true(was_stopped(&stop));
    assert_int_equal(stop.signal, -1);
    FAILS(lease_check(l, &err), &err, ERR_CONFLICT);
    assert_non_null(strstr(err.msg, word));
    OK(fence_withdraw(w.repo, MINE, &err), &err);
    FAILS(lease_check(l, &err), &err, ERR_CONFLICT); /* once seen, it stays so */
}

static void a_fence_stops_the_writer(void **state)
{
    (void)state;
    check_that_a_fence_stops(fence_intent, "intent");
    check_that_a_fence_stops(fence_final, "final");
}

static void a_fence_is_found_without_waiting_for_the_heartbeat(void **state)
{
    AUTO(world_end) struct world w = {.heartbeat_s = 60, .ttl_s = 900};
    AUTO(lease_drop) struct lease *l = NULL;
    struct stop stop = {0};
    struct err err = {0};

    (void)state;
    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &plain_terms, &stop, &err), &err);
    OK(fence_intent(w.repo, MINE, &err), &err);
    FAILS(lease_check(l, &err), &err, ERR_CONFLICT);
    assert_false(stop_wanted(&stop));
}

static void a_signal_that_came_first_is_not_overwritten(void **state)
{
    AUTO(world_end) struct world w = {.heartbeat_s = 1, .ttl_s = 5};
    AUTO(lease_drop) struct lease *l = NULL;
    struct stop stop = {15};
    struct err err = {0};

    (void)state;
    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &plain_terms, &stop, &err), &err);
    OK(fence_final(w.repo, MINE, &err), &err);
    clock_sleep_ms(1300);
    assert_int_equal(stop.signal, 15);
    FAILS(lease_check(l, &err), &err, ERR_CONFLICT);
}

static void a_store_that_is_gone_for_longer_than_the_ttl_stops_the_writer(void **state)
{
    AUTO(world_end) struct world w = {.heartbeat_s = 1, .ttl_s = 2};
    AUTO(store_close) struct store *inner = NULL;
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(lease_drop) struct lease *l = NULL;
    struct stop stop = {0};
    struct err err = {0};
    struct store *flaky;
    long calls;

    (void)state;
    world_begin(&w);
    inner = store_mem_share(w.store);
    flaky = store_fault_new(inner, -1, FAULT_FOREVER);
    r = other_host(&w, flaky);
    OK(lease_take(&l, r, OTHER, &plain_terms, NULL, &err), &err);
    calls = store_fault_calls(flaky);
    lease_drop(&l);
    repo_close(&r);

    r = other_host(&w, store_fault_new(inner, calls, FAULT_FOREVER));
    OK(lease_take(&l, r, MINE, &plain_terms, &stop, &err), &err);
    clock_sleep_ms(1500);
    assert_false(stop_wanted(&stop)); /* one failure is not the end */
    assert_true(was_stopped(&stop));
    FAILS(lease_check(l, &err), &err, ERR_UNREACHABLE);
    assert_non_null(strstr(err.msg, "could not be renewed"));
    FAILS(lease_release(&l, &err), &err, ERR_UNREACHABLE);
    assert_null(l);
}

static void one_failed_renewal_is_made_up_for(void **state)
{
    AUTO(world_end) struct world w = {.heartbeat_s = 1, .ttl_s = 3};
    AUTO(store_close) struct store *inner = NULL;
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(lease_drop) struct lease *l = NULL;
    struct stop stop = {0};
    struct err err = {0};
    struct store *flaky;
    long calls;

    (void)state;
    world_begin(&w);
    inner = store_mem_share(w.store);
    flaky = store_fault_new(inner, -1, FAULT_BEFORE);
    r = other_host(&w, flaky);
    OK(lease_take(&l, r, OTHER, &plain_terms, NULL, &err), &err);
    calls = store_fault_calls(flaky);
    lease_drop(&l);
    repo_close(&r);

    r = other_host(&w, store_fault_new(inner, calls, FAULT_BEFORE));
    OK(lease_take(&l, r, MINE, &plain_terms, &stop, &err), &err);
    clock_sleep_ms(3500);
    assert_false(stop_wanted(&stop));
    OK(lease_check(l, &err), &err);
    assert_int_equal(count_live(w.repo), 1); /* OTHER is silent for longer than the TTL */
}

/* ---- what others see ---- */

static int list_an_hour_later(struct store *s, const char *prefix, enum store_depth depth,
                              store_entry_fn *fn, void *ctx, int64_t *now_us, struct err *err)
{
    int result = real_ops->list(s, prefix, depth, fn, ctx, now_us, err);

    if (now_us != NULL)
        *now_us += INT64_C(3600) * 1000000;
    return result;
}

static void age_is_told_by_the_clock_of_the_store(void **state)
{
    AUTO(world_end) struct world w = {0};
    AUTO(lease_drop) struct lease *l = NULL;
    struct lease_seen *seen = NULL;
    struct store *store;
    struct store_ops ops;
    struct err err = {0};
    size_t n;

    (void)state;
    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &plain_terms, NULL, &err), &err);
    store = repo_store(w.repo);
    real_ops = store->ops;
    ops = *real_ops;
    ops.list = list_an_hour_later;
    store->ops = &ops;
    seen_all(w.repo, &seen, &n);
    store->ops = real_ops;
    assert_int_equal(n, 1);
    assert_in_range(seen->age_us, INT64_C(3600) * 1000000, INT64_C(3660) * 1000000);
    assert_false(seen->live);
    assert_false(seen->released);
    leases_free(&seen, n);
}

static void a_finally_fenced_lease_is_not_live(void **state)
{
    AUTO(world_end) struct world w = {0};
    AUTO(lease_drop) struct lease *l = NULL, *o = NULL;
    struct lease_seen *seen = NULL;
    struct err err = {0};
    size_t n;

    (void)state;
    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &plain_terms, NULL, &err), &err);
    OK(lease_take(&o, w.repo, OTHER, &plain_terms, NULL, &err), &err);
    OK(fence_intent(w.repo, MINE, &err), &err);
    assert_int_equal(count_live(w.repo), 2); /* an intent decides nothing yet */
    OK(fence_final(w.repo, MINE, &err), &err);
    OK(fence_final(w.repo, BASE, &err), &err); /* of a set without a lease */
    seen_all(w.repo, &seen, &n);
    assert_int_equal(n, 2);
    assert_string_equal(seen[0].set, MINE);
    assert_false(seen[0].live);
    assert_true(seen[0].released);
    assert_true(seen[1].live);
    leases_free(&seen, n);
}

static void a_lease_that_was_left_is_renewed_by_a_touch(void **state)
{
    AUTO(world_end) struct world w = {0};
    const struct lease_terms terms = {.id = IDENTITY, .base = BASE, .host = "db2"};
    struct lease_seen *seen = NULL;
    struct lease *l = NULL;
    struct err err = {0};
    size_t n;

    (void)state;
    world_begin(&w);
    OK(lease_take(&l, w.repo, MINE, &terms, NULL, &err), &err);
    OK(lease_release(&l, &err), &err);
    OK(lease_touch(w.repo, MINE, &terms, &err), &err);
    OK(lease_touch(w.repo, OTHER, &terms, &err), &err); /* there was none */
    seen_all(w.repo, &seen, &n);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_true(seen[i].live);
        assert_string_equal(seen[i].base, BASE);
    }
    leases_free(&seen, n);
}

static void objects_that_are_no_leases_are_left_alone(void **state)
{
    AUTO(world_end) struct world w = {0};
    struct lease_seen *seen = NULL;
    struct err err = {0};
    size_t n = 9;

    (void)state;
    world_begin(&w);
    seen_all(w.repo, &seen, &n);
    assert_int_equal(n, 0);
    leases_free(&seen, n);
    OK(store_put(w.store, "main/lease/README", STORE_REPLACE, "x", 1, &err), &err);
    OK(store_put(w.store, "main/lease/" MINE "/deeper", STORE_REPLACE, "x", 1, &err), &err);
    seen_all(w.repo, &seen, &n);
    assert_int_equal(n, 0);
    leases_free(&seen, n);
}

/* A lease that cannot be understood may pin any backup. */
static void a_young_lease_that_cannot_be_read_stops_the_list(void **state)
{
    AUTO(world_end) struct world w = {.heartbeat_s = 1, .ttl_s = 2};
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct lease_seen *seen = NULL;
    struct err err = {0};
    size_t n;

    (void)state;
    world_begin(&w);
    lease_format(&plain_terms, LEASE_ACTIVE, &body);
    field_uv(&body, 99, 1);
    put_body(&w, MINE, &body);
    FAILS(leases_list(w.repo, &seen, &n, &err), &err, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, MINE));
    OK(fence_final(w.repo, MINE, &err), &err);
    assert_int_equal(count_live(w.repo), 0);

    OK(store_put(w.store, "main/lease/" OTHER, STORE_REPLACE, "rubbish", 7, &err), &err);
    FAILS(leases_list(w.repo, &seen, &n, &err), &err, ERR_CORRUPT);
    clock_sleep_ms(2100);
    seen_all(w.repo, &seen, &n);
    assert_int_equal(n, 2);
    assert_string_equal(seen[1].set, OTHER);
    assert_false(seen[1].live);
    assert_false(seen[1].released); /* its set must be fenced first */
    assert_string_equal(seen[1].host, "");
    leases_free(&seen, n);
}

/* ---- the body ---- */

static void the_body_is_as_documented(void **state)
{
    const char *const adopted[] = {OLDER};
    struct lease_terms terms = {{0x0102030405060708, 15, 300}, BASE, adopted, 1, "db", 5, 0x28};
    AUTO(buf_free) struct buf body = BUF_INIT;
    static const char expected[] = "\x01\x01\x02"
                                   "\x02\x02"
                                   "db"
                                   "\x03\x08\x08\x07\x06\x05\x04\x03\x02\x01"
                                   "\x04\x01\x05"
                                   "\x05\x01\x0f"
                                   "\x06\x08\x28\x00\x00\x00\x00\x00\x00\x00"
                                   "\x07\x02\xac\x02"
                                   "\x09\x19" BASE "\x0b\x19" OLDER;

    (void)state;
    lease_format(&terms, LEASE_RELEASED, &body);
    assert_int_equal(body.len, sizeof expected - 1);
    assert_memory_equal(body.p, expected, body.len);
}

#define SYSTEM "\x03\x08SYSTEMID"
#define REST "\x05\x01\x0f\x07\x01\x01"
static const struct damage {
    const char *what;
    const char *bytes;
    size_t len;
    enum err_code code;
} damages[] = {
#define BODY(text) text, sizeof(text) - 1
    {"nothing", BODY(""), ERR_CORRUPT},
    {"a field is missing", BODY("\x01\x01\x01" SYSTEM), ERR_CORRUPT},
    {"cut off", BODY("\x01\x01\x01" SYSTEM "\x05\x01"), ERR_CORRUPT},
    {"an unknown state", BODY("\x01\x01\x03" SYSTEM REST), ERR_UNSUPPORTED},
    {"a state of two numbers", BODY("\x01\x02\x01\x01" SYSTEM REST), ERR_CORRUPT},
    {"an unfinished number", BODY("\x01\x01\x80" SYSTEM REST), ERR_CORRUPT},
    {"no number", BODY("\x01\x01\x01" SYSTEM "\x05\x00\x07\x01\x01"), ERR_CORRUPT},
    {"a short system identifier", BODY("\x01\x01\x01\x03\x07SYSTEMI" REST), ERR_CORRUPT},
    {"a short position in the WAL",
     BODY("\x01\x01\x01" SYSTEM "\x05\x01\x0f\x06\x07POSITIO\x07\x01\x01"), ERR_CORRUPT},
    {"a timeline of 33 bits",
     BODY("\x01\x01\x01" SYSTEM "\x05\x01\x0f\x07\x05\x80\x80\x80\x80\x10"), ERR_CORRUPT},
    {"a host with a NUL", BODY("\x01\x01\x01\x02\x02h\0" SYSTEM REST), ERR_CORRUPT},
    {"a base that is no label",
     BODY("\x01\x01\x01" SYSTEM REST "\x09\x19../../../../../../../../x"), ERR_CORRUPT},
    {"a short base", BODY("\x01\x01\x01" SYSTEM REST "\x09\x03yes"), ERR_CORRUPT},
    {"adopted sets of no whole number", BODY("\x01\x01\x01" SYSTEM REST "\x0b\x1a" BASE "2"),
     ERR_CORRUPT},
    {"an adopted set that is no label",
     BODY("\x01\x01\x01" SYSTEM REST "\x0b\x32" BASE "0123456789012345678901234"), ERR_CORRUPT},
    {"a critical field from the future", BODY("\x01\x01\x01" SYSTEM REST "\x0d\x00"),
     ERR_UNSUPPORTED},
    {"fields out of order", BODY(SYSTEM "\x01\x01\x01" REST), ERR_CORRUPT},
};

static void damaged_bodies_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(damages); i++) {
        const struct damage *d = &damages[i];
        AUTO(mem_free) char *exact = xmalloc(d->len + !d->len); /* for the sanitizer */
        struct lease_seen seen = {0};
        struct err err = {0};
        memcpy(exact, d->bytes, d->len);
        if (lease_parse(exact, d->len, &seen, &err) != -1 || err.code != d->code)
            fail_msg("%s: %d %s", d->what, (int)err.code, err.msg);
        assert_null(seen.host);
        assert_null(seen.adopted);
    }
}

static void what_a_later_version_adds_for_people_is_ignored(void **state)
{
    static const char body[] = "\x01\x01\x01" SYSTEM REST "\x0e\x03new";
    struct lease_seen seen = {0};
    struct err err = {0};

    (void)state;
    OK(lease_parse(body, sizeof body - 1, &seen, &err), &err);
    assert_int_equal(seen.id.major, 15);
    assert_string_equal(seen.host, "");
    lease_seen_clear(&seen);
}

/* ---- marks ---- */

typedef int mark_fn(struct repo *r, const char *label, struct err *err);
typedef int seen_fn(struct repo *r, const char *label, bool *there, struct err *err);

static int seen_intent(struct repo *r, const char *label, bool *there, struct err *err)
{
    bool other;
    TRY(fence_seen(r, label, there, &other, err));
    assert_false(other);
    return 0;
}

static int mark_expired(struct repo *r, const char *label, struct err *err)
{
    return expired_mark(r, label, "policy: 2 newer fulls", err);
}

static int mark_held(struct repo *r, const char *label, struct err *err)
{
    return hold_mark(r, label, NULL, 0, err);
}

static void marks_come_and_go(void **state)
{
    static const struct {
        mark_fn *set, *withdraw;
        seen_fn *seen;
    } kinds[] = {{fence_intent, fence_withdraw, seen_intent},
                 {mark_expired, expired_withdraw, expired_seen},
                 {mark_held, hold_withdraw, hold_seen}};
    AUTO(world_end) struct world w = {0};
    struct err err = {0};
    bool there;

    (void)state;
    world_begin(&w);
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        OK(kinds[i].seen(w.repo, BASE, &there, &err), &err);
        assert_false(there);
        OK(kinds[i].set(w.repo, BASE, &err), &err);
        OK(kinds[i].set(w.repo, BASE, &err), &err); /* again is fine */
        OK(kinds[i].seen(w.repo, BASE, &there, &err), &err);
        assert_true(there);
        OK(kinds[i].seen(w.repo, OTHER, &there, &err), &err);
        assert_false(there);
        OK(kinds[i].withdraw(w.repo, BASE, &err), &err);
        OK(kinds[i].withdraw(w.repo, BASE, &err), &err);
        OK(kinds[i].seen(w.repo, BASE, &there, &err), &err);
        assert_false(there);
    }
}

static void a_final_fence_is_told_from_an_intent(void **state)
{
    AUTO(world_end) struct world w = {0};
    struct err err = {0};
    bool intent, final_fence;

    (void)state;
    world_begin(&w);
    OK(fence_final(w.repo, MINE, &err), &err);
    OK(fence_final(w.repo, MINE, &err), &err);
    OK(fence_seen(w.repo, MINE, &intent, &final_fence, &err), &err);
    assert_false(intent);
    assert_true(final_fence);
}

static void a_mark_says_when_and_why(void **state)
{
    AUTO(world_end) struct world w = {0};
    AUTO(mark_free) struct mark m = {0};
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct err err = {0};

    (void)state;
    world_begin(&w);
    FAILS(mark_read(w.repo, name_expired(&key, "main", BASE), &m, &err), &err, ERR_NOT_FOUND);
    OK(expired_mark(w.repo, BASE, "policy: 2 newer fulls", &err), &err);
    OK(expired_mark(w.repo, BASE, "a later reason", &err), &err);
    OK(mark_read(w.repo, name_expired(&key, "main", BASE), &m, &err), &err);
    assert_string_equal(m.reason, "policy: 2 newer fulls");
    assert_in_range(clock_now_us() - m.time_us, 0, 60 * 1000000);
    mark_free(&m);
    OK(fence_final(w.repo, BASE, &err), &err);
    OK(mark_read(w.repo, name_fence_final(&key, "main", BASE), &m, &err), &err);
    assert_string_equal(m.reason, "");
    assert_true(m.until_us == 0);
    mark_free(&m);
    OK(hold_mark(w.repo, BASE, "audit", 1893456000000000, &err), &err);
    OK(mark_read(w.repo, name_hold(&key, "main", BASE), &m, &err), &err);
    assert_string_equal(m.reason, "audit");
    assert_true(m.until_us == 1893456000000000);
}

static void a_damaged_mark_counts_all_the_same(void **state)
{
    AUTO(world_end) struct world w = {0};
    struct err err = {0};
    bool there, final_fence;

    (void)state;
    world_begin(&w);
    OK(store_put(w.store, "main/backup/" BASE "/expired", STORE_REPLACE, "x", 1, &err), &err);
    OK(store_put(w.store, "main/fence/" BASE ".final", STORE_REPLACE, "", 0, &err), &err);
    OK(expired_seen(w.repo, BASE, &there, &err), &err);
    assert_true(there);
    OK(fence_seen(w.repo, BASE, &there, &final_fence, &err), &err);
    assert_false(there);
    assert_true(final_fence);
}

static void a_store_that_does_not_answer_is_not_taken_for_no_mark(void **state)
{
    struct err err = {0};

    (void)state;
    for (long nth = 0; nth < 2; nth++) {
        AUTO(world_end) struct world w = {0};
        AUTO(store_close) struct store *inner = NULL;
        AUTO(repo_close) struct repo *r = NULL;
        struct store *flaky;
        bool intent, final_fence, there;
        long calls;
        world_begin(&w);
        inner = store_mem_share(w.store);
        flaky = store_fault_new(inner, -1, FAULT_BEFORE);
        r = other_host(&w, flaky);
        calls = store_fault_calls(flaky);
        repo_close(&r);
        r = other_host(&w, store_fault_new(inner, calls + nth, FAULT_FOREVER));
        FAILS(fence_seen(r, BASE, &intent, &final_fence, &err), &err, ERR_UNREACHABLE);
        FAILS(expired_seen(r, BASE, &there, &err), &err, ERR_UNREACHABLE);
        FAILS(fence_final(r, BASE, &err), &err, ERR_UNREACHABLE);
    }
}

static void damaged_bodies_of_marks_are_refused(void **state)
{
    static const struct damage cases[] = {
        {"a time of seven bytes",
         BODY("\x02\x07"
              "1234567"),
         ERR_CORRUPT},
        {"a reason with a NUL",
         BODY("\x04\x02"
              "a\0"),
         ERR_CORRUPT},
        {"a reason that is cut off",
         BODY("\x04\x03"
              "ab"),
         ERR_CORRUPT},
        {"a critical field from the future", BODY("\x05\x00"), ERR_UNSUPPORTED},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct mark m = {0};
        struct err err = {0};
        if (mark_parse(cases[i].bytes, cases[i].len, &m, &err) != -1 || err.code != cases[i].code)
            fail_msg("%s: %d %s", cases[i].what, (int)err.code, err.msg);
        assert_null(m.reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_host_sees_all_terms),
        cmocka_unit_test(new_terms_replace_the_old_ones),
        cmocka_unit_test(a_set_cannot_be_leased_twice),
        cmocka_unit_test(a_dropped_lease_stays_like_that_of_a_crashed_writer),
        cmocka_unit_test(a_lease_that_is_taken_back_was_never_there),
        cmocka_unit_test(its_own_object_is_no_conflict_after_a_lost_reply),
        cmocka_unit_test(whatever_call_fails_taking_says_so),
        cmocka_unit_test(a_lease_outlives_its_ttl_by_being_renewed),
        cmocka_unit_test(letting_go_does_not_wait_for_the_heartbeat),
        cmocka_unit_test(a_fence_stops_the_writer),
        cmocka_unit_test(a_fence_is_found_without_waiting_for_the_heartbeat),
        cmocka_unit_test(a_signal_that_came_first_is_not_overwritten),
        cmocka_unit_test(a_store_that_is_gone_for_longer_than_the_ttl_stops_the_writer),
        cmocka_unit_test(one_failed_renewal_is_made_up_for),
        cmocka_unit_test(age_is_told_by_the_clock_of_the_store),
        cmocka_unit_test(a_finally_fenced_lease_is_not_live),
        cmocka_unit_test(a_lease_that_was_left_is_renewed_by_a_touch),
        cmocka_unit_test(objects_that_are_no_leases_are_left_alone),
        cmocka_unit_test(a_young_lease_that_cannot_be_read_stops_the_list),
        cmocka_unit_test(the_body_is_as_documented),
        cmocka_unit_test(damaged_bodies_are_refused),
        cmocka_unit_test(what_a_later_version_adds_for_people_is_ignored),
        cmocka_unit_test(marks_come_and_go),
        cmocka_unit_test(a_final_fence_is_told_from_an_intent),
        cmocka_unit_test(a_mark_says_when_and_why),
        cmocka_unit_test(a_damaged_mark_counts_all_the_same),
        cmocka_unit_test(a_store_that_does_not_answer_is_not_taken_for_no_mark),
        cmocka_unit_test(damaged_bodies_of_marks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
