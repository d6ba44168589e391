#include "tests/lib/test.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/cron.h"

static struct err err;

static int64_t seconds(const char *text)
{
    int64_t us;

    OK(clock_parse(text, "UTC", &us, &err), &err);
    return us / 1000000;
}

static int64_t next(const char *expression, const char *zone_name, int64_t after)
{
    AUTO(zone_free) struct zone zone = ZONE_INIT;
    struct cron cron;

    OK(zone_load(&zone, zone_name, &err), &err);
    OK(cron_parse(expression, &cron, &err), &err);
    return cron_next(&cron, &zone, after);
}

struct expectation {
    const char *expression, *zone, *after;
    const char *times[4]; /* the next ones, up to NULL */
};

static void check(const struct expectation *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct expectation *e = &table[i];
        int64_t t = seconds(e->after);

        for (size_t k = 0; k < LENGTH(e->times) && e->times[k] != NULL; k++) {
            char got[40];

            t = next(e->expression, e->zone, t);
            clock_format_utc(t * 1000000, got);
            if (t != seconds(e->times[k]))
                fail_msg("\"%s\" in %s after %s, time %zu: %s, not %s", e->expression, e->zone,
                         e->after, k + 1, got, e->times[k]);
        }
    }
}

static void fields_mean_what_cron_says(void **state)
{
    static const struct expectation table[] = {
        {"* * * * *", "UTC", "2026-11-29 10:00", {"2026-11-29 10:01", "2026-11-29 10:02"}},
        {"*/20 * * * *",
         "UTC",
         "2026-11-29 10:30",
         {"2026-11-29 10:40", "2026-11-29 11:00", "2026-11-29 11:20"}},
        {"5,35 1-2 * * *",
         "UTC",
         "2026-11-29 01:05",
         {"2026-11-29 01:35", "2026-11-29 02:05", "2026-11-29 02:35", "2026-11-30 01:05"}},
        {"0 8-18/5 * * *",
         "UTC",
         "2026-11-29 00:00",
         {"2026-11-29 08:00", "2026-11-29 13:00", "2026-11-29 18:00", "2026-11-30 08:00"}},
        {"0 0 * * SUN", "UTC", "2026-11-29 00:00", {"2026-12-06 00:00", "2026-12-13 00:00"}},
        {"0 0 * * 7", "UTC", "2026-11-29 00:00", {"2026-12-06 00:00"}},
        {"0 0 * * 5-7",
         "UTC",
         "2026-11-29 00:00",
         {"2026-12-04 00:00", "2026-12-05 00:00", "2026-12-06 00:00", "2026-12-11 00:00"}},
        {"0 0 * * fri-sun", "UTC", "2026-11-30 00:00", {"2026-12-04 00:00"}},
        {"30 4 1 jan,Jul *", "UTC", "2026-11-29 00:00", {"2027-01-01 04:30", "2027-07-01 04:30"}},
        {"@hourly", "UTC", "2026-11-29 00:00", {"2026-11-29 01:00"}},
        {"@daily", "UTC", "2026-11-29 00:00", {"2026-11-30 00:00"}},
        {"@midnight", "UTC", "2026-11-29 00:00", {"2026-11-30 00:00"}},
        {" @weekly ", "UTC", "2026-11-29 00:00", {"2026-12-06 00:00"}},
        {"@monthly", "UTC", "2026-11-29 00:00", {"2026-12-01 00:00"}},
        {"@yearly", "UTC", "2026-11-29 00:00", {"2027-01-01 00:00"}},
        {"@ANNUALLY", "UTC", "2026-11-29 00:00", {"2027-01-01 00:00"}},
        {"\t0  5\t* * *", "UTC", "2026-11-29 00:00", {"2026-11-29 05:00"}},
        {"0 1 * * *", "Asia/Kolkata", "2026-11-29 00:00", {"2026-11-29 19:30"}},
    };
    (void)state;

    check(table, LENGTH(table));
}

static void one_of_two_days_suffices_when_both_are_given(void **state)
{
    static const struct expectation table[] = {
        /* the 13th, and Fridays */
        {"0 1 13 * fri",
         "UTC",
         "2026-11-29 00:00",
         {"2026-12-04 01:00", "2026-12-11 01:00", "2026-12-13 01:00", "2026-12-18 01:00"}},
        /* a field that begins with "*" is not given: both must fit */
        {"0 1 */2 * fri", "UTC", "2026-11-29 00:00", {"2026-12-11 01:00", "2026-12-25 01:00"}},
        {"0 1 1-7 * */7", "UTC", "2026-11-29 12:00", {"2026-12-06 01:00", "2027-01-03 01:00"}},
    };
    (void)state;

    check(table, LENGTH(table));
}

