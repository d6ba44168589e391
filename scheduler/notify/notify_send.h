/*
 * notify_send.h - one notification to one receiver, once. Internal to notifications.
 *
 * Nothing is retried here and nothing recorded. Errors never hold the URL, a token or a header.
 */
#ifndef PGBR_SCHEDULER_NOTIFY_NOTIFY_SEND_H
#define PGBR_SCHEDULER_NOTIFY_NOTIFY_SEND_H

#include "base/buf.h"
#include "base/queue.h"
#include "catalog/notify.h"
#include "config/config.h"

/* A delivery under way when the program is to stop has so long to end: it may be all but done. */
enum { NOTIFY_STOP_US = 1000000 };
enum { NOTIFY_OUTPUT_MAX = 2000 }; /* bytes kept of what a command or a server says */

/* One event, or a summary of several. */
struct notify_message {
    const struct catalog_delivery *rows;
    size_t n;
    const struct config *config; /* names the instance of a cluster */
    bool test;
};

/* What came back. */
struct notify_answer {
    int status;        /* HTTP status, or exit status of the command; -1: none */
    struct buf output; /* the beginning of what was said, printable */
    int64_t took_us;
};
void notify_answer_free(struct notify_answer *a);

/* The message as JSON, on one line; pgbr.1 describes it. */
void notify_body(const struct notify_message *m, struct buf *out);
/* The message as one line for people: "ERROR pg-test: backup failed: ..." */
void notify_line(const struct notify_message *m, struct buf *out);
/* The worst level of its events. */
const char *notify_level(const struct notify_message *m);
/* Which kind: the event's, or "summary". */
const char *notify_kind(const struct notify_message *m);

/* 0: delivered. The thread's SIGPIPE must be ignored. */
int notify_send(const struct notify_receiver *r, const struct notify_message *m,
                const struct stop *stop, struct notify_answer *a, struct err *err) MUST_CHECK;

int notify_command(const struct notify_receiver *r, const struct notify_message *m,
                   const struct stop *stop, struct notify_answer *a, struct err *err) MUST_CHECK;
int notify_webhook(const struct notify_receiver *r, const struct notify_message *m,
                   const struct stop *stop, struct notify_answer *a, struct err *err) MUST_CHECK;
/* Appends what fits of bytes from outside, control characters as spaces. */
void notify_keep(struct buf *output, const char *data, size_t len);

#endif
