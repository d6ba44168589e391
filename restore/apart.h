/* apart.h - the places of a copy are none of the original's. */
#ifndef PGBR_RESTORE_APART_H
#define PGBR_RESTORE_APART_H

#include "restore/site.h"

/* Is the path, which need not exist, inside of that directory, or it? Links are followed. */
bool apart_is_inside(const char *path, const char *dir);

/*
 * Of a copy, while the original's data directory is there, running or not: no place is inside of
 * it, of its WAL or of its tablespaces, and nothing that a data directory present there leads to,
 * since that may be a copy made with all its links. ERR_USAGE, ERR_EXISTS; --force does not help.
 */
int apart_check(const struct layout *l, const struct site *s, struct err *err) MUST_CHECK;

#endif
