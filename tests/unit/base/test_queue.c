#include "tests/lib/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/queue.h"

static struct err err;
static int numbers[1000]; /* items are their addresses */

static void items_come_out_in_the_order_they_went_in(void **state)
{
    AUTO(queue_free) struct queue *q = queue_new(3, NULL);
    void *item;

    (void)state;
    for (int i = 0; i < 10; i++) { /* round the ring */
        assert_true(queue_push(q, &numbers[2 * i]));
        assert_true(queue_push(q, &numbers[2 * i + 1]));
        assert_true(queue_pop(q, &item));
        assert_ptr_equal(item, &numbers[2 * i]);
        assert_true(queue_pop(q, &item));
        assert_ptr_equal(item, &numbers[2 * i + 1]);
    }
}

static void a_closed_queue_is_drained_and_takes_nothing(void **state)
{
    AUTO(queue_free) struct queue *q = queue_new(3, NULL);
    void *item;

    (void)state;
    assert_true(queue_push(q, &numbers[0]));
    queue_close(q);
    assert_false(queue_push(q, &numbers[1]));
    assert_true(queue_pop(q, &item));
    assert_ptr_equal(item, &numbers[0]);
    assert_false(queue_pop(q, &item));
}

static int dropped;

static void count_drop(void *item)
{
    (void)item;
    dropped++;
}

static void what_is_left_is_dropped_by_cancel_and_free(void **state)
{
    struct queue *q = queue_new(3, count_drop);
    void *item;

    (void)state;
    dropped = 0;
    queue_push(q, &numbers[0]);
    queue_push(q, &numbers[1]);
    queue_cancel(q);
    assert_int_equal(dropped, 2);
    assert_false(queue_pop(q, &item));
    assert_false(queue_push(q, &numbers[0]));
    queue_free(&q);
    q = queue_new(3, count_drop);
    queue_push(q, &numbers[0]);
    queue_free(&q);
    assert_int_equal(dropped, 3);
    assert_null(q);
}

struct sum {
    struct queue *q;
    atomic_long total, count;
};

/* Workers 0 and 1 produce, the others consume. */
static int produce_or_consume(void *ctx, unsigned index, struct err *e)
{
    struct sum *s = ctx;
    void *item;

    (void)e;
    if (index < 2) {
        for (size_t i = index; i < LENGTH(numbers); i += 2)
            assert_true(queue_push(s->q, &numbers[i]));
        return 0;
    }
    while (queue_pop(s->q, &item)) {
        s->total += (int *)item - numbers;
        if (++s->count == (long)LENGTH(numbers))
            queue_close(s->q);
    }
    return 0;
}

static void every_item_reaches_exactly_one_consumer(void **state)
{
    AUTO(queue_free) struct queue *q = queue_new(7, NULL);
    struct sum s = {.q = q};
    struct workers *w = NULL;

    (void)state;
    OK(workers_start(&w, 5, produce_or_consume, &s, NULL, &err), &err);
    OK(workers_join(&w, &err), &err);
    assert_null(w);
    assert_int_equal(s.count, LENGTH(numbers));
    assert_int_equal(s.total, LENGTH(numbers) * (LENGTH(numbers) - 1) / 2);
}

/* Worker 1 fails; the others wait for something that never comes, until the owner cancels. */
struct failing {
    struct queue *q;
    atomic_int failures_told;
};

static int fail_or_wait(void *ctx, unsigned index, struct err *e)
{
    struct failing *f = ctx;
    void *item;

    if (index == 1)
        return err_set(e, ERR_CORRUPT, "worker %u", index);
    while (queue_pop(f->q, &item))
        ;
    return err_set(e, ERR_INTERRUPTED, "worker %u was told to stop", index);
}

static void cancel_queue(void *ctx)
{
    struct failing *f = ctx;

    f->failures_told++;
    queue_cancel(f->q);
}

