/*
 * guard.h - WAL whose replay would write outside of the data directory.
 *
 * Only one kind of record does: the creation of a tablespace names an absolute directory, which
 * replay enters and, if there already is this version's directory in it, takes for its own. In a
 * copy on the original's host that would be the original's: replay changes and removes its files
 * while it works with them.
 */
#ifndef PGBR_WAL_ARCHIVE_GUARD_H
#define PGBR_WAL_ARCHIVE_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum wal_guard_kind {
    WAL_GUARD_NONE,
    WAL_GUARD_SANDBOX, /* a rehearsal: no tablespace anywhere */
    WAL_GUARD_COPY,    /* a copy that may be beside the original: none where there is one already */
};
struct wal_guard {
    enum wal_guard_kind kind;
    uint64_t end; /* the recovery replays up to there; UINT64_MAX: all there is */
    /* Appends the segment that follows; asked for where such a record goes on in it. ERR_NOT_FOUND:
     * there is none; other errors are the guard's. NULL: there never is. */
    int (*next)(void *ctx, struct buf *out, struct err *err);
    void *ctx;
};

/*
 * A whole segment. ERR_UNSUPPORTED, naming the directory and the position: it creates a tablespace
 * that this recovery must not. One at the end is seen and not replayed. One that lies behind is not
 * to be seen; so that it cannot be, *cut is set to its offset, from which on the segment must be
 * zeros (len: nothing to cut). What is no valid WAL is PostgreSQL's to refuse. For a copy the
 * directory is looked at, as the server in the present directory would find it. A record that goes
 * on in the next segment is judged as a whole, by what follows; where that cannot be had, it is
 * refused.
 */
int wal_guard(const void *segment, size_t len, const struct wal_guard *g, size_t *cut,
              struct err *err) MUST_CHECK;

/* May the server whose data directory is the present one make the tablespace of this major version
 * in that directory? Not if there is one; but its own it makes again when recovery is. */
bool wal_guard_is_free(const char *location, unsigned major);

#endif
