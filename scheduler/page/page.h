/*
 * page.h - the status as one page for people.
 *
 * The server makes all of it: it needs no script, no other file and no network. What is wrong
 * stands first, in plain words with what to do; then what one can rely on; then how it came about.
 */
#ifndef PGBR_SCHEDULER_PAGE_PAGE_H
#define PGBR_SCHEDULER_PAGE_PAGE_H

#include "scheduler/status/status.h"

/* Appends the document, as of now_us. The status is held by the caller. */
void page_write(const struct status *s, int64_t now_us, struct buf *out);

/* The Content-Security-Policy that goes with it: nothing may be loaded, and only its own style
 * applies. */
const char *page_policy(void);

#endif
