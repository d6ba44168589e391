/*
 * plan.h - what ran and what will run, of one cluster: the jobs of the configuration, and commands
 * that were started by hand or by cron.
 */
#ifndef PGBR_SCHEDULER_STATUS_PLAN_H
#define PGBR_SCHEDULER_STATUS_PLAN_H

#include "scheduler/status/status.h"

struct plan_task {
    const char *job;                   /* its name; NULL: by hand or by cron */
    const char *command;               /* "backup" */
    const struct job_config *conf;     /* NULL: not, or no longer, in the configuration */
    const struct catalog_run *last;    /* that began last */
    const struct catalog_run *ended;   /* that began last of those that ended */
    const struct catalog_run *success; /* the same, of those that ended with 0 or 3 */
    const struct catalog_run *running; /* one without an end */
    const struct catalog_run *died;    /* the last one, without an end, and its process is gone */
    int64_t next_us;                   /* 0: it runs, or never will */
    const char *waits;                 /* why it did not start at its time; NULL */
};
/* Jobs in the order of the configuration, then the rest, latest first. *tasks is the caller's to
 * free(), what it points at belongs to the status. */
size_t plan_tasks(const struct status *s, const struct status_cluster *c, int64_t now_us,
                  struct plan_task **tasks);

#endif