static void the_first_failure_releases_the_others_and_is_the_one_told(void **state)
{
    AUTO(queue_free) struct queue *q = queue_new(2, NULL);
    struct failing f = {.q = q};
    struct workers *w = NULL;

    (void)state;
    OK(workers_start(&w, 4, fail_or_wait, &f, cancel_queue, &err), &err);
    FAILS(workers_join(&w, &err), &err, ERR_CORRUPT);
    assert_string_equal(err.msg, "worker 1");
    assert_int_equal(f.failures_told, 1);
}

static int push_until_refused(void *ctx, unsigned index, struct err *e)
{
    while (queue_push(ctx, &numbers[index]))
        ;
    return err_set(e, ERR_INTERRUPTED, "refused");
}

static void cancel_frees_a_producer_that_waits_for_room(void **state)
{
    AUTO(queue_free) struct queue *q = queue_new(1, NULL);
    struct workers *w = NULL;

    (void)state;
    OK(workers_start(&w, 1, push_until_refused, q, NULL, &err), &err);
    clock_sleep_ms(20); /* long enough to wait, mostly */
    assert_true(workers_running(w));
    queue_cancel(q);
    FAILS(workers_join(&w, &err), &err, ERR_INTERRUPTED);
}

static int see_mask(void *ctx, unsigned index, struct err *e)
{
    sigset_t mask;

    (void)index;
    (void)e;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    *(bool *)ctx = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1;
    return 0;
}

static void workers_get_no_signals_and_their_starter_still_does(void **state)
{
    struct workers *w = NULL;
    bool blocked = false;
    sigset_t mask;

    (void)state;
    OK(workers_start(&w, 1, see_mask, &blocked, NULL, &err), &err);
    OK(workers_join(&w, &err), &err);
    assert_true(blocked);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
}

static void a_stop_names_the_signal(void **state)
{
    struct stop s = {0};

    (void)state;
    OK(stop_check(NULL, &err), &err);
    OK(stop_check(&s, &err), &err);
    assert_false(stop_wanted(&s));
    s.signal = SIGTERM;
    assert_true(stop_wanted(&s));
    FAILS(stop_check(&s, &err), &err, ERR_INTERRUPTED);
    assert_string_equal(err.msg, "interrupted by SIGTERM");
    s.signal = -1;
    FAILS(stop_check(&s, &err), &err, ERR_INTERRUPTED);
    assert_string_equal(err.msg, "asked to stop");
}

static void a_rate_limit_is_kept(void **state)
{
    AUTO(rate_free) struct rate *r = rate_new(10 * 1000 * 1000);
    int64_t began = clock_monotonic_us(), took;

    (void)state;
    for (int i = 0; i < 30; i++) /* 3 MB: 300 ms, of which the last 10 are not waited for */
        rate_take(r, 100 * 1000, NULL);
    took = clock_monotonic_us() - began;
    assert_in_range(took, 180 * 1000, 5 * 1000 * 1000);
}

static void a_stop_ends_the_wait_for_a_rate(void **state)
{
    AUTO(rate_free) struct rate *r = rate_new(1), *none = rate_new(0);
    struct stop stop = {SIGINT};
    int64_t began = clock_monotonic_us();

    (void)state;
    rate_take(r, 1000000, &stop);
    rate_take(r, 1000000, &stop); /* eleven days */
    rate_take(none, SIZE_MAX, NULL);
    rate_take(NULL, SIZE_MAX, NULL);
    assert_true(clock_monotonic_us() - began < 5 * 1000 * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_the_order_they_went_in),
        cmocka_unit_test(a_closed_queue_is_drained_and_takes_nothing),
        cmocka_unit_test(what_is_left_is_dropped_by_cancel_and_free),
        cmocka_unit_test(every_item_reaches_exactly_one_consumer),
        cmocka_unit_test(the_first_failure_releases_the_others_and_is_the_one_told),
        cmocka_unit_test(cancel_frees_a_producer_that_waits_for_room),
        cmocka_unit_test(workers_get_no_signals_and_their_starter_still_does),
        cmocka_unit_test(a_stop_names_the_signal),
        cmocka_unit_test(a_rate_limit_is_kept),
        cmocka_unit_test(a_stop_ends_the_wait_for_a_rate),
    };
    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
