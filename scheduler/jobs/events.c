/* events.c - see events.h. */
#include "scheduler/jobs/events.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/jobs.h"
#include "catalog/kinds.h"

enum { TEXT_MAX = 1024 };

void job_event(struct catalog *c, const struct job_config *job, const char *level, const char *fmt,
               ...)
{
    char said[TEXT_MAX];
    struct err err = {0};
    va_list args;

    if (c == NULL)
        return;
    va_start(args, fmt);
    vsnprintf(said, sizeof said, fmt, args);
    va_end(args);

    AUTO(mem_free) char *text = xasprintf("job %s: %s", job->name, said);
    const struct catalog_event row = {
        .level = level, .kind = KIND_JOB, .cluster = job->cluster, .job = job->name, .text = text};

    if (catalog_put_event(c, &row, &err) != 0)
        log_warning("an event could not be recorded: %s", err.msg);
}

bool job_is_bad(struct catalog *c, const struct job_config *job)
{
    struct err err = {0};
    bool bad = false;

    if (c != NULL && catalog_job_is_bad(c, job->name, &bad, &err) != 0)
        log_warning("%s", err.msg);
    return bad;
}
