/*
 * job.h - what lies between restore_prepare() and restore_run(): everything that was opened and
 * decided.
 */
#ifndef PGBR_RESTORE_JOB_H
#define PGBR_RESTORE_JOB_H

#include "config/open.h"
#include "repo/lease/lease.h"
#include "restore/layout.h"
#include "restore/oldwal.h"
#include "restore/recovery.h"
#include "restore/site.h"

struct restore_job {
    struct open_repos repos;
    struct repo *repo; /* the one restored from; one of repos */
    struct wal_map *map;
    struct manifest *manifest;
    struct site site;
    struct layout layout;
    char *config_path;   /* absolute */
    char *conf_path;     /* the postgresql.conf that will hold; absolute */
    struct lease *lease; /* of a sandbox, while it lives */
    struct stop lost;    /* set when the lease is */
    uint32_t timeline;   /* for recovery_target_timeline; 0: latest */
};
void restore_job_free(struct restore_job **job);

/* plan.c: fills in the plan's repo, label, backup, target and reach and the job's manifest, from
 * the first repository (the default one first) from which the target can be reached. */
int plan_choose(const struct restore_request *q, struct restore_plan *plan,
                struct err *err) MUST_CHECK;

/* start.c: how to start the result. tell_all: name every file, because the configuration names
 * the original's. */
void start_command(const struct layout *l, const struct pubinfo *pub,
                   const struct backup_info *info, bool tell_all, struct buf *out);
/* How to start what a drill has kept: configuration and socket are the sandbox's. */
void start_command_kept(const char *bin, const char *data, const char *conf, const char *sockets,
                        struct buf *out);
/* The postgresql.conf that the server will read; NULL: it has none that is known. Caller frees. */
char *start_conf(const struct layout *l, const struct backup_info *info);

/* beside.c: a note on tablespaces of the original, if it is on this host and this is a copy. */
void beside_note(const struct restore_request *q, struct restore_plan *plan);

#endif
