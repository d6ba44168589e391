/* show_jobs.h - the scheduler's jobs for people, or as JSON: what they are, how they went, when
 * they run next. Says so where no scheduler is at work. */
#ifndef PGBR_CLI_SHOW_JOBS_H
#define PGBR_CLI_SHOW_JOBS_H

#include "cli/app.h"

int show_jobs(struct app *app, bool json, struct err *err) MUST_CHECK;
/* The starts to come, in order. */
int show_next(struct app *app, unsigned count, bool json, struct err *err) MUST_CHECK;
/* The jobs of one cluster, as lines of text below "pgbr list". */
void show_cluster_jobs(struct app *app, const char *cluster, struct buf *out);

#endif
