/*
 * server.h - the server of a rehearsal: started as a child of this process, and gone with it.
 *
 * It cannot reach the original (restore/drill.c has the list why), and it ends when this process
 * ends, however that happens: the kernel sends it SIGQUIT.
 */
#ifndef PGBR_RESTORE_SERVER_H
#define PGBR_RESTORE_SERVER_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/queue.h"
#include "postgres/conn.h"
#include "restore/confine.h"
#include "restore/sandbox.h"

struct server {
    const struct sandbox *box; /* borrowed */
    const char *bin;           /* folder of its programs; borrowed */
    pid_t pid;                 /* 0: none runs */
    int status;                /* as of waitpid(), once it has ended */
    char *log;                 /* path */
    uint64_t log_from;         /* where this start's lines begin */
    const char *user;          /* a role that may be there, to ask for a superuser; or NULL */
    char *superuser;           /* NULL: not known yet */
};
enum server_state {
    SERVER_STARTING,
    SERVER_REPLAYING,
    SERVER_READY, /* for connections: recovery is over */
    SERVER_ENDED
};

/* From the main thread: the child lives as long as the thread that made it. conf: path of its
 * configuration. c: what it may write to. */
int server_start(struct server *s, const struct sandbox *box, const char *bin, const char *conf,
                 const struct confinement *c, struct err *err) MUST_CHECK;
enum server_state server_look(struct server *s);
/* Waits until it has come that far. ERR_FAILED: it has ended; the message has the end of its log.
 */
int server_wait(struct server *s, enum server_state state, const struct stop *stop,
                struct err *err) MUST_CHECK;
/* An orderly end (a shutdown checkpoint). ERR_FAILED: it ended otherwise. */
int server_stop(struct server *s, const struct stop *stop, struct err *err) MUST_CHECK;
/* Ends it at once, if it runs; waits until it is gone. */
void server_end(struct server *s);
void server_free(struct server *s); /* and ends it */

/* What its log says since the last start of a failure: the last lines of level ERROR and above,
 * without their prefix; "" when there is none. */
void server_complaint(const struct server *s, struct buf *out);

/* A session as a superuser in one of its databases. The server answers for its data directory and
 * system identifier before anything else is asked: it is this sandbox and nothing else. */
int server_connect(struct server *s, const char *database, uint64_t system_id, struct pg **pg,
                   struct err *err) MUST_CHECK;

#endif
