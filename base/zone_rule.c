/*
 * zone_rule.c - POSIX TZ strings (IEEE 1003.1, section 8.3, with the extensions of RFC 8536,
 * section 3.3.1: hours up to 167 and negative ones). See zone.h.
 */
#include "base/zone_rule.h"

#include <ctype.h>
#include <string.h>

#include "base/calendar.h"

enum { HOURS_MAX = 167, OFFSET_HOURS_MAX = 24 };

void zone_utc(struct zone *z)
{
    *z = (struct zone)ZONE_INIT;
    z->n_types = 1;
    z->types[0] = (struct zone_type){0, "UTC"};
}

/* Each parser below moves *p behind what it read; false: something else is there. */

static bool number(const char **p, int max, int *value)
{
    if (!isdigit((unsigned char)**p))
        return false;
    for (*value = 0; isdigit((unsigned char)**p); ++*p) {
        *value = *value * 10 + (**p - '0');
        if (*value > max)
            return false;
    }
    return true;
}

static bool ahead(const char **p, char c)
{
    if (**p != c)
        return false;
    ++*p;
    return true;
}

/* "CET" or "<+0330>" */
static bool name(const char **p, char out[ZONE_ABBREVIATION])
{
    bool quoted = ahead(p, '<');
    size_t n = 0;

    while (quoted ? isalnum((unsigned char)(*p)[n]) || (*p)[n] == '+' || (*p)[n] == '-'
                  : isalpha((unsigned char)(*p)[n]))
        n++;
    if (n < 3 || n >= ZONE_ABBREVIATION)
        return false;
    memcpy(out, *p, n);
    out[n] = '\0';
    *p += n;
    return !quoted || ahead(p, '>');
}

/* [+-]h[:m[:s]] in seconds */
static bool hours(const char **p, int hours_max, int32_t *seconds)
{
    bool negative = ahead(p, '-');
    int h, m = 0, s = 0;

    if (!negative)
        ahead(p, '+');
    if (!number(p, hours_max, &h))
        return false;
    if (ahead(p, ':')) {
        if (!number(p, 59, &m) || (ahead(p, ':') && !number(p, 59, &s)))
            return false;
    }
    *seconds = (h * 60 + m) * 60 + s;
    if (negative)
        *seconds = -*seconds;
    return true;
}

/* POSIX counts offsets westward. */
static bool offset(const char **p, int32_t *east)
{
    if (!hours(p, OFFSET_HOURS_MAX, east))
        return false;
    *east = -*east;
    return true;
}

/* "M3.5.0/3", "J60", "59" */
static bool change(const char **p, struct zone_change *c)
{
    c->kind = 'D';
    if (ahead(p, 'M')) {
        c->kind = 'M';
        if (!number(p, 12, &c->month) || c->month < 1 || !ahead(p, '.') ||
            !number(p, 5, &c->week) || c->week < 1 || !ahead(p, '.') || !number(p, 6, &c->day))
            return false;
    } else if (ahead(p, 'J')) {
        c->kind = 'J';
        if (!number(p, 365, &c->day) || c->day < 1)
            return false;
    } else if (!number(p, 365, &c->day)) {
        return false;
    }
    c->time = 2 * 3600;
    return !ahead(p, '/') || hours(p, HOURS_MAX, &c->time);
}

int zone_parse_rule(struct zone_rule *rule, const char *text)
{
    static const char DEFAULT_CHANGES[] = ",M3.2.0,M11.1.0"; /* where TZ gives none */
    const char *p = text;

    *rule = (struct zone_rule){0};
    if (!name(&p, rule->standard.name) || !offset(&p, &rule->standard.offset))
        return -1;
    rule->dst = rule->standard;
    if (*p == '\0')
        return 0;
    rule->has_dst = true;
    rule->dst.offset += 3600;
    if (!name(&p, rule->dst.name) || (*p != ',' && *p != '\0' && !offset(&p, &rule->dst.offset)))
        return -1;
    if (*p == '\0')
        p = DEFAULT_CHANGES;
    if (!ahead(&p, ',') || !change(&p, &rule->to_dst) || !ahead(&p, ',') ||
        !change(&p, &rule->to_standard) || *p != '\0')
        return -1;
    return 0;
}

static int64_t day_of_change(const struct zone_change *c, int64_t year)
{
    int64_t first = days_of_date(year, 1, 1);
    int day;

    if (c->kind == 'D')
        return first + c->day;
    if (c->kind == 'J')
        return first + c->day - 1 + (c->day >= 60 && is_leap_year(year));
    first = days_of_date(year, c->month, 1);
    day = (c->day - weekday_of_days(first) + 7) % 7 + (c->week - 1) * 7;
    if (day >= days_in_month(year, c->month)) /* week 5 is the last one */
        day -= 7;
    return first + day;
}

/* The moment of a change, which is given in the local time that held before it. */
static int64_t moment_of(const struct zone_change *c, int64_t year, const struct zone_type *before)
{
    return day_of_change(c, year) * SECONDS_A_DAY + c->time - before->offset;
}

const struct zone_type *zone_rule_at(const struct zone_rule *rule, int64_t seconds)
{
    int64_t year, to_dst, to_standard;
    bool dst;

    if (!rule->has_dst)
        return &rule->standard;
    year = date_of_days(div_down(seconds + rule->standard.offset, SECONDS_A_DAY)).year;
    to_dst = moment_of(&rule->to_dst, year, &rule->standard);
    to_standard = moment_of(&rule->to_standard, year, &rule->dst);
    if (to_dst < to_standard)
        dst = seconds >= to_dst && seconds < to_standard;
    else
        dst = seconds >= to_dst || seconds < to_standard;
    return dst ? &rule->dst : &rule->standard;
}
