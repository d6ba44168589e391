/* forecast.h - what would be lost if the server were gone now; for metrics and the page. */
#ifndef PGBR_SCHEDULER_STATUS_FORECAST_H
#define PGBR_SCHEDULER_STATUS_FORECAST_H

#include "scheduler/status/status.h"

/* The newest window, also where something is missing behind it; NULL: none. */
const struct window *forecast_last(const struct status_repo *r);

/* view_exposure() with what the server said last, if it answers. */
void forecast_exposure(const struct status_cluster *c, const struct status_repo *r,
                       struct exposure *out);
/* Time whose commits would be lost, at most: since the last moment that can be had back; 0 when
 * nothing was committed since. False: not known, or nothing can be had back. */
bool forecast_rpo(const struct status_cluster *c, const struct status_repo *r, int64_t now_us,
                  int64_t *us);

#endif
