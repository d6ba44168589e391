/* findings_age.c - how old the newest backup may be. */
#include <string.h>

#include "base/cron.h"
#include "base/mem.h"
#include "scheduler/status/findings_form.h"

#define HOUR_S INT64_C(3600)
#define DAY_S INT64_C(86400)
enum { RUNS_LOOKED_AT = 100 }; /* pauses repeat with the week, and most jobs run once a day */

struct timer {
    struct cron cron;
    struct zone zone;
};

static bool backs_up(const struct job_config *job, const char *cluster)
{
    size_t n = strlen("backup");

    return strncmp(job->run, "backup", n) == 0 && (job->run[n] == ' ' || job->run[n] == '\0') &&
           job->cluster != NULL && strcmp(job->cluster, cluster) == 0;
}

/* One that says nothing of use counts for nothing: the scheduler complains of it. */
static size_t timers_of(const struct config *c, const char *cluster, struct timer *out)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_jobs; i++) {
        struct err ignored = {0};

        if (!backs_up(&c->jobs[i], cluster) ||
            cron_parse(c->jobs[i].cron, &out[n].cron, &ignored) != 0)
            continue;
        if (zone_load(&out[n].zone, c->jobs[i].time_zone, &ignored) == 0)
            n++;
    }
    return n;
}

/* When any of them runs next; CRON_NEVER. */
static int64_t next_of(const struct timer *timers, size_t n, int64_t after)
{
    int64_t next = CRON_NEVER;

    for (size_t i = 0; i < n; i++) {
        int64_t at = cron_next(&timers[i].cron, &timers[i].zone, after);

        if (at != CRON_NEVER && (next == CRON_NEVER || at < next))
            next = at;
    }
    return next;
}

/* The longest pause between two of the next runs; 0: none is known. */
static int64_t longest_pause(const struct timer *timers, size_t n, int64_t now_s)
{
    int64_t at = next_of(timers, n, now_s), longest = 0;

    for (int i = 0; i < RUNS_LOOKED_AT && at != CRON_NEVER; i++) {
        int64_t next = next_of(timers, n, at);

        if (next != CRON_NEVER)
            longest = MAX_OF(longest, next - at);
        at = next;
    }
    return longest;
}

int64_t findings_backup_age_us(const struct config *c, const struct cluster_config *cluster,
                               int64_t now_us)
{
    AUTO(mem_free) struct timer *timers = xcalloc(c->n_jobs + 1, sizeof *timers);
    int64_t pause;
    size_t n;

    if (cluster->watch.backup_max_age_ms != 0)
        return cluster->watch.backup_max_age_ms * 1000;
    n = timers_of(c, cluster->name, timers);
    pause = longest_pause(timers, n, now_us / 1000000);
    for (size_t i = 0; i < n; i++)
        zone_free(&timers[i].zone);
    if (pause != 0)
        return MAX_OF(pause * 3 / 2, pause + HOUR_S) * 1000000;
    return cluster->full_interval_ms * 1000 + DAY_S * 1000000;
}
