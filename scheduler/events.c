/* events.c - see events.h. */
#include "scheduler/events.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/kinds.h"

enum { TEXT_MAX = 1024, LOOK_BACK = 500 };

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
    AUTO(catalog_events_free) struct catalog_events events = {0};
    AUTO(mem_free) char *prefix = xasprintf("job %s: ", job->name);
    struct err err = {0};

    if (c == NULL)
        return false;
    if (catalog_get_events(c, job->cluster, 0, LOOK_BACK, &events, &err) != 0) {
        log_warning("%s", err.msg);
        return false;
    }
    for (size_t i = 0; i < events.n; i++)
        if (strcmp(events.rows[i].kind, KIND_JOB) == 0 &&
            strncmp(events.rows[i].text, prefix, strlen(prefix)) == 0)
            return strcmp(events.rows[i].level, "info") != 0;
    return false;
}
