/*
 * A year of jobs in three zones, minute by minute, with restarts, crashes and days off.
 *
 * When a job is due is found in another way than the scheduler does: every minute of the year is
 * turned into a local time by the C library, and held against a predicate; what the clocks leave
 * out or repeat is seen from one minute to the next. And a second, simple model of the scheduler
 * walks beside: the newest due time that is owed starts as soon as somebody is there and the group
 * is free. Both must start the same jobs, for the same due times, in the same minutes.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "scheduler/jobs/schedule.h"

enum { MINUTE = 60, DAY = 86400, YEAR_MINUTES = 366 * 1440, JOBS = 9, US = 1000000 };

static struct err err;

/* ---- the jobs, each as an expression and as a predicate ---- */

struct kind {
    const char *expression;
    bool (*fits)(const struct tm *t);
    bool all_hours; /* what the clocks leave out costs nothing */
    bool repeats;   /* comes twice where the clock shows it twice */
    unsigned group;
};

static bool nightly(const struct tm *t)
{
    return t->tm_hour == 2 && t->tm_min == 30;
}
static bool early(const struct tm *t)
{
    return t->tm_hour == 2 && t->tm_min == 0 && t->tm_wday != 0;
}
static bool weekly(const struct tm *t)
{
    return t->tm_hour == 2 && t->tm_min == 0 && t->tm_wday == 0;
}
static bool ten_minutes(const struct tm *t)
{
    return t->tm_min % 10 == 0;
}
static bool quarter_past(const struct tm *t)
{
    return t->tm_min == 15;
}
static bool even_hours(const struct tm *t)
{
    return t->tm_hour % 2 == 0 && t->tm_min == 45;
}
static bool small_hours(const struct tm *t)
{
    return t->tm_hour >= 1 && t->tm_hour <= 3 && t->tm_min % 20 == 5;
}
static bool last_of_month(const struct tm *t)
{
    return t->tm_hour == 0 && t->tm_min == 0 && (t->tm_mday == 29 || t->tm_mday == 31);
}
static bool thirteenth_or_friday(const struct tm *t)
{
    return t->tm_hour == 23 && t->tm_min == 59 && (t->tm_mday == 13 || t->tm_wday == 5);
}

static const struct kind kinds[JOBS] = {
    {"30 2 * * *", nightly, false, false, 0},
    {"0 2 * * 1-6", early, false, false, 1},
    {"0 2 * * 0", weekly, false, false, 1},
    {"*/10 * * * *", ten_minutes, true, true, 2},
    {"15 * * * *", quarter_past, true, true, 3},
    {"45 */2 * * *", even_hours, false, true, 1},
    {"5-59/20 1-3 * * *", small_hours, false, false, 4},
    {"0 0 29,31 * *", last_of_month, false, false, 4},
    {"59 23 13 * fri", thirteenth_or_friday, false, false, 5},
};

/* ---- the independent calendar: bit k of due[m]: job k is due in minute m of the year ---- */

static time_t reading(const struct tm *t)
{
    struct tm copy = *t;

    return timegm(&copy);
}

/* Readings that the clocks left out between two minutes. */
static bool fits_skipped(const struct kind *k, time_t from, time_t to)
{
    for (time_t local = from; local < to; local += MINUTE) {
        struct tm t;

        gmtime_r(&local, &t);
        if (k->fits(&t))
            return true;
    }
    return false;
}

static void fill(uint16_t *due, time_t begin)
{
    time_t newest = 0, before = 0;

    for (int m = -1440; m < YEAR_MINUTES; m++) {
        time_t now = begin + (time_t)m * MINUTE, local;
        struct tm t;

        localtime_r(&now, &t);
        local = reading(&t);
        for (int k = 0; k < JOBS; k++) {
            bool again = local <= newest;
            bool fits = kinds[k].fits(&t) && (!again || kinds[k].repeats);

            if (before != 0 && local > before + MINUTE && !kinds[k].all_hours)
                fits |= fits_skipped(&kinds[k], before + MINUTE, local);
            if (fits && m >= 0)
                due[m] |= (uint16_t)(1 << k);
        }
        newest = local > newest ? local : newest;
        before = local;
    }
}

/* ---- the two that walk side by side ---- */

struct model { /* of one job; minutes of the year, -1: none */
    int owed, running_for, ends, ended;
};

struct world {
    time_t begin;
    uint16_t *due;
    struct schedule_job jobs[JOBS];
    struct schedule_memory saved[JOBS]; /* what is on disk */
    struct model models[JOBS];
    bool up;
    int64_t wake_us;
    long starts, restarts, crashes;
};

static int64_t at(const struct world *w, int m)
{
    return ((int64_t)w->begin + (int64_t)m * MINUTE) * US;
}

static int chance(int one_in)
{
    return rand() % one_in == 0;
}

static void save(struct world *w, int k)
{
    w->saved[k] = w->jobs[k].memory;
}

static bool model_is_free(const struct world *w, unsigned group)
{
    for (int k = 0; k < JOBS; k++)
        if (kinds[k].group == group && w->models[k].ends >= 0)
            return false;
    return true;
}

/* The one that is due the longest, of those that may start. */
static int model_pick(const struct world *w)
{
    int best = -1;

    for (int k = 0; k < JOBS; k++)
        if (w->models[k].owed >= 0 && w->models[k].ends < 0 && model_is_free(w, kinds[k].group) &&
            (best < 0 || w->models[k].owed < w->models[best].owed))
            best = k;
    return best;
}

