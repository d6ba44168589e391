/*
 * runner.h - one run of one job: whether it is to run here, and if so, to its end.
 *
 * A process of its own, so that the scheduler never waits for a server or a repository, and so that
 * a run ends in order when the scheduler has died: it keeps the job's lock, which the command
 * inherits, minds the time limit, runs the hooks, and leaves the end in the catalog.
 *
 * The hooks are commands for /bin/sh. They and the command itself have in their environment:
 *
 *   PGBR_JOB, PGBR_CLUSTER   names
 *   PGBR_COMMAND             the job's "run"
 *   PGBR_DUE                 the time it is for, ISO 8601 in UTC
 *   PGBR_ATTEMPT             1, and one more for each failure before
 *   PGBR_STATUS              for "after" only: the exit status of the command; 124: it took longer
 *                            than the time limit; 128 and more: ended by a signal
 *
 * "before" must succeed, or the command is not run. "after" runs whenever the command did.
 */
#ifndef PGBR_SCHEDULER_RUNNER_H
#define PGBR_SCHEDULER_RUNNER_H

#include "config/config.h"
#include "scheduler/jobs/clock.h"

struct run_order {
    const struct config *config;
    const struct job_config *job;
    const struct cluster_config *cluster;
    const char *program, *config_path; /* whole paths, for the command */
    const char *catalog_path;
    const struct sched_clock *clock;
    int64_t due_us;
    unsigned failures; /* so far */
    bool recorded;     /* the scheduler started it: its row in the catalog gets the end */
};
struct run_result {
    int status;     /* see jobs.h */
    char note[512]; /* why, in words; "": nothing to say */
    bool usual;     /* it waits for what nobody needs to look after */
};

/* Everything that can go wrong is a result. Call it before any thread was started. */
void runner_run(const struct run_order *o, struct run_result *out);

#endif
