/*
 * jobs.h - what the scheduler remembers of its jobs from one start to the next.
 *
 * One row per job, by name. The scheduler writes when it starts or settles something; the process
 * that runs a job leaves the end, so that it is known also when no scheduler is there any more.
 * Rules of errors and text: see catalog.h.
 */
#ifndef PGBR_CATALOG_JOBS_H
#define PGBR_CATALOG_JOBS_H

#include "catalog/catalog.h"

struct catalog_job {
    const char *name, *cluster, *command, *cron;
    const char *time_zone; /* NULL: the host's */
    const char *role;
    int64_t due_us;   /* the newest due time that was taken up */
    bool open;        /* it is not settled */
    int64_t retry_us; /* 0: it runs, or ended without a word */
    unsigned failures;
    int64_t start_us; /* of the last start; 0: never */
    /* Set by catalog_job_ended() alone. */
    int64_t end_us;   /* of the last run that ended */
    int status;       /* its exit status; -1: none yet */
    const char *note; /* why it waits, was left out, or failed; NULL: nothing to say */
};
/* Adds it or brings it up to date, but for the last three. */
int catalog_put_job(struct catalog *c, const struct catalog_job *row, struct err *err) MUST_CHECK;
/* An unknown name is fine. */
int catalog_job_ended(struct catalog *c, const char *name, int64_t end_us, int status,
                      const char *note, struct err *err) MUST_CHECK;
/* The last event about this job said that something is wrong. */
int catalog_job_is_bad(struct catalog *c, const char *name, bool *bad, struct err *err) MUST_CHECK;
int catalog_forget_job(struct catalog *c, const char *name, struct err *err) MUST_CHECK;

struct catalog_jobs {
    struct catalog_job *rows; /* by name */
    size_t n;
    struct catalog_texts *texts;
};
int catalog_get_jobs(struct catalog *c, struct catalog_jobs *out, struct err *err) MUST_CHECK;
void catalog_jobs_free(struct catalog_jobs *l);

/* The runs of one job, newest first. */
int catalog_get_job_runs(struct catalog *c, const char *job, size_t limit, struct catalog_runs *out,
                         struct err *err) MUST_CHECK;

#endif
