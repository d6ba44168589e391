/* show_windows.c - see show_windows.h. */
#include "cli/show_windows.h"

#include <stdio.h>

#include "base/clock.h"
#include "cli/show.h"
#include "postgres/lsn.h"

static const char *const hole_names[] = {
    [HOLE_BEFORE] = "before the first backup",
    [HOLE_MISSING] = "WAL missing",
    [HOLE_DAMAGED] = "WAL damaged",
    [HOLE_ENDS] = "WAL ends",
    [HOLE_LEFT] = "timeline left",
    [HOLE_CLUSTER] = "another cluster",
    [HOLE_BACKUP] = "backup that cannot be restored",
};

/* ---- windows ---- */

static void text_window(struct buf *out, const struct window *w)
{
    char from[40], to[40], took[40], a[LSN_TEXT], b[LSN_TEXT];

    clock_format_utc(w->start_us, from);
    if (w->end_us == w->start_us)
        buf_addf(out, "    one can go back to the end of backup %s, %s, only (timeline %u, %s)",
                 w->first_backup, from, w->timeline, lsn_format(w->end_lsn, b));
    else
        buf_addf(out, "    one can go back to any moment from %s to %s (%s; timeline %u, %s to %s)",
                 from, clock_format_utc(w->end_us, to),
                 clock_format_duration(w->end_us - w->start_us, took), w->timeline,
                 lsn_format(w->start_lsn, a), lsn_format(w->end_lsn, b));
    if (w->aside)
        buf_addf(out, " with --target-timeline %u", w->timeline);
    buf_adds(out, "\n");
}

static void text_hole(struct buf *out, const struct hole *h)
{
    char from[40], to[40], took[40];

    if (h->kind == HOLE_BEFORE)
        return; /* that there is nothing before the first one goes without saying */
    if (h->kind == HOLE_BACKUP) {
        buf_addf(out, "    WARNING: %s", h->why);
    } else {
        buf_addf(out, "    %s from %s to %s", h->expired ? "not" : "HOLE",
                 clock_format_utc(h->from_us, from),
                 h->to_us != 0 ? clock_format_utc(h->to_us, to) : "now");
        if (h->to_us != 0)
            buf_addf(out, " (%s)", clock_format_duration(h->to_us - h->from_us, took));
        buf_addf(out, ": %s%s", h->why, h->expired ? ", as retention has it" : "");
    }
    if (h->noticed_us != 0)
        buf_addf(out, " (noticed %s)", clock_format_utc(h->noticed_us / 1000000 * 1000000, from));
    buf_adds(out, "\n");
}

void windows_text(struct buf *out, const struct view *v)
{
    const struct windows *w = &v->windows;
    size_t hole = 0;

    if (v->sealed)
        buf_adds(out, "    the moments one can go back to are not known without the key\n");
    for (size_t i = 0; i < w->n; i++) {
        while (hole < w->n_holes && !w->items[i].aside && w->holes[hole].kind != HOLE_BACKUP &&
               w->holes[hole].to_us != 0 && w->holes[hole].to_us <= w->items[i].start_us)
            text_hole(out, &w->holes[hole++]);
        text_window(out, &w->items[i]);
    }
    while (hole < w->n_holes)
        text_hole(out, &w->holes[hole++]);
}

static void json_lsn(struct json *j, const char *key, uint64_t lsn)
{
    char text[LSN_TEXT];

    json_text(j, key, lsn != 0 ? lsn_format(lsn, text) : NULL);
}

static void json_id(struct json *j, uint64_t system_id)
{
    char id[24];

    snprintf(id, sizeof id, "%llu", (unsigned long long)system_id);
    json_text(j, "system_id", id);
}

static void json_window(struct json *j, const struct window *w)
{
    json_open(j, NULL, '{');
    json_id(j, w->system_id);
    json_uint(j, "timeline", w->timeline);
    json_bool(j, "needs_timeline", w->aside);
    json_bool(j, "open", w->open);
    json_text(j, "backup", w->first_backup);
    json_text(j, "last_backup", w->last_backup);
    json_time(j, "from", w->start_us);
    json_time(j, "to", w->end_us);
    json_time(j, "last_commit", w->last_commit_us);
    json_lsn(j, "from_lsn", w->start_lsn);
    json_lsn(j, "to_lsn", w->end_lsn);
    json_close(j, '}');
}

