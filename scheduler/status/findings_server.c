/* findings_server.c - what is to be said of the archiver, of pg_wal, and of the clock. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "scheduler/status/findings_form.h"

enum {
    WAITING_FEW = 3, /* segments that may wait without anything being wrong */
    WAITING_S = 60,
    SEGMENTS_NEEDED = 4,
    CLOCK_MAX_S = 5,
    SEGMENT_USUAL = 16 << 20,
};

enum finding_level findings_space(uint64_t free_bytes, uint64_t total_bytes, uint64_t need)
{
    if (free_bytes < need)
        return FINDING_FAILED;
    return free_bytes / 10 < need || free_bytes < total_bytes / 20 ? FINDING_WARNING : FINDING_OK;
}

static bool fails(const struct findings_request *q)
{
    const struct server_state *s = q->server;

    return s != NULL && s->failed_us > s->archived_us && !q->archiving_proved;
}

static void archiver(struct collecting *c)
{
    const struct server_state *s = c->q->server;
    char when[40];

    if (!s->archives && !s->in_recovery)
        finding_add(c, FINDING_WARNING, "archiver", NULL,
                    "set archive_mode = on and restart the server",
                    "archive_mode is off: nothing behind a backup can be recovered");
    else if (s->failed_us == 0)
        finding_add(c, FINDING_OK, "archiver", NULL, NULL, "%" PRId64 " files, no failure",
                    s->archived);
    else if (!fails(c->q))
        finding_add(c, FINDING_OK, "archiver", NULL, NULL,
                    "%" PRId64 " files; %" PRId64 " failures, the last one at %s", s->archived,
                    s->failed, clock_format_utc(s->failed_us / 1000000 * 1000000, when));
    else
        finding_add(c, FINDING_FAILED, "archiver", NULL, "the server's log says why",
                    "it fails, %" PRId64 " times so far, last at %s with \"%s\"", s->failed,
                    clock_format_utc(s->failed_us / 1000000 * 1000000, when), s->failed_wal);
}

static void server_clock(struct collecting *c)
{
    int64_t ahead = c->q->server->now_us - c->q->server->asked_us;

    if (llabs(ahead) > CLOCK_MAX_S * INT64_C(1000000))
        finding_add(c, FINDING_WARNING, "clock", NULL,
                    "synchronise the clocks: targets in time mean the server's",
                    "the server's is %.1f s %s this host's", (double)llabs(ahead) / 1e6,
                    ahead > 0 ? "ahead of" : "behind");
    else
        finding_add(c, FINDING_OK, "clock", NULL, NULL, "the server's agrees with this host's");
}

/* ---- pg_wal ---- */

static uint32_t segment_size(const struct findings_request *q)
{
    return q->server != NULL ? q->server->segment_size : SEGMENT_USUAL;
}

static void waiting(struct collecting *c)
{
    const struct pg_wal_state *w = c->q->pg_wal;
    int64_t waits = w->waiting != 0 ? MAX_OF(c->q->now_us - w->oldest_us, 0) : 0;
    uint64_t bytes = w->waiting * segment_size(c->q), full_s;
    char size[24], since[40], left[40];
    bool soon;

    if (w->waiting <= WAITING_FEW || waits < WAITING_S * INT64_C(1000000)) {
        finding_add(c, FINDING_OK, "WAL to archive", NULL, NULL, "%" PRIu64 " files wait in pg_wal",
                    w->waiting);
        return;
    }
    full_s = pg_wal_forecast(w, segment_size(c->q), c->q->now_us);
    soon = full_s != 0 && full_s < (uint64_t)c->q->cluster->watch.disk_notice_ms / 1000;
    format_bytes(bytes, size);
    clock_format_duration(waits, since);
    if (full_s == 0)
        finding_add(c, FINDING_WARNING, "WAL to archive", NULL, "mend archiving",
                    "%" PRIu64 " files (%s) wait in pg_wal, the oldest for %s", w->waiting, size,
                    since);
    else
        finding_add(
            c, soon ? FINDING_FAILED : FINDING_WARNING, "WAL to archive", NULL,
            "mend archiving, or make room: a full disk stops the server",
            "%" PRIu64 " files (%s) wait in pg_wal, the oldest for %s; as WAL is written "
            "now, the disk is full in %s",
            w->waiting, size, since,
            clock_format_duration((int64_t)MIN_OF(full_s, UINT64_C(1) << 32) * 1000000, left));
}

static void disk(struct collecting *c)
{
    const struct pg_wal_state *w = c->q->pg_wal;
    uint64_t need = (uint64_t)segment_size(c->q) * SEGMENTS_NEEDED;
    enum finding_level level = findings_space(w->free_bytes, w->total_bytes, need);
    char left[24], whole[24];

    finding_add(c, level, "disk of pg_wal", NULL,
                level == FINDING_OK ? NULL : "make room: a full disk stops the server",
                "%s of %s free", format_bytes(w->free_bytes, left),
                format_bytes(w->total_bytes, whole));
}

void findings_of_server(struct collecting *c)
{
    if (c->q->server != NULL) {
        archiver(c);
        server_clock(c);
    } else if (c->q->server_why != NULL) {
        finding_add(c, FINDING_FAILED, "server", NULL,
                    "see whether it runs, and \"connection\" in the configuration", "%s",
                    c->q->server_why);
    }
    if (c->q->pg_wal != NULL) {
        waiting(c);
        disk(c);
    }
}
