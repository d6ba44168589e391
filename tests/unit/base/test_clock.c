#include "tests/lib/test.h"

#include <stdlib.h>

#include "base/clock.h"

static struct err err;

static int in_berlin(void **state)
{
    (void)state;
    return setenv("TZ", "Europe/Berlin", 1);
}

static void moments_are_written_as_postgresql_does(void **state)
{
    static const struct {
        int64_t us;
        const char *utc, *iso;
    } cases[] = {
        {0, "1970-01-01 00:00:00+00", "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31 23:59:59.999999+00", "1969-12-31T23:59:59.999999Z"},
        {PG_EPOCH_US, "2000-01-01 00:00:00+00", "2000-01-01T00:00:00.000000Z"},
        {1795356333120456, "2026-11-22 14:05:33.120456+00", "2026-11-22T14:05:33.120456Z"},
        {1795356333120000, "2026-11-22 14:05:33.12+00", "2026-11-22T14:05:33.120000Z"},
        {1709164800000000, "2024-02-29 00:00:00+00", "2024-02-29T00:00:00.000000Z"},
        {INT64_MAX, "294247-01-10 04:00:54.775807+00", "294247-01-10T04:00:54.775807Z"},
        {INT64_MIN, "-290308-12-21 19:59:05.224192+00", "-290308-12-21T19:59:05.224192Z"},
    };
    char text[40];

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        assert_string_equal(clock_format_utc(cases[i].us, text), cases[i].utc);
        assert_string_equal(clock_format_iso(cases[i].us, text), cases[i].iso);
    }
}

static void moments_are_written_in_a_zone(void **state)
{
    static const struct {
        int64_t us;
        const char *zone, *text;
    } cases[] = {
        {1795356333120000, "Europe/Berlin", "2026-11-22 15:05:33.12+01 (CET)"},
        {1795356333120000, "", "2026-11-22 15:05:33.12+01 (CET)"},
        {1795356333120000, NULL, "2026-11-22 15:05:33.12+01 (CET)"},
        {1784030733000000, "Europe/Berlin", "2026-07-14 14:05:33+02 (CEST)"},
        {4939704333000000, "Europe/Berlin", "2126-07-14 14:05:33+02 (CEST)"},
        {1795356333000000, "Asia/Kolkata", "2026-11-22 19:35:33+05:30 (IST)"},
        {1795356333000000, "America/St_Johns", "2026-11-22 10:35:33-03:30 (NST)"},
        {-3000000000000000, "Europe/Berlin", "1874-12-07 19:33:28+00:53:28 (LMT)"},
    };
    char text[80];

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        OK(clock_format_zone(cases[i].us, cases[i].zone, text, &err), &err);
        assert_string_equal(text, cases[i].text);
    }
    FAILS(clock_format_zone(0, "Mars/Olympus", text, &err), &err, ERR_CONFIG);
    assert_string_equal(clock_format_offset(1795356333120000, -12600, text),
                        "2026-11-22 10:35:33.12-03:30");
}

static void what_people_type_is_understood(void **state)
{
    static const struct {
        const char *text, *zone, *utc;
    } cases[] = {
        {"2026-11-22 14:05", NULL, "2026-11-22 13:05:00+00"},
        {"2026-11-22 14:05", "", "2026-11-22 13:05:00+00"},
        {"2026-11-22 14:05", "UTC", "2026-11-22 14:05:00+00"},
        {"2026-11-22 14:05", "Asia/Kolkata", "2026-11-22 08:35:00+00"},
        {"2026-07-22 14:05:33", NULL, "2026-07-22 12:05:33+00"},
        {"2126-07-22 14:05:33", NULL, "2126-07-22 12:05:33+00"},
        {"2026-11-22T14:05:33.120456Z", NULL, "2026-11-22 14:05:33.120456+00"},
        {"2026-11-22t14:05:33.5z", NULL, "2026-11-22 14:05:33.5+00"},
        {"2026-11-22 14:05:33,123456789 +01", NULL, "2026-11-22 13:05:33.123456+00"},
        {"2026-11-22 14:05:33.120456+00", NULL, "2026-11-22 14:05:33.120456+00"},
        {"2026-11-22 14:05:33+0530", NULL, "2026-11-22 08:35:33+00"},
        {"2026-11-22 14:05:33+05:30", NULL, "2026-11-22 08:35:33+00"},
        {"2026-11-22 14:05:33 -03:30", NULL, "2026-11-22 17:35:33+00"},
        {"1874-12-07 19:33:28+00:53:28", NULL, "1874-12-07 18:40:00+00"},
        {"2026-11-22 15:05:33.12+01 (CET)", "UTC", "2026-11-22 14:05:33.12+00"},
        {"2026-11-22 14:05 UTC", NULL, "2026-11-22 14:05:00+00"},
        {"2026-11-22 14:05:33 America/New_York", NULL, "2026-11-22 19:05:33+00"},
        {"2026-11-22 14:05 Etc/GMT+5 ", NULL, "2026-11-22 19:05:00+00"},
        {"  2026-11-22   14:05  ", NULL, "2026-11-22 13:05:00+00"},
        {"2026-11-22", NULL, "2026-11-21 23:00:00+00"},
        {"2026-11-22 Asia/Tokyo", NULL, "2026-11-21 15:00:00+00"},
        {"2026-11-22Z", NULL, "2026-11-22 00:00:00+00"},
        {"2024-02-29 00:00Z", NULL, "2024-02-29 00:00:00+00"},
        {"2026-10-25 02:30+02", NULL, "2026-10-25 00:30:00+00"},
        {"0001-01-01 00:00Z", NULL, "0001-01-01 00:00:00+00"},
        {"9999-12-31 23:59:59.999999Z", NULL, "9999-12-31 23:59:59.999999+00"},
    };
    char text[40];
    int64_t us;

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        if (clock_parse(cases[i].text, cases[i].zone, &us, &err) != 0)
            fail_msg("%s: %s", cases[i].text, err.msg);
        assert_string_equal(clock_format_utc(us, text), cases[i].utc);
    }
}

