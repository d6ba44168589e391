/* units.c - see units.h. */
#include "config/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit sizes[] = {
    {"B", 1},
    {"kB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", UINT64_C(1000000000000)},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000},
};

const char *units_printable(const char *text, char out[80])
{
    size_t n = 0;

    for (; n < 76 && text[n] != '\0'; n++)
        out[n] = (unsigned char)text[n] < 0x20 || text[n] == 0x7f ? '?' : text[n];
    memcpy(out + n, "...", 4);
    if (text[n] == '\0')
        out[n] = '\0';
    return out;
}

static int bad(struct err *err, const char *text, const char *expected)
{
    char shown[80];

    return err_set(err, ERR_CONFIG, "\"%s\" is not %s", units_printable(text, shown), expected);
}

int units_bool(const char *text, bool *out, struct err *err)
{
    static const char *const yes[] = {"y", "yes", "on", "true"};
    static const char *const no[] = {"n", "no", "off", "false"};

    for (size_t i = 0; i < LENGTH(yes); i++) {
        *out = strcasecmp(text, yes[i]) == 0;
        if (*out || strcasecmp(text, no[i]) == 0)
            return 0;
    }
    return bad(err, text, "yes or no (y, n, yes, no, on, off, true, false)");
}

/* Digits at the start; false when there are none or the number does not fit. */
static bool digits(const char **text, uint64_t *out)
{
    const char *p = *text;

    for (*out = 0; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*p - '0'), out))
            return false;
    if (p == *text)
        return false;
    *text = p;
    return true;
}

int units_number(const char *text, int64_t *out, struct err *err)
{
    const char *p = text;
    bool minus = *p == '-';
    uint64_t value;

    p += minus || *p == '+';
    if (!digits(&p, &value) || *p != '\0' || value > INT64_MAX)
        return bad(err, text, "a whole number");
    *out = minus ? -(int64_t)value : (int64_t)value;
    return 0;
}

/* Number and unit, multiplied; false: no such unit or too large. An empty unit gives *bare. */
static bool with_unit(const char *text, const struct unit *units, size_t n, uint64_t *out,
                      bool *bare)
{
    const char *p = text;

    if (!digits(&p, out))
        return false;
    p += *p == ' ';
    *bare = *p == '\0';
    if (*bare)
        return true;
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(p, units[i].name) == 0)
            return !__builtin_mul_overflow(*out, units[i].factor, out) && *out <= INT64_MAX;
    return false;
}

int units_size(const char *text, uint64_t *bytes, struct err *err)
{
    bool bare;

    if (!with_unit(text, sizes, LENGTH(sizes), bytes, &bare) || *bytes > INT64_MAX)
        return bad(err, text, "a size (examples: 65536, 64 KiB, 32 MiB, 100 MB, 1 GiB)");
    return 0;
}

int units_duration(const char *text, int64_t *ms, struct err *err)
{
    uint64_t value;
    bool bare;

    if (!with_unit(text, durations, LENGTH(durations), &value, &bare))
        return bad(err, text, "a duration (examples: 500 ms, 60 s, 10 min, 1 h, 3 d)");
    if (bare && value != 0)
        return bad(err, text, "a duration without its unit (ms, s, min, h or d)");
    *ms = (int64_t)value;
    return 0;
}

static const char *format(uint64_t value, const struct unit *units, size_t n, char out[32])
{
    const struct unit *best = &units[0];

    for (size_t i = 1; i < n; i++)
        if (value != 0 && value % units[i].factor == 0 && units[i].factor > best->factor)
            best = &units[i];
    snprintf(out, 32, "%" PRIu64 " %s", value / best->factor, best->name);
    return out;
}

const char *units_format_size(uint64_t bytes, char out[32])
{
    return format(bytes, sizes, LENGTH(sizes), out);
}

const char *units_format_duration(int64_t ms, char out[32])
{
    return format((uint64_t)ms, durations, LENGTH(durations), out);
}
