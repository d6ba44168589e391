/* clock_parse.c - moments as people type them. See clock.h. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/calendar.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/zone.h"

enum { US_A_SECOND = 1000000, OFFSET_HOURS_MAX = 15 /* PostgreSQL's limit too */ };

struct typed {
    const char *text; /* the whole */
    const char *p;    /* what is not read yet */
    int64_t local_s;
    int us;
};

static int refuse(const struct typed *t, struct err *err)
{
    return err_set(err, ERR_USAGE,
                   "\"%s\" is not a moment: expected \"2026-11-22 14:05:33\", an offset such as "
                   "\"+01\" or a zone such as \"Europe/Berlin\" may follow",
                   t->text);
}

static void skip_spaces(struct typed *t)
{
    t->p += strspn(t->p, " \t");
}

static bool ahead(struct typed *t, char c)
{
    if (*t->p != c)
        return false;
    t->p++;
    return true;
}

/* Exactly that many digits. */
static bool digits(struct typed *t, int count, int *value)
{
    *value = 0;
    for (int i = 0; i < count; i++, t->p++) {
        if (!isdigit((unsigned char)*t->p))
            return false;
        *value = *value * 10 + (*t->p - '0');
    }
    return true;
}

static int parse_date(struct typed *t, struct err *err)
{
    int year, month, day;

    if (!digits(t, 4, &year) || !ahead(t, '-') || !digits(t, 2, &month) || !ahead(t, '-') ||
        !digits(t, 2, &day))
        return refuse(t, err);
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return err_set(err, ERR_USAGE, "\"%s\": there is no day %04d-%02d-%02d", t->text, year,
                       month, day);
    t->local_s = days_of_date(year, month, day) * SECONDS_A_DAY;
    return 0;
}

static bool parse_fraction(struct typed *t)
{
    int unit = US_A_SECOND;

    if (!ahead(t, '.') && !ahead(t, ','))
        return true;
    if (!isdigit((unsigned char)*t->p))
        return false;
    for (; isdigit((unsigned char)*t->p); t->p++) {
        unit /= 10;
        t->us += (*t->p - '0') * unit;
    }
    return true;
}

/* Nothing, or a time of day behind spaces or a "T". */
static int parse_time(struct typed *t, struct err *err)
{
    int hour, minute, second = 0;

    if ((*t->p == 'T' || *t->p == 't') && isdigit((unsigned char)t->p[1]))
        t->p++;
    skip_spaces(t);
    if (!isdigit((unsigned char)*t->p))
        return 0;
    if (!digits(t, 2, &hour) || !ahead(t, ':') || !digits(t, 2, &minute))
        return refuse(t, err);
    if (ahead(t, ':') && (!digits(t, 2, &second) || !parse_fraction(t)))
        return refuse(t, err);
    if (hour > 23 || minute > 59 || second > 59)
        return err_set(err, ERR_USAGE, "\"%s\": there is no time %02d:%02d:%02d", t->text, hour,
                       minute, second);
    t->local_s += (hour * 60 + minute) * 60 + second;
    return 0;
}

/* "+01", "+0530", "-03:30", "+00:53:28", behind the sign. */
static bool parse_offset(struct typed *t, int32_t *seconds)
{
    int h, m = 0, s = 0;

    if (!digits(t, 2, &h))
        return false;
    if (ahead(t, ':')) {
        if (!digits(t, 2, &m) || (ahead(t, ':') && !digits(t, 2, &s)))
            return false;
    } else if (isdigit((unsigned char)*t->p) && !digits(t, 2, &m)) {
        return false;
    }
    *seconds = (h * 60 + m) * 60 + s;
    return h <= OFFSET_HOURS_MAX && m < 60 && s < 60;
}

static bool only_comment_left(struct typed *t)
{
    skip_spaces(t);
    if (ahead(t, '(')) {
        t->p += strcspn(t->p, ")");
        if (!ahead(t, ')'))
            return false;
        skip_spaces(t);
    }
    return *t->p == '\0';
}

static int64_t in_us(const struct typed *t, int64_t seconds)
{
    return seconds * US_A_SECOND + t->us;
}

static int resolve_offset(struct typed *t, int64_t *us, struct err *err)
{
    int sign = *t->p == '-' ? -1 : 1;
    int32_t offset;

    t->p++;
    if (!parse_offset(t, &offset) || !only_comment_left(t))
        return refuse(t, err);
    *us = in_us(t, t->local_s - sign * offset);
    return 0;
}

static const char *reading(const struct typed *t, const struct zone *z, int64_t moment,
                           char out[48])
{
    return clock_format_offset(in_us(t, moment), zone_at(z, moment)->offset, out);
}

static int resolve_zone(const struct typed *t, const char *name, int64_t *us, struct err *err)
{
    AUTO(zone_free) struct zone z = ZONE_INIT;
    int64_t moments[2];
    enum zone_reading found;
    char one[48], other[48];

    TRY(zone_load(&z, name, err));
    found = zone_moments(&z, t->local_s, moments);
    *us = in_us(t, moments[0]);
    if (found == ZONE_ONCE)
        return 0;
    return err_set(err, ERR_USAGE,
                   "\"%s\" %s in %s%s%s, where the clocks are changed: give the offset, \"%s\" or "
                   "\"%s\"",
                   t->text, found == ZONE_TWICE ? "exists twice" : "does not exist",
                   name != NULL ? "\"" : "", name != NULL ? name : "the local time zone",
                   name != NULL ? "\"" : "", reading(t, &z, moments[0], one),
                   reading(t, &z, moments[1], other));
}

/* A zone name behind the time, with the spaces around it. */
static int resolve_typed_zone(const struct typed *t, int64_t *us, struct err *err)
{
    size_t len = strcspn(t->p, " \t");
    AUTO(mem_free) char *name = xstrndup(t->p, len);

    if (t->p[len + strspn(t->p + len, " \t")] != '\0')
        return refuse(t, err);
    if (strcmp(name, "Z") == 0 || strcmp(name, "z") == 0)
        return resolve_zone(t, "UTC", us, err);
    if (resolve_zone(t, name, us, err) == 0)
        return 0;
    if (err->code == ERR_CONFIG)
        err_set(err, ERR_USAGE, "\"%s\": %s", t->text, err->msg);
    return -1;
}

int clock_parse(const char *text, const char *zone, int64_t *us, struct err *err)
{
    struct typed t = {.text = text, .p = text};

    if (zone != NULL && zone[0] == '\0')
        zone = NULL;
    skip_spaces(&t);
    TRY(parse_date(&t, err));
    TRY(parse_time(&t, err));
    skip_spaces(&t);
    if (*t.p == '\0')
        return resolve_zone(&t, zone, us, err);
    if (*t.p == '+' || *t.p == '-')
        return resolve_offset(&t, us, err);
    return resolve_typed_zone(&t, us, err);
}
