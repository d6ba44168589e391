/*
 * event.h - what a run leaves for people who do not watch it: events in the catalog, of which the
 * receivers of notifications are told.
 *
 * A command whose table names a kind leaves one event at its end, whatever the end was; what it
 * said through event_tell() is its text. Only a wrong command line leaves none: nothing happened,
 * and who typed it sees it. A catalog that cannot be used is logged and stops nothing; so is a
 * receiver that cannot be reached: the process waits EVENT_WAIT_S seconds for deliveries at most.
 * archive-push and archive-get leave none and tell nobody.
 */
#ifndef PGBR_CLI_EVENT_H
#define PGBR_CLI_EVENT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "catalog/kinds.h"

enum { EVENT_WAIT_S = 5 };

struct app;
struct cluster_config;

/* A part of struct app. */
struct run_event {
    const struct cluster_config *cluster; /* NULL: none was chosen */
    char *repo;                           /* NULL: none, or several */
    struct buf text;
    enum log_level level; /* of what was told: LOG_DEBUG while nothing was */
    bool none;            /* this run leaves no event unless it fails */
    bool recorded;        /* some event was: receivers may want to know */
};
#define RUN_EVENT_INIT      \
    {                       \
        .level = LOG_DEBUG, \
    }

/* Which repository the run is about, before anything can be told. */
void event_at(struct app *app, const char *repo);
/* What the event at the end says. Several are joined; the worst level counts. repo NULL: of none;
 * where they differ, the event is of none. */
void event_tell(struct app *app, enum log_level level, const char *repo, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Nothing is to be told of this run unless it fails: it only looks. */
void event_leave_out(struct app *app);

/* An event of its own, now. */
void event_put(struct app *app, enum log_level level, const char *kind, const char *repo,
               const char *text);
/* The same; "info" only where the last of the kind was worse: it is over. */
void event_change(struct app *app, enum log_level level, const char *kind, const char *repo,
                  const char *text);
/* For main, when all is done: the event at the end, and deliveries. */
void event_end(struct app *app, int rc, int status, const struct err *err);
void run_event_free(struct run_event *e);

#endif
