/*
 * guard.h - WAL whose replay would write outside of the data directory.
 *
 * Only one kind of record does: the creation of a tablespace names an absolute directory, which
 * replay enters and, if there already is this version's directory in it, takes for its own. In a
 * copy on the original's host that would be the original's.
 */
#ifndef PGBR_WAL_GUARD_H
#define PGBR_WAL_GUARD_H

#include <stddef.h>

#include "base/err.h"

/* A whole segment. ERR_UNSUPPORTED, naming the directory and the position: it creates a tablespace
 * somewhere. What is no valid WAL is PostgreSQL's to refuse: 0. Pure. */
int wal_guard(const void *segment, size_t len, struct err *err) MUST_CHECK;

#endif
