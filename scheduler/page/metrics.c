/*
 * metrics.c - see metrics.h.
 *
 * The format wants all samples of a family together, but they are found cluster by cluster. So each
 * family collects its own text during one walk over the status.
 */
#include "scheduler/page/metrics.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/version.h"
#include "scheduler/status/forecast.h"
#include "scheduler/status/plan.h"

#define FAMILIES(X)                                                                               \
    X(BUILD, "pgbr_build_info", "gauge", "Always 1; the label tells the version.")                \
    X(UP, "pgbr_up", "gauge",                                                                     \
      "1 if the catalog and every required repository could be read at the last attempt.")        \
    X(STATE, "pgbr_state", "gauge",                                                               \
      "What the findings come to: 0 unknown, 1 protected, 2 attention, 3 at risk.")               \
    X(FINDINGS, "pgbr_check_findings", "gauge", "Findings by level: ok, warning, failed.")        \
    X(CATALOG_READ, "pgbr_catalog_read_timestamp_seconds", "gauge",                               \
      "When the catalog was last read.")                                                          \
    X(SERVER_UP, "pgbr_server_up", "gauge", "1 if PostgreSQL answered when it was last asked.")   \
    X(SERVER_READ, "pgbr_server_read_timestamp_seconds", "gauge",                                 \
      "When PostgreSQL last answered.")                                                           \
    X(SERVER_VERSION, "pgbr_server_version_number", "gauge",                                      \
      "server_version_num of PostgreSQL, such as 150018.")                                        \
    X(IN_RECOVERY, "pgbr_server_in_recovery", "gauge", "1 on a standby, 0 on a primary.")         \
    X(ARCHIVED, "pgbr_archiver_archived_total", "counter",                                        \
      "WAL files that the archiver has archived, as pg_stat_archiver counts.")                    \
    X(ARCHIVE_FAILED, "pgbr_archiver_failed_total", "counter",                                    \
      "Failed attempts of the archiver, as pg_stat_archiver counts.")                             \
    X(ARCHIVED_LAST, "pgbr_archiver_last_archived_timestamp_seconds", "gauge",                    \
      "When the archiver last succeeded.")                                                        \
    X(ARCHIVE_FAILED_LAST, "pgbr_archiver_last_failed_timestamp_seconds", "gauge",                \
      "When the archiver last failed.")                                                           \
    X(READY, "pgbr_ready_segments", "gauge", "Files in pg_wal that wait to be archived.")         \
    X(READY_OLDEST, "pgbr_ready_oldest_timestamp_seconds", "gauge",                               \
      "Since when the one that waits longest does.")                                              \
    X(WAL_FREE, "pgbr_pg_wal_free_bytes", "gauge", "Free space where pg_wal is.")                 \
    X(WAL_DISK, "pgbr_pg_wal_size_bytes", "gauge", "Size of the file system where pg_wal is.")    \
    X(REPO_UP, "pgbr_repo_up", "gauge", "1 if the repository could be read at the last attempt.") \
    X(REPO_READ, "pgbr_repo_read_timestamp_seconds", "gauge",                                     \
      "When the repository was last read.")                                                       \
    X(REPO_REQUIRED, "pgbr_repo_required", "gauge",                                               \
      "1 if WAL counts as archived only when it is in this repository.")                          \
    X(REPO_FREE, "pgbr_repo_free_bytes", "gauge", "Free space where a local repository is.")      \
    X(REPO_DISK, "pgbr_repo_size_bytes", "gauge",                                                 \
      "Size of the file system where a local repository is.")                                     \
    X(BACKUPS, "pgbr_backups", "gauge", "Backups that can be restored, by type.")                 \
    X(BACKUPS_BROKEN, "pgbr_backups_unreadable", "gauge", "Backups that cannot be read.")         \
    X(BACKUPS_HELD, "pgbr_backups_held", "gauge",                                                 \
      "Backups that are held whatever retention says.")                                           \
    X(BACKUP_LAST, "pgbr_backup_last_success_timestamp_seconds", "gauge",                         \
      "When the newest backup of each type ended; type \"any\" is the newest of all.")            \
    X(BACKUP_AGE, "pgbr_backup_age_seconds", "gauge", "How long ago that was.")                   \
    X(BACKUP_DURATION, "pgbr_backup_last_duration_seconds", "gauge",                              \
      "How long the newest backup of each type took.")                                            \
    X(BACKUP_RAW, "pgbr_backup_last_raw_bytes", "gauge",                                          \
      "Size of the cluster in the newest backup of each type.")                                   \
    X(BACKUP_STORED, "pgbr_backup_last_stored_bytes", "gauge",                                    \
      "What the newest backup of each type added to the repository.")                             \
    X(BACKUP_PAGES, "pgbr_backup_last_page_errors", "gauge",                                      \
      "Pages with a wrong checksum in the newest backup of each type.")                           \
    X(BACKUPS_STORED, "pgbr_backups_stored_bytes", "gauge", "What all backups take.")             \
    X(VERIFIED, "pgbr_verified_timestamp_seconds", "gauge",                                       \
      "When a backup of this repository was last verified.")                                      \
    X(VERIFY_PROBLEMS, "pgbr_verify_problems", "gauge",                                           \
      "Problems found when each backup that is still there was last verified.")                   \
    X(WAL_SEGMENTS, "pgbr_wal_segments", "gauge", "WAL segments in the repository.")              \
    X(WAL_STORED, "pgbr_wal_stored_bytes", "gauge", "What they take.")                            \
    X(WAL_LAST, "pgbr_wal_last_archived_timestamp_seconds", "gauge",                              \
      "When the last WAL segment was stored, by the repository's clock.")                         \
    X(WAL_GAPS, "pgbr_wal_gaps", "gauge", "Holes in the archived WAL.")                           \
    X(WAL_GAP_SEGMENTS, "pgbr_wal_gap_segments", "gauge", "WAL segments missing in these holes.") \
    X(WINDOWS, "pgbr_windows", "gauge",                                                           \
      "Stretches of time of which every moment can be had back.")                                 \
    X(WINDOW_START, "pgbr_window_start_timestamp_seconds", "gauge",                               \
      "Where the newest of them begins.")                                                         \
    X(WINDOW_END, "pgbr_window_end_timestamp_seconds", "gauge", "Where it ends.")                 \
    X(RPO, "pgbr_rpo_seconds", "gauge",                                                           \
      "Time whose commits would be lost if the server were gone now; at most that.")              \
    X(UNARCHIVED, "pgbr_unarchived_wal_bytes", "gauge",                                           \
      "WAL that the server wrote and that cannot be had back yet.")                               \
    X(RTO, "pgbr_rto_expected_seconds", "gauge",                                                  \
      "Expected time until a restored server answers, by drills that passed.")                    \
    X(DRILL_LAST, "pgbr_drill_last_timestamp_seconds", "gauge", "When the last drill began.")     \
    X(DRILL_PASSED, "pgbr_drill_last_passed", "gauge", "1 if it passed, 0 if it failed.")         \
    X(DRILL_SUCCESS, "pgbr_drill_last_success_timestamp_seconds", "gauge",                        \
      "When the last drill that passed began.")                                                   \
    X(DRILL_RECOVERY, "pgbr_drill_last_recovery_seconds", "gauge",                                \
      "From the beginning of the last drill until the server answered.")                          \
    X(DRILL_PHASE, "pgbr_drill_last_phase_seconds", "gauge",                                      \
      "How long the phases of the last drill took: restore, recover, check, clean up.")           \
    X(DRILL_BYTES, "pgbr_drill_last_restored_bytes", "gauge", "What the last drill restored.")    \
    X(JOB_STATUS, "pgbr_job_last_exit_status", "gauge",                                           \
      "Exit status of the last run that ended; task \"\" is a run by hand or by cron.")           \
    X(JOB_START, "pgbr_job_last_start_timestamp_seconds", "gauge", "When the last run began.")    \
    X(JOB_SUCCESS, "pgbr_job_last_success_timestamp_seconds", "gauge",                            \
      "When the last run ended that succeeded, with warnings or without.")                        \
    X(JOB_DURATION, "pgbr_job_last_duration_seconds", "gauge",                                    \
      "How long the last run that ended took.")                                                   \
    X(JOB_RUNNING, "pgbr_job_running", "gauge", "1 while it runs.")                               \
    X(JOB_NEXT, "pgbr_job_next_run_timestamp_seconds", "gauge",                                   \
      "When the scheduler will run it next.")

