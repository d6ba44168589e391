/*
 * queue.h - worker threads and the bounded queue that feeds them.
 *
 * The queue carries pointers; who pops an item owns it. Closing lets consumers drain what is left;
 * cancelling makes both sides return at once (items left are handed to the drop function).
 */
#ifndef PGBR_BASE_QUEUE_H
#define PGBR_BASE_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct queue;
struct queue *queue_new(size_t capacity, void (*drop)(void *item));
void queue_free(struct queue **q);
bool queue_push(
    struct queue *q,
    void *item); /* waits for room; false (item still the caller's) once closed or cancelled */
bool queue_pop(struct queue *q, void **item); /* waits; false when closed and empty, or cancelled */
void queue_close(struct queue *q);
void queue_cancel(struct queue *q);

/*
 * Runs work(ctx, index, err) on n threads. start, then join: join waits for all and returns the
 * first error (by time) of any of them. on_failure (may be NULL) is called once, from the failing
 * thread, when the first worker fails, so that the owner can cancel queues and release the others.
 */
struct workers;
typedef int worker_fn(void *ctx, unsigned index, struct err *err);
int workers_start(struct workers **w, unsigned n, worker_fn *work, void *ctx,
                  void (*on_failure)(void *ctx), struct err *err) MUST_CHECK;
bool workers_running(struct workers *w); /* some thread has not returned yet */
int workers_join(struct workers **w, struct err *err) MUST_CHECK;

/* A request to stop, shared by whoever may ask (signals, a lost session) and whoever looks between
 * two chunks. */
struct stop {
    atomic_int signal; /* 0, or the signal number that asked; -1: asked for another reason */
};
static inline bool stop_wanted(const struct stop *s)
{
    return s != NULL && atomic_load_explicit(&s->signal, memory_order_relaxed) != 0;
}
/* 0, or -1 with ERR_INTERRUPTED "interrupted by SIGTERM". */
int stop_check(const struct stop *s, struct err *err) MUST_CHECK;

/* A rate limit shared by workers: waits until bytes may pass. bytes_per_s 0: never waits. */
struct rate;
struct rate *rate_new(uint64_t bytes_per_s);
void rate_free(struct rate **r);
void rate_take(struct rate *r, size_t bytes, const struct stop *stop);

#endif
