/*
 * html.h - text, times and amounts as HTML; for the page of page.h.
 *
 * Everything that comes from outside goes through html_text(). Times are shown in one zone, which
 * the page names once, and carry their UTC form for machines and as a tooltip.
 */
#ifndef PGBR_SCHEDULER_PAGE_HTML_H
#define PGBR_SCHEDULER_PAGE_HTML_H

#include "base/buf.h"
#include "base/zone.h"
#include "scheduler/status/status.h"

struct page {
    struct buf *out;
    const struct status *status;
    int64_t now_us;
    struct zone zone; /* of this host */
};

/* Escaped, for an element's content or an attribute in double quotes. NULL: nothing. */
void html_text(struct buf *out, const char *text);
/* The same, formatted. */
void html_textf(struct buf *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* <time>29 Nov 11:05:33</time>, with the year where it is another one than now. 0: "never". */
void html_moment(struct page *p, int64_t us);
/* "28 Nov 23:05:33 to 29 Nov 11:05:33"; the day once where it is the same. */
void html_span(struct page *p, int64_t from_us, int64_t to_us);
/* "3 min ago", or "in 3 min", as <time> too. */
void html_ago(struct page *p, int64_t us);

/* The clock of the page's zone. */
struct tm page_clock(const struct page *p, int64_t us);
/* "45 s", "12 min", "3 h 12 min", "2 days 3 h": two parts at most, never negative. */
const char *words_duration(int64_t us, char out[40]);

#endif
