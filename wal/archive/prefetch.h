/*
 * prefetch.h - a process of its own that keeps the next segments of a recovery at hand. Internal to
 * wal/.
 *
 * restore_command is asked for one segment after the other, so over a network each costs all its
 * round trips while recovery waits. The call that had to fetch its segment itself leaves behind a
 * process that fetches the next ones, several at once, into the spool (wal/archive/spool.h); later
 * calls take them from there without asking anybody. There is one such process for a recovery. It
 *
 * - is detached: a session of its own, no open descriptors but the spool's, "/" as its directory.
 * So nobody waits for it, the signals that PostgreSQL sends to the process group of its startup
 *   process do not reach it, and it holds neither pipes nor files of the server;
 * - follows the position that each call tells, and never has more than the given number of segments
 *   waiting or on their way;
 * - ends when the archive has no further segment and the waiting ones are taken; when the recovery
 *   is over or the server gone (no signal file, no postmaster.pid); PREFETCH_IDLE_S after the last
 *   call; when a repository is no longer the one it was. Then the spool is removed.
 *
 * It exits with 0 whatever happens: where the postmaster is process 1 of a container, orphans are
 * its children, and one that fails would make it restart all of the server.
 */
#ifndef PGBR_WAL_ARCHIVE_PREFETCH_H
#define PGBR_WAL_ARCHIVE_PREFETCH_H

#include "wal/archive/spool.h"

enum { PREFETCH_IDLE_S = 300 };

struct prefetch {
    const struct config *c;
    const struct cluster_config *cluster;
    const char *only;     /* repository, or NULL */
    const char *data_dir; /* of the recovery, absolute */
    struct wal_identity id;
    const char *file;      /* the segment that was delivered */
    uint32_t segment_size; /* bytes */
    unsigned ahead;        /* segments, at least 1 */
};

/* Bytes of segments that may wait. */
#define PREFETCH_BUDGET (UINT64_C(512) << 20)

/* Whether a server recovers in that directory. */
bool prefetch_in_recovery(const char *data_dir);
/* Starts the process unless there is one, or no room for what it would fetch. Whatever goes wrong,
 * the present call has done its work. No thread and no open repository may be left. */
void prefetch_start(const struct prefetch *p);
/* What the process does, with a spool that it owns; returns at its end. */
void prefetch_run(const struct prefetch *p, struct spool *s);

#endif
