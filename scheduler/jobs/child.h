/*
 * child.h - processes that the scheduler and its runner start.
 *
 * A child reads nothing, writes to the parent's standard output and error, has the signals of a
 * fresh program, and is the first of a process group of its own, so that Ctrl-C on a terminal goes
 * to the parent alone, which passes it on.
 */
#ifndef PGBR_SCHEDULER_JOBS_CHILD_H
#define PGBR_SCHEDULER_JOBS_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct child_terms {
    const char *const *argv; /* up to NULL; argv[0] is a path */
    const char *const *env;  /* "NAME=value", up to NULL: before what this process has; or NULL */
    int keep_fd;             /* stays open in the child; -1: none */
};
int child_start(const struct child_terms *t, pid_t *pid, struct err *err) MUST_CHECK;

/* Asks a child, or (CHILD_GROUP) all that it started and that has not left its process group, to
 * end; also what was stopped. */
enum child_reach { CHILD_ALONE, CHILD_GROUP };
void child_ask(pid_t pid, enum child_reach reach);
/* Ends the child and its group; what is left of the group when the child has ended already. */
void child_kill(pid_t pid);

/* The signals that a parent here waits for: blocked, so that nothing is lost before it looks. */
void child_block_signals(sigset_t *set);

/* What waitpid() told, as a shell says it: the exit status, or 128 and the signal. */
int child_status(int wait_status);

#endif
