/* drill_moment.h - a moment for a rehearsal, by chance. */
#ifndef PGBR_RESTORE_DRILL_MOMENT_H
#define PGBR_RESTORE_DRILL_MOMENT_H

#include "restore/drill.h"

/*
 * Every moment of all windows is as likely as any other; the same seed and the same windows give
 * the same moment. False: no window has any length (nothing was committed behind a backup). Pure.
 */
bool drill_moment_pick(const struct window *windows, size_t n, uint64_t seed, size_t *which,
                       int64_t *us);

/* Looks at the windows of the repository and makes it the target; *repo (caller frees): its name.
 * Where nothing was committed behind a backup: the end of all WAL. ERR_NOT_FOUND: no backup opens a
 * window. */
int drill_moment_choose(const struct drill_request *q, struct target *t, char **repo,
                        struct err *err) MUST_CHECK;

#endif
