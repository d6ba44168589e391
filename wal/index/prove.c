/* prove.c - see prove.h. */
#include "wal/index/prove.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "postgres/lsn.h"
#include "postgres/server.h"
#include "repo/wal/wal_object.h"
#include "wal/index/index.h"

enum { POLL_MIN_MS = 5, POLL_MAX_MS = 500, SAY_AFTER_US = 5000000, ALIVE_EVERY_US = 1000000 };

/* ---- archiving works ---- */

static int check_settings(struct pg *pg, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(pg_query_row(pg, "SELECT current_setting('archive_mode')", NULL, 0, 1, &rows, err));
    if (strcmp(pg_text(rows, 0, 0), "off") == 0)
        return err_set(
            err, ERR_FAILED,
            "archive_mode is off at %s; a backup needs WAL archiving: set archive_mode = on "
            "and the archive_command that \"pgbr init\" shows, then restart the server",
            pg_where(pg));
    return 0;
}

/* Ends a segment that holds at least one record, so that there is something to archive. */
static int finish_segment(struct pg *pg, const struct wal_place *p, uint64_t *segno,
                          struct err *err)
{
    uint64_t lsn;

    TRY(pg_switch_wal(pg, &lsn, err));
    if (lsn_offset(lsn, p->segment_size) == 0) { /* nothing was written since the last switch */
        TRY(pg_query(pg, "SELECT pg_logical_emit_message(false, 'pgbr', 'archive check')", NULL, 0,
                     1, NULL, err));
        TRY(pg_switch_wal(pg, &lsn, err));
    }
    *segno = lsn_last_segno(lsn, p->segment_size);
    return 0;
}

/* What the server says about its archiver, for the message of a failure. */
static int explain(struct pg *pg, const char *name, const struct wal_place *p, int64_t timeout_ms,
                   struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;
    struct err ignored = {0};

    if (pg_query_row(
            pg,
            "SELECT current_setting('archive_mode'), current_setting('archive_command'), "
            "coalesce(last_archived_wal, 'nothing'), coalesce(last_failed_wal, 'nothing'), "
            "coalesce(last_failed_time::text, 'never') FROM pg_stat_archiver",
            NULL, 0, 5, &rows, &ignored) != 0)
        return err_set(err, ERR_UNREACHABLE,
                       "WAL segment \"%s\" did not reach repository \"%s\" within %lld s", name,
                       repo_name(p->repo), (long long)(timeout_ms / 1000));
    return err_set(
        err, ERR_UNREACHABLE,
        "WAL segment \"%s\" did not reach repository \"%s\" within %lld s; archive_mode is "
        "\"%s\", archive_command is \"%s\", last archived: %s, last failed: %s (%s); the "
        "server's log says why",
        name, repo_name(p->repo), (long long)(timeout_ms / 1000), pg_text(rows, 0, 0),
        pg_text(rows, 0, 1), pg_text(rows, 0, 2), pg_text(rows, 0, 3), pg_text(rows, 0, 4));
}

static unsigned longer(unsigned ms)
{
    return MIN_OF(ms * 2, (unsigned)POLL_MAX_MS);
}

int wal_prove_archiving(const struct wal_place *p, struct pg *primary, int64_t timeout_ms,
                        const struct stop *stop, struct err *err)
{
    int64_t begun = clock_monotonic_us();
    char name[WAL_SEGMENT_NAME];
    unsigned pause = POLL_MIN_MS;
    uint64_t segno;
    uint32_t tli;
    bool whole = false, said = false;

    TRY(check_settings(primary, err));
    TRY(pg_timeline(primary, &tli, err));
    TRY(finish_segment(primary, p, &segno, err));
    wal_segment_name(tli, segno, p->segment_size, name);
    for (;; clock_sleep_ms(pause), pause = longer(pause)) {
        int64_t waited = clock_monotonic_us() - begun;

        TRY(stop_check(stop, err));
        TRY(wal_object_exists(p->repo, p->system_id, p->major, name, &whole, err));
        if (whole)
            return 0;
        if (waited > timeout_ms * 1000)
            return explain(primary, name, p, timeout_ms, err);
        if (waited > SAY_AFTER_US && !said)
            log_info("waiting for WAL segment \"%s\" to be archived", name);
        said |= waited > SAY_AFTER_US;
    }
}

/* ---- the WAL of a backup ---- */

