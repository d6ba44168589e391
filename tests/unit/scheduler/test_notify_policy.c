#include "tests/lib/test.h"

#include <string.h>

#include "scheduler/notify/notify_policy.h"

#define MINUTE_US INT64_C(60000000)
#define HOUR_US (60 * MINUTE_US)
#define START_US INT64_C(1800000000000000)

static char error[] = "error", warning[] = "warning", drill[] = "drill", ops[] = "ops",
            main_cluster[] = "main";

static struct notify_receiver receiver(void)
{
    static char *events[] = {error, warning, drill};

    return (struct notify_receiver){.name = ops,
                                    .events = events,
                                    .n_events = 3,
                                    .limit = 10,
                                    .limit_window_ms = 3600000,
                                    .repeat_ms = 4 * 3600000};
}

static struct catalog_event event(const char *level, const char *kind, const char *text)
{
    return (struct catalog_event){
        .time_us = START_US, .level = level, .kind = kind, .cluster = "main", .text = text};
}

static bool same_problem(const char *a, const char *b)
{
    const struct catalog_event one = event("error", "backup", a), two = event("error", "backup", b);
    char first[NOTIFY_PROBLEM_SIZE], second[NOTIFY_PROBLEM_SIZE];

    notify_problem(&one, first);
    notify_problem(&two, second);
    return strcmp(first, second) == 0;
}

static void numbers_labels_and_positions_do_not_make_a_new_problem(void **state)
{
    (void)state;
    assert_true(same_problem("backup 20261122-140533F failed after 12 s at 0/3000028",
                             "backup 20261123-150000I failed after 131 s at A2/3F0000D8"));
    assert_true(same_problem("free: 12.4 GB of \"/a\"", "free: 9 GB of \"/a\""));
    assert_false(same_problem("cannot connect", "cannot authenticate"));
    assert_false(same_problem("free: 9 GB of \"/a\"", "free: 9 GB of \"/b\""));
    assert_false(same_problem("gr\xc3\xbcn", "gr\xc3\xa4n"));
}

static void another_level_is_another_problem(void **state)
{
    const struct catalog_event one = event("error", "check", "x"),
                               two = event("warning", "check", "x");
    char first[NOTIFY_PROBLEM_SIZE], second[NOTIFY_PROBLEM_SIZE];

    (void)state;
    notify_problem(&one, first);
    notify_problem(&two, second);
    assert_string_not_equal(first, second);
}

static void levels_and_classes_choose_what_is_told(void **state)
{
    static const struct {
        const char *level, *kind;
        enum notify_verdict expected;
    } cases[] = {
        {"error", "backup", NOTIFY_TELL}, {"warning", "check", NOTIFY_TELL},
        {"info", "backup", NOTIFY_SKIP},  {"info", "drill", NOTIFY_TELL},
        {"error", "drill", NOTIFY_TELL},
    };
    const struct notify_receiver r = receiver();
    const struct catalog_told nothing = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct catalog_event e = event(cases[i].level, cases[i].kind, "x");

        assert_int_equal(notify_judge(&r, &e, &nothing), cases[i].expected);
    }
}

static void a_receiver_for_some_clusters_hears_of_no_other(void **state)
{
    static char *clusters[] = {main_cluster};
    struct notify_receiver r = receiver();
    struct catalog_event e = event("error", "backup", "x");
    const struct catalog_told nothing = {0}, broken = {.any = true, .error_or_warning = true};

    (void)state;
    r.clusters = clusters;
    r.n_clusters = 1;
    assert_int_equal(notify_judge(&r, &e, &nothing), NOTIFY_TELL);
    e.cluster = "other";
    assert_int_equal(notify_judge(&r, &e, &nothing), NOTIFY_SKIP);
    e.level = "info";
    assert_int_equal(notify_judge(&r, &e, &broken), NOTIFY_SKIP);
    e.cluster = NULL;
    assert_int_equal(notify_judge(&r, &e, &broken), NOTIFY_SKIP);
}

static void the_same_is_told_again_only_after_the_repeat_time(void **state)
{
    const struct notify_receiver r = receiver();
    const struct catalog_event e = event("error", "backup", "x");
    struct catalog_told told = {.any = true, .error_or_warning = true};

    (void)state;
    told.same_us = START_US - 4 * HOUR_US + 1;
    assert_int_equal(notify_judge(&r, &e, &told), NOTIFY_REPEATED);
    told.same_us = START_US - 4 * HOUR_US;
    assert_int_equal(notify_judge(&r, &e, &told), NOTIFY_TELL);
    told.same_us = START_US + HOUR_US; /* the clock was set back */
    assert_int_equal(notify_judge(&r, &e, &told), NOTIFY_REPEATED);
    told.same_us = START_US + 5 * HOUR_US;
    assert_int_equal(notify_judge(&r, &e, &told), NOTIFY_TELL);
    told.same_us = 0; /* another problem */
    assert_int_equal(notify_judge(&r, &e, &told), NOTIFY_TELL);
}

