/* plan.c - see plan.h. */
#include "scheduler/status/plan.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/mem.h"

struct planner {
    struct plan_task *tasks;
    size_t n;
};

static struct plan_task *add(struct planner *p, const char *job, const char *command)
{
    p->tasks = xrealloc(p->tasks, (p->n + 1) * sizeof *p->tasks);
    p->tasks[p->n] = (struct plan_task){.job = job, .command = command};
    return &p->tasks[p->n++];
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* A job is known by its name alone: its command may have been changed. */
static struct plan_task *find(struct planner *p, const struct catalog_run *run)
{
    for (size_t i = 0; i < p->n; i++)
        if (same(p->tasks[i].job, run->job) &&
            (run->job != NULL || same(p->tasks[i].command, run->command)))
            return &p->tasks[i];
    return add(p, run->job, run->command);
}

/* A process of this host that is no more; of other hosts nothing is known. */
static bool is_dead(const struct status *s, const struct catalog_run *run)
{
    return run->pid > 0 && run->host != NULL && strcmp(run->host, s->host) == 0 &&
           kill((pid_t)run->pid, 0) != 0 && errno == ESRCH;
}

static void take(const struct status *s, struct plan_task *t, const struct catalog_run *run)
{
    bool ended = run->finished_us != 0;

    if (t->last == NULL)
        t->last = run;
    if (!ended && t->last == run && is_dead(s, run))
        t->died = run;
    else if (!ended && t->last == run)
        t->running = run;
    if (ended && t->ended == NULL)
        t->ended = run;
    if (ended && t->success == NULL && (run->exit_status == 0 || run->exit_status == 3))
        t->success = run;
}

static void take_job(struct planner *p, const struct job_config *job)
{
    add(p, job->name, job->words[0])->conf = job;
}

/* When it starts next, and what the scheduler says of it. */
static void take_plan(struct planner *p, const struct status *s, size_t i, int64_t now_us)
{
    const struct catalog_job *row = job_find_row(&s->job_rows, s->jobs.jobs[i].conf->name);
    const struct schedule_job *plan = &s->jobs.plans[i];
    int64_t next = job_next_us(plan, now_us);

    for (size_t k = 0; k < p->n; k++) {
        if (p->tasks[k].conf != s->jobs.jobs[i].conf)
            continue;
        p->tasks[k].next_us = next == INT64_MAX || plan->state == SCHEDULE_RUNNING ? 0 : next;
        p->tasks[k].waits = plan->state == SCHEDULE_PENDING && row != NULL ? row->note : NULL;
    }
}

size_t plan_tasks(const struct status *s, const struct status_cluster *c, int64_t now_us,
                  struct plan_task **tasks)
{
    struct planner p = {0};

    for (size_t i = 0; i < s->config->n_jobs; i++)
        if (same(s->config->jobs[i].cluster, c->conf->name))
            take_job(&p, &s->config->jobs[i]);
    for (size_t i = 0; i < c->history.runs.n; i++)
        take(s, find(&p, &c->history.runs.rows[i]), &c->history.runs.rows[i]);
    for (size_t i = 0; i < s->jobs.n; i++)
        take_plan(&p, s, i, now_us);
    *tasks = p.tasks;
    return p.n;
}
