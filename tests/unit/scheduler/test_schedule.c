#include "tests/lib/test.h"

#include "scheduler/jobs/schedule.h"

#define MINUTE INT64_C(60000000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define T0 (20000 * DAY) /* midnight, UTC */

static struct err err;
static struct zone utc = ZONE_INIT;

struct heard {
    enum schedule_event what;
    int64_t number;
    unsigned n;
};
static void hear(void *ctx, const struct schedule_job *j, enum schedule_event what, int64_t number)
{
    struct heard *h = ctx;

    (void)j;
    *h = (struct heard){what, number, h->n + 1};
}
static struct heard heard;
static const struct schedule_told told = {hear, &heard};

static struct schedule_job job(const char *expression)
{
    struct schedule_job j = {.zone = &utc, .catch_up = true, .retries = 2};

    OK(cron_parse(expression, &j.cron, &err), &err);
    j.retry_delay_us = 5 * MINUTE;
    schedule_first(&j, T0);
    heard = (struct heard){0};
    return j;
}

/* Ticks and starts it if it is time; whether it did. */
static bool starts(struct schedule_job *j, int64_t now)
{
    schedule_tick(j, now, &told);
    if (schedule_pick(j, 1, now) == NULL)
        return false;
    schedule_start(j);
    return true;
}

static void a_new_job_owes_nothing(void **state)
{
    struct schedule_job j = job("0 1 * * *");
    (void)state;

    assert_false(starts(&j, T0 + 59 * MINUTE));
    assert_int_equal(schedule_wake(&j, 1, T0 + 59 * MINUTE), T0 + HOUR);
    assert_true(starts(&j, T0 + HOUR));
    schedule_end(&j, SCHEDULE_DONE, T0 + HOUR + 1, &told);
    assert_false(starts(&j, T0 + HOUR + MINUTE));
    assert_int_equal(heard.n, 0);
}

static void many_missed_times_are_one_run(void **state)
{
    struct schedule_job j = job("0 1 * * *");
    (void)state;

    assert_true(starts(&j, T0 + 10 * DAY));
    assert_int_equal(j.due_us, T0 + 9 * DAY + HOUR);
    assert_int_equal(heard.what, SCHEDULE_MISSED);
    assert_int_equal(heard.number, 9);
    schedule_end(&j, SCHEDULE_DONE, T0 + 10 * DAY + MINUTE, &told);
    assert_false(starts(&j, T0 + 10 * DAY + 2 * MINUTE));
}

static void a_time_that_passes_during_its_own_run_is_made_up_for(void **state)
{
    struct schedule_job j = job("*/10 * * * *");
    (void)state;

    assert_true(starts(&j, T0 + 10 * MINUTE));
    assert_false(starts(&j, T0 + 35 * MINUTE));
    schedule_end(&j, SCHEDULE_DONE, T0 + 36 * MINUTE, &told);
    assert_true(starts(&j, T0 + 36 * MINUTE));
    assert_int_equal(j.due_us, T0 + 30 * MINUTE);
}

static void failures_are_retried_ever_more_slowly(void **state)
{
    struct schedule_job j = job("0 1 * * *");
    int64_t t = T0 + HOUR;
    (void)state;

    assert_true(starts(&j, t));
    schedule_end(&j, SCHEDULE_FAILED, t, &told);
    assert_int_equal(heard.what, SCHEDULE_RETRY);
    assert_false(starts(&j, t + 5 * MINUTE - 1));
    assert_int_equal(schedule_wake(&j, 1, t), t + 5 * MINUTE);
    assert_true(starts(&j, t += 5 * MINUTE));
    schedule_end(&j, SCHEDULE_FAILED, t, &told);
    assert_false(starts(&j, t + 10 * MINUTE - 1));
    assert_true(starts(&j, t += 10 * MINUTE));
    schedule_end(&j, SCHEDULE_FAILED, t, &told);
    assert_int_equal(heard.what, SCHEDULE_GIVEN_UP);
    assert_int_equal(heard.number, 3);
    assert_false(starts(&j, t + 10 * HOUR));
    assert_true(starts(&j, T0 + DAY + HOUR)); /* a new due time begins anew */
    assert_int_equal(j.memory.failures, 0);
}

static void a_new_due_time_takes_the_place_of_a_retry(void **state)
{
    struct schedule_job j = job("*/10 * * * *");
    (void)state;

    j.retry_delay_us = HOUR;
    assert_true(starts(&j, T0 + 10 * MINUTE));
    schedule_end(&j, SCHEDULE_FAILED, T0 + 11 * MINUTE, &told);
    assert_false(starts(&j, T0 + 19 * MINUTE));
    assert_true(starts(&j, T0 + 20 * MINUTE));
    assert_int_equal(j.due_us, T0 + 20 * MINUTE);
    assert_int_equal(j.memory.failures, 0);
}

