/* calendar.h - days of the proleptic Gregorian calendar. For clock.c and zone.c. */
#ifndef PGBR_BASE_CALENDAR_H
#define PGBR_BASE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

enum { SECONDS_A_DAY = 86400 };

struct date {
    int64_t year; /* 0 is the year before 1 */
    int month, day;
};

int64_t days_of_date(int64_t year, int month, int day); /* since 1970-01-01 */
struct date date_of_days(int64_t days);
int days_in_month(int64_t year, int month);
bool is_leap_year(int64_t year);
int weekday_of_days(int64_t days); /* 0 is Sunday */

/* Division that rounds down, and its rest, for moments before the epoch. b > 0. */
static inline int64_t div_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}
static inline int64_t mod_down(int64_t a, int64_t b)
{
    return a % b + (a % b < 0 ? b : 0);
}

#endif
