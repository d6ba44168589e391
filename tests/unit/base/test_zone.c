#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/zone.h"

static struct err err;

/* Rules of every shape: none, north, south, half hours, Dublin's inverted one, changes on Julian
 * days, on Saturday 24:00, before midnight. */
static const char *const RULES[] = {
    "UTC0",
    "<+0530>-5:30",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "EST5EDT,M3.2.0,M11.1.0",
    "AEST-10AEDT,M10.1.0,M4.1.0/3",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
    "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
    "IST-2IDT,M3.4.4/26,M10.5.0",
    "AAA3BBB,J60/2,J300/2:30:15",
    "AAA3BBB,59,299",
};

static const char *const NAMES[] = {
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Europe/Dublin",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Nuuk",
    "America/Santiago",
    "Asia/Kathmandu",
    "Antarctica/Troll",
    "Asia/Jerusalem",
    "America/Sao_Paulo",
    "UTC",
    "Etc/GMT+5",
    "EST5EDT",
    "Pacific/Kiritimati",
    "Asia/Tehran",
    "Africa/Monrovia",
    "Europe/London",
    "America/Argentina/Buenos_Aires",
};

static void agrees_with_the_c_library(const struct zone *z, const char *tz, int64_t first)
{
    const int64_t last = 20000000000; /* 2603 */

    setenv("TZ", tz, 1);
    tzset();
    for (int64_t t = first; t < last; t += 654321) {
        const struct zone_type *type = zone_at(z, t);
        time_t c_time = (time_t)t;
        struct tm tm;
        localtime_r(&c_time, &tm);
        if (type->offset != tm.tm_gmtoff || strcmp(type->name, tm.tm_zone) != 0)
            fail_msg("%s at %lld: %d %s, expected %ld %s", tz, (long long)t, type->offset,
                     type->name, tm.tm_gmtoff, tm.tm_zone);
    }
    unsetenv("TZ");
}

static void zones_by_name_are_those_of_the_c_library(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(NAMES); i++) {
        AUTO(zone_free) struct zone z = ZONE_INIT;
        OK(zone_load(&z, NAMES[i], &err), &err);
        agrees_with_the_c_library(&z, NAMES[i], -5000000000); /* 1811 */
    }
}

static void rules_are_those_of_the_c_library(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(RULES); i++) {
        struct zone z = {.n_types = 1, .has_rule = true};
        assert_int_equal(zone_parse_rule(&z.rule, RULES[i]), 0);
        agrees_with_the_c_library(&z, RULES[i], 50000000); /* glibc knows no rules before 1971 */
    }
}

/* RFC 8536, section 3.3.1: how a rule says that it is always summer. */
static void daylight_saving_may_last_for_ever(void **state)
{
    struct zone z = {.n_types = 1, .has_rule = true};

    (void)state;
    assert_int_equal(zone_parse_rule(&z.rule, "EST5EDT,0/0,J365/25"), 0);
    for (int64_t t = 0; t < 10000000000; t += 12345)
        assert_string_equal(zone_at(&z, t)->name, "EDT");
}

static void the_zone_of_the_process_comes_from_its_environment(void **state)
{
    static const struct {
        const char *tz, *name;
        int32_t offset;
    } own[] = {
        {"Asia/Kolkata", "IST", 19800},
        {":Asia/Kolkata", "IST", 19800},
        {"/usr/share/zoneinfo/Asia/Kolkata", "IST", 19800},
        {"<+03>-3", "+03", 10800},
        {"", "UTC", 0},
        {"No/Such_Zone", "UTC", 0},
        {"../../../etc/passwd", "UTC", 0},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(own); i++) {
        AUTO(zone_free) struct zone z = ZONE_INIT;
        setenv("TZ", own[i].tz, 1);
        OK(zone_load(&z, i % 2 ? "" : NULL, &err), &err);
        assert_string_equal(zone_at(&z, 1700000000)->name, own[i].name);
        assert_int_equal(zone_at(&z, 1700000000)->offset, own[i].offset);
    }
    unsetenv("TZ");
}

static void names_that_are_no_zone_are_refused(void **state)
{
    static const char *const names[] = {"Europe/Berln",
                                        "/etc/localtime",
                                        "../zoneinfo/UTC",
                                        "Europe",
                                        "Europe/",
                                        "tzdata.zi",
                                        "a b",
                                        "CET-1CEST,M3.5.0,M10.5.0/3",
                                        "zone1970",
                                        "right/UTC/x"};

    (void)state;
    for (size_t i = 0; i < LENGTH(names); i++) {
        struct zone z;
        FAILS(zone_load(&z, names[i], &err), &err, ERR_CONFIG);
        assert_non_null(strstr(err.msg, names[i]));
    }
}

