/*
 * turn.h - whether it is this host's turn to run a job: its server has the right role, and no other
 * host does it. Part of the runner.
 */
#ifndef PGBR_SCHEDULER_TURN_H
#define PGBR_SCHEDULER_TURN_H

#include "scheduler/elsewhere.h"
#include "scheduler/runner.h"

/* 0: it is, and that is announced until elsewhere_end(). -1: *out says why it is not, and whether
 * that is for now (JOB_LATER) or for this due time (JOB_SETTLED). */
int turn_take(const struct run_order *o, struct elsewhere *elsewhere,
              struct run_result *out) MUST_CHECK;

/* Sets it, returns -1. */
int result_set(struct run_result *out, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
