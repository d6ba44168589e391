/*
 * progress.h - how far a long operation is: one rewritten line on a terminal, a log line every now
 * and then elsewhere, nothing when quiet.
 *
 * Counters are atomic and cheap; workers add once per task, not per chunk. progress_show() is
 * called from one thread about once a second.
 */
#ifndef PGBR_BASE_PROGRESS_H
#define PGBR_BASE_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum progress_mode { PROGRESS_QUIET, PROGRESS_TERMINAL, PROGRESS_LOG };

struct progress {
    atomic_uint_fast64_t bytes_done, files_done, bytes_stored;
    atomic_uint_fast64_t bytes_total, files_total; /* 0: not known yet */
    enum progress_mode mode;
    const char *verb;                /* "backup", "restore" */
    int64_t started_us, last_log_us; /* monotonic */
    unsigned log_every_s;            /* 30 unless changed */
    /* Called by each progress_show(), whatever the mode; may be NULL. Kept by progress_begin(). */
    void (*tell)(void *ctx, struct progress *p);
    void *tell_ctx;
};
void progress_begin(struct progress *p, const char *verb, enum progress_mode mode);
void progress_show(struct progress *p);
/* "backup: 3.2 of 7.6 GB, 812 of 1,204 files, 640 MB/s, 00:07 left": the rate is the average since
 * the beginning; what is not known is left out. */
void progress_line(struct progress *p, int64_t elapsed_us, struct buf *out);
void progress_end(struct progress *p); /* clears the terminal line; later shows do nothing */

#endif
