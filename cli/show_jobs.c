/* show_jobs.c - see show_jobs.h. */
#include "cli/show_jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/show.h"
#include "scheduler/jobs/clock.h"
#include "scheduler/jobs/jobs.h"

/* Everything that is known of the jobs now. */
struct known {
    struct job_set set;
    struct catalog *catalog; /* NULL: cannot be used */
    struct catalog_jobs rows;
    struct sched_clock clock;
    int64_t now_us;
    bool at_work; /* a scheduler is */
};

static void known_free(struct known *k)
{
    job_set_free(&k->set);
    catalog_jobs_free(&k->rows);
    catalog_close(&k->catalog);
}

static bool is_at_work(const struct app *app)
{
    AUTO(mem_free) char *path = xasprintf("%s/scheduler.lock", app->config->state_dir);
    AUTO(lock_release) struct lock_file lock = LOCK_FILE_INIT;
    struct err err = {0};

    return fs_exists(-1, path) && lock_take(&lock, path, &err) != 0 && err.code == ERR_BUSY;
}

static int look(struct app *app, struct known *k, struct err *err)
{
    struct err why = {0};

    *k = (struct known){0};
    TRY(sched_clock_open(&k->clock, err));
    k->now_us = sched_now_us(&k->clock);
    TRY(job_set_open(&k->set, app->config, err));
    k->at_work = is_at_work(app);
    k->catalog = app_catalog(app);
    if (k->catalog != NULL && catalog_get_jobs(k->catalog, &k->rows, &why) != 0)
        log_warning("%s", why.msg);
    job_set_place(&k->set, &k->rows, k->now_us);
    return 0;
}

/* In the zone of the job's expression. */
static const char *when_text(const struct job *job, int64_t us, char out[48])
{
    return clock_format_offset(us / 1000000 * 1000000, zone_at(&job->zone, us / 1000000)->offset,
                               out);
}

static const char *outcome_name(const struct catalog_run *run)
{
    if (run->finished_us == 0)
        return "running";
    switch (run->exit_status) {
    case JOB_DONE:
        return "done";
    case JOB_WARNINGS:
        return "warnings";
    case JOB_STOPPED:
        return "stopped";
    case JOB_TIMED_OUT:
        return "timed out";
    default:
        return "failed";
    }
}

static const char *state_name(const struct known *k, size_t i)
{
    static const char *const names[] = {"idle", "pending", "running"};

    return names[k->set.plans[i].state];
}

/* ---- list ---- */

static void last_run(const struct known *k, size_t i, struct catalog_runs *runs)
{
    struct err err = {0};

    *runs = (struct catalog_runs){0};
    if (k->catalog != NULL &&
        catalog_get_job_runs(k->catalog, k->set.jobs[i].conf->name, 1, runs, &err) != 0)
        log_warning("%s", err.msg);
}

static void job_text(const struct known *k, size_t i, struct buf *out)
{
    AUTO(catalog_runs_free) struct catalog_runs runs = {0};
    const struct job *job = &k->set.jobs[i];
    const struct schedule_job *plan = &k->set.plans[i];
    const struct catalog_job *row = job_find_row(&k->rows, job->conf->name);
    int64_t next = job_next_us(plan, k->now_us);
    char when[48], took[40];

    buf_addf(out, "  job %s: %s, \"%s\"%s%s, role %s\n", job->conf->name, job->conf->run,
             job->conf->cron, job->conf->time_zone != NULL ? " in " : "",
             job->conf->time_zone != NULL ? job->conf->time_zone : "",
             job_role_name(job->conf->role));
    last_run(k, i, &runs);
    if (runs.n == 0) {
        buf_adds(out, "    last run: none\n");
    } else {
        const struct catalog_run *run = &runs.rows[0];

        buf_addf(out, "    last run: %s, %s", when_text(job, run->started_us, when),
                 outcome_name(run));
        if (run->finished_us != 0)
            buf_addf(out, " after %s",
                     clock_format_duration(run->finished_us - run->started_us, took));
        if (run->message != NULL)
            buf_addf(out, ": %s", run->message);
        buf_adds(out, "\n");
    }
    if (plan->state == SCHEDULE_RUNNING)
        buf_adds(out, "    next run: it is running\n");
    else
        buf_addf(out, "    next run: %s%s\n",
                 next == INT64_MAX ? "never" : when_text(job, next, when),
                 plan->state != SCHEDULE_PENDING     ? ""
                 : row != NULL && row->retry_us != 0 ? " (tried again)"
                                                     : " (due)");
    if (row != NULL && row->note != NULL && plan->state == SCHEDULE_PENDING)
        buf_addf(out, "    waits: %s\n", row->note);
}