int wal_spans_each(const struct wal_span *spans, size_t n, uint32_t segment_size,
                   int (*fn)(void *ctx, uint32_t timeline, uint64_t segno, struct err *err),
                   void *ctx, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t last = lsn_last_segno(spans[i].stop, segment_size);

        for (uint64_t s = lsn_segno(spans[i].start, segment_size); s <= last; s++) {
            int rc;

            if (i + 1 < n && lsn_segno(spans[i + 1].start, segment_size) == s)
                continue;
            rc = fn(ctx, spans[i].timeline, s, err);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

struct waiting {
    const struct wal_place *place;
    int64_t begun_us, timeout_ms, alive_us;
    int (*alive)(void *ctx, struct err *err);
    void *alive_ctx;
    const struct stop *stop;
    uint64_t stop_lsn;
    struct wal_chain chain;
    bool said;
};

static int pause_or_give_up(struct waiting *w, const char *name, unsigned ms, struct err *err)
{
    int64_t now = clock_monotonic_us();

    TRY(stop_check(w->stop, err));
    if (now - w->begun_us > w->timeout_ms * 1000)
        return err_set(err, ERR_UNREACHABLE,
                       "WAL file \"%s\", which the backup needs, did not reach repository \"%s\" "
                       "within %lld s; look at the server's log for what archive_command says",
                       name, repo_name(w->place->repo), (long long)(w->timeout_ms / 1000));
    if (now - w->begun_us > SAY_AFTER_US && !w->said) {
        log_info("waiting for WAL file \"%s\" to be archived", name);
        w->said = true;
    }
    if (w->alive != NULL && now - w->alive_us > ALIVE_EVERY_US) {
        TRY(w->alive(w->alive_ctx, err));
        w->alive_us = now;
    }
    clock_sleep_ms(ms);
    return 0;
}

static int wait_file(struct waiting *w, const char *name, struct err *err)
{
    const struct wal_place *p = w->place;

    for (unsigned pause = POLL_MIN_MS;; pause = longer(pause)) {
        bool whole = false;

        TRY(wal_object_exists(p->repo, p->system_id, p->major, name, &whole, err));
        if (whole)
            return 0;
        TRY(pause_or_give_up(w, name, pause, err));
    }
}

/* What the segment says of itself: owner, position, records without a break up to where they are
 * needed. */
static int check_segment(struct waiting *w, const char *name, uint64_t start, struct err *err)
{
    const struct wal_place *p = w->place;
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(wal_index_free) struct wal_index ix, crossing;
    enum wal_crossing what;

    wal_index_init(&ix);
    wal_index_init(&crossing);
    TRY(wal_object_index(p->repo, p->system_id, p->major, name, &bytes, NULL, err));
    TRY(wal_index_read(bytes.p, bytes.len, WAL_INDEX_SUMMARY, &ix, err));
    if (ix.system_id != p->system_id || ix.start != start || ix.segment_size != p->segment_size)
        return err_set(err, ERR_FOREIGN, "it holds other WAL than its name says");
    if (ix.major != p->major || ((ix.flags & (WAL_INDEX_STOPPED | WAL_INDEX_ENDS)) != 0 &&
                                 ix.end_of_data < MIN_OF(w->stop_lsn, start + p->segment_size)))
        return err_set(err, ERR_CORRUPT, "its records break off: %s",
                       ix.reason[0] != '\0' ? ix.reason : "WAL ends inside");
    return wal_chain_add(&w->chain, &ix, &what, &crossing, err);
}

static int wait_segment(void *ctx, uint32_t timeline, uint64_t segno, struct err *err)
{
    struct waiting *w = ctx;
    char name[WAL_SEGMENT_NAME];

    wal_segment_name(timeline, segno, w->place->segment_size, name);
    TRY(wait_file(w, name, err));
    if (check_segment(w, name, segno_lsn(segno, w->place->segment_size), err) != 0)
        return err_context(err, "repository \"%s\": WAL segment \"%s\"", repo_name(w->place->repo),
                           name);
    return 0;
}

int wal_wait(const struct wal_place *p, const struct wal_span *spans, size_t n, int64_t timeout_ms,
             int (*alive)(void *ctx, struct err *err), void *ctx, const struct stop *stop,
             struct err *err)
{
    struct waiting w = {
        .place = p,
        .begun_us = clock_monotonic_us(),
        .timeout_ms = timeout_ms,
        .alive = alive,
        .alive_ctx = ctx,
        .stop = stop,
        .stop_lsn = n != 0 ? spans[n - 1].stop : 0,
    };
    int rc = 0;

    wal_chain_init(&w.chain);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        char name[WAL_NAME];

        snprintf(name, sizeof name, "%08X.history", spans[i].timeline);
        if (spans[i].timeline > 1)
            rc = wait_file(&w, name, err);
    }
    if (rc == 0)
        rc = wal_spans_each(spans, n, p->segment_size, wait_segment, &w, err);
    wal_chain_free(&w.chain);
    return rc;
}
