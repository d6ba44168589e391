/* status_read.h - the readers of the parts of a status; internal to status*.c. */
#ifndef PGBR_SCHEDULER_STATUS_STATUS_READ_H
#define PGBR_SCHEDULER_STATUS_STATUS_READ_H

#include "scheduler/status/status.h"

void status_history_free(struct status_history *h);
/* *c: the catalog, left open for judging; NULL when it cannot be used. */
void status_read_catalog(struct status *s, struct catalog **c);
void status_read_server(struct status *s, struct status_cluster *c, const struct stop *stop);
void status_read_repo(struct status *s, struct status_cluster *c, struct status_repo *r,
                      struct catalog *catalog, const struct stop *stop);
/* Anew, from what was read. */
void status_judge(struct status *s, struct status_cluster *c, struct catalog *catalog);

/* How an attempt ended, under the lock of the status. why NULL: well. */
void status_read_ended(struct status_read *r, const struct err *why);

#endif
