/*
 * cron_next.c - the next moment of a cron expression. See cron.h for the rules.
 *
 * Local days are walked, months that do not fit are skipped as a whole; within a day only readings
 * near the time in question are turned into moments.
 */
#include "base/cron.h"

#include "base/calendar.h"

enum {
    ALL_HOURS = 0xffffff,
    MINUTES_A_DAY = 1440,
    /* Feb 29 comes after 8 years at the latest (1896, 1904); where a day of the week must fit too,
     * after 40 (1896 to 1936 would be the longest). */
    DAYS_AHEAD = 41 * 366,
};

static bool day_fits(const struct cron *c, int64_t days, const struct date *d)
{
    bool by_date = c->days >> d->day & 1, by_weekday = c->weekdays >> weekday_of_days(days) & 1;

    return c->any_day || c->any_weekday ? by_date && by_weekday : by_date || by_weekday;
}

/* The next local day from there on that fits; `end` when there is none before it. */
static int64_t fitting_day(const struct cron *c, int64_t days, int64_t end)
{
    while (days < end) {
        struct date d = date_of_days(days);

        if ((c->months >> d.month & 1) == 0)
            days += days_in_month(d.year, d.month) - d.day + 1;
        else if (day_fits(c, days, &d))
            return days;
        else
            days++;
    }
    return end;
}

/* The moment at which the clocks skipped: the first in (before, after] with the later offset. */
static int64_t moment_of_skip(const struct zone *z, int64_t before, int64_t after)
{
    int32_t offset = zone_at(z, after)->offset;

    while (after - before > 1) {
        int64_t middle = before + (after - before) / 2;

        if (zone_at(z, middle)->offset == offset)
            after = middle;
        else
            before = middle;
    }
    return after;
}

/* What a reading of the clock means for this expression: up to two moments, in order. */
static int moments_of(const struct cron *c, const struct zone *z, int64_t local, int64_t out[2])
{
    switch (zone_moments(z, local, out)) {
    case ZONE_ONCE:
        return 1;
    case ZONE_TWICE:
        return c->repeats ? 2 : 1;
    default:
        if (c->hours == ALL_HOURS)
            return 0;
        out[0] = moment_of_skip(z, out[0], out[1]);
        return 1;
    }
}

/* Offsets that hold about that time: a reading of the clock lies between them. */
struct offsets {
    int64_t min, max;
};
static struct offsets offsets_about(const struct zone *z, int64_t local)
{
    struct offsets o = {INT32_MAX, INT32_MIN};

    for (int i = -2; i <= 2; i++) {
        int64_t offset = zone_at(z, local + (int64_t)i * SECONDS_A_DAY)->offset;

        o.min = MIN_OF(o.min, offset);
        o.max = MAX_OF(o.max, offset);
    }
    return o;
}

/* The first moment of a local day that is later than `after` and earlier than *best. */
static void search_day(const struct cron *c, const struct zone *z, int64_t days, int64_t after,
                       int64_t *best)
{
    int64_t midnight = days * SECONDS_A_DAY;
    struct offsets o = offsets_about(z, midnight);

    for (int minute = 0; minute < MINUTES_A_DAY; minute++) {
        int64_t local = midnight + minute * 60, moments[2];
        int n;

        if ((c->hours >> minute / 60 & 1) == 0) {
            minute += 59;
            continue;
        }
        if ((c->minutes >> minute % 60 & 1) == 0 || local - o.min <= after)
            continue;
        if (local - o.max >= *best)
            return;
        n = moments_of(c, z, local, moments);
        for (int i = 0; i < n; i++)
            if (moments[i] > after && moments[i] < *best)
                *best = moments[i];
    }
}

int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after)
{
    int64_t first = div_down(after + zone_at(z, after)->offset, SECONDS_A_DAY) - 1;
    int64_t end = first + DAYS_AHEAD, best = INT64_MAX, found_on = INT64_MAX;

    /* The clock of the day behind may be ahead of it, where it is set back over midnight. */
    for (int64_t day = first; (day = fitting_day(c, day, end)) < end; day++) {
        if (best != INT64_MAX && day > found_on + 1)
            break;
        search_day(c, z, day, after, &best);
        if (best != INT64_MAX && found_on == INT64_MAX)
            found_on = day;
    }
    return best == INT64_MAX ? CRON_NEVER : best;
}

int64_t cron_last(const struct cron *c, const struct zone *z, int64_t after, int64_t until,
                  unsigned *count)
{
    int64_t last = CRON_NEVER, from = after, step = 4096;
    unsigned n = 0;

    for (int64_t t = after; n < CRON_COUNT_MAX; n++) {
        t = cron_next(c, z, t);
        if (t == CRON_NEVER || t > until)
            break;
        last = t;
    }
    if (count != NULL)
        *count = n;
    if (n < CRON_COUNT_MAX)
        return last;
    /* Many: look back from the end in growing steps, then forward. */
    while (from = MAX_OF(until - step, last), cron_next(c, z, from) > until && from > last)
        step *= 2;
    for (int64_t t = from; (t = cron_next(c, z, t)) != CRON_NEVER && t <= until;)
        last = t;
    return last;
}
