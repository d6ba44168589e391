/*
 * drill.h - a rehearsal: a backup is restored into a sandbox, recovered to a moment, started and
 * looked at; what that took is measured, and all of it is removed again.
 *
 * A drill answers one question, so a failure of what it tries is its result, not an error: 0 is
 * returned with DRILL_FAILED and a finding that says what was expected and what was found. Errors
 * (-1) are for what says nothing about the backup: wrong use, wrong configuration.
 *
 * The original is never connected to, written to or archived into; restore/drill.c says how that is
 * held.
 */
#ifndef PGBR_RESTORE_DRILL_H
#define PGBR_RESTORE_DRILL_H

#include "restore/restore.h"

enum drill_moment { DRILL_AT_TARGET, DRILL_AT_RANDOM };

struct drill_request {
    const struct config *config;
    const struct cluster_config *cluster;
    const char *repo;    /* NULL: the default one first, then the others; random: the default */
    const char *program; /* absolute path of pgbr, for restore_command */
    const char *set;     /* label, or NULL */
    enum drill_moment moment;
    struct target target; /* DRILL_AT_TARGET */
    uint64_t seed;        /* DRILL_AT_RANDOM */
    const char *dir;      /* sandboxes; absolute; NULL: the configuration's */
    const char *pg_bin;   /* NULL: the configuration's, else looked for */
    enum config_amcheck amcheck;
    bool keep; /* leaves the sandbox, with the server stopped, to a person: nobody removes it */
    unsigned workers;
    struct stop *stop;         /* also set (to -1) when the time limit has passed */
    struct progress *progress; /* may be NULL */
};

enum drill_phase {
    DRILL_PLAN,
    DRILL_RESTORE,
    DRILL_START,
    DRILL_REPLAY, /* until the server answers at the target */
    DRILL_CHECKS,
    DRILL_CLEANUP,
    DRILL_PHASES
};
const char *drill_phase_name(enum drill_phase p); /* "plan", "restore", ... */

enum drill_state { DRILL_OK, DRILL_SKIPPED, DRILL_WARNING, DRILL_BAD };
struct drill_finding {
    char *name; /* "recovery target", "database \"shop\"", "check \"orders\"" */
    enum drill_state state;
    char *expected, *found; /* NULL: nothing to compare */
    char *text;             /* what a person should know; or NULL */
    int64_t took_us;
};

enum drill_outcome { DRILL_PASSED, DRILL_FAILED, DRILL_STOPPED };
struct drill_made {
    enum drill_outcome outcome;
    unsigned warnings;
    char *repo, *label; /* NULL: none was chosen */
    char *target;       /* in words */
    char *repeat;  /* the options that lead to the same moment again; NULL: as it was asked for */
    char *kept_in; /* with `keep`, once the restore has begun: where; else NULL */
    char *kept_socket;              /* where the socket will be: as kept_in, or in /tmp */
    char *kept_start;               /* how to start it; NULL: it did not get that far */
    int64_t started_us;             /* wall clock */
    int64_t ended_us[DRILL_PHASES]; /* wall clock; 0: did not get that far */
    int64_t took_us[DRILL_PHASES];
    uint64_t restored_bytes, replayed_bytes;
    int64_t known_us;   /* last commit that the plan said would be there; 0: none in its WAL */
    int64_t reached_us; /* last commit or abort that was there; 0: none, or not known */
    uint64_t end_lsn;   /* recovery ended there; 0: it did not get that far */
    struct drill_finding *findings;
    size_t n_findings;
};
/* *made is the caller's, also after an error. From the main thread. */
int drill_run(const struct drill_request *q, struct drill_made *made, struct err *err) MUST_CHECK;
void drill_made_free(struct drill_made *m);

/* Time to recover, from the beginning to a server that answers; 0: it never did. */
int64_t drill_rto_us(const struct drill_made *m);
/* What would have been lost: from the last commit that was there to the beginning of the drill.
 * Only of drills to the latest state; -1: not known. */
int64_t drill_rpo_us(const struct drill_made *m);

#endif
