/* jobs.c - see jobs.h. */
#include "scheduler/jobs/jobs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"

const char *job_role_name(enum config_role role)
{
    static const char *const names[] = {"any", "primary", "replica", "prefer-replica"};

    return names[role];
}

char *job_lock_path(const char *state_dir, const struct job_config *job)
{
    return xasprintf("%s/%s.%s.job.lock", state_dir, job->cluster, job->words[0]);
}

enum schedule_outcome job_outcome(int status)
{
    switch (status) {
    case JOB_DONE:
    case JOB_WARNINGS:
        return SCHEDULE_DONE;
    case JOB_BROKEN:
        return SCHEDULE_BROKEN;
    case JOB_LATER:
        return SCHEDULE_LATER;
    case JOB_SETTLED:
        return SCHEDULE_SETTLED;
    case JOB_STOPPED:
        return SCHEDULE_INTERRUPTED;
    default:
        return SCHEDULE_FAILED;
    }
}

/* ---- from the configuration ---- */

static unsigned group_of(const struct job_set *s, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(s->jobs[k].conf->cluster, s->jobs[i].conf->cluster) == 0 &&
            strcmp(s->jobs[k].conf->words[0], s->jobs[i].conf->words[0]) == 0)
            return (unsigned)k;
    return (unsigned)i;
}

/* So that hosts with the same configuration do not start at the same moment. */
static uint64_t seed_of(const struct job_config *job)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    char host[65] = "";

    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    buf_addf(&text, "%s %s", host, job->name);
    return hash64(text.p, text.len);
}

static int open_job(struct job_set *s, size_t i, const struct config *c, struct err *err)
{
    const struct job_config *conf = &c->jobs[i];
    struct job *job = &s->jobs[i];
    struct schedule_job *plan = &s->plans[i];

    job->conf = conf;
    if (config_cluster(c, conf->cluster, &job->cluster, err) != 0 ||
        cron_parse(conf->cron, &plan->cron, err) != 0 ||
        zone_load(&job->zone, conf->time_zone, err) != 0) {
        err->code = ERR_CONFIG;
        return err_context(err, "\"%s\" line %u, column %u: job \"%s\"", c->path, conf->place.line,
                           conf->place.column, conf->name);
    }
    plan->zone = &job->zone;
    plan->jitter_us = conf->jitter_ms * 1000;
    plan->retry_delay_us = conf->retry_delay_ms * 1000;
    plan->seed = seed_of(conf);
    plan->retries = conf->retries;
    plan->catch_up = conf->catch_up;
    plan->group = group_of(s, i);
    return 0;
}

int job_set_open(struct job_set *s, const struct config *c, struct err *err)
{
    *s = (struct job_set){.jobs = xcalloc(c->n_jobs, sizeof *s->jobs),
                          .plans = xcalloc(c->n_jobs, sizeof *s->plans),
                          .n = c->n_jobs};
    for (size_t i = 0; i < s->n; i++)
        TRY(open_job(s, i, c, err));
    return 0;
}

void job_set_free(struct job_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        zone_free(&s->jobs[i].zone);
    free(s->jobs);
    free(s->plans);
    *s = (struct job_set){0};
}

/* ---- what was ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_locked(const char *state_dir, const struct job_config *job)
{
    AUTO(mem_free) char *path = job_lock_path(state_dir, job);
    AUTO(lock_release) struct lock_file lock = LOCK_FILE_INIT;
    struct err err = {0};

    return lock_take(&lock, path, &err) != 0 && err.code == ERR_BUSY;
}

static void recall_row(struct job_set *s, size_t i, const struct catalog_job *row,
                       const char *state_dir, int64_t now_us, const struct schedule_told *told)
{
    const struct job_config *conf = s->jobs[i].conf;
    struct schedule_job *plan = &s->plans[i];
    struct schedule_memory m = {row->due_us, row->open, row->retry_us, row->failures};
    bool unended = row->open && row->retry_us == 0;

    if (!same_text(row->cron, conf->cron) || !same_text(row->time_zone, conf->time_zone))
        m.due_us = MAX_OF(m.due_us, now_us);
    s->jobs[i].start_us = row->start_us;
    s->jobs[i].orphan = unended && is_locked(state_dir, conf);
    schedule_recall(plan, &m, unended && (s->jobs[i].orphan || row->end_us >= row->start_us),
                    now_us, told);
    if (unended && !s->jobs[i].orphan && row->end_us >= row->start_us) /* it ended without us */
        schedule_end(plan, job_outcome(row->status), now_us, told);
}