static void a_broken_configuration_is_waited_for(void **state)
{
    struct schedule_job j = job("0 1 * * *");
    int64_t t = T0 + HOUR;
    (void)state;

    j.retries = 0;
    for (int i = 0; i < 10; i++) {
        assert_true(starts(&j, t));
        schedule_end(&j, SCHEDULE_BROKEN, t, &told);
        assert_int_equal(heard.what, SCHEDULE_RETRY);
        assert_true(heard.number - t <= SCHEDULE_RETRY_MAX_US);
        t = heard.number;
    }
}

static void an_interrupted_run_is_repeated_even_without_retries(void **state)
{
    struct schedule_job j = job("0 1 * * *"), again = job("0 1 * * *");
    struct schedule_memory m;
    (void)state;

    j.retries = again.retries = 0;
    assert_true(starts(&j, T0 + HOUR));
    m = j.memory; /* the host goes down */
    schedule_recall(&again, &m, false, T0 + 3 * HOUR, &told);
    assert_true(starts(&again, T0 + 3 * HOUR));
    assert_int_equal(again.due_us, T0 + HOUR);
    m = again.memory; /* and again: it is not what the job does to the host for ever */
    schedule_recall(&again, &m, false, T0 + 4 * HOUR, &told);
    assert_int_equal(heard.what, SCHEDULE_GIVEN_UP);
    assert_false(starts(&again, T0 + 4 * HOUR));
}

static void a_run_that_outlived_its_scheduler_is_not_doubled(void **state)
{
    struct schedule_job j = job("0 1 * * *"), again = job("0 1 * * *");
    (void)state;

    assert_true(starts(&j, T0 + HOUR));
    schedule_recall(&again, &j.memory, true, T0 + 2 * HOUR, &told);
    assert_false(starts(&again, T0 + 2 * HOUR));
    schedule_end(&again, SCHEDULE_DONE, T0 + 3 * HOUR, &told);
    assert_false(starts(&again, T0 + 3 * HOUR));
}

static void what_waits_is_asked_again_and_never_given_up(void **state)
{
    struct schedule_job j = job("0 1 * * *");
    int64_t t = T0 + HOUR;
    (void)state;

    for (int i = 0; i < 50; i++) {
        assert_true(starts(&j, t));
        schedule_end(&j, SCHEDULE_LATER, t, &told);
        assert_int_equal(j.memory.failures, 0);
        schedule_tick(&j, t, &told);
        t = schedule_wake(&j, 1, t);
        assert_true(t <= T0 + HOUR + 50 * 10 * MINUTE);
    }
    schedule_end(&j, SCHEDULE_SETTLED, t, &told);
    assert_false(starts(&j, t + MINUTE));
}

static void a_clock_set_back_repeats_nothing(void **state)
{
    struct schedule_job j = job("*/10 * * * *");
    (void)state;

    assert_true(starts(&j, T0 + 60 * MINUTE));
    schedule_end(&j, SCHEDULE_DONE, T0 + 61 * MINUTE, &told);
    for (int64_t t = T0 + 5 * MINUTE; t < T0 + 70 * MINUTE; t += MINUTE)
        assert_false(starts(&j, t));
    assert_true(starts(&j, T0 + 70 * MINUTE));
}

static void a_clock_that_was_far_ahead_is_forgotten(void **state)
{
    struct schedule_job j = job("0 1 * * *");
    (void)state;

    assert_true(starts(&j, T0 + 4000 * DAY)); /* a wrong clock: like downtime, one run */
    schedule_end(&j, SCHEDULE_DONE, T0 + 4000 * DAY + MINUTE, &told);
    assert_false(starts(&j, T0 + 2 * HOUR)); /* set right */
    assert_int_equal(heard.what, SCHEDULE_CLOCK_BACK);
    assert_true(starts(&j, T0 + DAY + HOUR));
}

static void a_retry_survives_a_clock_set_back(void **state)
{
    struct schedule_job j = job("0 1 * * *");
    (void)state;

    assert_true(starts(&j, T0 + 4000 * DAY));
    schedule_end(&j, SCHEDULE_FAILED, T0 + 4000 * DAY, &told);
    assert_true(starts(&j, T0 + 2 * HOUR));
    assert_int_equal(j.memory.failures, 1);
}

