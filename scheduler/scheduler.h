/*
 * scheduler.h - the daemon: starts jobs when they are due, and nothing else.
 *
 * One process per state directory, one thread that waits: for the time (schedule.h decides), for
 * runners that end (runner.h does the work), for signals. SIGHUP reads the configuration again: a
 * file with a mistake changes nothing, and the mistake is logged. SIGTERM or SIGINT: nothing is
 * started any more; what runs may end for scheduler.stop_wait, then it is asked to stop, which is
 * awaited. A second one asks at once.
 *
 * What it remembers is in the catalog before it acts on it, so it may die at any moment: a run that
 * is under way then goes on, and the next scheduler waits for it; one that died too is run again.
 */
#ifndef PGBR_SCHEDULER_SCHEDULER_H
#define PGBR_SCHEDULER_SCHEDULER_H

#include "config/config.h"

struct scheduler_terms {
    const char *program;     /* whole path of this program */
    const char *config_path; /* whole path: read again on SIGHUP */
    bool once;               /* run what is due now, wait for it, return */
    bool quiet;              /* no messages below a warning, also after the log level changed */
    /* Whether the commands of all jobs can be run as they are written; asked before a configuration
     * is used. */
    int (*check)(const struct config *config, struct err *err);
};

/* *config is replaced on SIGHUP; the one that is there at the end is the caller's. ERR_BUSY: there
 * is a scheduler already (with `once` that is fine: it does the work). ERR_CONFIG: a job that
 * cannot be. With `once` *failed says whether a job failed. */
int scheduler_run(const struct scheduler_terms *terms, struct config **config, bool *failed,
                  struct err *err) MUST_CHECK;

#endif
