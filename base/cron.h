/*
 * cron.h - cron expressions: what they mean, and when they are due next.
 *
 * Five fields: minute (0-59), hour (0-23), day of the month (1-31), month (1-12, jan-dec), day of
 * the week (0-7, sun-sat; 0 and 7 are Sunday). A field is "*" or a list of numbers, names and
 * ranges "a-b"; behind "*" or a range "/n" takes each n-th. Instead of the five: @hourly, @daily or
 * @midnight, @weekly (Sunday), @monthly, @yearly or @annually.
 *
 * When both days are given, one of them suffices ("0 1 13 * fri": each 13th, and each Friday); a
 * field that begins with "*" does not count as given, and then both must fit. That is Vixie's rule.
 *
 * The wall clock of a zone is what counts. Where clocks are changed:
 *
 *   clocks skip forward  The readings that are left out count as one, at the moment of the change:
 *                        "30 2 * * *" runs at 03:00 on a day that has no 02:30. Not so where every
 *                        hour is taken ("15 * * * *"): no real time is left out, the next hour is
 *                        the next run.
 *   clocks go back       An hour that was written as a number, a range or a list comes once, the
 *                        first time: "30 2 * * *". Where the field begins with "*", as in
 *                        "0 * * * *", the job goes on in real time: each reading of the clock.
 *
 * Nothing is due twice at the same moment. All of this is a pure function of expression, zone and
 * time; times are seconds since 1970 UTC.
 */
#ifndef PGBR_BASE_CRON_H
#define PGBR_BASE_CRON_H

#include "base/zone.h"

enum { CRON_NEVER = -1 }; /* no such moment; only in a zone whose clocks leave it out for years */

struct cron {
    uint64_t minutes; /* bit n: value n */
    uint32_t hours, days, months, weekdays;
    bool any_day, any_weekday; /* the field begins with "*" */
    bool repeats;              /* the hour does: comes twice where the clock shows it twice */
};

/* ERR_CONFIG, with the field and what it may be; a date that never comes ("0 0 31 2 *") is one. */
int cron_parse(const char *text, struct cron *out, struct err *err) MUST_CHECK;

/* The first moment after that time. */
int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after);

/* The last moment in (after, until], or CRON_NEVER; *count (may be NULL): how many there are, up to
 * CRON_COUNT_MAX. */
enum { CRON_COUNT_MAX = 1000 };
int64_t cron_last(const struct cron *c, const struct zone *z, int64_t after, int64_t until,
                  unsigned *count);

#endif
