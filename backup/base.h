/*
 * base.h - the backup that an incremental builds on, and whether it fits. Internal to backup/.
 *
 * A base must be of the same cluster, lie on the history of the timeline that is backed up, not be
 * known to be damaged, and the WAL from its start to ours must be there without a gap. Where that
 * is not so a full backup is taken, and the reason told.
 */
#ifndef PGBR_BACKUP_BASE_H
#define PGBR_BACKUP_BASE_H

#include "backup/run.h"

/* Sets r->type, and r->base where it is not a full one; logs why. Before the lease is written. */
int base_choose(struct run *r, struct err *err) MUST_CHECK;
/* Once the lease names it: the base is still there, and fits. Its sets become known to the
 * manifest. */
int base_open(struct run *r, struct err *err) MUST_CHECK;
/* Once the start position is known: what changed since the base. */
int base_changes(struct run *r, struct err *err) MUST_CHECK;
/* Once the end position is known: it is not before the base's. */
int base_check_end(struct run *r, const struct pubinfo *made, struct err *err) MUST_CHECK;
/* Whether an error is the fault of what the base has stored: damaged, missing, not to be
 * understood. */
bool base_fault(enum err_code code);
/* -1; where the error is base_fault(), the attempt is to be repeated as a full backup, and somebody
 * should look. */
int base_harmed(struct run *r, struct err *err);
/* -1, and the attempt is to be repeated as a full backup. */
int base_unfit(struct run *r, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
