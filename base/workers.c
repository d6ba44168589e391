/* workers.c - worker threads, the request to stop, and the rate limit of queue.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/queue.h"

struct worker {
    struct workers *all;
    unsigned index;
    pthread_t thread;
};

struct workers {
    worker_fn *work;
    void *ctx;
    void (*on_failure)(void *ctx);
    unsigned started;
    atomic_uint running;
    pthread_mutex_t lock; /* of failed and first */
    bool failed;
    struct err first;
    struct worker each[];
};

/* True for the first one that fails. */
static bool record_failure(struct workers *w, const struct err *err)
{
    bool first;

    pthread_mutex_lock(&w->lock);
    first = !w->failed;
    if (first) {
        w->failed = true;
        w->first = *err;
    }
    pthread_mutex_unlock(&w->lock);
    return first;
}

static void *run_worker(void *arg)
{
    struct worker *self = arg;
    struct workers *w = self->all;
    struct err err = {0};

    if (w->work(w->ctx, self->index, &err) != 0 && record_failure(w, &err) && w->on_failure != NULL)
        w->on_failure(w->ctx);
    atomic_fetch_sub(&w->running, 1);
    return NULL;
}

/* Signals are the main thread's: workers inherit a mask that blocks them all. */
static int start_one(struct worker *self)
{
    sigset_t all, before;
    int result;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_fetch_add(&self->all->running, 1);
    result = pthread_create(&self->thread, NULL, run_worker, self);
    if (result != 0)
        atomic_fetch_sub(&self->all->running, 1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

int workers_start(struct workers **out, unsigned n, worker_fn *work, void *ctx,
                  void (*on_failure)(void *ctx), struct err *err)
{
    struct workers *w = xcalloc(1, sizeof *w + n * sizeof w->each[0]);

    w->work = work;
    w->ctx = ctx;
    w->on_failure = on_failure;
    pthread_mutex_init(&w->lock, NULL);
    *out = w;
    for (; w->started < n; w->started++) {
        struct worker *self = &w->each[w->started];
        *self = (struct worker){.all = w, .index = w->started};
        errno = start_one(self);
        if (errno != 0) {
            err_sys(err, "cannot start worker thread %u of %u", w->started + 1, n);
            if (record_failure(w, err) && on_failure != NULL)
                on_failure(ctx);
            return workers_join(out, err);
        }
    }
    return 0;
}

bool workers_running(struct workers *w)
{
    return atomic_load(&w->running) != 0;
}

int workers_join(struct workers **workers, struct err *err)
{
    struct workers *w = *workers;
    int result = 0;

    if (w == NULL)
        return 0;
    for (unsigned i = 0; i < w->started; i++)
        pthread_join(w->each[i].thread, NULL);
    if (w->failed) {
        *err = w->first;
        result = -1;
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
    *workers = NULL;
    return result;
}

int stop_check(const struct stop *s, struct err *err)
{
    int number = s != NULL ? atomic_load(&s->signal) : 0;
    const char *name;

    if (number == 0)
        return 0;
    if (number < 0)
        return err_set(err, ERR_INTERRUPTED, "asked to stop");
    name = sigabbrev_np(number);
    if (name == NULL)
        return err_set(err, ERR_INTERRUPTED, "interrupted by signal %d", number);
    return err_set(err, ERR_INTERRUPTED, "interrupted by SIG%s", name);
}

/*
 * Takers stand in line: each moves the end of the line by what its bytes cost and sleeps until its
 * own place comes up. Unused time is kept for at most BURST_NS, so that a pause is not followed by
 * a flood.
 */
enum { BURST_NS = 100 * 1000 * 1000, NAP_MS = 100 };

struct rate {
    uint64_t bytes_per_s;
    pthread_mutex_t lock; /* of free_at_ns */
    int64_t free_at_ns;   /* monotonic; when the bytes taken so far will have passed */
};

struct rate *rate_new(uint64_t bytes_per_s)
{
    struct rate *r = xcalloc(1, sizeof *r);

    r->bytes_per_s = bytes_per_s;
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void rate_free(struct rate **r)
{
    if (*r == NULL)
        return;
    pthread_mutex_destroy(&(*r)->lock);
    free(*r);
    *r = NULL;
}

static int64_t now_ns(void)
{
    return clock_monotonic_us() * 1000;
}

/* Puts the bytes in line; when they may pass. */
static int64_t join_line(struct rate *r, size_t bytes)
{
    double cost_ns = (double)bytes * 1e9 / (double)r->bytes_per_s;
    int64_t now = now_ns(), turn;

    pthread_mutex_lock(&r->lock);
    turn = MAX_OF(r->free_at_ns, now - BURST_NS);
    r->free_at_ns = turn + (int64_t)cost_ns;
    pthread_mutex_unlock(&r->lock);
    return turn;
}

void rate_take(struct rate *r, size_t bytes, const struct stop *stop)
{
    int64_t turn, wait_ms;

    if (r == NULL || r->bytes_per_s == 0)
        return;
    turn = join_line(r, bytes);
    while ((wait_ms = (turn - now_ns()) / 1000000) > 0 && !stop_wanted(stop))
        clock_sleep_ms((unsigned)MIN_OF(wait_ms, NAP_MS));
}