static void json_hole(struct json *j, const struct hole *h)
{
    char name[WAL_SEGMENT_NAME];
    bool named = h->first_segno != 0;

    json_open(j, NULL, '{');
    json_text(j, "kind", hole_names[h->kind]);
    json_id(j, h->system_id);
    json_uint(j, "timeline", h->timeline);
    json_time(j, "from", h->from_us);
    json_time(j, "to", h->to_us);
    json_lsn(j, "from_lsn", h->from_lsn);
    json_lsn(j, "to_lsn", h->to_lsn);
    json_text(j, "first_missing",
              named ? wal_segment_name(h->timeline, h->first_segno, h->segment_size, name) : NULL);
    json_text(j, "last_missing",
              named ? wal_segment_name(h->timeline, h->last_segno, h->segment_size, name) : NULL);
    json_text(j, "backup", h->backup[0] != '\0' ? h->backup : NULL);
    json_bool(j, "expired", h->expired);
    json_time(j, "noticed", h->noticed_us);
    json_text(j, "why", h->why);
    json_close(j, '}');
}

void windows_json(struct json *j, const struct view *v)
{
    json_bool(j, "windows_known", !v->sealed);
    json_open(j, "windows", '[');
    for (size_t i = 0; i < v->windows.n; i++)
        json_window(j, &v->windows.items[i]);
    json_close(j, ']');
    json_open(j, "holes", '[');
    for (size_t i = 0; i < v->windows.n_holes; i++)
        json_hole(j, &v->windows.holes[i]);
    json_close(j, ']');
}

/* ---- how things stand ---- */

static void text_loss(struct buf *out, const struct standing *s, const struct exposure *e)
{
    char bytes[24], age[40];

    if (!e->asked && s->server == NULL)
        buf_addf(out, "; what the server has written since is not known%s%s",
                 s->why[0] != '\0' ? ": " : "", s->why);
    else if (e->elsewhere)
        buf_addf(
            out,
            "; the server is not on that timeline but on %u of system identifier %llu: what it "
            "has written is not in this",
            s->server->timeline, (unsigned long long)s->server->system_id);
    else if (!e->asked)
        buf_adds(out, "; the server has replayed nothing yet");
    else if (e->nothing)
        buf_adds(out, "; the server has committed nothing since");
    else {
        buf_addf(out, "; the server has written %s of WAL since", format_bytes(e->bytes, bytes));
        if (e->since_us != 0)
            buf_addf(out, ", in at most %s",
                     clock_format_duration(MAX_OF(s->now_us - e->since_us, 0), age));
    }
}

static void text_rpo(struct buf *out, const struct standing *s)
{
    struct exposure e;
    char when[40], age[40], at[LSN_TEXT];

    view_exposure(s->view, s->server, &e);
    if (!e.recoverable) {
        buf_adds(out, "    if the server is lost now, the latest state cannot be had back\n");
        return;
    }
    buf_adds(out, "    if the server is lost now, ");
    if (e.commit_us != 0)
        buf_addf(out, "all is there up to the commit at %s (%s ago, %s)",
                 clock_format_utc(e.commit_us, when),
                 clock_format_duration(MAX_OF(s->now_us - e.commit_us, 0), age),
                 lsn_format(e.lsn, at));
    else
        buf_addf(out, "all is there up to %s; no commit is behind the backup",
                 lsn_format(e.lsn, at));
    text_loss(out, s, &e);
    buf_adds(out, "\n");
}

static void text_rto(struct buf *out, const struct standing *s)
{
    const struct expected *x = &s->view->expected;
    char took[40], age[40];
    bool sure;
    int64_t us = view_expected_us(s->view, &sure);

    if (us == 0) {
        buf_addf(out, "    how long that takes is not known: %s\n",
                 x->drills == 0 ? "no drill has passed yet" : "no backup can be restored");
        return;
    }
    buf_addf(out, "    that takes about %s%s, by %u drill%s, the last one %s ago\n",
             clock_format_duration(us, took),
             sure ? "" : " and the replay of its WAL, which no drill measured", x->drills,
             plural_of(x->drills), clock_format_duration(MAX_OF(s->now_us - x->newest_us, 0), age));
}

void standing_text(struct buf *out, const struct standing *s)
{
    if (s->view->sealed)
        return;
    text_rpo(out, s);
    text_rto(out, s);
}

static void json_seconds(struct json *j, const char *key, int64_t us, bool known)
{
    if (known)
        json_double(j, key, (double)us / 1e6);
    else
        json_none(j, key);
}

