/*
 * events.h - what people should hear of jobs: events of kind "job" in the catalog. Their text
 * begins with "job NAME: ". "error" and "warning" say that something is wrong with the job, "info"
 * that it is no longer. What cannot be recorded is logged.
 */
#ifndef PGBR_SCHEDULER_JOBS_EVENTS_H
#define PGBR_SCHEDULER_JOBS_EVENTS_H

#include "catalog/catalog.h"
#include "config/config.h"

/* c NULL: nothing is done. */
void job_event(struct catalog *c, const struct job_config *job, const char *level, const char *fmt,
               ...) PRINTF_LIKE(4, 5);
/* The last that was said of this job was that something is wrong. */
bool job_is_bad(struct catalog *c, const struct job_config *job);

#endif
