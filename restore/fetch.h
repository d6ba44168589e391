/*
 * fetch.h - the files of a backup into their places.
 *
 * The main thread goes through the entries once: it makes directories and links, tells
 * backup_manifest of each file, and cuts the files into tasks of some megabytes; workers fetch and
 * write. pg_control becomes CONTROL_ASIDE. Nothing is synced here, see site_release(). Memory does
 * not grow with the number of files.
 */
#ifndef PGBR_RESTORE_FETCH_H
#define PGBR_RESTORE_FETCH_H

#include "base/progress.h"
#include "base/queue.h"
#include "restore/layout.h"
#include "restore/pgmanifest.h"

struct fetch_terms { /* all borrowed */
    struct repo *repo;
    struct manifest *manifest;
    const struct layout *layout; /* opened */
    bool delta;                  /* what is there is compared, and removed if the backup lacks it */
    unsigned workers;
    const struct stop *stop;
    struct progress *progress;  /* may be NULL */
    struct pgmanifest *listing; /* may be NULL */
};
struct fetch_done {
    uint64_t files, bytes_fetched, bytes_kept, files_removed;
    bool owner_lost;     /* some belonged to another user, which only root can restore */
    struct buf left_out; /* links that were not made, see stray.h: lines `"rel" to "target"`; the
                            caller's, also after an error */
};
int fetch_all(const struct fetch_terms *t, struct fetch_done *done, struct err *err) MUST_CHECK;

#endif
