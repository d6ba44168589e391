/* findings_repo.c - what is to be said of what repositories hold: backups, WAL, holds. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "postgres/lsn.h"
#include "scheduler/status/findings_form.h"

enum { GAPS_SHOWN = 5 };

static const char *second(int64_t us, char out[40])
{
    return clock_format_utc(us / 1000000 * 1000000, out);
}

static const char *age(const struct collecting *c, int64_t us, char out[40])
{
    return clock_format_duration(MAX_OF(c->q->now_us - us, 0), out);
}

/* ---- backups ---- */

static bool is_usable(const struct view *v, const char *label)
{
    for (size_t i = 0; i < v->windows.n_holes; i++)
        if (strcmp(v->windows.holes[i].backup, label) == 0)
            return false;
    return true;
}

/* The newest of the cluster as it is now that can be restored; NULL: none. */
static const struct pubinfo *newest(const struct collecting *c, const struct view *v)
{
    const struct server_state *s = c->q->server;
    const struct pubinfo *to_come = NULL;

    for (size_t i = v->backups.n; i-- > 0;) {
        const struct pubinfo *b = &v->backups.items[i];

        if ((s != NULL && b->system_id != s->system_id) || !is_usable(v, b->label))
            continue;
        if (!finding_is_to_come(c, b->stop_us))
            return b;
        to_come = b;
    }
    return to_come;
}

static void backups(struct collecting *c, const char *repo, const struct view *v)
{
    const struct pubinfo *last = newest(c, v);
    int64_t may = findings_backup_age_us(c->q->config, c->q->cluster, c->q->now_us);
    char when[40], old[40], limit[40];

    if (v->broken != 0)
        finding_add(c, FINDING_FAILED, "backups", repo,
                    "\"pgbr verify\" tells what else is damaged", "%u cannot be read: %s",
                    v->broken, v->broken_why);
    if (last == NULL)
        finding_add(c, FINDING_WARNING, "backups", repo, "take one: \"pgbr backup\"", "%s",
                    v->backups.n == 0
                        ? "there is none"
                        : "there is none of the cluster with its present identifier that can be "
                          "restored");
    else if (finding_is_to_come(c, last->stop_us))
        finding_add(c, FINDING_WARNING, "backups", repo,
                    "a clock was wrong: see that it is right, and take another",
                    "the only one, %s, says that it finished %s, which is still to come",
                    last->label, second(last->stop_us, when));
    else if (c->q->now_us - last->stop_us > may)
        finding_add(c, FINDING_WARNING, "backups", repo, "look why no backup was taken",
                    "the newest, %s, finished %s, is %s old; it may be %s", last->label,
                    second(last->stop_us, when), age(c, last->stop_us, old),
                    clock_format_duration(may, limit));
    else
        finding_add(c, FINDING_OK, "backups", repo, NULL, "%zu, the newest %s, finished %s, %s ago",
                    v->backups.n, last->label, second(last->stop_us, when),
                    age(c, last->stop_us, old));
}

/* ---- WAL ---- */

static int64_t noticed(const struct view *v, const struct wal_gap *g)
{
    for (size_t i = 0; i < v->windows.n_holes; i++) {
        const struct hole *h = &v->windows.holes[i];

        if (h->system_id == g->system_id && h->timeline == g->timeline &&
            h->first_segno <= g->last_segno && h->last_segno >= g->first_segno)
            return h->noticed_us;
    }
    return 0;
}

/* "A is missing", "A to B, 12 segments, are missing since ..." */
static void say_missing(const struct view *v, const struct wal_gap *g, struct buf *out)
{
    char first[WAL_SEGMENT_NAME], last[WAL_SEGMENT_NAME], when[40];
    uint64_t n = g->last_segno - g->first_segno + 1;
    int64_t us = noticed(v, g);

    wal_segment_name(g->timeline, g->first_segno, g->segment_size, first);
    wal_segment_name(g->timeline, g->last_segno, g->segment_size, last);
    if (n == 1)
        buf_addf(out, "%s is missing", first);
    else
        buf_addf(out, "%s to %s, %llu segments, are missing", first, last, (unsigned long long)n);
    if (us != 0)
        buf_addf(out, ", noticed %s", second(us, when));
}

static void gap(struct collecting *c, const char *repo, const struct view *v,
                const struct wal_gap *g)
{
    AUTO(buf_free) struct buf what = BUF_INIT;

    say_missing(v, g, &what);
    if (g->label[0] != '\0')
        finding_add(c, FINDING_FAILED, "WAL", repo,
                    "take a new backup; look whether another repository or a pg_wal has it",
                    "%s, without which backup %s cannot be restored", buf_text(&what), g->label);
    else
        finding_add(c, FINDING_WARNING, "WAL", repo,
                    "take a new backup: recovery from an older one stops before the gap", "%s",
                    buf_text(&what));
}

