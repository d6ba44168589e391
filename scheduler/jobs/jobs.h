/*
 * jobs.h - the jobs of a configuration, with what the catalog remembers of them.
 */
#ifndef PGBR_SCHEDULER_JOBS_JOBS_H
#define PGBR_SCHEDULER_JOBS_JOBS_H

#include <sys/types.h>

#include "base/buf.h"
#include "catalog/jobs.h"
#include "config/config.h"
#include "scheduler/jobs/schedule.h"

/* What runs for a job now. */
struct job {
    const struct job_config *conf; /* the configuration's, which must stay */
    const struct cluster_config *cluster;
    struct zone zone;
    int64_t start_us; /* of the last start; 0: never */
    pid_t pid;        /* of its runner, a child of this process; 0: none */
    bool orphan;      /* runs, started by a scheduler that is gone */
    bool unsaved;     /* the catalog does not have its memory */
};
struct job_set {
    struct job *jobs;
    struct schedule_job *plans; /* the same order */
    size_t n;
};

/* The jobs as the configuration has them, none known yet. A time zone that is not known:
 * ERR_CONFIG. */
int job_set_open(struct job_set *s, const struct config *c, struct err *err) MUST_CHECK;
void job_set_free(struct job_set *s);

/*
 * Where each job is: as in `before` (the jobs of the configuration until now, may be empty), else
 * as the catalog has it, else new. A job whose expression or zone changed goes on from now. rows
 * may be NULL.
 */
void job_set_recall(struct job_set *s, const struct job_set *before,
                    const struct catalog_jobs *rows, const char *state_dir, int64_t now_us,
                    const struct schedule_told *told);

/* The same for who only looks: nothing is decided, which is the scheduler's. */
void job_set_place(struct job_set *s, const struct catalog_jobs *rows, int64_t now_us);

/* Its row. */
void job_row(const struct job_set *s, size_t i, struct catalog_job *row);
const struct catalog_job *job_find_row(const struct catalog_jobs *rows, const char *name);

/* The file that is locked while a command of this kind runs for the cluster, from the question
 * whether it is to run to its end; whoever started it. The caller frees the text. */
char *job_lock_path(const char *state_dir, const struct job_config *job);

/* "primary", "prefer-replica" */
const char *job_role_name(enum config_role role);

/* What an exit status of the runner, or of the command, means. */
enum {
    JOB_DONE = 0,
    JOB_FAILED = 1,
    JOB_BROKEN = 2,   /* wrong configuration or options */
    JOB_WARNINGS = 3, /* done */
    JOB_LATER = 75,   /* could not begin yet */
    JOB_SETTLED = 76, /* not to be done here */
    JOB_TIMED_OUT = 124,
    JOB_STOPPED = 143, /* by SIGTERM */
};
enum schedule_outcome job_outcome(int status);

/* When a person asks: the next time it starts, jitter included; INT64_MAX: never. */
int64_t job_next_us(const struct schedule_job *plan, int64_t now_us);

#endif
