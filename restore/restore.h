/*
 * restore.h - bringing a cluster back.
 *
 * Before a disk is touched the plan is complete: which backup, which timeline, which WAL, whether
 * the target can be reached. A directory that holds a running or a foreign cluster is refused.
 * While files arrive, global/pg_control is missing (it comes as pg_control.pgbr), so a
 * half-finished restore cannot start, and --delta continues it.
 */
#ifndef PGBR_RESTORE_RESTORE_H
#define PGBR_RESTORE_RESTORE_H

#include "base/progress.h"
#include "base/queue.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "wal/reach/target.h"

enum restore_action { ACTION_DEFAULT, ACTION_PAUSE, ACTION_PROMOTE, ACTION_SHUTDOWN };
enum restore_archive { RESTORE_ARCHIVE_OFF, RESTORE_ARCHIVE_ON };

struct tablespace_move {
    const char *from; /* name, OID or present location */
    const char *to;   /* absolute */
};
struct restore_request {
    const struct config *config;
    const struct cluster_config *cluster;
    const char *repo;     /* NULL: the default first, then the others in order */
    const char *program;  /* absolute path of pgbr, for restore_command */
    const char *set;      /* label or NULL: chosen by the target */
    const char *data_dir; /* absolute; NULL: the configured one */
    const char *wal_dir;  /* absolute; NULL: where the present pg_wal leads if it is a link, else a
                             plain directory */
    struct target target;
    enum restore_action action;
    bool standby, delta, force, plan_only;
    enum restore_archive archive;
    /* A rehearsal: absolute. Tablespaces without a move go below it, recovery refuses WAL that
     * would write outside of the data directory, and the backup is kept from being expired until
     * the plan is freed, no longer. NULL: a restore that stays. */
    const char *sandbox;
    const struct tablespace_move *moves;
    size_t n_moves;
    /* What is known of this cluster's backups: one that is damaged is taken only when no other
     * leads to the target, or when it is asked for. NULL: nothing is known. */
    const struct catalog_backups *known;
    unsigned workers;
    const struct stop *stop;
    struct progress *progress; /* may be NULL */
};
/* What will be (or was) done. Strings owned; restore_plan_free(). */
struct restore_job; /* open repositories and what else the run needs */
struct restore_plan {
    char *repo, *label, *data_dir;
    struct pubinfo backup;
    struct target target;
    struct reach reach;
    uint64_t files, bytes; /* to be written at most */
    int64_t expected_us;   /* time expected, 0: no experience yet */
    char *start_command;   /* how to start the result */
    char *server_zone;     /* the server's TimeZone, for showing moments; NULL: not known */
    struct buf notes;      /* lines that a person should read, each ending in \n */
    uint64_t bytes_fetched, bytes_kept, files_removed; /* after the restore */
    unsigned warnings;
    struct restore_job *job;
};
void restore_plan_free(struct restore_plan *p);

/* Only which backup of which repository reaches the target, and how: repo, label, backup, target
 * and reach of the plan. What restore_prepare() begins with. */
int restore_choose(const struct restore_request *q, struct restore_plan *plan,
                   struct err *err) MUST_CHECK;
/* Resolves the target and the backup, checks WAL coverage and the directory; touches nothing.
 * ERR_FAILED and friends when the target cannot be reached: the message has the nearest reachable
 * moments. */
int restore_prepare(const struct restore_request *q, struct restore_plan *plan,
                    struct err *err) MUST_CHECK;
/* Does it. plan comes from restore_prepare() of the same request. On return 0 the directory can be
 * started. */
int restore_run(const struct restore_request *q, struct restore_plan *plan,
                struct err *err) MUST_CHECK;

#endif
