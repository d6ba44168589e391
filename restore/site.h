/*
 * site.h - what a restore finds where it is to write, and whether it may.
 *
 * Refused whatever the options: a directory with a running server, and one that is neither empty
 * nor a data directory. A data directory needs --delta or --force, one of another cluster --force.
 * While a restore is under way the file RESTORE_MARK says whose files these are, and
 * global/pg_control is missing, so that PostgreSQL cannot start.
 */
#ifndef PGBR_RESTORE_SITE_H
#define PGBR_RESTORE_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "restore/layout.h"

#define RESTORE_MARK "pgbr_restore"        /* in the data directory */
#define WAL_ASIDE "pg_wal.before-restore-" /* beside pg_wal */
#define CONTROL_ASIDE "global/pg_control.pgbr"

enum site_state {
    SITE_ABSENT,
    SITE_EMPTY, /* nothing but lost+found and a mark */
    SITE_CLUSTER,
    SITE_HALF, /* a restore did not finish */
    SITE_OTHER,
};
struct site {
    enum site_state state;
    bool knows_id;
    uint64_t system_id; /* of the cluster that is there */
    char *wal_link;     /* pg_wal is a link to this; else NULL */
};
/* Looks at a data directory; touches nothing. ERR_BUSY: a server runs in it. */
int site_look(const char *dir, struct site *s, struct err *err) MUST_CHECK;
void site_free(struct site *s);
static inline bool site_is_same(const struct site *s, uint64_t system_id)
{
    return s->knows_id && s->system_id == system_id;
}

/* ERR_BUSY with pid and file when a server runs in the directory (or its processes do). */
int site_refuse_running(const char *dir, struct err *err) MUST_CHECK;
/* May this restore write there? ERR_EXISTS, ERR_FOREIGN, ERR_USAGE say what to do instead. */
int site_check(const struct site *s, const struct restore_request *q, const struct layout *l,
               uint64_t system_id, struct err *err) MUST_CHECK;

/* The data directory for this process alone: creates and locks it, changes nothing in it. fd: of
 * the directory, which holds the lock. ERR_BUSY: another restore, or a server. */
int site_lock(const struct layout *l, int *fd, struct err *err) MUST_CHECK;
/* Leaves the mark and makes the directory unstartable. Without delta (with --force, that is) what
 * is there is removed, but for pg_wal and other things that must stay. */
int site_take(const struct layout *l, const struct site *s, const struct pubinfo *pub, bool delta,
              int fd, struct err *err) MUST_CHECK;
/* The end: everything durable, then pg_control under its name. */
int site_release(const struct layout *l, struct err *err) MUST_CHECK;

#endif
