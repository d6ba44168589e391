/* status_fixture.c - see status_fixture.h. */
#include "tests/lib/status_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/expire/retention.h"

enum { SEGMENT = 16 << 20 };
#define SYSTEM_ID UINT64_C(7000000000000000001)

static const char text[] =
    "state_dir: /nonexistent\n"
    "repos:\n"
    "  local: {path: /pg/backup}\n"
    "  minio: {path: /elsewhere, optional: yes}\n"
    "clusters:\n"
    "  pg-main: {data: /pg/data, repos: [local, minio]}\n"
    "  pg-shop: {data: /pg/shop, repos: [local]}\n"
    "jobs:\n"
    "  nightly: {cluster: pg-main, run: backup --type auto, cron: 0 1 * * *}\n"
    "  rehearsal: {cluster: pg-main, run: drill, cron: 0 4 * * 0}\n"
    "  shop: {cluster: pg-shop, run: backup --type auto, cron: 0 2 * * *}\n";

/* ---- what is stored ---- */

static void add_backup(struct status_repo *r, enum backup_type type, int64_t stop_us, uint64_t lsn,
                       uint64_t stored)
{
    struct backup_list *l = &r->view.backups;
    struct pubinfo *p;

    l->items = xrealloc(l->items, (l->n + 1) * sizeof *l->items);
    l->manifest_sizes = xrealloc(l->manifest_sizes, (l->n + 1) * sizeof *l->manifest_sizes);
    l->manifest_sizes[l->n] = 1000;
    p = &l->items[l->n++];
    *p = (struct pubinfo){.type = type,
                          .system_id = SYSTEM_ID,
                          .pg_version = 150018,
                          .timeline = 1,
                          .start_lsn = lsn,
                          .stop_lsn = lsn + 4096,
                          .start_us = stop_us - 95 * INT64_C(1000000),
                          .stop_us = stop_us,
                          .wal_segment_size = SEGMENT,
                          .raw_bytes = UINT64_C(48200000000),
                          .stored_bytes = stored,
                          .read_bytes = stored * 3,
                          .files = 1200};
    snprintf(p->label, sizeof p->label, "20261129T%06zu-%08zx", l->n, l->n);
}

static void add_line(struct status_repo *r, uint64_t first, uint64_t last, int64_t first_us,
                     int64_t last_us)
{
    struct view *v = &r->view;

    v->lines = xrealloc(v->lines, (v->n_lines + 1) * sizeof *v->lines);
    v->lines[v->n_lines++] =
        (struct view_line){.id = {SYSTEM_ID, 15},
                           .segment_size = SEGMENT,
                           .stretch = {.timeline = 1,
                                       .first_segno = first,
                                       .last_segno = last,
                                       .stored_bytes = (last - first + 1) * 5000000,
                                       .first_us = first_us,
                                       .last_us = last_us}};
}

static void add_window(struct status_repo *r, bool open, int64_t from_us, int64_t to_us,
                       uint64_t end_lsn)
{
    struct windows *w = &r->view.windows;

    w->items = xrealloc(w->items, (w->n + 1) * sizeof *w->items);
    w->items[w->n] = (struct window){.system_id = SYSTEM_ID,
                                     .major = 15,
                                     .timeline = 1,
                                     .open = open,
                                     .start_lsn = 1,
                                     .end_lsn = end_lsn,
                                     .start_us = from_us,
                                     .end_us = to_us,
                                     .last_commit_us = to_us};
    snprintf(w->items[w->n].first_backup, sizeof w->items[w->n].first_backup, "%s",
             r->view.backups.items[0].label);
    snprintf(w->items[w->n].last_backup, sizeof w->items[w->n].last_backup, "%s",
             r->view.backups.items[r->view.backups.n - 1].label);
    w->n++;
}

static void was_read(struct status_read *r, int64_t ago_us)
{
    r->read_us = r->tried_us = FIXTURE_NOW - ago_us;
}

/* Weekly full ones, differentials in between, and incrementals each day: two weeks of them. */
static void fill_good_repo(struct status_repo *r, const char *location, uint64_t days)
{
    for (uint64_t day = days; day > 0; day--)
        add_backup(r,
                   day % 7 == 0   ? BACKUP_FULL
                   : day % 7 == 3 ? BACKUP_DIFF
                                  : BACKUP_INCR,
                   FIXTURE_NOW - (int64_t)day * FIXTURE_DAY + 14 * FIXTURE_HOUR, day << 30,
                   day % 7 == 0 ? UINT64_C(11300000000) : UINT64_C(210000000));
    add_line(r, 100, 9000, FIXTURE_NOW - (int64_t)days * FIXTURE_DAY + 13 * FIXTURE_HOUR,
             FIXTURE_NOW - 40 * INT64_C(1000000));
    add_window(r, true, r->view.backups.items[0].stop_us, FIXTURE_NOW - 41 * INT64_C(1000000),
               segno_lsn(9001, SEGMENT));
    r->view.expected = (struct expected){.drills = 3,
                                         .newest_us = FIXTURE_NOW - 7 * FIXTURE_DAY,
                                         .restore_rate = 210e6,
                                         .start_us = 2500000,
                                         .replay_rate = 90e6};
    r->location = xstrdup(location);
    was_read(&r->read, 130 * INT64_C(1000000));
}

