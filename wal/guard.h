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
#include <stdint.h>

#include "base/err.h"

/*
 * A whole segment, for a recovery that replays up to end (UINT64_MAX: all there is).
 * ERR_UNSUPPORTED, naming the directory and the position: it would create a tablespace somewhere.
 * One that lies behind end is not to be replayed; so that it cannot be, *cut is set to its offset,
 * from which on the segment must be zeros (len: nothing to cut). What is no valid WAL is
 * PostgreSQL's to refuse. Pure.
 */
int wal_guard(const void *segment, size_t len, uint64_t end, size_t *cut,
              struct err *err) MUST_CHECK;

#endif