enum family {
#define FAMILY_NAME(id, name, type, help) F_##id,
    FAMILIES(FAMILY_NAME)
#undef FAMILY_NAME
        F_COUNT
};

struct writer {
    struct buf text[F_COUNT];
    int64_t now_us;
    const struct status *status;
    const struct status_cluster *cluster;
    const struct status_repo *repo; /* NULL: about no one repository */
};

/* ---- samples ---- */

/* One character of it, however long. Prometheus refuses everything when one byte is not UTF-8. */
static size_t add_character(struct buf *b, const char *at, size_t left)
{
    size_t len = utf8_length((const uint8_t *)at, left);

    if (len == 0)
        buf_adds(b, "\xef\xbf\xbd");
    else if (*at == '\n')
        buf_adds(b, "\\n");
    else if (*at == '\\' || *at == '"')
        buf_addf(b, "\\%c", *at);
    else
        buf_add(b, at, len);
    return MAX_OF(len, (size_t)1);
}

static void add_label(struct buf *b, const char *key, const char *value)
{
    size_t len = strlen(value);

    buf_addf(b, "%s%s=\"", b->p[b->len - 1] == '{' ? "" : ",", key);
    for (size_t i = 0; i < len;)
        i += add_character(b, value + i, len - i);
    buf_addc(b, '"');
}