static void leap_days_are_found_however_far_they_are(void **state)
{
    static const struct expectation table[] = {
        {"0 0 29 2 *", "UTC", "2026-11-29 00:00", {"2028-02-29 00:00", "2032-02-29 00:00"}},
        {"0 0 29 2 *", "UTC", "2096-03-01 00:00", {"2104-02-29 00:00"}},
        {"0 0 29 2 */7", "UTC", "2026-11-29 00:00", {"2032-02-29 00:00", "2060-02-29 00:00"}},
        {"0 0 31 * *",
         "UTC",
         "2026-11-29 00:00",
         {"2026-12-31 00:00", "2027-01-31 00:00", "2027-03-31 00:00"}},
    };
    (void)state;

    check(table, LENGTH(table));
}

/* 2026-03-29 and 2026-10-25 in Berlin, at 01:00 UTC; 2026-10-04 and 2026-04-05 on Lord Howe Island,
 * by half an hour, at 15:30 and 15:00 UTC of the day before. */
static void an_hour_that_is_left_out_counts_once(void **state)
{
    static const struct expectation table[] = {
        {"30 2 * * *",
         "Europe/Berlin",
         "2026-03-28 12:00",
         {"2026-03-29 01:00", "2026-03-30 00:30"}},
        {"0,10,50 2 * * *",
         "Europe/Berlin",
         "2026-03-28 12:00",
         {"2026-03-29 01:00", "2026-03-30 00:00"}},
        {"0 2,3 * * *",
         "Europe/Berlin",
         "2026-03-28 12:00",
         {"2026-03-29 01:00", "2026-03-30 00:00"}},
        {"0 */2 * * *",
         "Europe/Berlin",
         "2026-03-28 22:30",
         {"2026-03-28 23:00", "2026-03-29 01:00", "2026-03-29 02:00", "2026-03-29 04:00"}},
        {"*/30 * * * *",
         "Europe/Berlin",
         "2026-03-29 00:00",
         {"2026-03-29 00:30", "2026-03-29 01:00", "2026-03-29 01:30"}},
        {"15 * * * *",
         "Europe/Berlin",
         "2026-03-29 00:00",
         {"2026-03-29 00:15", "2026-03-29 01:15", "2026-03-29 02:15"}},
        {"10 2 * * *",
         "Australia/Lord_Howe",
         "2026-10-03 00:00",
         {"2026-10-03 15:30", "2026-10-04 15:10"}},
        /* the whole 30 December 2011 */
        {"0 9 * * *",
         "Pacific/Apia",
         "2011-12-29 00:00",
         {"2011-12-29 19:00", "2011-12-30 10:00", "2011-12-30 19:00"}},
    };
    (void)state;

    check(table, LENGTH(table));
}

static void an_hour_that_comes_twice_counts_once_where_it_is_named(void **state)
{
    static const struct expectation table[] = {
        {"30 2 * * *",
         "Europe/Berlin",
         "2026-10-24 12:00",
         {"2026-10-25 00:30", "2026-10-26 01:30"}},
        {"*/30 2 * * *",
         "Europe/Berlin",
         "2026-10-24 12:00",
         {"2026-10-25 00:00", "2026-10-25 00:30", "2026-10-26 01:00"}},
        {"30 * * * *",
         "Europe/Berlin",
         "2026-10-25 00:00",
         {"2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30"}},
        {"0 */2 * * *",
         "Europe/Berlin",
         "2026-10-24 22:30",
         {"2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 03:00"}},
        {"45 1 * * *",
         "Australia/Lord_Howe",
         "2026-04-04 00:00",
         {"2026-04-04 14:45", "2026-04-05 15:15"}},
        /* set back over midnight: 00:00 to 23:00 of the day before */
        {"30 23 * * *",
         "America/Sao_Paulo",
         "2018-02-17 12:00",
         {"2018-02-18 01:30", "2018-02-19 02:30"}},
        {"30 * * * *",
         "America/St_Johns", /* 00:01 to 23:01 */
         "2010-11-07 01:45",
         {"2010-11-07 02:00", "2010-11-07 03:00", "2010-11-07 04:00"}},
        {"30 * * * *", /* while the clock shows the next day already */
         "America/St_Johns",
         "2010-11-07 02:30:30",
         {"2010-11-07 03:00", "2010-11-07 04:00"}},
        {"*/15 * * * *", /* 00:00 comes before the second 23:15 of the day before */
         "America/St_Johns",
         "2010-11-07 02:29:30",
         {"2010-11-07 02:30", "2010-11-07 02:45", "2010-11-07 03:00"}},
    };
    (void)state;

    check(table, LENGTH(table));
}

