/*
 * notify.h - events of the catalog to the receivers of the configuration.
 *
 * An event is told at least once, and once only unless this process dies between the receiver's
 * answer and its record; its number, "id", lets a receiver tell. What cannot be delivered is tried
 * again with growing waits and given up after the receiver's "give_up". Each receiver has a thread
 * of its own, so one that hangs delays nobody else; a lock for each keeps processes of this host
 * from telling the same twice. Failures are logged as warnings and stand in the catalog.
 */
#ifndef PGBR_SCHEDULER_NOTIFY_NOTIFY_H
#define PGBR_SCHEDULER_NOTIFY_NOTIFY_H

#include "base/queue.h"
#include "config/config.h"
#include "scheduler/notify/notify_send.h"

struct notify_made {
    size_t sent;    /* notifications */
    size_t failed;  /* of this run */
    size_t waiting; /* deliveries that are pending now */
    size_t busy;    /* receivers that another process is at work for */
};
/* Decides about new events and delivers what is due, to all receivers (or only this one) at once;
 * returns when that is done, within the time limits of the receivers. Where another process is at
 * work for a receiver, it is waited for as long as one delivery may take. */
int notify_run(const struct config *config, const char *only, const struct stop *stop,
               struct notify_made *made, struct err *err) MUST_CHECK;

/* The same for ever, in threads of its own: the scheduler's. While one of these is there, commands
 * leave deliveries to it. config is borrowed: stop it before that is freed, then start another.
 * Without receivers it does nothing. The process must ignore SIGPIPE, and wait for its children by
 * their numbers or with __WNOTHREAD. */
struct notifier;
int notifier_start(struct notifier **out, const struct config *config, struct err *err) MUST_CHECK;
/* Ends a delivery under way (it is tried again later). */
void notifier_stop(struct notifier **n);
/* Is there one on this host? */
bool notifier_running(const struct config *config);

/* Sends one invented event now, past all limits, recording nothing. */
int notify_test(const struct config *config, const struct notify_receiver *r,
                const struct stop *stop, struct notify_answer *a, struct err *err) MUST_CHECK;

#endif
