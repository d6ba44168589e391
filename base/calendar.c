/*
 * calendar.c - see calendar.h.
 *
 * Years are counted from March, so that the leap day is the last of its year, and grouped by 400,
 * after which the calendar repeats.
 */
#include "base/calendar.h"

enum { DAYS_400_YEARS = 146097, MARCH_FIRST = 719468 /* days from 0000-03-01 to 1970-01-01 */ };

bool is_leap_year(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap_year(year));
}

/* Days before the m-th month counted from March (0): 31, 30, 31, 30, 31 and again. */
static int days_before(int m)
{
    return (153 * m + 2) / 5;
}

int64_t days_of_date(int64_t year, int month, int day)
{
    int m = (month + 9) % 12;
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = div_down(y, 400), of_era = y - era * 400;

    return era * DAYS_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 + days_before(m) + day -
           1 - MARCH_FIRST;
}

struct date date_of_days(int64_t days)
{
    int64_t since_march = days + MARCH_FIRST;
    int64_t era = div_down(since_march, DAYS_400_YEARS);
    int64_t rest = since_march - era * DAYS_400_YEARS;
    /* Take the leap days out, to divide by 365: one each 1460 days but not the 36524th. */
    int64_t of_era = (rest - rest / 1460 + rest / 36524 - rest / (DAYS_400_YEARS - 1)) / 365;
    int day_of_year = (int)(rest - (of_era * 365 + of_era / 4 - of_era / 100));
    int m = (5 * day_of_year + 2) / 153;
    int64_t year = era * 400 + of_era;

    return (struct date){m < 10 ? year : year + 1, m < 10 ? m + 3 : m - 9,
                         day_of_year - days_before(m) + 1};
}

int weekday_of_days(int64_t days)
{
    return (int)mod_down(days + 4, 7); /* 1970-01-01 was a Thursday */
}
