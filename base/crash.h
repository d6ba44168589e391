/*
 * crash.h - named steps at which a test may kill the process, as a power loss or kill -9 would.
 *
 * Only the crash flavour of the build (PGBR_CRASH_POINTS) knows them; in every other build a point
 * is nothing. PGBR_CRASH_AT="name" or "name:3" kills at the first or third passing; PGBR_STOP_AT
 * stops all threads there (SIGSTOP) until somebody sends SIGCONT; PGBR_CRASH_LOG=FILE notes each
 * name passed.
 */
#ifndef PGBR_BASE_CRASH_H
#define PGBR_BASE_CRASH_H

#include <stdbool.h>

#ifdef PGBR_CRASH_POINTS
void crash_point(const char *name);
/* True when this passing is the one to crash at: for a point that does damage of its own before it
 * dies. */
bool crash_wanted(const char *name);
void crash_now(void);
#else
static inline void crash_point(const char *name)
{
    (void)name;
}
#endif

#endif