static void who_was_told_that_it_broke_is_told_that_it_works(void **state)
{
    const struct notify_receiver r = receiver();
    const struct catalog_event e = event("info", "backup", "done");
    const struct catalog_told broken = {.any = true, .error_or_warning = true},
                              fine = {.any = true};

    (void)state;
    assert_int_equal(notify_judge(&r, &e, &broken), NOTIFY_RECOVERED);
    assert_int_equal(notify_judge(&r, &e, &fine), NOTIFY_SKIP);
}

static void waits_grow_to_half_an_hour_and_differ(void **state)
{
    int64_t least = 0, most = 0;

    (void)state;
    for (unsigned tries = 1; tries < 100; tries++) {
        int64_t usual = (int64_t)10000000 << (tries - 1 < 8 ? tries - 1 : 8);

        if (usual > 30 * MINUTE_US)
            usual = 30 * MINUTE_US;
        least = notify_backoff_us(tries, 0);
        most = notify_backoff_us(tries, 1023);
        assert_int_equal(least, usual * 3 / 4);
        assert_true(most > usual * 6 / 5 && most < usual * 5 / 4);
        assert_int_equal(notify_backoff_us(tries, 5), notify_backoff_us(tries, 5 + 1024));
    }
    assert_int_equal(least, 30 * MINUTE_US * 3 / 4);
}

/* Sends whenever it may, for a day, always with something waiting. */
static void no_stretch_of_the_window_has_more_than_the_limit(void **state)
{
    static const unsigned limits[] = {1, 2, 3, 10, 30};
    struct notify_receiver r = receiver();

    (void)state;
    for (size_t l = 0; l < LENGTH(limits); l++) {
        int64_t times[2000], now = START_US;
        size_t n = 0;

        r.limit = limits[l];
        for (now = START_US; now < START_US + 24 * HOUR_US; now += 7 * MINUTE_US / 10)
            if (notify_slot_us(&r, times, n, now) <= now)
                times[n++] = now;
        for (size_t i = r.limit; i < n; i++)
            assert_true(times[i] - times[i - r.limit] >= HOUR_US);
        assert_in_range(n, 24 * r.limit / 2, 25 * r.limit); /* and not much less than allowed */
    }
}

static void a_flood_begins_with_single_ones_and_ends_in_summaries(void **state)
{
    const struct notify_receiver r = receiver();
    int64_t times[20];
    size_t n = 0, waiting = 500;

    (void)state;
    while (notify_slot_us(&r, times, n, START_US) == START_US) {
        size_t group = notify_group(&r, times, n, START_US, waiting);

        times[n++] = START_US;
        waiting -= group;
        if (waiting != 0)
            assert_int_equal(group, 1);
        else
            assert_int_equal(group, 496);
        if (waiting == 0)
            break;
    }
    assert_int_equal(n, 5); /* half of what may go in the hour */
    assert_int_equal(notify_slot_us(&r, times, n, START_US), START_US + 10 * MINUTE_US);
    assert_int_equal(notify_group(&r, times, n, START_US + 10 * MINUTE_US, 40), 40);
}

static void one_event_is_never_a_summary(void **state)
{
    const struct notify_receiver r = receiver();
    const int64_t times[] = {START_US, START_US, START_US, START_US, START_US};

    (void)state;
    for (size_t n = 0; n <= LENGTH(times); n++)
        assert_int_equal(notify_group(&r, times, n, START_US, 1), 1);
}

static void the_limit_is_free_again_when_the_window_has_passed(void **state)
{
    struct notify_receiver r = receiver();
    const int64_t times[] = {START_US};

    (void)state;
    r.limit = 1;
    assert_int_equal(notify_slot_us(&r, times, 1, START_US + MINUTE_US), START_US + HOUR_US);
    assert_int_equal(notify_slot_us(&r, times, 1, START_US + HOUR_US), START_US + HOUR_US);
    assert_int_equal(notify_slot_us(&r, times, 0, START_US), START_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_labels_and_positions_do_not_make_a_new_problem),
        cmocka_unit_test(another_level_is_another_problem),
        cmocka_unit_test(levels_and_classes_choose_what_is_told),
        cmocka_unit_test(a_receiver_for_some_clusters_hears_of_no_other),
        cmocka_unit_test(the_same_is_told_again_only_after_the_repeat_time),
        cmocka_unit_test(who_was_told_that_it_broke_is_told_that_it_works),
        cmocka_unit_test(waits_grow_to_half_an_hour_and_differ),
        cmocka_unit_test(no_stretch_of_the_window_has_more_than_the_limit),
        cmocka_unit_test(a_flood_begins_with_single_ones_and_ends_in_summaries),
        cmocka_unit_test(one_event_is_never_a_summary),
        cmocka_unit_test(the_limit_is_free_again_when_the_window_has_passed),
    };
    return cmocka_run_group_tests_name("notify_policy", tests, NULL, NULL);
}