static void job_json(const struct known *k, size_t i, struct json *j)
{
    AUTO(catalog_runs_free) struct catalog_runs runs = {0};
    const struct job_config *conf = k->set.jobs[i].conf;
    const struct catalog_job *row = job_find_row(&k->rows, conf->name);
    int64_t next = job_next_us(&k->set.plans[i], k->now_us);

    json_open(j, NULL, '{');
    json_text(j, "job", conf->name);
    json_text(j, "cluster", conf->cluster);
    json_text(j, "run", conf->run);
    json_text(j, "cron", conf->cron);
    json_text(j, "time_zone", conf->time_zone);
    json_text(j, "role", job_role_name(conf->role));
    json_text(j, "state", state_name(k, i));
    json_time(j, "next", next == INT64_MAX ? 0 : next);
    json_uint(j, "failures", row != NULL ? row->failures : 0);
    json_text(j, "note", row != NULL ? row->note : NULL);
    last_run(k, i, &runs);
    if (runs.n != 0) {
        json_open(j, "last_run", '{');
        json_time(j, "started", runs.rows[0].started_us);
        json_time(j, "finished", runs.rows[0].finished_us);
        json_text(j, "outcome", outcome_name(&runs.rows[0]));
        json_int(j, "exit_status", runs.rows[0].exit_status);
        json_text(j, "label", runs.rows[0].label);
        json_text(j, "message", runs.rows[0].message);
        json_close(j, '}');
    } else {
        json_none(j, "last_run");
    }
    json_close(j, '}');
}

static void at_work_text(const struct known *k, struct buf *out)
{
    if (!k->at_work)
        buf_adds(out, "no scheduler is at work on this host: start \"pgbr scheduler run\"\n");
}

int show_jobs(struct app *app, bool json, struct err *err)
{
    AUTO(buf_free) struct buf out = BUF_INIT;
    AUTO(known_free) struct known k = {0};
    struct json j;

    TRY(look(app, &k, err));
    if (json) {
        json_begin(&j, &out, true);
        json_open(&j, NULL, '{');
        json_bool(&j, "at_work", k.at_work);
        json_open(&j, "jobs", '[');
        for (size_t i = 0; i < k.set.n; i++)
            job_json(&k, i, &j);
        json_close(&j, ']');
        json_close(&j, '}');
    } else {
        for (size_t c = 0; c < app->config->n_clusters; c++) {
            buf_addf(&out, "cluster %s\n", app->config->clusters[c].name);
            for (size_t i = 0; i < k.set.n; i++)
                if (strcmp(k.set.jobs[i].conf->cluster, app->config->clusters[c].name) == 0)
                    job_text(&k, i, &out);
        }
        at_work_text(&k, &out);
    }
    fputs(buf_text(&out), stdout);
    return 0;
}

void show_cluster_jobs(struct app *app, const char *cluster, struct buf *out)
{
    AUTO(known_free) struct known k = {0};
    struct err err = {0};

    if (app->config->n_jobs == 0)
        return;
    if (look(app, &k, &err) != 0) {
        log_warning("%s", err.msg);
        return;
    }
    for (size_t i = 0; i < k.set.n; i++)
        if (strcmp(k.set.jobs[i].conf->cluster, cluster) == 0)
            job_text(&k, i, out);
}

/* ---- next ---- */

/* The job that starts next, and the one after that takes its place. */
static size_t take_next(struct known *k, int64_t *at_us)
{
    size_t best = 0;
    int64_t next;

    *at_us = INT64_MAX;
    for (size_t i = 0; i < k->set.n; i++)
        if (job_next_us(&k->set.plans[i], k->now_us) < *at_us) {
            best = i;
            *at_us = job_next_us(&k->set.plans[i], k->now_us);
        }
    if (*at_us == INT64_MAX)
        return 0;
    struct schedule_job *plan = &k->set.plans[best];

    if (plan->state == SCHEDULE_PENDING) {
        plan->state = SCHEDULE_IDLE;
        return best;
    }
    next = cron_next(&plan->cron, plan->zone, plan->next_us / 1000000);
    plan->next_us = next == CRON_NEVER ? INT64_MAX : next * 1000000;
    return best;
}

int show_next(struct app *app, unsigned count, bool json, struct err *err)
{
    AUTO(buf_free) struct buf out = BUF_INIT;
    AUTO(known_free) struct known k = {0};
    struct json j;
    char when[48];

    TRY(look(app, &k, err));
    json_begin(&j, &out, true);
    if (json)
        json_open(&j, NULL, '[');
    for (unsigned n = 0; n < count; n++) {
        int64_t at;
        size_t i = take_next(&k, &at);

        if (at == INT64_MAX)
            break;
        if (json) {
            json_open(&j, NULL, '{');
            json_time(&j, "time", at);
            json_text(&j, "job", k.set.jobs[i].conf->name);
            json_text(&j, "cluster", k.set.jobs[i].conf->cluster);
            json_text(&j, "run", k.set.jobs[i].conf->run);
            json_close(&j, '}');
        } else {
            buf_addf(&out, "%s  %s: %s of cluster %s\n", when_text(&k.set.jobs[i], at, when),
                     k.set.jobs[i].conf->name, k.set.jobs[i].conf->run,
                     k.set.jobs[i].conf->cluster);
        }
    }
    if (json)
        json_close(&j, ']');
    else
        at_work_text(&k, &out);
    fputs(buf_text(&out), stdout);
    return 0;
}
