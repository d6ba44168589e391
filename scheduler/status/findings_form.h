/* findings_form.h - what the parts of findings.c share. */
#ifndef PGBR_SCHEDULER_STATUS_FINDINGS_FORM_H
#define PGBR_SCHEDULER_STATUS_FINDINGS_FORM_H

#include "scheduler/status/findings.h"

struct collecting {
    const struct findings_request *q;
    struct findings *out;
};
/* kind and repo must stay; todo is copied, may be NULL. */
void finding_add(struct collecting *c, enum finding_level level, const char *kind, const char *repo,
                 const char *todo, const char *fmt, ...) PRINTF_LIKE(6, 7);

/* A time that is still to come, left by a clock that was ahead: it makes nothing young. */
bool finding_is_to_come(const struct collecting *c, int64_t us);

void findings_of_repos(struct collecting *c);
void findings_of_server(struct collecting *c);
void findings_of_history(struct collecting *c);

/*
 * How old the newest backup may be: as configured; else half as much again as the longest pause
 * between two runs of the backup jobs, and an hour more than it at least; else, without such jobs,
 * full_interval and a day.
 */
int64_t findings_backup_age_us(const struct config *c, const struct cluster_config *cluster,
                               int64_t now_us);

#endif
