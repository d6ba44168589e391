/*
 * drill_conf.h - the configuration of a rehearsal's server.
 *
 * Nothing of the original's configuration holds by itself: the files of the backup are read, what
 * recovery and the checks need of them is taken over, and the rest is written anew. The server gets
 * postgresql.conf, pg_hba.conf and pg_ident.conf of its own, beside the data directory, and an
 * empty postgresql.auto.conf in it.
 */
#ifndef PGBR_RESTORE_DRILL_CONF_H
#define PGBR_RESTORE_DRILL_CONF_H

#include "postgres/control.h"
#include "restore/restore.h"
#include "restore/sandbox.h"

struct drill_conf {
    char *preload;      /* shared_preload_libraries of the original; "" when it has none */
    struct buf taken;   /* lines taken over from its files */
    struct buf recover; /* lines that steer recovery, written by the restore */
    struct buf notes;   /* what could not be read; "" or lines */
    unsigned slots;     /* max_replication_slots, at least */
    unsigned origins;   /* max_active_replication_origins, at least */
    struct pg_control control;
};

/* Reads a restored data directory. */
int drill_conf_read(struct drill_conf *c, const struct restore_plan *plan,
                    struct err *err) MUST_CHECK;
/* Writes the files; may be repeated. preload: the libraries to load, or "". *path (caller frees):
 * of postgresql.conf. */
int drill_conf_write(const struct drill_conf *c, const struct sandbox *box, const char *preload,
                     char **path, struct err *err) MUST_CHECK;
void drill_conf_free(struct drill_conf *c);

/* The text of postgresql.conf. Pure. */
void drill_conf_text(const struct drill_conf *c, const struct sandbox *box, const char *preload,
                     struct buf *out);
/* A list of libraries without the named one, as PostgreSQL splits and quotes such lists. Pure. */
void drill_conf_without(const char *libraries, const char *name, struct buf *out);

#endif
