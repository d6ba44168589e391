/* cron.c - from the text of a cron expression to sets of numbers. See cron.h; when it is due is in
 * cron_next.c. */
#include "base/cron.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/calendar.h"

struct field {
    const char *what;
    unsigned min, max;
    const char *names; /* three letters each, for min and up; "": none */
};

static const struct field fields[5] = {
    {"minute", 0, 59, ""},
    {"hour", 0, 23, ""},
    {"day of the month", 1, 31, ""},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of the week", 0, 7, "sunmontuewedthufrisat"},
};

static int wrong(const struct field *f, const char *text, size_t len, const char *why,
                 struct err *err)
{
    return err_set(err, ERR_CONFIG, "cron expression: \"%.*s\" as %s: %s", (int)MIN_OF(len, 40U),
                   text, f->what, why);
}

static int out_of_range(const struct field *f, const char *text, size_t len, struct err *err)
{
    char why[96];

    snprintf(why, sizeof why, "it is %u to %u%s", f->min, f->max,
             f->names[0] == '\0' ? "" : ", or a name of three letters");
    return wrong(f, text, len, why, err);
}

/* A number or a name at *p. */
static bool read_value(const struct field *f, const char **p, const char *end, unsigned *out)
{
    const char *s = *p;

    *out = 0;
    if (s < end && isdigit((unsigned char)*s)) {
        for (; s < end && isdigit((unsigned char)*s); s++)
            *out = MIN_OF(*out * 10 + (unsigned)(*s - '0'), 1000U);
        *p = s;
        return true;
    }
    for (unsigned i = 0; f->names[i] != '\0'; i += 3)
        if (end - s >= 3 && strncasecmp(s, f->names + i, 3) == 0) {
            *out = f->min + i / 3;
            *p = s + 3;
            return true;
        }
    return false;
}

/* "a", "a-b" or "*", then perhaps "/n". */
static int read_item(const struct field *f, const char *text, size_t len, uint64_t *set,
                     struct err *err)
{
    const char *p = text, *end = text + len;
    unsigned low = f->min, high = f->max, step = 1;
    bool range = true;

    if (p < end && *p == '*') {
        p++;
    } else {
        if (!read_value(f, &p, end, &low))
            return out_of_range(f, text, len, err);
        range = p < end && *p == '-';
        high = low;
        if (range && (p++, !read_value(f, &p, end, &high)))
            return out_of_range(f, text, len, err);
        if (range && f->max == 7 && high == 0 && low != 0)
            high = 7; /* fri-sun */
    }
    if (low < f->min || low > f->max || high < f->min || high > f->max)
        return out_of_range(f, text, len, err);
    if (high < low)
        return wrong(f, text, len, "the range ends before it begins", err);
    if (p < end && *p == '/') {
        p++;
        if (!range)
            return wrong(f, text, len, "a step (\"/\") needs a range or \"*\" before it", err);
        if (p == end || !isdigit((unsigned char)*p) || !read_value(f, &p, end, &step) ||
            step == 0 || step > f->max)
            return wrong(f, text, len, "the step behind \"/\" is a number that fits the range",
                         err);
    }
    if (p != end)
        return out_of_range(f, text, len, err);
    assert(f->max < 64);
    for (unsigned v = low; v <= high && v <= f->max; v += step)
        *set |= UINT64_C(1) << v;
    return 0;
}

static int read_field(const struct field *f, const char *text, size_t len, uint64_t *set,
                      struct err *err)
{
    *set = 0;
    for (const char *p = text;; p++) {
        size_t n = strcspn(p, ", \t");

        n = MIN_OF(n, len - (size_t)(p - text));
        TRY(read_item(f, p, n, set, err));
        p += n;
        if (p == text + len)
            return 0;
    }
}

/* Is there a year in which one of the days comes in one of the months? */
static bool can_come(const struct cron *c)
{
    if (!c->any_weekday && !c->any_day)
        return true; /* a day of the week comes in any month */
    for (int month = 1; month <= 12; month++)
        for (int day = 1; day <= days_in_month(2000, month); day++)
            if ((c->months >> month & 1) != 0 && (c->days >> day & 1) != 0)
                return true;
    return false;
}

static const char *of_word(const char *text, struct err *err)
{
    static const char *const words[][2] = {
        {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
        {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
        {"@annually", "0 0 1 1 *"},
    };
    size_t len = strcspn(text, " \t");

    for (size_t i = 0; i < LENGTH(words); i++)
        if (strlen(words[i][0]) == len && strncasecmp(text, words[i][0], len) == 0 &&
            text[len + strspn(text + len, " \t")] == '\0')
            return words[i][1];
    err_set(err, ERR_CONFIG,
            "cron expression: \"%.40s\" is not one of @hourly, @daily, @midnight, @weekly, "
            "@monthly, @yearly, @annually",
            text);
    return NULL;
}

static int count_fields(const char *text)
{
    int n = 0;

    while (*(text += strspn(text, " \t")) != '\0') {
        n++;
        text += strcspn(text, " \t");
    }
    return n;
}

int cron_parse(const char *text, struct cron *c, struct err *err)
{
    uint64_t sets[5];
    bool star[5];

    text += strspn(text, " \t");
    if (*text == '@' && (text = of_word(text, err)) == NULL)
        return -1;
    if (count_fields(text) != 5)
        return err_set(err, ERR_CONFIG,
                       "a cron expression has five fields (minute, hour, day of the month, month, "
                       "day of the week), not %d",
                       count_fields(text));
    for (int i = 0; i < 5; i++) {
        size_t len;

        text += strspn(text, " \t");
        len = strcspn(text, " \t");
        star[i] = *text == '*';
        TRY(read_field(&fields[i], text, len, &sets[i], err));
        text += len;
    }
    *c = (struct cron){.minutes = sets[0],
                       .hours = (uint32_t)sets[1],
                       .days = (uint32_t)sets[2],
                       .months = (uint32_t)sets[3],
                       .weekdays = (uint32_t)(sets[4] | sets[4] >> 7),
                       .any_day = star[2],
                       .any_weekday = star[4],
                       .repeats = star[1]};
    if (!can_come(c))
        return err_set(err, ERR_CONFIG,
                       "cron expression: no year has such a day in such a month (like 31 "
                       "February): the job would never run");
    return 0;
}
