/* ask.h - a WAL file out of whichever repository delivers it. Internal to wal/. */
#ifndef PGBR_WAL_ARCHIVE_ASK_H
#define PGBR_WAL_ARCHIVE_ASK_H

#include "config/open.h"
#include "wal/archive/source.h"

/* Where the bytes go: an open file, empty again after a failure. */
struct wal_landing {
    int fd;
    const char *path; /* for messages */
};

/* One round over all repositories, in order. *absent: all of them answered that the file does not
 * exist; such an error is ERR_NOT_FOUND. id may be empty: the newest cluster each one knows. */
int wal_ask(const struct open_repos *repos, const struct wal_identity *id, const char *file,
            unsigned threads, const struct wal_landing *to, bool *absent,
            struct err *err) MUST_CHECK;
/* Lets every repository that does not know the identity look again, and leaves out those that still
 * do not: afterwards several threads may wal_ask() for it at once. False: none is left. */
bool wal_ask_ready(struct open_repos *repos, const struct wal_identity *id);

#endif
