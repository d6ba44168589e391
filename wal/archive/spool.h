/*
 * spool.h - segments that were fetched before recovery asks for them. Internal to wal/.
 *
 * "<state dir>/spool/<cluster>-<16 hex digits>/" belongs to one recovery: the digits stand for the
 * data directory (device and inode), the system identifier, and the repositories that may be asked,
 * so that neither two recoveries on one host nor a changed configuration ever meet there. In it:
 *
 *     lock        held (flock) by the process that fetches ahead (wal/archive/prefetch.h), which
 * alone makes files here; without that process nothing in the spool counts position    the segment
 * that recovery asked for last <segment>   verified, complete, waiting <segment>.part  on its way
 *
 * Old files can therefore never be taken for new ones: after a crash, a reboot or a pause nobody
 * holds the lock, and whoever takes it begins by emptying the spool. The holder looks again from
 * time to time whether the repository is still the same one.
 */
#ifndef PGBR_WAL_ARCHIVE_SPOOL_H
#define PGBR_WAL_ARCHIVE_SPOOL_H

#include "config/open.h"
#include "wal/archive/source.h"

struct spool {
    char *path;
    int dir;  /* -1: there is none */
    int lock; /* open lock file; locked by us if owned */
    bool owned;
};
#define SPOOL_INIT            \
    {                         \
        .dir = -1, .lock = -1 \
    }
void spool_close(struct spool *s); /* gives the lock back, unless another process has it too */

/* data_dir: of the recovery. The spool is made if create says so; otherwise, where there is none,
 * dir stays -1 and nothing fails. */
enum spool_open { SPOOL_FIND, SPOOL_CREATE };
int spool_open(struct spool *s, const struct config *c, const struct cluster_config *cluster,
               const char *only, const char *data_dir, const struct wal_identity *id,
               enum spool_open how, struct err *err) MUST_CHECK;
/* Takes the lock: true if it is ours now (owned is set). */
bool spool_own(struct spool *s);

/* Tells the owner where recovery is. */
void spool_tell(const struct spool *s, const char *file);
/* What was told last; false: nothing that makes sense. */
bool spool_told(const struct spool *s, struct wal_file *f);

/* Moves the segment to `to`, whose open file is to_fd, from a spool that another process owns;
 * waits while it is on its way. False: it is not there, or not what it should be. */
bool spool_take(struct spool *s, const char *file, const struct wal_identity *id, const char *to,
                int to_fd);

/* For the owner. Removes what keep() denies (NULL: everything). */
void spool_clean(const struct spool *s, bool (*keep)(void *ctx, const struct wal_file *f),
                 void *ctx);
/* Removes the spool, and those of others that nobody owns. */
void spool_remove(struct spool *s);
void spool_sweep(const struct spool *s);

/* Whether the file is the segment its name says, of this cluster. */
int spool_check(int fd, const char *file, const struct wal_identity *id,
                struct err *err) MUST_CHECK;

#endif
