/* html.c - see html.h. */
#include "scheduler/page/html.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"

static const char *replacement(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return (unsigned char)c < ' ' || c == 0x7f ? " " : NULL;
    }
}

void html_text(struct buf *out, const char *text)
{
    size_t left = text != NULL ? strlen(text) : 0;

    while (left != 0) {
        size_t len = utf8_length((const uint8_t *)text, left);
        const char *instead = len == 0 ? "\xef\xbf\xbd" : replacement(*text);

        if (instead != NULL)
            buf_adds(out, instead);
        else
            buf_add(out, text, len);
        text += MAX_OF(len, (size_t)1);
        left -= MAX_OF(len, (size_t)1);
    }
}

void html_textf(struct buf *out, const char *fmt, ...)
{
    AUTO(mem_free) char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = xstrdup(fmt);
    va_end(args);
    html_text(out, text);
}

/* ---- times ---- */

/* Whole seconds, rounded down, also before 1970. */
static int64_t seconds_of(int64_t us)
{
    return us / 1000000 - (us % 1000000 < 0);
}

struct tm page_clock(const struct page *p, int64_t us)
{
    time_t local = (time_t)(seconds_of(us) + zone_at(&p->zone, seconds_of(us))->offset);
    struct tm tm = {0};

    gmtime_r(&local, &tm);
    return tm;
}

static void open_time(struct page *p, int64_t us)
{
    char iso[40], utc[40];

    clock_format_iso(us, iso);
    clock_format_utc(us, utc);
    buf_addf(p->out, "<time datetime=\"%s\" title=\"%.19s UTC\">", iso, utc);
}

void html_span(struct page *p, int64_t from_us, int64_t to_us)
{
    struct tm from = page_clock(p, from_us), to = page_clock(p, to_us);
    char text[40];

    html_moment(p, from_us);
    buf_adds(p->out, " to ");
    if (from.tm_year != to.tm_year || from.tm_yday != to.tm_yday) {
        html_moment(p, to_us);
        return;
    }
    open_time(p, to_us);
    strftime(text, sizeof text, "%T", &to);
    html_text(p->out, text);
    buf_adds(p->out, "</time>");
}

void html_moment(struct page *p, int64_t us)
{
    struct tm then = page_clock(p, us), now = page_clock(p, p->now_us);
    char text[40];

    if (us == 0) {
        buf_adds(p->out, "never");
        return;
    }
    open_time(p, us);
    strftime(text, sizeof text, then.tm_year == now.tm_year ? "%-d %b %T" : "%-d %b %Y %T", &then);
    html_text(p->out, text);
    buf_adds(p->out, "</time>");
}

const char *words_duration(int64_t us, char out[40])
{
    long long s = us > 0 ? us / 1000000 : 0;
    long long days = s / 86400;

    if (us > 0 && us < 9950000 && us % 1000000 != 0)
        snprintf(out, 40, "%.1f s", MAX_OF((double)us / 1e6, 0.1));
    else if (s < 60)
        snprintf(out, 40, "%lld s", s);
    else if (s < 600 && s % 60 != 0)
        snprintf(out, 40, "%lld min %lld s", s / 60, s % 60);
    else if (s < 3600)
        snprintf(out, 40, "%lld min", s / 60);
    else if (s < 86400)
        snprintf(out, 40, s / 60 % 60 != 0 ? "%lld h %lld min" : "%lld h", s / 3600, s / 60 % 60);
    else if (days < 10 && s / 3600 % 24 != 0)
        snprintf(out, 40, "%lld day%s %lld h", days, days == 1 ? "" : "s", s / 3600 % 24);
    else
        snprintf(out, 40, "%lld day%s", days, days == 1 ? "" : "s");
    return out;
}

void html_ago(struct page *p, int64_t us)
{
    int64_t age = p->now_us - us;
    char text[40];

    if (us == 0) {
        buf_adds(p->out, "never");
        return;
    }
    open_time(p, us);
    if (age < 0)
        buf_addf(p->out, "in %s", words_duration((-age + 999999) / 1000000 * 1000000, text));
    else
        buf_addf(p->out, "%s ago", words_duration(age / 1000000 * 1000000, text));
    buf_adds(p->out, "</time>");
}