static void add_number(struct buf *b, double value)
{
    if (fabs(value) < 9007199254740992.0 && floor(value) == value)
        buf_addf(b, "%.0f", value + 0.0);
    else
        buf_addf(b, "%.15g", value);
}

struct label {
    const char *key, *value;
};

static void put_with(struct writer *w, enum family f, const struct label *labels, size_t n,
                     double value)
{
    static const char *const names[] = {
#define FAMILY_TEXT(id, name, type, help) name,
        FAMILIES(FAMILY_TEXT)
#undef FAMILY_TEXT
    };
    struct buf *b = &w->text[f];

    buf_addf(b, "%s{", names[f]);
    if (w->cluster != NULL) {
        add_label(b, "cls", w->cluster->conf->name);
        add_label(b, "ins", w->cluster->instance);
        add_label(b, "ip", w->cluster->ip);
    }
    if (w->repo != NULL)
        add_label(b, "repo", w->repo->name);
    for (size_t i = 0; i < n; i++)
        add_label(b, labels[i].key, labels[i].value);
    buf_adds(b, "} ");
    add_number(b, value);
    buf_addc(b, '\n');
}

static void put(struct writer *w, enum family f, double value)
{
    put_with(w, f, NULL, 0, value);
}

static void put_as(struct writer *w, enum family f, const char *key, const char *as, double value)
{
    put_with(w, f, &(struct label){key, as}, 1, value);
}

/* A moment or a duration; nothing when it is not known. */
static void put_us(struct writer *w, enum family f, int64_t us)
{
    if (us != 0)
        put(w, f, (double)us / 1e6);
}

/* ---- the server ---- */

static void put_archiver(struct writer *w, const struct server_state *s)
{
    put(w, F_IN_RECOVERY, s->in_recovery);
    put(w, F_ARCHIVED, (double)s->archived);
    put(w, F_ARCHIVE_FAILED, (double)s->failed);
    put_us(w, F_ARCHIVED_LAST, s->archived_us);
    put_us(w, F_ARCHIVE_FAILED_LAST, s->failed_us);
}

static void put_server(struct writer *w)
{
    const struct status_server *s = &w->cluster->server;

    if (s->read.tried_us != 0)
        put(w, F_SERVER_UP, s->read.failure == NULL);
    put_us(w, F_SERVER_READ, s->read.read_us);
    if (s->version_num != 0)
        put(w, F_SERVER_VERSION, s->version_num);
    if (s->read.read_us != 0 && s->read.failure == NULL)
        put_archiver(w, &s->state);
    if (s->wal_read.read_us == 0 || s->wal_read.failure != NULL)
        return;
    put(w, F_READY, (double)s->wal.waiting);
    put_us(w, F_READY_OLDEST, s->wal.oldest_us);
    put(w, F_WAL_FREE, (double)s->wal.free_bytes);
    put(w, F_WAL_DISK, (double)s->wal.total_bytes);
}

/* ---- a repository ---- */

