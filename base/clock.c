/* clock.c - reading the clock and writing moments. See clock.h; parsing is in clock_parse.c. */
#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "base/calendar.h"
#include "base/zone.h"

enum { US_A_SECOND = 1000000 };

static int64_t read_clock(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * US_A_SECOND + t.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void clock_sleep_ms(unsigned ms)
{
    struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* "2026-11-22 14:05:33" with that separator. */
static int add_seconds(char *out, size_t room, int64_t seconds, char separator)
{
    struct date d = date_of_days(div_down(seconds, SECONDS_A_DAY));
    int of_day = (int)mod_down(seconds, SECONDS_A_DAY);

    return snprintf(out, room, "%04lld-%02d-%02d%c%02d:%02d:%02d", (long long)d.year, d.month,
                    d.day, separator, of_day / 3600, of_day / 60 % 60, of_day % 60);
}

/* ".120456" with the zeros behind it left away, nothing for none: as PostgreSQL does. */
static int add_fraction(char *out, size_t room, int us)
{
    int n = us != 0 ? snprintf(out, room, ".%06d", us) : 0;

    while (n > 0 && out[n - 1] == '0')
        n--;
    out[n] = '\0';
    return n;
}

/* "+01", "-03:30", "+00:53:28" */
static int add_offset(char *out, size_t room, int32_t offset)
{
    int s = offset < 0 ? -offset : offset;
    int n = snprintf(out, room, "%c%02d", offset < 0 ? '-' : '+', s / 3600);

    if (s % 3600 != 0)
        n += snprintf(out + n, room - (size_t)n, ":%02d", s / 60 % 60);
    if (s % 60 != 0)
        n += snprintf(out + n, room - (size_t)n, ":%02d", s % 60);
    return n;
}

static int add_local(char *out, size_t room, int64_t us, int32_t offset)
{
    int n = add_seconds(out, room, div_down(us, US_A_SECOND) + offset, ' ');

    n += add_fraction(out + n, room - (size_t)n, (int)mod_down(us, US_A_SECOND));
    return n + add_offset(out + n, room - (size_t)n, offset);
}

const char *clock_format_offset(int64_t us, int32_t offset_s, char out[48])
{
    add_local(out, 48, us, offset_s);
    return out;
}

const char *clock_format_utc(int64_t us, char out[40])
{
    add_local(out, 40, us, 0);
    return out;
}

const char *clock_format_iso(int64_t us, char out[40])
{
    int n = add_seconds(out, 40, div_down(us, US_A_SECOND), 'T');

    snprintf(out + n, 40 - (size_t)n, ".%06dZ", (int)mod_down(us, US_A_SECOND));
    return out;
}

int clock_format_zone(int64_t us, const char *zone, char out[80], struct err *err)
{
    AUTO(zone_free) struct zone z = ZONE_INIT;
    const struct zone_type *type;
    int n;

    TRY(zone_load(&z, zone, err));
    type = zone_at(&z, div_down(us, US_A_SECOND));
    n = add_local(out, 80, us, type->offset);
    snprintf(out + n, 80 - (size_t)n, " (%s)", type->name);
    return 0;
}

const char *clock_format_duration(int64_t us, char out[40])
{
    long long s = us > 0 ? us / US_A_SECOND : 0;

    if (s < 3600)
        snprintf(out, 40, "%02lld:%02lld", s / 60, s % 60);
    else if (s < SECONDS_A_DAY)
        snprintf(out, 40, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 40, "%lld d %02lld:%02lld", s / SECONDS_A_DAY, s / 3600 % 24, s / 60 % 60);
    return out;
}

const char *format_bytes(uint64_t bytes, char out[24])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)bytes;
    size_t unit = 0;

    /* 999.5 would be written as 1000 */
    for (; v >= 999.5 && unit + 1 < LENGTH(units); unit++)
        v /= 1000;
    snprintf(out, 24, unit == 0 || v >= 99.95 ? "%.0f %s" : "%.1f %s", v, units[unit]);
    return out;
}