static void mistakes_are_named(void **state)
{
    static const char *const table[][2] = {
        {"", "has five fields"},
        {"* * * *",
         "has five fields (minute, hour, day of the month, month, day of the week), not 4"},
        {"* * * * * *", "not 6"},
        {"60 * * * *", "\"60\" as minute: it is 0 to 59"},
        {"* 24 * * *", "\"24\" as hour: it is 0 to 23"},
        {"* * 0 * *", "\"0\" as day of the month: it is 1 to 31"},
        {"* * * 13 *", "\"13\" as month: it is 1 to 12, or a name of three letters"},
        {"* * * * 8", "\"8\" as day of the week: it is 0 to 7, or a name of three letters"},
        {"* * * * friday", "\"friday\" as day of the week"},
        {"mon * * * *", "\"mon\" as minute"},
        {"5-1 * * * *", "\"5-1\" as minute: the range ends before it begins"},
        {"5/10 * * * *", "a step (\"/\") needs a range or \"*\" before it"},
        {"*/0 * * * *", "\"*/0\" as minute: the step"},
        {"*/99 * * * *", "the step"},
        {"*/ * * * *", "the step"},
        {"1,,2 * * * *", "\"\" as minute"},
        {"1, * * * *", "\"\" as minute"},
        {"1-2-3 * * * *", "\"1-2-3\" as minute"},
        {"99999999999999999999 * * * *", "it is 0 to 59"},
        {"0 0 31 2 *", "the job would never run"},
        {"0 0 30,31 feb *", "the job would never run"},
        {"0 0 31 4,6,9,11 *", "the job would never run"},
        {"@reboot", "\"@reboot\" is not one of @hourly"},
        {"@daily x", "is not one of @hourly"},
    };
    struct cron cron;
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        if (cron_parse(table[i][0], &cron, &err) == 0)
            fail_msg("\"%s\" is accepted", table[i][0]);
        assert_int_equal(err.code, ERR_CONFIG);
        if (strstr(err.msg, table[i][1]) == NULL)
            fail_msg("\"%s\": %s", table[i][0], err.msg);
    }
    OK(cron_parse("0 0 31 2 mon", &cron, &err), &err); /* each Monday of February */
    OK(cron_parse("0 0 29 2 *", &cron, &err), &err);
}

static void the_last_of_many_times_is_found(void **state)
{
    AUTO(zone_free) struct zone zone = ZONE_INIT;
    int64_t from = seconds("2020-01-01 00:00"), to = seconds("2026-11-29 10:00:30");
    struct cron cron;
    unsigned n;
    (void)state;

    OK(zone_load(&zone, "Europe/Berlin", &err), &err);
    OK(cron_parse("* * * * *", &cron, &err), &err);
    assert_int_equal(cron_last(&cron, &zone, from, to, &n), seconds("2026-11-29 10:00"));
    assert_int_equal(n, CRON_COUNT_MAX);
    OK(cron_parse("0 1 1 * *", &cron, &err), &err);
    assert_int_equal(cron_last(&cron, &zone, from, to, &n), seconds("2026-11-01 00:00"));
    assert_int_equal(n, 82);
    assert_int_equal(cron_last(&cron, &zone, to, to + 60, &n), CRON_NEVER);
    assert_int_equal(n, 0);
    assert_int_equal(cron_last(&cron, &zone, to, from, &n), CRON_NEVER); /* backwards: none */
    assert_int_equal(
        cron_last(&cron, &zone, seconds("2026-10-31 23:59"), seconds("2026-11-01 00:00"), &n),
        seconds("2026-11-01 00:00"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_mean_what_cron_says),
        cmocka_unit_test(one_of_two_days_suffices_when_both_are_given),
        cmocka_unit_test(leap_days_are_found_however_far_they_are),
        cmocka_unit_test(an_hour_that_is_left_out_counts_once),
        cmocka_unit_test(an_hour_that_comes_twice_counts_once_where_it_is_named),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(the_last_of_many_times_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
