/*
 * sandbox.h - a directory for one rehearsal, and how it goes away again whatever happens.
 *
 * A sandbox is a new directory of mode 0700 that holds everything: the data directory, tablespaces,
 * configuration, log. It bears a mark, a file that the owner keeps locked as long as it lives; the
 * state directory has a note of where it is. Whoever finds a mark that nobody holds ends the server
 * in there and removes the directory. A directory without a mark of this host is never removed.
 */
#ifndef PGBR_RESTORE_SANDBOX_H
#define PGBR_RESTORE_SANDBOX_H

#include <stddef.h>

#include "base/err.h"

#define SANDBOX_MARK "pgbr_drill"

struct sandbox {
    char *dir;     /* absolute */
    char *data;    /* the data directory; made by the restore */
    char *sockets; /* where the server's socket is: dir, or where that does not do, in /tmp */
    char *note;    /* in the state directory */
    int mark;      /* holds the lock; -1: there is no sandbox */
};
#define SANDBOX_INIT \
    {                \
        .mark = -1   \
    }

/* Below `where`, which is made when it is missing. cluster: for people who look. */
int sandbox_make(struct sandbox *s, const char *state_dir, const char *where, const char *cluster,
                 struct err *err) MUST_CHECK;
/* Removes everything. The server must have ended. */
int sandbox_remove(struct sandbox *s, struct err *err) MUST_CHECK;
/* Takes the mark off: nobody will remove the directory, nor that of the socket, which are a
 * person's from here on. */
int sandbox_keep(struct sandbox *s, struct err *err) MUST_CHECK;
/* Abandons: leaves it to the next sandboxes_clear(). */
void sandbox_free(struct sandbox *s);

/* Ends and removes what drills that died have left: those noted in the state directory, and what
 * lies below `where` (NULL: only the former). What cannot be removed is logged. *cleared: how many
 * were. */
void sandboxes_clear(const char *state_dir, const char *where, unsigned *cleared);

#endif
