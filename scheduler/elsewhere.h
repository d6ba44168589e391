/*
 * elsewhere.h - other hosts that share a repository: whether one of them does, or has done, what a
 * job of this host is about to do.
 *
 * A run announces itself in the repository by a lease of kind R without a base, which by the rules
 * of docs/format.md pins nothing, is created by one host only, and is tidied away by expire. Its
 * label is made of the due time, the job's kind and name and the attempt, so that all hosts with
 * the same configuration mean the same lease: exactly one of them gets it. (Where a store cannot
 * create exclusively, two may: both runs are safe, one is wasted.)
 *
 * A released lease says that the job is done. Who failed takes his away, so that another host may
 * try at once what it perhaps can do; who died leaves one that is not renewed, and makes way too.
 *
 * A backup that began at the due time or later, and is at least as much as the job would take,
 * serves it too, whoever took it. What bears a time that is still to come - a clock was wrong, and
 * set right since - serves nothing: it would stand for all due times until then.
 */
#ifndef PGBR_SCHEDULER_ELSEWHERE_H
#define PGBR_SCHEDULER_ELSEWHERE_H

#include "repo/lease/lease.h"
#include "scheduler/runner.h"

enum elsewhere_state {
    ELSEWHERE_NOT,     /* nobody has */
    ELSEWHERE_OTHER,   /* another host runs a command of this kind, for something else */
    ELSEWHERE_RUNNING, /* another host does it */
    ELSEWHERE_DONE,
};
struct elsewhere {
    struct repo *repo;
    struct lease *lease; /* ours */
    enum elsewhere_state state;
    char note[256]; /* in words */
};

/* Looks; with `take`, and where the answer is NOT, announces this run, until elsewhere_done() or
 * elsewhere_end(). A repository that cannot be asked is an error. */
int elsewhere_look(struct elsewhere *e, const struct run_order *o, bool take,
                   struct err *err) MUST_CHECK;
/* It need not be done by anybody else. What cannot be told is logged: another host does it again.
 */
void elsewhere_done(struct elsewhere *e);
/* Without elsewhere_done(): it is still to be done. */
void elsewhere_end(struct elsewhere *e);

/* The label of a run's lease. Pure. */
void elsewhere_label(char out[LABEL_SIZE + 1], const char *kind, const char *job, int64_t due_us,
                     unsigned attempt);
/* Does the backup with this label serve a job that runs these words, due at that time? Times by the
 * host's clock. Pure. */
bool elsewhere_serves(const char *label, char **words, size_t n, int64_t due_us, int64_t now_us);

#endif
