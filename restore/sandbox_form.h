/* sandbox_form.h - how a sandbox looks on disk. Internal to sandbox*.c. */
#ifndef PGBR_RESTORE_SANDBOX_FORM_H
#define PGBR_RESTORE_SANDBOX_FORM_H

#include "base/err.h"

#define SANDBOX_PREFIX "pgbr-drill-"
#define SANDBOX_NOTES "sandboxes" /* in the state directory */
#define SANDBOX_FIRST_LINE "pgbr drill"
#define SANDBOX_SOCKET "/.s.PGSQL.5432"

/* All of it; the mark is the last file to go. sockets may be NULL. */
int sandbox_remove_dirs(const char *dir, const char *sockets, struct err *err) MUST_CHECK;

#endif
