/* progress.c - see progress.h. */
#include "base/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

enum { LOG_EVERY_S = 30, TERMINAL_WIDTH = 80 };

void progress_begin(struct progress *p, const char *verb, enum progress_mode mode)
{
    *p = (struct progress){.mode = mode,
                           .verb = verb,
                           .log_every_s = LOG_EVERY_S,
                           .tell = p->tell,
                           .tell_ctx = p->tell_ctx};
    p->started_us = p->last_log_us = clock_monotonic_us();
}

/* "1,204" */
static void add_count(struct buf *b, uint64_t n)
{
    if (n >= 1000) {
        add_count(b, n / 1000);
        buf_addf(b, ",%03u", (unsigned)(n % 1000));
    } else {
        buf_addf(b, "%u", (unsigned)n);
    }
}

/* "3.2 of 7.6 GB", "640 MB of 7.6 GB", or "3.2 GB" while the total is not known */
static void add_bytes(struct buf *b, uint64_t done, uint64_t total)
{
    char part[24], whole[24];
    const char *unit = strchr(format_bytes(done, part), ' ');

    format_bytes(total, whole);
    if (total == 0)
        buf_adds(b, part);
    else if (strcmp(unit, strchr(whole, ' ')) == 0)
        buf_addf(b, "%.*s of %s", (int)(unit - part), part, whole);
    else
        buf_addf(b, "%s of %s", part, whole);
}

static void add_files(struct buf *b, uint64_t done, uint64_t total)
{
    buf_adds(b, ", ");
    add_count(b, done);
    if (total != 0) {
        buf_adds(b, " of ");
        add_count(b, total);
    }
    buf_adds(b, " files");
}

static void add_speed(struct buf *b, uint64_t done, uint64_t total, int64_t elapsed_us)
{
    char text[40];
    double per_us = elapsed_us > 0 ? (double)done / (double)elapsed_us : 0;

    if (per_us <= 0)
        return;
    buf_addf(b, ", %s/s", format_bytes((uint64_t)(per_us * 1e6), text));
    if (total > done)
        buf_addf(b, ", %s left",
                 clock_format_duration((int64_t)((double)(total - done) / per_us), text));
}

void progress_line(struct progress *p, int64_t elapsed_us, struct buf *out)
{
    uint64_t done = p->bytes_done, total = p->bytes_total;

    buf_addf(out, "%s: ", p->verb);
    add_bytes(out, done, total);
    add_files(out, p->files_done, p->files_total);
    add_speed(out, done, total, elapsed_us);
}

/* A line that wraps could not be rewritten. */
static void show_on_terminal(const struct buf *line)
{
    struct winsize size = {0};
    size_t width = TERMINAL_WIDTH;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
        width = size.ws_col;
    dprintf(STDERR_FILENO, "\r%.*s\033[K", (int)MIN_OF(line->len, width - 1), line->p);
}

void progress_show(struct progress *p)
{
    AUTO(buf_free) struct buf line = BUF_INIT;
    int64_t now = clock_monotonic_us();

    if (p->tell != NULL)
        p->tell(p->tell_ctx, p);
    if (p->mode == PROGRESS_QUIET)
        return;
    if (p->mode == PROGRESS_LOG && now - p->last_log_us < INT64_C(1000000) * p->log_every_s)
        return;
    p->last_log_us = now;
    progress_line(p, now - p->started_us, &line);
    if (p->mode == PROGRESS_TERMINAL)
        show_on_terminal(&line);
    else
        log_info("%s", line.p);
}

void progress_end(struct progress *p)
{
    if (p->mode == PROGRESS_TERMINAL)
        dprintf(STDERR_FILENO, "\r\033[K");
    p->mode = PROGRESS_QUIET;
}
