/* notify_policy.c - see notify_policy.h. */
#include "scheduler/notify/notify_policy.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"

#define SECOND_US INT64_C(1000000)
enum { BACKOFF_FIRST_S = 10, BACKOFF_MAX_S = 1800, BACKOFF_DOUBLINGS = 8 };

/* ---- the same problem ---- */

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("_/:.+-", c) != NULL) ||
           (unsigned char)c >= 0x80;
}

static void add_without_numbers(struct buf *out, const char *text)
{
    while (*text != '\0') {
        size_t len = 0;
        bool digit = false;

        for (; is_word(text[len]); len++)
            digit |= isdigit((unsigned char)text[len]) != 0;
        if (digit)
            buf_addc(out, '#');
        else
            buf_add(out, text, len);
        text += len;
        if (len == 0)
            buf_addc(out, *text++);
    }
}

void notify_problem(const struct catalog_event *e, char out[NOTIFY_PROBLEM_SIZE])
{
    AUTO(buf_free) struct buf text = BUF_INIT;

    buf_addf(&text, "%s|", e->level);
    add_without_numbers(&text, e->text);
    snprintf(out, NOTIFY_PROBLEM_SIZE, "%016llx", (unsigned long long)hash64(text.p, text.len));
}

/* ---- who wants it ---- */

static bool is_among(const char *word, char *const *list, size_t n)
{
    for (size_t i = 0; word != NULL && i < n; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}

/* A receiver for some clusters hears nothing of what concerns none of them. */
static bool concerns(const struct notify_receiver *r, const struct catalog_event *e)
{
    return r->n_clusters == 0 || is_among(e->cluster, r->clusters, r->n_clusters);
}

enum notify_verdict notify_judge(const struct notify_receiver *r, const struct catalog_event *e,
                                 const struct catalog_told *told)
{
    bool good = strcmp(e->level, "info") == 0;

    if (!concerns(r, e))
        return NOTIFY_SKIP;
    if (good && told->error_or_warning)
        return NOTIFY_RECOVERED;
    if (!is_among(e->level, r->events, r->n_events) && !is_among(e->kind, r->events, r->n_events))
        return NOTIFY_SKIP;
    if (!good && told->same_us != 0 && e->time_us - told->same_us < r->repeat_ms * 1000 &&
        told->same_us - e->time_us < r->repeat_ms * 1000) /* the clock may have been set back */
        return NOTIFY_REPEATED;
    return NOTIFY_TELL;
}

/* ---- when ---- */

int64_t notify_backoff_us(unsigned tries, uint32_t random)
{
    unsigned doublings = tries > 0 ? MIN_OF(tries - 1, (unsigned)BACKOFF_DOUBLINGS) : 0;
    int64_t wait = (int64_t)BACKOFF_FIRST_S * SECOND_US << doublings;

    wait = MIN_OF(wait, BACKOFF_MAX_S * SECOND_US);
    return wait * 3 / 4 + wait / 2 * (int64_t)(random % 1024) / 1024;
}

/* Those within the last window: *first is the index of the oldest. A time that lies ahead counts:
 * the clock was set back. */
static size_t used(const struct notify_receiver *r, const int64_t *times, size_t n, int64_t now_us,
                   size_t *first)
{
    *first = 0;
    while (*first < n && times[*first] <= now_us - r->limit_window_ms * 1000)
        ++*first;
    return n - *first;
}

/* How many may go without waiting. */
static size_t at_once(const struct notify_receiver *r, size_t in_window)
{
    size_t half = (r->limit + 1) / 2;

    return in_window < half ? half - in_window : 0;
}

int64_t notify_slot_us(const struct notify_receiver *r, const int64_t *times, size_t n,
                       int64_t now_us)
{
    int64_t window_us = r->limit_window_ms * 1000, rest_us, next_us;
    size_t first, count = used(r, times, n, now_us, &first);

    if (at_once(r, count) != 0)
        return now_us;
    if (count >= r->limit)
        return times[n - r->limit] + window_us;
    rest_us = times[first] + window_us - times[n - 1];
    next_us = times[n - 1] + rest_us / (int64_t)(r->limit - count + 1);
    return MAX_OF(next_us, now_us);
}

size_t notify_group(const struct notify_receiver *r, const int64_t *times, size_t n, int64_t now_us,
                    size_t waiting)
{
    size_t first;

    return at_once(r, used(r, times, n, now_us, &first)) > 1 ? MIN_OF(waiting, (size_t)1) : waiting;
}