static void what_is_no_moment_is_refused_and_named(void **state)
{
    static const char *const texts[] = {
        "",
        "now",
        "2026",
        "2026-11",
        "2026-1-2",
        "26-11-22",
        "22.11.2026 14:05",
        "2026-13-01",
        "2026-00-01",
        "2026-02-29",
        "2026-11-31",
        "2026-11-00",
        "2026-11-22 24:00",
        "2026-11-22 14:60",
        "2026-11-22 14:05:60",
        "2026-11-22 14",
        "2026-11-22 1:05",
        "2026-11-22 14:5",
        "2026-11-22 14:05:",
        "2026-11-22 14:05:3",
        "2026-11-22 14:05:33.",
        "2026-11-22 14:05:33.x",
        "2026-11-22 14:05:33+",
        "2026-11-22 14:05:33+1",
        "2026-11-22 14:05:33+01:",
        "2026-11-22 14:05:33+16",
        "2026-11-22 14:05:33+01:60",
        "2026-11-22 14:05:33+01 CET",
        "2026-11-22 14:05:33+01 (CET",
        "2026-11-22 14:05:33 XYZ",
        "2026-11-22 14:05:33 Europe/Berlin x",
        "2026-11-22 14:05:33 ../UTC",
        "2026-11-22 14:05:33 /etc/localtime",
        "2026-11-22T",
        "12026-11-22 14:05",
    };
    int64_t us;

    (void)state;
    for (size_t i = 0; i < LENGTH(texts); i++) {
        if (clock_parse(texts[i], NULL, &us, &err) == 0)
            fail_msg("accepted: \"%s\"", texts[i]);
        assert_int_equal(err.code, ERR_USAGE);
        assert_non_null(strstr(err.msg, texts[i]));
    }
    FAILS(clock_parse("2026-11-22 14:05", "Europe/Berln", &us, &err), &err, ERR_CONFIG);
}

static void local_times_without_one_meaning_are_refused_with_both(void **state)
{
    static const struct {
        const char *text, *first, *second;
    } cases[] = {
        {"2026-10-25 02:30", "\"2026-10-25 02:30:00+02\"", "\"2026-10-25 02:30:00+01\""},
        {"2026-03-29 02:30:00.5", "\"2026-03-29 01:30:00.5+01\"", "\"2026-03-29 03:30:00.5+02\""},
        {"2026-11-01 01:30 America/New_York", "\"2026-11-01 01:30:00-04\"",
         "\"2026-11-01 01:30:00-05\""},
    };
    int64_t us;

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        FAILS(clock_parse(cases[i].text, NULL, &us, &err), &err, ERR_USAGE);
        assert_non_null(strstr(err.msg, cases[i].first));
        assert_non_null(strstr(err.msg, cases[i].second));
    }
}

static void what_is_written_can_be_typed_again(void **state)
{
    static const char *const zones[] = {"Europe/Berlin", "Asia/Kolkata", "America/St_Johns",
                                        "Pacific/Apia", "UTC"};
    char text[80];
    int64_t back;

    (void)state;
    for (int64_t us = -2000000000123456; us < 8000000000000000; us += 77777777777777)
        for (size_t i = 0; i < LENGTH(zones); i++) {
            OK(clock_format_zone(us, zones[i], text, &err), &err);
            OK(clock_parse(text, NULL, &back, &err), &err);
            assert_int_equal(back, us);
        }
}

static void durations_and_sizes_are_short(void **state)
{
    static const struct {
        int64_t s;
        const char *text;
    } durations[] = {{-5, "00:00"},        {0, "00:00"},         {12, "00:12"},
                     {3599, "59:59"},      {3723, "1:02:03"},    {86399, "23:59:59"},
                     {86400, "1 d 00:00"}, {273900, "3 d 04:05"}};
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0 B"},
                 {999, "999 B"},
                 {1000, "1.0 kB"},
                 {99949, "99.9 kB"},
                 {99950, "100 kB"},
                 {999499, "999 kB"},
                 {999500, "1.0 MB"},
                 {7600000000, "7.6 GB"},
                 {76200000000, "76.2 GB"},
                 {640000000, "640 MB"},
                 {UINT64_MAX, "18.4 EB"}};
    char text[40];

    (void)state;
    for (size_t i = 0; i < LENGTH(durations); i++)
        assert_string_equal(clock_format_duration(durations[i].s * 1000000, text),
                            durations[i].text);
    for (size_t i = 0; i < LENGTH(sizes); i++)
        assert_string_equal(format_bytes(sizes[i].bytes, text), sizes[i].text);
}

static void the_clocks_run(void **state)
{
    int64_t wall = clock_now_us(), monotonic = clock_monotonic_us();

    (void)state;
    clock_sleep_ms(5);
    assert_true(clock_monotonic_us() - monotonic >= 5000);
    assert_true(wall > INT64_C(1750000000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_written_as_postgresql_does),
        cmocka_unit_test(moments_are_written_in_a_zone),
        cmocka_unit_test(what_people_type_is_understood),
        cmocka_unit_test(what_is_no_moment_is_refused_and_named),
        cmocka_unit_test(local_times_without_one_meaning_are_refused_with_both),
        cmocka_unit_test(what_is_written_can_be_typed_again),
        cmocka_unit_test(durations_and_sizes_are_short),
        cmocka_unit_test(the_clocks_run),
    };
    return cmocka_run_group_tests_name("clock", tests, in_berlin, NULL);
}