static void without_catch_up_a_late_run_is_left_out(void **state)
{
    struct schedule_job j = job("0 1 * * *");
    (void)state;

    j.catch_up = false;
    assert_false(starts(&j, T0 + 2 * HOUR));
    assert_int_equal(heard.what, SCHEDULE_DROPPED);
    assert_int_equal(heard.number, T0 + HOUR);
    assert_true(starts(&j, T0 + DAY + HOUR + MINUTE)); /* in time */
    schedule_end(&j, SCHEDULE_LATER, T0 + DAY + HOUR + MINUTE, &told);
    assert_true(starts(&j, T0 + DAY + 2 * HOUR)); /* it was there in time, and had to wait */
}

static void jitter_is_the_same_after_a_restart_and_within_its_bounds(void **state)
{
    struct schedule_job j = job("0 * * * *");
    int64_t least = INT64_MAX, most = 0;
    (void)state;

    j.jitter_us = 10 * MINUTE;
    for (int i = 0; i < 1000; i++) {
        int64_t jitter = schedule_jitter(&j, T0 + i * HOUR);

        assert_int_equal(jitter, schedule_jitter(&j, T0 + i * HOUR));
        assert_true(jitter >= 0 && jitter <= j.jitter_us);
        least = MIN_OF(least, jitter);
        most = MAX_OF(most, jitter);
    }
    assert_true(least < MINUTE && most > 9 * MINUTE);
    assert_false(starts(&j, T0 + HOUR + schedule_jitter(&j, T0 + HOUR) - 1));
    assert_int_equal(schedule_wake(&j, 1, T0 + HOUR), T0 + HOUR + schedule_jitter(&j, T0 + HOUR));
    assert_true(starts(&j, T0 + HOUR + schedule_jitter(&j, T0 + HOUR)));
}

static void jitter_differs_between_jobs_and_between_due_times(void **state)
{
    struct schedule_job a = job("0 * * * *"), b = a;
    int same_time = 0, same_job = 0;
    (void)state;

    a.jitter_us = b.jitter_us = 10 * MINUTE;
    b.seed = 1;
    for (int i = 0; i < 1000; i++) {
        int64_t due = T0 + i * HOUR;

        same_time += schedule_jitter(&a, due) / MINUTE == schedule_jitter(&b, due) / MINUTE;
        same_job += schedule_jitter(&a, due) / MINUTE == schedule_jitter(&a, due + HOUR) / MINUTE;
    }
    assert_in_range(same_time, 50, 150); /* as by chance: the same minute of ten */
    assert_in_range(same_job, 50, 150);
}

static void one_of_a_group_at_a_time_the_longest_due_first(void **state)
{
    struct schedule_job jobs[3] = {job("0 1 * * *"), job("30 0 * * *"), job("0 1 * * *")};
    int64_t now = T0 + HOUR;
    (void)state;

    jobs[2].group = 7;
    for (int i = 0; i < 3; i++)
        schedule_tick(&jobs[i], now, &told);
    assert_ptr_equal(schedule_pick(jobs, 3, now), &jobs[1]);
    schedule_start(&jobs[1]);
    assert_ptr_equal(schedule_pick(jobs, 3, now), &jobs[2]);
    schedule_start(&jobs[2]);
    assert_null(schedule_pick(jobs, 3, now));
    schedule_end(&jobs[1], SCHEDULE_DONE, now, &told);
    assert_ptr_equal(schedule_pick(jobs, 3, now), &jobs[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_job_owes_nothing),
        cmocka_unit_test(many_missed_times_are_one_run),
        cmocka_unit_test(a_time_that_passes_during_its_own_run_is_made_up_for),
        cmocka_unit_test(failures_are_retried_ever_more_slowly),
        cmocka_unit_test(a_new_due_time_takes_the_place_of_a_retry),
        cmocka_unit_test(a_broken_configuration_is_waited_for),
        cmocka_unit_test(an_interrupted_run_is_repeated_even_without_retries),
        cmocka_unit_test(a_run_that_outlived_its_scheduler_is_not_doubled),
        cmocka_unit_test(what_waits_is_asked_again_and_never_given_up),
        cmocka_unit_test(a_clock_set_back_repeats_nothing),
        cmocka_unit_test(a_clock_that_was_far_ahead_is_forgotten),
        cmocka_unit_test(a_retry_survives_a_clock_set_back),
        cmocka_unit_test(without_catch_up_a_late_run_is_left_out),
        cmocka_unit_test(jitter_is_the_same_after_a_restart_and_within_its_bounds),
        cmocka_unit_test(jitter_differs_between_jobs_and_between_due_times),
        cmocka_unit_test(one_of_a_group_at_a_time_the_longest_due_first),
    };

    OK(zone_load(&utc, "UTC", &err), &err);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
