/*
 * metrics.h - the status in Prometheus' text format (version 0.0.4).
 *
 * Every sample carries the labels cls, ins and ip, as other exporters beside PostgreSQL do, and
 * repo where it is about a repository. Units are seconds and bytes. What is not known has no
 * sample; every family has its HELP and TYPE lines, also without samples.
 */
#ifndef PGBR_SCHEDULER_PAGE_METRICS_H
#define PGBR_SCHEDULER_PAGE_METRICS_H

#include "scheduler/status/status.h"

/* Appends everything, as of now_us. The status is held by the caller. */
void metrics_write(const struct status *s, int64_t now_us, struct buf *out);

#endif
