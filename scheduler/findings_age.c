/* findings_age.c - how old the newest backup may be. */
#include <string.h>

#include "base/cron.h"
#include "base/mem.h"
#include "scheduler/findings_form.h"

#define HOUR_S INT64_C(3600)
#define DAY_S INT64_C(86400)
enum { RUNS_LOOKED_AT = 60 }; /* two months of a daily job: pauses repeat */

/* The longest pause between two of the next runs; 0: none is known. */
static int64_t longest_pause(const struct job_config *job, int64_t now_s)
{
    AUTO(zone_free) struct zone zone = ZONE_INIT;
    struct err ignored = {0};
    struct cron cron;
    int64_t at, longest = 0;

    if (cron_parse(job->cron, &cron, &ignored) != 0 ||
        zone_load(&zone, job->time_zone, &ignored) != 0)
        return 0;
    at = cron_next(&cron, &zone, now_s);
    for (int i = 0; i < RUNS_LOOKED_AT && at != CRON_NEVER; i++) {
        int64_t next = cron_next(&cron, &zone, at);

        if (next == CRON_NEVER)
            break;
        longest = MAX_OF(longest, next - at);
        at = next;
    }
    return longest;
}

static bool backs_up(const struct job_config *job, const char *cluster)
{
    size_t n = strlen("backup");

    return strncmp(job->run, "backup", n) == 0 && (job->run[n] == ' ' || job->run[n] == '\0') &&
           job->cluster != NULL && strcmp(job->cluster, cluster) == 0;
}

int64_t findings_backup_age_us(const struct config *c, const struct cluster_config *cluster,
                               int64_t now_us)
{
    int64_t best = 0;

    if (cluster->watch.backup_max_age_ms != 0)
        return cluster->watch.backup_max_age_ms * 1000;
    for (size_t i = 0; i < c->n_jobs; i++) {
        int64_t pause =
            backs_up(&c->jobs[i], cluster->name) ? longest_pause(&c->jobs[i], now_us / 1000000) : 0;

        if (pause != 0 && (best == 0 || pause < best))
            best = pause;
    }
    if (best != 0)
        return MAX_OF(best * 3 / 2, best + HOUR_S) * 1000000;
    return cluster->full_interval_ms * 1000 + DAY_S * 1000000;
}
