/*
 * keeper.h - a status that a thread of its own keeps fresh, so that showing it costs nothing.
 *
 * Repositories are looked at as often as the configuration says, and sooner when the catalog tells
 * that a command has ended meanwhile; catalog and servers every half minute at least.
 */
#ifndef PGBR_SCHEDULER_PAGE_KEEPER_H
#define PGBR_SCHEDULER_PAGE_KEEPER_H

#include "scheduler/status/status.h"

struct keeper;

/* config is borrowed until keeper_stop(). Returns at once, with nothing read yet. */
int keeper_start(struct keeper **w, const struct config *config, struct err *err) MUST_CHECK;
/* Waits until the thread has ended; what it waits for itself is given up. */
void keeper_stop(struct keeper **w);

/* To be read between status_hold() and status_release(). */
struct status *keeper_status(struct keeper *w);
/* When the last round of looking ended, by the monotonic clock; 0: none did yet. */
int64_t keeper_round_us(struct keeper *w);

#endif