static void carry_over(struct job_set *s, size_t i, const struct job_set *before, size_t k,
                       int64_t now_us)
{
    const struct job_config *conf = s->jobs[i].conf, *old = before->jobs[k].conf;
    struct schedule_job *plan = &s->plans[i];
    const struct schedule_job *was = &before->plans[k];

    plan->memory = was->memory;
    plan->state = was->state;
    plan->due_us = was->due_us;
    plan->not_before_us = was->not_before_us;
    plan->next_us = now_us;
    s->jobs[i].start_us = before->jobs[k].start_us;
    s->jobs[i].pid = before->jobs[k].pid;
    s->jobs[i].orphan = before->jobs[k].orphan;
    if (!same_text(old->cron, conf->cron) || !same_text(old->time_zone, conf->time_zone)) {
        plan->memory.due_us = MAX_OF(plan->memory.due_us, now_us);
        plan->due_us = MAX_OF(plan->due_us, now_us);
    }
}

const struct catalog_job *job_find_row(const struct catalog_jobs *rows, const char *name)
{
    for (size_t i = 0; rows != NULL && i < rows->n; i++)
        if (strcmp(rows->rows[i].name, name) == 0)
            return &rows->rows[i];
    return NULL;
}

static bool find_before(const struct job_set *before, const char *name, size_t *k)
{
    for (*k = 0; before != NULL && *k < before->n; ++*k)
        if (strcmp(before->jobs[*k].conf->name, name) == 0)
            return true;
    return false;
}

void job_set_recall(struct job_set *s, const struct job_set *before,
                    const struct catalog_jobs *rows, const char *state_dir, int64_t now_us,
                    const struct schedule_told *told)
{
    for (size_t i = 0; i < s->n; i++) {
        const char *name = s->jobs[i].conf->name;
        const struct catalog_job *row = job_find_row(rows, name);
        size_t k;

        if (find_before(before, name, &k))
            carry_over(s, i, before, k, now_us);
        else if (row != NULL)
            recall_row(s, i, row, state_dir, now_us, told);
        else
            schedule_first(&s->plans[i], now_us);
    }
}

/* What a row says of now. */
static void place(struct schedule_job *plan, const struct catalog_job *row, int64_t now_us)
{
    int64_t next;

    plan->state = SCHEDULE_IDLE;
    plan->memory.due_us = row != NULL ? row->due_us : now_us;
    next = cron_next(&plan->cron, plan->zone, MAX_OF(plan->memory.due_us, 0) / 1000000);
    if (next != CRON_NEVER && next * 1000000 <= now_us) { /* due, and not taken up yet */
        plan->state = SCHEDULE_PENDING;
        plan->due_us = plan->not_before_us = now_us;
    } else if (row != NULL && row->open) {
        plan->state = row->retry_us != 0 ? SCHEDULE_PENDING : SCHEDULE_RUNNING;
        plan->due_us = row->due_us;
        plan->not_before_us = row->retry_us;
    }
    next = cron_next(&plan->cron, plan->zone, MAX_OF(plan->memory.due_us, now_us) / 1000000);
    plan->next_us = next == CRON_NEVER ? INT64_MAX : next * 1000000;
}

void job_set_place(struct job_set *s, const struct catalog_jobs *rows, int64_t now_us)
{
    for (size_t i = 0; i < s->n; i++)
        place(&s->plans[i], job_find_row(rows, s->jobs[i].conf->name), now_us);
}

void job_row(const struct job_set *s, size_t i, struct catalog_job *row)
{
    const struct job_config *conf = s->jobs[i].conf;
    const struct schedule_memory *m = &s->plans[i].memory;

    *row = (struct catalog_job){.name = conf->name,
                                .cluster = conf->cluster,
                                .command = conf->run,
                                .cron = conf->cron,
                                .time_zone = conf->time_zone,
                                .role = job_role_name(conf->role),
                                .due_us = m->due_us,
                                .open = m->open,
                                .retry_us = m->retry_us,
                                .failures = m->failures,
                                .start_us = s->jobs[i].start_us};
}

int64_t job_next_us(const struct schedule_job *plan, int64_t now_us)
{
    if (plan->state == SCHEDULE_PENDING)
        return MAX_OF(plan->not_before_us, now_us);
    return plan->next_us == INT64_MAX ? INT64_MAX
                                      : plan->next_us + schedule_jitter(plan, plan->next_us);
}
