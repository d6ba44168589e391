/*
 * notify.h - what was told, and is to be told, to the receivers of notifications.
 *
 * Every event is looked at once for each receiver; what concerns it becomes a delivery, in the same
 * transaction that remembers how far it got. So an event that was written is not forgotten, however
 * the process ended, and none is decided about twice. A delivery is "pending" until it is "sent",
 * or "given up"; "repeated" from the start when the same was told a short while ago. One
 * notification may carry several deliveries: all get the number of the first as their carrier.
 * Rules of errors and text: see catalog.h.
 */
#ifndef PGBR_CATALOG_NOTIFY_H
#define PGBR_CATALOG_NOTIFY_H

#include "catalog/catalog.h"

#define DELIVERY_PENDING "pending"
#define DELIVERY_REPEATED "repeated"
#define DELIVERY_SENT "sent"
#define DELIVERY_GIVEN_UP "given up"

/* ---- deciding: between catalog_begin() and catalog_commit() ---- */

/* Is there an event the receiver has not been asked about? Needs no transaction. */
int catalog_notify_any(struct catalog *c, const char *receiver, bool *any,
                       struct err *err) MUST_CHECK;
/* The events, oldest first, that the receiver has not been asked about, at most limit. One that is
 * not known yet begins with those since since_us. */
int catalog_notify_new(struct catalog *c, const char *receiver, int64_t since_us, size_t limit,
                       struct catalog_events *out, struct err *err) MUST_CHECK;
/* It has been asked about all up to this one. */
int catalog_notify_seen(struct catalog *c, const char *receiver, int64_t event,
                        struct err *err) MUST_CHECK;

/* What was last told of the kind, cluster, repository and job of an event; or will be. */
struct catalog_told {
    bool any, error_or_warning;
    int64_t same_us;  /* time of the event with the same problem told last since then; 0: none */
    unsigned repeats; /* left untold since */
};
int catalog_notify_told(struct catalog *c, const char *receiver, const struct catalog_event *e,
                        const char *problem, struct catalog_told *out, struct err *err) MUST_CHECK;

struct catalog_delivery {
    int64_t id, event;
    const char *receiver, *state;
    const char *problem; /* what makes two events the same */
    unsigned repeats;    /* of the same, untold before this one */
    bool recovered;      /* it ends what was told */
    unsigned tries;
    int64_t created_us, next_try_us, finished_us;
    int64_t carrier;   /* 0: not sent */
    const char *error; /* of the last try */
    struct catalog_event e;
};
/* Reads event, receiver, state, problem, repeats, recovered. */
int catalog_put_delivery(struct catalog *c, const struct catalog_delivery *row,
                         struct err *err) MUST_CHECK;

/* ---- delivering ---- */

struct catalog_deliveries {
    struct catalog_delivery *rows;
    size_t n;
    struct catalog_texts *texts;
};
/* Pending ones whose time has come, those tried least first, then by age. */
int catalog_notify_due(struct catalog *c, const char *receiver, int64_t now_us, size_t limit,
                       struct catalog_deliveries *out, struct err *err) MUST_CHECK;
/* Newest first; receiver, state NULL: all. */
int catalog_get_deliveries(struct catalog *c, const char *receiver, const char *state, size_t limit,
                           struct catalog_deliveries *out, struct err *err) MUST_CHECK;
void catalog_deliveries_free(struct catalog_deliveries *l);

/* Counts a try of all these, and puts the next one off until then: what a process that dies in the
 * middle leaves. */
int catalog_notify_try(struct catalog *c, const struct catalog_delivery *rows, size_t n,
                       int64_t next_try_us, struct err *err) MUST_CHECK;
int catalog_notify_sent(struct catalog *c, const struct catalog_delivery *rows, size_t n,
                        int64_t now_us, struct err *err) MUST_CHECK;
/* Of these, with the reason; and what else is pending for the receiver waits until then too. */
int catalog_notify_failed(struct catalog *c, const struct catalog_delivery *rows, size_t n,
                          const char *error, int64_t next_try_us, struct err *err) MUST_CHECK;
/* Pending deliveries of events before that moment are given up; *n: how many. */
int catalog_notify_give_up(struct catalog *c, const char *receiver, int64_t before_us, size_t *n,
                           struct err *err) MUST_CHECK;

/* When notifications went out since since_us, oldest first; *times is the caller's. */
int catalog_notify_times(struct catalog *c, const char *receiver, int64_t since_us, int64_t **times,
                         size_t *n, struct err *err) MUST_CHECK;

struct catalog_receiver {
    uint64_t pending, sent, repeated, given_up;
    int64_t last_sent_us, next_try_us; /* 0: never; nothing pending */
    int64_t failed_us;                 /* last try that failed and is still pending, or given up */
    const char *error;                 /* and why; the caller frees texts */
    struct catalog_texts *texts;
};
int catalog_get_receiver(struct catalog *c, const char *receiver, struct catalog_receiver *out,
                         struct err *err) MUST_CHECK;
void catalog_receiver_free(struct catalog_receiver *r);

/* Forgets deliveries that ended before that moment. */
int catalog_notify_prune(struct catalog *c, int64_t before_us, struct err *err) MUST_CHECK;

#endif
