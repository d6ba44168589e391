/*
 * recovery.h - the settings with which PostgreSQL recovers to the target, and the files that start
 * it: recovery.signal or standby.signal, backup_label, tablespace_map.
 *
 * The backed-up postgresql.auto.conf is kept, without any setting that steers recovery (a stale
 * recovery_target would win); an own block follows. Of the recovery_target family at most one may
 * be set, and PostgreSQL's check depends on the order of the lines: those that are emptied come
 * first (src/backend/access/transam/xlogrecovery.c, assign_recovery_target and its like).
 */
#ifndef PGBR_RESTORE_RECOVERY_H
#define PGBR_RESTORE_RECOVERY_H

#include "postgres/control.h"
#include "restore/layout.h"

struct recovery_terms {
    const struct restore_request *request;
    const struct target *target;
    uint32_t timeline;  /* to recover along; 0: "latest" */
    uint64_t end_lsn;   /* where recovery will stop; 0: at the end of all WAL */
    const char *label;  /* of the backup, for a comment */
    const char *config; /* absolute path of the configuration file */
    const struct layout *layout;
    const struct pg_control *control; /* of the backup; NULL: not known */
    bool conf_unsure; /* the configuration that holds cannot be read as a whole; recovery_write()
                         finds that out itself */
};

/* Appends the value of restore_command: quoted for the shell, "%" doubled. ERR_USAGE for a path
 * with a newline. */
int recovery_command(struct buf *out, const struct recovery_terms *t, struct err *err) MUST_CHECK;
/* Appends the block for postgresql.auto.conf; old: the settings that hold without it (main file,
 * then auto file), to see which of the limits a hot standby needs are too small in them. */
int recovery_settings(struct buf *out, const struct recovery_terms *t, const struct buf *main_conf,
                      const struct buf *auto_conf, struct err *err) MUST_CHECK;
/* Appends the pause, promotion or shutdown that ends it, as lines for a person. */
void recovery_notes(struct buf *out, const struct recovery_terms *t);

/* Everything above into the data directory. conf_path: the postgresql.conf that will hold,
 * absolute; or NULL. What it includes counts as well. *names_dir: it says data_directory itself. */
int recovery_write(int datafd, const struct recovery_terms *t, const char *conf_path,
                   bool *names_dir, struct err *err) MUST_CHECK;

/* The mode of a file that PostgreSQL itself would make there: 0640 where the directory lets the
 * group in (initdb --allow-group-access), else 0600. */
mode_t recovery_file_mode(int datafd);

/* The tablespace_map of the backup with the places of this layout; empty where it is. One that was
 * dropped while the backup ran, of which it has no files, is left out: its place may be another
 * one's by now, and recovery makes plain directories where it needs them until it is dropped. */
int recovery_tablespace_map(const struct layout *l, const struct backup_info *info, unsigned major,
                            struct buf *out, struct err *err) MUST_CHECK;

#endif
