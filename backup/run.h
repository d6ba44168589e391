/* run.h - a backup under way, for the steps that backup.c calls. Internal to backup/. */
#ifndef PGBR_BACKUP_RUN_H
#define PGBR_BACKUP_RUN_H

#include "backup/copy.h"
#include "backup/finish.h"
#include "backup/increment.h"
#include "backup/scan.h"
#include "backup/session.h"
#include "base/fs.h"
#include "postgres/control.h"
#include "repo/lease/lease.h"
#include "wal/index/prove.h"

/* Everything a backup holds on to; released on every way out. */
struct run {
    const struct backup_request *q;
    struct backup_made *made;
    struct lock_file lock;
    char host[256];
    struct session session;
    enum backup_type type;
    char base[LABEL_SIZE + 1]; /* "" for a full one */
    bool base_from_here; /* it, and all it builds on, was copied from a primary on this timeline */
    struct increment increment;
    bool unfit;     /* the base did not fit: take a full one instead */
    bool harm;      /* because something of it is missing or damaged: a person should look */
    char *alarm;    /* because something is wrong with what the WAL told: what; or NULL */
    bool only_full; /* this is that one */
    char label[LABEL_SIZE + 1];
    struct set_identity id;
    struct lease *lease;
    uint64_t wal_lsn; /* WAL from here on is needed; 0: not known yet */
    struct adoption *adoption;
    struct set *set;
    struct manifest_writer *manifest;
    int data_fd;
    struct list_writer list;
    struct results results;
    struct scan_found found;
    struct copy_made copied;
    struct finished finished;
    struct pg_control control;
    struct progress quiet; /* counts where the caller does not want to see */
};

static inline struct wal_place run_wal_place(const struct run *r)
{
    return (struct wal_place){r->q->repo, r->id.system_id, r->id.major, r->session.facts.wal_segsz};
}

/* Fills in made->pub and made->info once everything is copied and the server has left backup mode.
 * On a standby that followed its primary onto another timeline, its history file is archived if it
 * is not yet. */
int run_describe(struct run *r, struct err *err) MUST_CHECK;
/* Lets go of everything. The lease comes after all that writes: a set whose lease is released is
 * for others to adopt or to delete, and may not grow any more. */
void run_close(struct run *r);

#endif
