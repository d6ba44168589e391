/*
 * status.h - the state of every configured cluster as plain structs: what is there, what happened,
 * what comes next, what is wrong.
 *
 * Made of parts that are read apart from each other, because they cost differently: the catalog (a
 * local file), the server (one connection), each repository (a listing, perhaps over a network).
 * Each part tells when it was last read whole and why the last attempt failed, so that whoever
 * shows it can say how old it is; what was read stays until a later attempt succeeds.
 *
 * One thread refreshes, others may read meanwhile: between status_hold() and status_release()
 * nothing changes. Refreshing holds readers up only while a part is exchanged, never while it is
 * read.
 *
 * Nothing in here is secret: locations without keys, no connection strings. Times are microseconds
 * since 1970 UTC, 0: unknown or never.
 */
#ifndef PGBR_SCHEDULER_STATUS_STATUS_H
#define PGBR_SCHEDULER_STATUS_STATUS_H

#include <pthread.h>

#include "catalog/drills.h"
#include "config/config.h"
#include "scheduler/jobs/jobs.h"
#include "scheduler/status/findings.h"
#include "scheduler/status/server_state.h"
#include "scheduler/status/view.h"

/* How a part came about. */
struct status_read {
    int64_t read_us;  /* when it was last read whole */
    int64_t tried_us; /* when that was last tried */
    char *failure;    /* why it failed then; NULL: it did not */
};

struct status_server {
    struct status_read read; /* of state */
    int version_num;         /* 150018 */
    struct server_state state;
    struct status_read wal_read; /* of wal; never tried where the data directory is not known */
    struct pg_wal_state wal;
};

struct status_repo {
    const char *name; /* of the configuration */
    bool required;    /* not `optional` */
    struct status_read read;
    char *location; /* NULL while it was never read */
    bool encrypted;
    struct view view;
    bool has_space; /* of the disk it lies on; not of an object store */
    uint64_t free_bytes, disk_bytes;
};

/* What the catalog knows of a cluster, newest first. */
struct status_history {
    struct catalog_backups backups; /* oldest first: for what only the catalog knows of them */
    struct catalog_runs runs;
    struct catalog_drills drills;
    struct catalog_events events;
};

struct status_cluster {
    const struct cluster_config *conf;
    char *instance, *ip; /* this host, as the inventory names it, else as it calls itself */
    struct status_server server;
    struct status_repo *repos;
    size_t n_repos;
    struct status_history history;
    struct findings findings;
    int64_t judged_us; /* when the findings were made; 0: not yet */
};

struct status {
    const struct config *config; /* borrowed */
    char *host;
    struct status_cluster *clusters;
    size_t n;
    struct status_read catalog;
    struct job_set jobs;          /* as the scheduler would go on from the catalog; n 0: unknown */
    struct catalog_jobs job_rows; /* what it remembers of them */
    pthread_rwlock_t lock;        /* of everything above that can change */
};

/* Names only, nothing read yet. only: this cluster alone; NULL: all of the configuration. */
void status_init(struct status *s, const struct config *c, const struct cluster_config *only);
void status_free(struct status *s);

enum status_part { STATUS_CATALOG = 1, STATUS_SERVERS = 2, STATUS_REPOSITORIES = 4 };
#define STATUS_ALL (STATUS_CATALOG | STATUS_SERVERS | STATUS_REPOSITORIES)
/* Reads these parts, and judges. What cannot be read is part of the answer: fails only with
 * ERR_INTERRUPTED, when stop is wanted. */
int status_refresh(struct status *s, unsigned parts, const struct stop *stop,
                   struct err *err) MUST_CHECK;

void status_hold(struct status *s);
void status_release(struct status *s);

/* ---- questions ---- */

/* In one word, what the findings come to. */
enum status_word { STATUS_UNKNOWN, STATUS_PROTECTED, STATUS_ATTENTION, STATUS_AT_RISK };
enum status_word status_word(const struct status_cluster *c);
const char *status_word_name(enum status_word w); /* "unknown", "protected", ... */

/* The newest backup of a type (0: of any); NULL: none. */
const struct pubinfo *status_newest(const struct status_repo *r, int type);
/* The catalog's row of a backup; NULL: there is none. */
const struct catalog_backup *status_recorded(const struct status_cluster *c,
                                             const struct status_repo *r, const char *label);
/* When the last WAL was stored, on whatever timeline. */
int64_t status_archived_us(const struct status_repo *r);
uint64_t status_gap_segments(const struct status_repo *r);
/* The last drill that ended with an answer, or the last that passed; NULL: there is none. */
const struct catalog_drill *status_last_drill(const struct status_cluster *c,
                                              const struct status_repo *r, bool passed);

#endif
