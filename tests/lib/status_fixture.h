/*
 * status_fixture.h - a status as if it had been read: cluster "pg-main", to which nothing is wrong,
 * and "pg-shop", whose WAL has a hole, whose server does not answer and whose drill failed. No
 * server, no repository; times are told from FIXTURE_NOW backwards.
 */
#ifndef PGBR_TESTS_LIB_STATUS_FIXTURE_H
#define PGBR_TESTS_LIB_STATUS_FIXTURE_H

#include "scheduler/status/status.h"

#define FIXTURE_NOW INT64_C(1795950000000000) /* 2026-11-29 11:00:00 UTC */
#define FIXTURE_HOUR INT64_C(3600000000)
#define FIXTURE_DAY (24 * FIXTURE_HOUR)

struct status *fixture_status(void);
void fixture_status_free(struct status **s);
struct status_cluster *fixture_cluster(struct status *s, const char *name);

/* One more finding. */
void fixture_finding(struct status_cluster *c, enum finding_level level, const char *kind,
                     const char *repo, const char *text, const char *todo);

#endif