/* Holes beside those that gaps make. */
static unsigned holes(struct collecting *c, const char *repo, const struct view *v)
{
    unsigned n = 0;
    char from[40], to[40];

    for (size_t i = 0; i < v->windows.n_holes; i++) {
        const struct hole *h = &v->windows.holes[i];

        if (h->expired || (h->kind != HOLE_DAMAGED && h->kind != HOLE_ENDS))
            continue;
        finding_add(c, FINDING_WARNING, "WAL", repo,
                    h->to_us == 0 ? "take a new backup, then \"pgbr verify\""
                                  : "\"pgbr verify\" tells what is damaged",
                    "from %s to %s no moment can be recovered: %s",
                    clock_format_utc(h->from_us, from),
                    h->to_us == 0 ? "now" : clock_format_utc(h->to_us, to), h->why);
        n++;
    }
    return n;
}

static void wal(struct collecting *c, const char *repo, const struct view *v)
{
    for (size_t i = 0; i < v->n_gaps && i < GAPS_SHOWN; i++)
        gap(c, repo, v, &v->gaps[i]);
    if (v->n_gaps > GAPS_SHOWN)
        finding_add(c, FINDING_WARNING, "WAL", repo, "\"pgbr windows\" shows them", "%zu more gaps",
                    v->n_gaps - GAPS_SHOWN);
    if (holes(c, repo, v) == 0 && v->n_gaps == 0 && v->backups.n != 0)
        finding_add(c, FINDING_OK, "WAL", repo, NULL, "without a gap since the first backup");
}

/* ---- what would be lost ---- */

static void exposure(struct collecting *c, const char *repo, const struct view *v)
{
    int64_t may = c->q->cluster->watch.commit_max_age_ms * 1000;
    char when[40], old[40], bytes[24];
    struct exposure e;

    if (v->sealed || newest(c, v) == NULL)
        return;
    view_exposure(v, c->q->server, &e);
    if (!e.recoverable)
        finding_add(c, FINDING_WARNING, "windows", repo,
                    "take a new backup; \"pgbr windows\" tells what is in the way",
                    "the latest state cannot be recovered");
    else if (e.elsewhere)
        finding_add(
            c, FINDING_WARNING, "windows", repo,
            "take a new backup of the server that is to go on; \"pgbr windows\" shows the "
            "timelines",
            "the server is on timeline %u of system identifier %llu, the newest WAL that can "
            "be recovered is of another one",
            c->q->server->timeline, (unsigned long long)c->q->server->system_id);
    else if (e.asked && !e.nothing && e.since_us != 0 && c->q->now_us - e.since_us > may)
        finding_add(c, FINDING_WARNING, "windows", repo,
                    "look at the archiver; \"archive_timeout\" bounds this on a quiet server",
                    "%s of WAL, with commits up to %s old, would be lost with the server",
                    format_bytes(e.bytes, bytes), age(c, e.since_us, old));
    else if (e.commit_us != 0)
        finding_add(c, FINDING_OK, "windows", repo, NULL,
                    "all can be recovered up to the commit at %s, %s ago",
                    second(e.commit_us, when), age(c, e.commit_us, old));
    else
        finding_add(c, FINDING_OK, "windows", repo, NULL,
                    "all can be recovered up to the newest backup, behind which nothing was "
                    "committed");
}

/* ---- holds ---- */

static void holds(struct collecting *c, const char *repo, const struct view *v)
{
    int64_t notice = c->q->cluster->watch.hold_notice_ms * 1000;

    for (size_t i = 0; i < v->n_marks; i++) {
        const struct backup_mark *m = &v->marks[i];
        char when[40], left[40];

        if (!m->held || m->held_until_us == 0)
            continue;
        if (m->held_until_us <= c->q->now_us)
            finding_add(c, FINDING_WARNING, "hold", repo,
                        "\"pgbr hold\" it anew if it is to stay, else \"pgbr unhold\" it",
                        "the hold of %s has ended %s: retention may take it", m->label,
                        second(m->held_until_us, when));
        else if (m->held_until_us - c->q->now_us < notice)
            finding_add(c, FINDING_WARNING, "hold", repo,
                        "\"pgbr hold\" it anew if it is to stay longer",
                        "the hold of %s ends %s, in %s", m->label, second(m->held_until_us, when),
                        clock_format_duration(m->held_until_us - c->q->now_us, left));
    }
}

void findings_of_repos(struct collecting *c)
{
    for (size_t i = 0; i < c->q->n_repos; i++) {
        const struct findings_repo *r = &c->q->repos[i];

        if (r->view == NULL) {
            finding_add(c, r->required ? FINDING_FAILED : FINDING_WARNING, "repository", r->name,
                        "\"pgbr check\" tells more", "%s", r->why);
            continue;
        }
        backups(c, r->name, r->view);
        wal(c, r->name, r->view);
        exposure(c, r->name, r->view);
        holds(c, r->name, r->view);
    }
}