static void put_newest(struct writer *w, int type, const char *name)
{
    const struct pubinfo *p = status_newest(w->repo, type);

    if (p == NULL)
        return;
    put_as(w, F_BACKUP_LAST, "type", name, (double)p->stop_us / 1e6);
    put_as(w, F_BACKUP_AGE, "type", name, (double)(w->now_us - p->stop_us) / 1e6);
    put_as(w, F_BACKUP_DURATION, "type", name, (double)(p->stop_us - p->start_us) / 1e6);
    put_as(w, F_BACKUP_RAW, "type", name, (double)p->raw_bytes);
    put_as(w, F_BACKUP_STORED, "type", name, (double)p->stored_bytes);
    put_as(w, F_BACKUP_PAGES, "type", name, (double)p->page_errors);
}

static void put_backups(struct writer *w)
{
    static const struct {
        int type;
        const char *name;
    } types[] = {{BACKUP_FULL, "full"}, {BACKUP_DIFF, "diff"}, {BACKUP_INCR, "incr"}};
    const struct view *v = &w->repo->view;
    uint64_t stored = 0, held = 0;

    for (size_t t = 0; t < LENGTH(types); t++) {
        size_t n = 0;

        for (size_t i = 0; i < v->backups.n; i++)
            n += (int)v->backups.items[i].type == types[t].type;
        put_as(w, F_BACKUPS, "type", types[t].name, (double)n);
        put_newest(w, types[t].type, types[t].name);
    }
    put_newest(w, 0, "any");
    for (size_t i = 0; i < v->backups.n; i++)
        stored += v->backups.items[i].stored_bytes;
    for (size_t i = 0; i < v->n_marks; i++)
        held += v->marks[i].held;
    put(w, F_BACKUPS_STORED, (double)stored);
    put(w, F_BACKUPS_BROKEN, v->broken);
    put(w, F_BACKUPS_HELD, (double)held);
}

static void put_verified(struct writer *w)
{
    const struct view *v = &w->repo->view;
    uint64_t problems = 0;
    int64_t last_us = 0;

    for (size_t i = 0; i < v->backups.n; i++) {
        const struct catalog_backup *row =
            status_recorded(w->cluster, w->repo, v->backups.items[i].label);

        if (row == NULL)
            continue;
        problems += row->verify_problems;
        last_us = MAX_OF(last_us, row->verified_us);
    }
    put_us(w, F_VERIFIED, last_us);
    if (last_us != 0)
        put(w, F_VERIFY_PROBLEMS, (double)problems);
}

static void put_wal(struct writer *w)
{
    const struct view *v = &w->repo->view;
    uint64_t segments = 0, bytes = 0;

    for (size_t i = 0; i < v->n_lines; i++) {
        segments += v->lines[i].stretch.last_segno - v->lines[i].stretch.first_segno + 1;
        bytes += v->lines[i].stretch.stored_bytes;
    }
    put(w, F_WAL_SEGMENTS, (double)segments);
    put(w, F_WAL_STORED, (double)bytes);
    put_us(w, F_WAL_LAST, status_archived_us(w->repo));
    put(w, F_WAL_GAPS, (double)v->n_gaps);
    put(w, F_WAL_GAP_SEGMENTS, (double)status_gap_segments(w->repo));
}

static void put_windows(struct writer *w)
{
    const struct window *newest = forecast_last(w->repo);
    struct exposure e;
    int64_t us;

    if (w->repo->view.sealed)
        return;
    put(w, F_WINDOWS, (double)w->repo->view.windows.n);
    if (newest != NULL) {
        put_us(w, F_WINDOW_START, newest->start_us);
        put_us(w, F_WINDOW_END, newest->end_us);
    }
    forecast_exposure(w->cluster, w->repo, &e);
    if (e.asked)
        put(w, F_UNARCHIVED, (double)e.bytes);
    if (forecast_rpo(w->cluster, w->repo, w->now_us, &us))
        put(w, F_RPO, (double)us / 1e6);
    put_us(w, F_RTO, view_expected_us(&w->repo->view, &(bool){false}));
}

static void put_phase(struct writer *w, const char *phase, int64_t from_us, int64_t to_us)
{
    if (from_us != 0 && to_us != 0)
        put_as(w, F_DRILL_PHASE, "phase", phase, (double)(to_us - from_us) / 1e6);
}