void standing_json(struct json *j, const struct standing *s)
{
    const struct expected *x = &s->view->expected;
    struct exposure e;
    bool sure;
    int64_t us = view_expected_us(s->view, &sure);

    view_exposure(s->view, s->server, &e);
    json_open(j, "rpo", '{');
    json_bool(j, "recoverable", e.recoverable);
    json_time(j, "last_commit", e.commit_us);
    json_seconds(j, "age_seconds", s->now_us - e.commit_us, e.commit_us != 0);
    json_lsn(j, "lsn", e.lsn);
    json_bool(j, "server_asked", e.asked);
    json_bool(j, "server_elsewhere", e.elsewhere);
    json_text(j, "server_error", s->server == NULL && s->why[0] != '\0' ? s->why : NULL);
    if (e.asked) {
        json_bool(j, "nothing_committed_since", e.nothing);
        json_uint(j, "bytes_since", e.bytes);
        json_seconds(j, "at_most_seconds", e.nothing ? 0 : s->now_us - e.since_us,
                     e.nothing || e.since_us != 0);
    }
    json_close(j, '}');
    json_open(j, "rto", '{');
    json_uint(j, "drills", x->drills);
    json_seconds(j, "seconds", us, us != 0);
    json_bool(j, "with_replay", sure);
    json_close(j, '}');
}

/* ---- one moment ---- */

static int64_t moment_us(const struct view *v, const struct restore_plan *p, bool *sure)
{
    uint64_t from = p->backup.start_lsn, to = p->reach.end_lsn;

    return expected_us(&v->expected, p->backup.raw_bytes, to > from ? to - from : 0, sure);
}

void moment_text(struct buf *out, const struct view *v, const struct restore_plan *p,
                 const char *why)
{
    char first[WAL_SEGMENT_NAME], last[WAL_SEGMENT_NAME], when[40], bytes[24];
    uint32_t size;
    uint64_t n;
    int64_t us;
    bool sure;

    if (p == NULL) {
        buf_addf(out, "    %s\n", why);
        return;
    }
    size = p->backup.wal_segment_size;
    n = p->reach.last_segno - p->reach.first_segno + 1;
    wal_segment_name(p->reach.first_tli, p->reach.first_segno, size, first);
    wal_segment_name(p->reach.last_tli, p->reach.last_segno, size, last);
    us = moment_us(v, p, &sure);
    buf_addf(out, "    can be reached with backup %s, along timeline %u\n", p->label,
             p->reach.timeline);
    if (p->reach.last_commit_us != 0)
        buf_addf(out, "    the last commit before it is at %s\n",
                 clock_format_utc(p->reach.last_commit_us, when));
    else
        buf_adds(out, "    no commit lies between the backup and it\n");
    buf_addf(out, "    needs %llu WAL segment%s, %s to %s, %s stored\n", (unsigned long long)n,
             plural_of(n), first, last, format_bytes(p->reach.wal_bytes, bytes));
    if (us != 0)
        buf_addf(out, "    takes about %s%s\n", clock_format_duration(us, when),
                 sure ? "" : " and the replay of its WAL, which no drill measured");
    else
        buf_adds(out, "    how long that takes is not known: no drill has passed yet\n");
}

void moment_json(struct json *j, const struct view *v, const struct restore_plan *p,
                 const char *why)
{
    char name[WAL_SEGMENT_NAME];
    bool sure = false;
    int64_t us;

    json_bool(j, "reachable", p != NULL);
    json_text(j, "why", p == NULL ? why : NULL);
    if (p == NULL)
        return;
    us = moment_us(v, p, &sure);
    json_text(j, "backup", p->label);
    json_uint(j, "timeline", p->reach.timeline);
    json_lsn(j, "end_lsn", p->reach.end_lsn);
    json_time(j, "last_commit", p->reach.last_commit_us);
    json_uint(j, "segments", p->reach.last_segno - p->reach.first_segno + 1);
    json_text(j, "first_segment",
              wal_segment_name(p->reach.first_tli, p->reach.first_segno, p->backup.wal_segment_size,
                               name));
    json_text(
        j, "last_segment",
        wal_segment_name(p->reach.last_tli, p->reach.last_segno, p->backup.wal_segment_size, name));
    json_uint(j, "wal_bytes", p->reach.wal_bytes);
    json_seconds(j, "expected_seconds", us, us != 0);
    json_bool(j, "with_replay", sure);
}
