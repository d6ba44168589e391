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
 * A backup that began at the due time or later, and is at least as much as the job would take,
 * serves it too, whoever took it.
 */
#ifndef PGBR_SCHEDULER_ELSEWHERE_H
#define PGBR_SCHEDULER_ELSEWHERE_H

#include "repo/lease.h"
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

/* Looks; with `take`, and where the answer is NOT, announces this run, until elsewhere_end(). A
 * repository that cannot be asked is an error. */
int elsewhere_look(struct elsewhere *e, const struct run_order *o, bool take,
                   struct err *err) MUST_CHECK;
void elsewhere_end(struct elsewhere *e);

/* The label of a run's lease. Pure. */
void elsewhere_label(char out[LABEL_SIZE + 1], const char *kind, const char *job, int64_t due_us,
                     unsigned attempt);
/* Does a backup of that kind serve a job that runs these words? Pure. */
bool elsewhere_serves(enum set_kind kind, char **words, size_t n);

#endif
