/* status_json.c - see status_json.h. */
#include "scheduler/page/status_json.h"

#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/version.h"
#include "postgres/lsn.h"
#include "scheduler/status/forecast.h"
#include "scheduler/status/plan.h"

enum { FORMAT = 1 };

static void json_seconds(struct json *j, const char *key, bool known, int64_t us)
{
    if (known)
        json_double(j, key, (double)us / 1e6);
    else
        json_none(j, key);
}

static void json_lsn(struct json *j, const char *key, uint64_t lsn)
{
    char text[LSN_TEXT];

    json_text(j, key, lsn_format(lsn, text));
}

/* How old this is, and why it is not younger. */
static void write_read(struct json *j, const struct status_read *r, int64_t now_us)
{
    json_time(j, "read", r->read_us);
    json_seconds(j, "age_seconds", r->read_us != 0, MAX_OF(now_us - r->read_us, 0));
    json_time(j, "tried", r->tried_us);
    json_text(j, "error", r->failure);
}

/* ---- the server ---- */

static void write_archiver(struct json *j, const struct server_state *s)
{
    json_open(j, "archiver", '{');
    json_int(j, "archived", s->archived);
    json_int(j, "failed", s->failed);
    json_time(j, "last_archived", s->archived_us);
    json_time(j, "last_failed", s->failed_us);
    json_text(j, "last_failed_wal", s->failed_wal[0] != '\0' ? s->failed_wal : NULL);
    json_close(j, '}');
}

static void write_server(struct json *j, const struct status_server *s, int64_t now_us)
{
    json_open(j, "server", '{');
    write_read(j, &s->read, now_us);
    if (s->read.read_us != 0) {
        json_int(j, "version_number", s->version_num);
        json_bool(j, "in_recovery", s->state.in_recovery);
        json_lsn(j, "lsn", s->state.wal_lsn);
        write_archiver(j, &s->state);
    }
    if (s->wal_read.tried_us != 0) {
        json_open(j, "pg_wal", '{');
        write_read(j, &s->wal_read, now_us);
        json_uint(j, "waiting", s->wal.waiting);
        json_time(j, "waiting_since", s->wal.oldest_us);
        json_uint(j, "free_bytes", s->wal.free_bytes);
        json_close(j, '}');
    }
    json_close(j, '}');
}

/* ---- repositories ---- */

static const char *type_name(enum backup_type type)
{
    return type == BACKUP_FULL ? "full" : type == BACKUP_DIFF ? "diff" : "incr";
}

static void write_backup(struct json *j, const struct status_cluster *c,
                         const struct status_repo *r, const struct pubinfo *p)
{
    const struct catalog_backup *row = status_recorded(c, r, p->label);
    const struct backup_mark *mark = view_mark(&r->view, p->label);

    json_open(j, NULL, '{');
    json_text(j, "label", p->label);
    json_text(j, "type", type_name(p->type));
    json_text(j, "base", p->base[0] != '\0' ? p->base : NULL);
    json_time(j, "started", p->start_us);
    json_time(j, "finished", p->stop_us);
    json_uint(j, "timeline", p->timeline);
    json_uint(j, "raw_bytes", p->raw_bytes);
    json_uint(j, "read_bytes", p->read_bytes);
    json_uint(j, "stored_bytes", p->stored_bytes);
    json_uint(j, "page_errors", p->page_errors);
    json_bool(j, "held", mark != NULL && mark->held);
    json_time(j, "verified", row != NULL ? row->verified_us : 0);
    json_close(j, '}');
}