static void rules_that_are_none_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "CET",
        "CE-1",
        "-1",
        "CET-25",
        "CET-1:60",
        "<CET-1",
        "CET-1CE",
        "CET-1CEST,",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J5",
        "CET-1CEST,J366,J5",
        "CET-1CEST,366,5",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,M3.5.0,M10.5.0/3x",
        "CET-1CEST,M3.5.0,M10.5.0/",
        "CET-99999999999999999999",
        "ABCDEFGHIJKLMNOP-1",
        "CET-1 ",
    };
    struct zone_rule rule;

    (void)state;
    for (size_t i = 0; i < LENGTH(texts); i++)
        if (zone_parse_rule(&rule, texts[i]) == 0)
            fail_msg("accepted: \"%s\"", texts[i]);
}

static void read_all(const char *path, struct buf *b)
{
    FILE *f = fopen(path, "re");
    int c;

    assert_non_null(f);
    while ((c = fgetc(f)) != EOF)
        buf_addc(b, (char)c);
    fclose(f);
}

/* Cut anywhere, a file is refused; changed anywhere, it is refused or can be asked all the same. */
static void a_damaged_file_does_no_harm(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    struct zone z;
    int64_t moments[2];

    (void)state;
    read_all("/usr/share/zoneinfo/Europe/Berlin", &b);
    OK(zone_parse_file(&z, b.p, b.len, &err), &err);
    zone_free(&z);
    for (size_t len = 0; len < b.len; len++)
        FAILS(zone_parse_file(&z, b.p, len, &err), &err, ERR_CORRUPT);
    for (size_t i = 0; i < b.len; i++)
        for (int flip = 1; flip < 256; flip *= 5) {
            b.p[i] = (char)(b.p[i] ^ flip);
            if (zone_parse_file(&z, b.p, b.len, &err) == 0) {
                for (int64_t t = -4000000000; t < 9000000000; t += 999999999) {
                    assert_non_null(zone_at(&z, t));
                    zone_moments(&z, t, moments);
                }
                zone_free(&z);
            }
            b.p[i] = (char)(b.p[i] ^ flip);
        }
}

/* As the tz database says: Berlin's two changes of 2026, and Samoa without 2011-12-30. */
static void local_times_have_one_reading_none_or_two(void **state)
{
    static const struct {
        const char *zone;
        int64_t local;
        enum zone_reading reading;
        int64_t moments[2];
    } cases[] = {
        {"Europe/Berlin", 1774749599, ZONE_ONCE, {1774745999}},                /* 03-29 01:59:59 */
        {"Europe/Berlin", 1774749600, ZONE_SKIPPED, {1774742400, 1774746000}}, /* 02:00 */
        {"Europe/Berlin", 1774753199, ZONE_SKIPPED, {1774745999, 1774749599}}, /* 02:59:59 */
        {"Europe/Berlin", 1774753200, ZONE_ONCE, {1774746000}},                /* 03:00 */
        {"Europe/Berlin", 1792893599, ZONE_ONCE, {1792886399}},                /* 10-25 01:59:59 */
        {"Europe/Berlin", 1792893600, ZONE_TWICE, {1792886400, 1792890000}},   /* 02:00 */
        {"Europe/Berlin", 1792897199, ZONE_TWICE, {1792889999, 1792893599}},   /* 02:59:59 */
        {"Europe/Berlin", 1792897200, ZONE_ONCE, {1792893600}},                /* 03:00 */
        {"Pacific/Apia", 1325203200, ZONE_SKIPPED, {1325152800, 1325239200}},  /* 12-30 00:00 */
        {"UTC", 1325203200, ZONE_ONCE, {1325203200}},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(zone_free) struct zone z = ZONE_INIT;
        int64_t moments[2] = {0, 0};
        OK(zone_load(&z, cases[i].zone, &err), &err);
        assert_int_equal(zone_moments(&z, cases[i].local, moments), cases[i].reading);
        assert_int_equal(moments[0], cases[i].moments[0]);
        if (cases[i].reading != ZONE_ONCE)
            assert_int_equal(moments[1], cases[i].moments[1]);
    }
}

static void every_moment_is_among_the_readings_of_its_local_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(NAMES); i++) {
        AUTO(zone_free) struct zone z = ZONE_INIT;
        OK(zone_load(&z, NAMES[i], &err), &err);
        for (int64_t t = -3000000000; t < 9000000000; t += 4321987) {
            int64_t moments[2] = {INT64_MIN, INT64_MIN};
            assert_int_not_equal(zone_moments(&z, t + zone_at(&z, t)->offset, moments),
                                 ZONE_SKIPPED);
            assert_true(moments[0] == t || moments[1] == t);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zones_by_name_are_those_of_the_c_library),
        cmocka_unit_test(rules_are_those_of_the_c_library),
        cmocka_unit_test(daylight_saving_may_last_for_ever),
        cmocka_unit_test(the_zone_of_the_process_comes_from_its_environment),
        cmocka_unit_test(names_that_are_no_zone_are_refused),
        cmocka_unit_test(rules_that_are_none_are_refused),
        cmocka_unit_test(a_damaged_file_does_no_harm),
        cmocka_unit_test(local_times_have_one_reading_none_or_two),
        cmocka_unit_test(every_moment_is_among_the_readings_of_its_local_time),
    };
    return cmocka_run_group_tests_name("zone", tests, NULL, NULL);
}
