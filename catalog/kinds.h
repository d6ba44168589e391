/*
 * kinds.h - the classes of events: what catalog_event.kind may be.
 *
 * A receiver of notifications chooses by them and by level, so a name never changes its meaning. An
 * event with level "info" says that what was wrong under the same kind, cluster and repository is
 * over.
 */
#ifndef PGBR_CATALOG_KINDS_H
#define PGBR_CATALOG_KINDS_H

#include <stdbool.h>
#include <stddef.h>

#define KIND_BACKUP "backup"       /* done, done with warnings, failed */
#define KIND_EXPIRE "expire"       /* what was deleted; could not be applied */
#define KIND_VERIFY "verify"       /* damage in a repository; none */
#define KIND_CHECK "check"         /* findings of check; all is well */
#define KIND_ARCHIVING "archiving" /* WAL does not reach the archive; it does again */
#define KIND_WAL_GAP "wal gap"     /* WAL is missing between what is archived; no longer */
#define KIND_ALARM "alarm"         /* the cross-check of an incremental found a difference */
#define KIND_RESTORE "restore"     /* done, failed */
#define KIND_DRILL "drill"         /* passed, failed */
#define KIND_JOB "job"             /* the scheduler's: failed, missed, works again */
#define KIND_HOLD "hold"           /* set, taken off, about to end */
#define KIND_KEY "key"             /* key slots added and removed */
#define KIND_CATALOG "catalog"     /* damaged, and made anew */

struct event_kind {
    const char *name, *about;
};
extern const struct event_kind event_kinds[];
extern const size_t n_event_kinds;

bool event_kind_known(const char *name);

#endif