static void put_drill(struct writer *w)
{
    const struct catalog_drill *d = status_last_drill(w->cluster, w->repo, false);
    const struct catalog_drill *good = status_last_drill(w->cluster, w->repo, true);

    if (good != NULL)
        put_us(w, F_DRILL_SUCCESS, good->started_us);
    if (d == NULL)
        return;
    put_us(w, F_DRILL_LAST, d->started_us);
    put(w, F_DRILL_PASSED, strcmp(d->outcome, "passed") == 0);
    if (d->recovered_us != 0)
        put(w, F_DRILL_RECOVERY, (double)(d->recovered_us - d->started_us) / 1e6);
    put_phase(w, "restore", d->started_us, d->restored_us);
    put_phase(w, "recover", d->restored_us, d->recovered_us);
    put_phase(w, "check", d->recovered_us, d->checked_us);
    put_phase(w, "clean up", d->checked_us, d->finished_us);
    put(w, F_DRILL_BYTES, (double)d->restored_bytes);
}

static void put_repo(struct writer *w)
{
    const struct status_repo *r = w->repo;

    put(w, F_REPO_REQUIRED, r->required);
    put_drill(w);
    if (r->read.tried_us != 0)
        put(w, F_REPO_UP, r->read.failure == NULL);
    if (r->read.read_us == 0)
        return;
    put_us(w, F_REPO_READ, r->read.read_us);
    if (r->has_space) {
        put(w, F_REPO_FREE, (double)r->free_bytes);
        put(w, F_REPO_DISK, (double)r->disk_bytes);
    }
    put_backups(w);
    put_verified(w);
    put_wal(w);
    put_windows(w);
}

/* ---- runs ---- */

static void put_run(struct writer *w, const struct plan_task *t)
{
    const struct label labels[] = {{"task", t->job != NULL ? t->job : ""}, {"command", t->command}};

    put_with(w, F_JOB_RUNNING, labels, 2, t->running != NULL);
    if (t->last != NULL)
        put_with(w, F_JOB_START, labels, 2, (double)t->last->started_us / 1e6);
    if (t->success != NULL)
        put_with(w, F_JOB_SUCCESS, labels, 2, (double)t->success->finished_us / 1e6);
    if (t->next_us != 0)
        put_with(w, F_JOB_NEXT, labels, 2, (double)t->next_us / 1e6);
    if (t->ended == NULL)
        return;
    put_with(w, F_JOB_STATUS, labels, 2, t->ended->exit_status);
    put_with(w, F_JOB_DURATION, labels, 2,
             (double)(t->ended->finished_us - t->ended->started_us) / 1e6);
}

static void put_runs(struct writer *w)
{
    AUTO(mem_free) struct plan_task *tasks = NULL;
    size_t n = plan_tasks(w->status, w->cluster, w->now_us, &tasks);

    for (size_t i = 0; i < n; i++)
        put_run(w, &tasks[i]);
}

/* ---- all of it ---- */

static void put_cluster(struct writer *w)
{
    const struct status_cluster *c = w->cluster;
    bool up = w->status->catalog.read_us != 0 && w->status->catalog.failure == NULL;

    for (size_t i = 0; i < c->n_repos; i++)
        up &= !c->repos[i].required ||
              (c->repos[i].read.read_us != 0 && c->repos[i].read.failure == NULL);
    put(w, F_UP, up);
    put(w, F_STATE, status_word(c));
    for (int level = 0; c->judged_us != 0 && level < FINDING_LEVELS; level++)
        put_as(w, F_FINDINGS, "level", finding_level_name((enum finding_level)level),
               c->findings.counts[level]);
    put_us(w, F_CATALOG_READ, w->status->catalog.read_us);
    put_server(w);
    put_runs(w);
    for (size_t i = 0; i < c->n_repos; i++) {
        w->repo = &c->repos[i];
        put_repo(w);
    }
    w->repo = NULL;
}

void metrics_write(const struct status *s, int64_t now_us, struct buf *out)
{
    static const char *const heads[] = {
#define FAMILY_HEAD(id, name, type, help) \
    "# HELP " name " " help "\n"          \
    "# TYPE " name " " type "\n",
        FAMILIES(FAMILY_HEAD)
#undef FAMILY_HEAD
    };
    struct writer w = {.now_us = now_us, .status = s};

    put_as(&w, F_BUILD, "version", PGBR_VERSION, 1);
    for (size_t i = 0; i < s->n; i++) {
        w.cluster = &s->clusters[i];
        put_cluster(&w);
    }
    for (int f = 0; f < F_COUNT; f++) {
        buf_adds(out, heads[f]);
        buf_add(out, w.text[f].p, w.text[f].len);
        buf_free(&w.text[f]);
    }
}