static void end_runs(struct world *w, int m)
{
    for (int k = 0; k < JOBS; k++) {
        struct model *model = &w->models[k];

        if (model->ends < 0 || model->ends > m || !w->up)
            continue;
        model->ends = -1;
        model->ended = m;
        schedule_end(&w->jobs[k], SCHEDULE_DONE, at(w, m), NULL);
        save(w, k);
    }
}

/* All that runs is lost; whoever is owed something gets it later. */
static void crash(struct world *w)
{
    w->up = false;
    w->crashes++;
    for (int k = 0; k < JOBS; k++) {
        struct model *model = &w->models[k];

        if (model->ends >= 0 && model->owed < 0)
            model->owed = model->running_for;
        model->ends = -1;
    }
}

/* Some of what ran when it ended may still run, or may have ended meanwhile. */
static void come_back(struct world *w, int m)
{
    w->up = true;
    w->restarts++;
    w->wake_us = 0;
    for (int k = 0; k < JOBS; k++) {
        struct schedule_job *j = &w->jobs[k];
        struct model *model = &w->models[k];

        memset(&j->memory, 0, sizeof j->memory);
        schedule_recall(j, &w->saved[k], model->ends >= 0, at(w, m), NULL);
        save(w, k);
    }
}

static void run_minute(struct world *w, int m)
{
    struct schedule_job *j;
    bool due_now = false;
    int want;

    for (int k = 0; k < JOBS; k++)
        if (w->due[m] >> k & 1) {
            w->models[k].owed = m;
            due_now |= w->models[k].ends < 0 && w->models[k].ended != m;
        }
    if (!w->up)
        return;
    if (due_now && w->wake_us > at(w, m))
        fail_msg("minute %d: it would have slept", m);
    for (int k = 0; k < JOBS; k++)
        if (schedule_tick(&w->jobs[k], at(w, m), NULL))
            save(w, k);
    while ((want = model_pick(w)) >= 0) {
        j = schedule_pick(w->jobs, JOBS, at(w, m));
        if (j == NULL)
            fail_msg("minute %d: \"%s\" for minute %d is not started", m, kinds[want].expression,
                     w->models[want].owed);
        if (j != &w->jobs[want] || j->due_us != at(w, w->models[want].owed))
            fail_msg("minute %d: \"%s\" for %lld is started, not \"%s\" for %lld", m,
                     kinds[j - w->jobs].expression, (long long)(j->due_us / US),
                     kinds[want].expression, (long long)(at(w, w->models[want].owed) / US));
        schedule_start(j);
        save(w, want);
        w->starts++;
        w->models[want].running_for = w->models[want].owed;
        w->models[want].owed = -1;
        w->models[want].ends = m + (chance(50) ? 60 + rand() % 1500 : rand() % 8);
    }
    if (schedule_pick(w->jobs, JOBS, at(w, m)) != NULL)
        fail_msg("minute %d: something is started that is not due", m);
    w->wake_us = schedule_wake(w->jobs, JOBS, at(w, m));
}

static void a_year(const char *zone_name, const char *first, unsigned seed)
{
    AUTO(zone_free) struct zone zone = ZONE_INIT;
    struct world *w = xcalloc(1, sizeof *w);
    int down_until = -1;
    struct tm t = {0};

    srand(seed);
    setenv("TZ", zone_name, 1);
    tzset();
    strptime(first, "%Y-%m-%d", &t);
    w->begin = timegm(&t);
    w->due = xcalloc(YEAR_MINUTES, sizeof *w->due);
    fill(w->due, w->begin);
    OK(zone_load(&zone, zone_name, &err), &err);
    w->up = true;
    for (int k = 0; k < JOBS; k++) {
        OK(cron_parse(kinds[k].expression, &w->jobs[k].cron, &err), &err);
        w->jobs[k].zone = &zone;
        w->jobs[k].retries = 1000000; /* a run that crashed is always repeated */
        w->jobs[k].group = kinds[k].group;
        w->jobs[k].catch_up = true;
        w->models[k] = (struct model){-1, -1, -1, -1};
        schedule_first(&w->jobs[k], at(w, 0) - 1);
        save(w, k);
    }
    for (int m = 0; m < YEAR_MINUTES; m++) {
        if (w->up && chance(2000))
            crash(w), down_until = m + 1 + (chance(4) ? rand() % 20000 : rand() % 300);
        else if (w->up && chance(500)) /* the daemon alone: what runs goes on */
            w->up = false, down_until = m + rand() % 30;
        if (!w->up && m >= down_until)
            come_back(w, m);
        end_runs(w, m);
        run_minute(w, m);
    }
    print_message("# %s: %ld starts, %ld restarts, %ld crashes\n", zone_name, w->starts,
                  w->restarts, w->crashes);
    assert_true(w->starts > 10000 && w->crashes > 50);
    free(w->due);
    free(w);
}

static void a_year_in_berlin(void **state)
{
    (void)state;
    a_year("Europe/Berlin", "2026-01-01", 1);
}
static void a_leap_year_in_new_york(void **state)
{
    (void)state;
    a_year("America/New_York", "2028-01-01", 2);
}
static void a_year_on_lord_howe_island_where_summer_is_half_an_hour(void **state)
{
    (void)state;
    a_year("Australia/Lord_Howe", "2026-07-01", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_year_in_berlin),
        cmocka_unit_test(a_leap_year_in_new_york),
        cmocka_unit_test(a_year_on_lord_howe_island_where_summer_is_half_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
