/*
 * clock.h - the scheduler's clock: the host's, or for tests one that runs faster.
 *
 * PGBR_TEST_CLOCK=<start>:<factor>:<real start> (for tests only; times in seconds since 1970 UTC,
 * the factor may have a fraction): when the host's clock shows <real start>, the scheduler's shows
 * <start>, and from there on it is so many times as fast. All that a schedule says is of this
 * clock; what PostgreSQL, the repository and the catalog of runs say is of the host's.
 */
#ifndef PGBR_SCHEDULER_JOBS_CLOCK_H
#define PGBR_SCHEDULER_JOBS_CLOCK_H

#include <stdint.h>

#include "base/err.h"

struct sched_clock {
    int64_t start_us, real_us;
    double factor; /* 1: the host's clock itself */
};

/* From the environment. What cannot be understood: ERR_USAGE. */
int sched_clock_open(struct sched_clock *c, struct err *err) MUST_CHECK;
int64_t sched_now_us(const struct sched_clock *c);
/* A moment of this clock on the host's, and back. */
int64_t sched_to_real_us(const struct sched_clock *c, int64_t us);
int64_t sched_from_real_us(const struct sched_clock *c, int64_t real_us);
/* How long the host has to wait for a time of this clock to pass. */
int64_t sched_wait_us(const struct sched_clock *c, int64_t duration_us);

#endif