static void fill_broken_repo(struct status_repo *r)
{
    struct view *v = &r->view;
    int64_t gone = FIXTURE_NOW - 3 * FIXTURE_DAY, back = gone + 5 * FIXTURE_HOUR;

    add_backup(r, BACKUP_FULL, FIXTURE_NOW - 10 * FIXTURE_DAY, UINT64_C(10) << 30, 11300000000);
    add_backup(r, BACKUP_INCR, FIXTURE_NOW - 8 * FIXTURE_DAY, UINT64_C(11) << 30, 310000000);
    add_line(r, 640, 2000, FIXTURE_NOW - 10 * FIXTURE_DAY, gone);
    add_line(r, 2003, 2400, back, FIXTURE_NOW - 26 * FIXTURE_HOUR);
    v->gaps = xcalloc(1, sizeof *v->gaps);
    v->gaps[0] = (struct wal_gap){.system_id = SYSTEM_ID,
                                  .major = 15,
                                  .timeline = 1,
                                  .first_segno = 2001,
                                  .last_segno = 2002,
                                  .segment_size = SEGMENT};
    v->n_gaps = 1;
    add_window(r, false, FIXTURE_NOW - 10 * FIXTURE_DAY, gone, segno_lsn(2001, SEGMENT));
    v->windows.holes = xcalloc(1, sizeof *v->windows.holes);
    v->windows.holes[0] = (struct hole){.kind = HOLE_MISSING,
                                        .system_id = SYSTEM_ID,
                                        .timeline = 1,
                                        .segment_size = SEGMENT,
                                        .from_us = gone,
                                        .first_segno = 2001,
                                        .last_segno = 2002,
                                        .why = "2 WAL segments are missing, and no backup was "
                                               "taken behind them"};
    v->windows.n_holes = 1;
    r->location = xstrdup("/pg/backup");
    r->has_space = true;
    r->free_bytes = UINT64_C(63000000000);
    r->disk_bytes = UINT64_C(250000000000);
    was_read(&r->read, 130 * INT64_C(1000000));
}

/* ---- what happened: rows of text that nobody has to free ---- */

static void add_run(struct status_cluster *c, const char *job, const char *command, int64_t ago_us,
                    int status, const char *message)
{
    struct catalog_runs *l = &c->history.runs;

    l->rows = xrealloc(l->rows, (l->n + 1) * sizeof *l->rows);
    l->rows[l->n++] = (struct catalog_run){.job = job,
                                           .command = command,
                                           .cluster = c->conf->name,
                                           .started_us = FIXTURE_NOW - ago_us,
                                           .finished_us = FIXTURE_NOW - ago_us + 95000000,
                                           .exit_status = status,
                                           .message = message};
}

static void add_drill(struct status_cluster *c, bool passed, int64_t ago_us, int64_t took_us)
{
    struct catalog_drills *l = &c->history.drills;
    int64_t from = FIXTURE_NOW - ago_us;

    l->rows = xrealloc(l->rows, (l->n + 1) * sizeof *l->rows);
    l->rows[l->n++] = (struct catalog_drill){.cluster = c->conf->name,
                                             .repo = "local",
                                             .target = "latest",
                                             .started_us = from,
                                             .restored_us = from + took_us / 2,
                                             .recovered_us = passed ? from + took_us : 0,
                                             .checked_us = passed ? from + took_us * 2 : 0,
                                             .finished_us = from + took_us * 3,
                                             .restored_bytes = UINT64_C(48200000000),
                                             .outcome = passed ? "passed" : "failed"};
}

static void add_event(struct status_cluster *c, const char *level, const char *what)
{
    struct catalog_events *l = &c->history.events;

    l->rows = xrealloc(l->rows, (l->n + 1) * sizeof *l->rows);
    l->rows[l->n++] = (struct catalog_event){.time_us = FIXTURE_NOW - FIXTURE_HOUR,
                                             .level = level,
                                             .kind = "wal gap",
                                             .cluster = c->conf->name,
                                             .text = what};
}

void fixture_finding(struct status_cluster *c, enum finding_level level, const char *kind,
                     const char *repo, const char *what, const char *todo)
{
    struct findings *f = &c->findings;

    f->items = xrealloc(f->items, (f->n + 1) * sizeof *f->items);
    f->items[f->n++] = (struct finding){.level = level,
                                        .kind = kind,
                                        .cluster = c->conf->name,
                                        .repo = repo,
                                        .text = xstrdup(what),
                                        .todo = xstrdup(todo)};
    f->counts[level]++;
    c->judged_us = FIXTURE_NOW;
}