static void write_lines(struct json *j, const struct view *v)
{
    char first[WAL_SEGMENT_NAME], last[WAL_SEGMENT_NAME];

    json_open(j, "wal", '[');
    for (size_t i = 0; i < v->n_lines; i++) {
        const struct view_line *l = &v->lines[i];
        const struct wal_stretch *s = &l->stretch;

        wal_segment_name(s->timeline, s->first_segno, l->segment_size, first);
        wal_segment_name(s->timeline, s->last_segno, l->segment_size, last);
        json_open(j, NULL, '{');
        json_uint(j, "timeline", s->timeline);
        json_text(j, "first", first);
        json_text(j, "last", last);
        json_uint(j, "segments", s->last_segno - s->first_segno + 1);
        json_uint(j, "stored_bytes", s->stored_bytes);
        json_time(j, "first_stored", s->first_us);
        json_time(j, "last_stored", s->last_us);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void write_gaps(struct json *j, const struct view *v)
{
    char first[WAL_SEGMENT_NAME], last[WAL_SEGMENT_NAME];

    json_open(j, "gaps", '[');
    for (size_t i = 0; i < v->n_gaps; i++) {
        const struct wal_gap *g = &v->gaps[i];

        wal_segment_name(g->timeline, g->first_segno, g->segment_size, first);
        wal_segment_name(g->timeline, g->last_segno, g->segment_size, last);
        json_open(j, NULL, '{');
        json_uint(j, "timeline", g->timeline);
        json_text(j, "first", first);
        json_text(j, "last", last);
        json_uint(j, "segments", g->last_segno - g->first_segno + 1);
        json_text(j, "backup", g->label[0] != '\0' ? g->label : NULL);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void write_windows(struct json *j, const struct view *v)
{
    if (v->sealed) {
        json_none(j, "windows");
        json_none(j, "holes");
        return;
    }
    json_open(j, "windows", '[');
    for (size_t i = 0; i < v->windows.n; i++) {
        const struct window *w = &v->windows.items[i];

        json_open(j, NULL, '{');
        json_time(j, "from", w->start_us);
        json_time(j, "to", w->end_us);
        json_bool(j, "open", w->open);
        json_bool(j, "aside", w->aside);
        json_uint(j, "timeline", w->timeline);
        json_text(j, "first_backup", w->first_backup);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_open(j, "holes", '[');
    for (size_t i = 0; i < v->windows.n_holes; i++) {
        const struct hole *h = &v->windows.holes[i];

        json_open(j, NULL, '{');
        json_time(j, "from", h->from_us);
        json_time(j, "to", h->to_us);
        json_bool(j, "expired", h->expired);
        json_text(j, "backup", h->backup[0] != '\0' ? h->backup : NULL);
        json_text(j, "why", h->why);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void write_repo(struct json *j, const struct status_cluster *c, const struct status_repo *r,
                       int64_t now_us)
{
    bool sure = false;
    struct exposure e;
    int64_t rpo_us = 0, rto_us = view_expected_us(&r->view, &sure);
    bool has_rpo = forecast_rpo(c, r, now_us, &rpo_us);

    forecast_exposure(c, r, &e);
    json_open(j, NULL, '{');
    json_text(j, "name", r->name);
    json_bool(j, "required", r->required);
    write_read(j, &r->read, now_us);
    json_text(j, "location", r->location);
    if (r->read.read_us != 0) {
        json_bool(j, "encrypted", r->encrypted);
        if (r->has_space)
            json_uint(j, "free_bytes", r->free_bytes);
        json_time(j, "last_archived", status_archived_us(r));
        if (e.asked)
            json_uint(j, "unarchived_wal_bytes", e.bytes);
        json_seconds(j, "rpo_seconds", has_rpo, rpo_us);
        json_seconds(j, "rto_expected_seconds", rto_us != 0, rto_us);
        json_open(j, "backups", '[');
        for (size_t i = 0; i < r->view.backups.n; i++)
            write_backup(j, c, r, &r->view.backups.items[i]);
        json_close(j, ']');
        write_lines(j, &r->view);
        write_gaps(j, &r->view);
        write_windows(j, &r->view);
    }
    json_close(j, '}');
}

/* ---- what happened ---- */

static void write_run(struct json *j, const char *key, const struct catalog_run *run)
{
    if (run == NULL) {
        json_none(j, key);
        return;
    }
    json_open(j, key, '{');
    json_time(j, "started", run->started_us);
    json_time(j, "finished", run->finished_us);
    if (run->finished_us != 0)
        json_int(j, "exit_status", run->exit_status);
    json_text(j, "message", run->message);
    json_text(j, "backup", run->label);
    json_close(j, '}');
}

static void write_tasks(struct json *j, const struct status *s, const struct status_cluster *c,
                        int64_t now_us)
{
    AUTO(mem_free) struct plan_task *tasks = NULL;
    size_t n = plan_tasks(s, c, now_us, &tasks);

    json_open(j, "tasks", '[');
    for (size_t i = 0; i < n; i++) {
        json_open(j, NULL, '{');
        json_text(j, "job", tasks[i].job);
        json_text(j, "command", tasks[i].command);
        json_bool(j, "running", tasks[i].running != NULL);
        json_time(j, "next", tasks[i].next_us);
        json_text(j, "waits", tasks[i].waits);
        write_run(j, "last", tasks[i].last);
        write_run(j, "last_ended", tasks[i].ended);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void write_drills(struct json *j, const struct catalog_drills *l)
{
    json_open(j, "drills", '[');
    for (size_t i = 0; i < l->n; i++) {
        const struct catalog_drill *d = &l->rows[i];

        json_open(j, NULL, '{');
        json_text(j, "repo", d->repo);
        json_text(j, "backup", d->label);
        json_text(j, "target", d->target);
        json_text(j, "outcome", d->outcome);
        json_time(j, "started", d->started_us);
        json_time(j, "restored", d->restored_us);
        json_time(j, "recovered", d->recovered_us);
        json_time(j, "checked", d->checked_us);
        json_time(j, "finished", d->finished_us);
        json_uint(j, "restored_bytes", d->restored_bytes);
        json_uint(j, "replayed_bytes", d->replayed_bytes);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void write_events(struct json *j, const struct catalog_events *l)
{
    json_open(j, "events", '[');
    for (size_t i = 0; i < l->n; i++) {
        json_open(j, NULL, '{');
        json_time(j, "time", l->rows[i].time_us);
        json_text(j, "level", l->rows[i].level);
        json_text(j, "kind", l->rows[i].kind);
        json_text(j, "repo", l->rows[i].repo);
        json_text(j, "text", l->rows[i].text);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void write_findings(struct json *j, const struct findings *l)
{
    json_open(j, "findings", '[');
    for (size_t i = 0; i < l->n; i++) {
        json_open(j, NULL, '{');
        json_text(j, "level", finding_level_name(l->items[i].level));
        json_text(j, "kind", l->items[i].kind);
        json_text(j, "repo", l->items[i].repo);
        json_text(j, "text", l->items[i].text);
        json_text(j, "todo", l->items[i].todo);
        json_close(j, '}');
    }
    json_close(j, ']');
}

/* ---- all of it ---- */

static void write_cluster(struct json *j, const struct status *s, const struct status_cluster *c,
                          int64_t now_us)
{
    json_open(j, NULL, '{');
    json_text(j, "name", c->conf->name);
    json_text(j, "instance", c->instance);
    json_text(j, "ip", c->ip);
    json_text(j, "state", status_word_name(status_word(c)));
    json_time(j, "judged", c->judged_us);
    write_findings(j, &c->findings);
    write_server(j, &c->server, now_us);
    json_open(j, "repositories", '[');
    for (size_t i = 0; i < c->n_repos; i++)
        write_repo(j, c, &c->repos[i], now_us);
    json_close(j, ']');
    write_tasks(j, s, c, now_us);
    write_drills(j, &c->history.drills);
    write_events(j, &c->history.events);
    json_close(j, '}');
}

void status_json_write(const struct status *s, int64_t now_us, struct buf *out)
{
    struct json j;

    json_begin(&j, out, true);
    json_open(&j, NULL, '{');
    json_uint(&j, "format", FORMAT);
    json_text(&j, "version", PGBR_VERSION);
    json_text(&j, "host", s->host);
    json_time(&j, "now", now_us);
    json_open(&j, "catalog", '{');
    write_read(&j, &s->catalog, now_us);
    json_close(&j, '}');
    json_open(&j, "clusters", '[');
    for (size_t i = 0; i < s->n; i++)
        write_cluster(&j, s, &s->clusters[i], now_us);
    json_close(&j, ']');
    json_close(&j, '}');
    buf_addc(out, '\n');
}