/* ---- the clusters ---- */

static void fill_good(struct status_cluster *c)
{
    struct status_server *s = &c->server;

    fill_good_repo(&c->repos[0], "/pg/backup", 14);
    c->repos[0].has_space = true;
    c->repos[0].free_bytes = UINT64_C(163000000000);
    c->repos[0].disk_bytes = UINT64_C(250000000000);
    fill_good_repo(&c->repos[1], "s3://pgsql/pgbr/pg-main", 28);
    c->repos[1].encrypted = true;
    was_read(&s->read, 12 * INT64_C(1000000));
    s->version_num = 150018;
    s->state = (struct server_state){.system_id = SYSTEM_ID,
                                     .major = 15,
                                     .archives = true,
                                     .timeline = 1,
                                     .segment_size = SEGMENT,
                                     .wal_lsn = segno_lsn(9001, SEGMENT) + 3400000,
                                     .archived = 8901,
                                     .archived_us = FIXTURE_NOW - 40000000};
    was_read(&s->wal_read, 12 * INT64_C(1000000));
    s->wal.free_bytes = UINT64_C(90000000000);
    s->wal.total_bytes = UINT64_C(100000000000);
    add_run(c, "nightly", "backup", 10 * FIXTURE_HOUR, 0, NULL);
    add_run(c, NULL, "verify", 2 * FIXTURE_DAY, 0, NULL);
    add_run(c, "rehearsal", "drill", 7 * FIXTURE_DAY, 0, NULL);
    for (int week = 1; week <= 8; week++)
        add_drill(c, week != 5, week * 7 * FIXTURE_DAY,
                  (230 + (week * 37) % 50) * INT64_C(1000000));
    fixture_finding(c, FINDING_OK, "WAL", "local", "without a gap since the first backup", NULL);
    fixture_finding(c, FINDING_OK, "server", NULL, "answers, a primary", NULL);
}

static void fill_broken(struct status_cluster *c)
{
    fill_broken_repo(&c->repos[0]);
    c->server.read.tried_us = FIXTURE_NOW - 12000000;
    c->server.read.failure =
        xstrdup("cannot connect to PostgreSQL: host \"/run/postgresql\": connection refused");
    add_run(c, "shop", "backup", 9 * FIXTURE_HOUR, 1,
            "cannot connect to PostgreSQL: host \"/run/postgresql\": connection refused");
    add_run(c, "shop", "backup", 8 * FIXTURE_DAY, 0, NULL);
    add_drill(c, false, 4 * FIXTURE_DAY, 60000000);
    add_event(c, "error", "WAL segments 2001 and 2002 are missing in repository \"local\"");
    fixture_finding(c, FINDING_FAILED, "WAL", "local",
                    "0000000100000007000000D1 to 0000000100000007000000D2 are missing: nothing "
                    "after 26 Nov 11:00 can be had back",
                    "take a new backup; look whether another repository or a pg_wal has them");
    fixture_finding(c, FINDING_FAILED, "server", NULL,
                    "cannot connect to PostgreSQL: host \"/run/postgresql\": connection refused",
                    "see whether it runs, and \"connection\" in the configuration");
    fixture_finding(c, FINDING_WARNING, "backup age", "local",
                    "the newest backup is 8 days old, more than 1 day 2 h",
                    "see why job \"shop\" failed");
}

struct status *fixture_status(void)
{
    struct status *s = xcalloc(1, sizeof *s);
    struct config *config = NULL;
    struct err err = {0};

    if (config_parse(text, strlen(text), "fixture", &config, &err) != 0) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    status_init(s, config, NULL);
    free(s->host);
    s->host = xstrdup("db1");
    was_read(&s->catalog, 12 * INT64_C(1000000));
    for (size_t i = 0; i < s->n; i++) {
        free(s->clusters[i].instance);
        free(s->clusters[i].ip);
        s->clusters[i].instance = xasprintf("%s-1", s->clusters[i].conf->name);
        s->clusters[i].ip = xstrdup("10.10.10.10");
    }
    if (job_set_open(&s->jobs, config, &err) != 0)
        abort();
    job_set_place(&s->jobs, NULL, FIXTURE_NOW);
    fill_good(fixture_cluster(s, "pg-main"));
    fill_broken(fixture_cluster(s, "pg-shop"));
    return s;
}

struct status_cluster *fixture_cluster(struct status *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->clusters[i].conf->name, name) == 0)
            return &s->clusters[i];
    abort();
}

void fixture_status_free(struct status **status)
{
    struct status *s = *status;
    struct config *config;

    if (s == NULL)
        return;
    /* They only borrow it. */
    memcpy(&config, &s->config, sizeof config);
    status_free(s);
    config_free(&config);
    free(s);
    *status = NULL;
}
