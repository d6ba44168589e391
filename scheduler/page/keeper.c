/* keeper.c - see keeper.h. */
#include "scheduler/page/keeper.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { ROUND_S = 30 }; /* or "refresh", where that is less */

struct keeper {
    struct config config; /* the given one, with a request to stop of its own */
    struct stop stop;
    struct status status;
    struct workers *thread;
    _Atomic int64_t round_us;
    int64_t repos_us; /* when repositories were looked at, monotonic; the thread's */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* something is to be stopped */
};

/* A command that ended since a repository was read may have changed it. */
static bool is_behind(const struct status *s)
{
    int64_t now_us = clock_now_us(); /* what ends later was told by a clock that is wrong */

    for (size_t i = 0; i < s->n; i++) {
        const struct status_cluster *c = &s->clusters[i];

        for (size_t k = 0; k < c->history.runs.n; k++)
            for (size_t r = 0; r < c->n_repos; r++)
                if (c->history.runs.rows[k].finished_us > c->repos[r].read.tried_us &&
                    c->history.runs.rows[k].finished_us <= now_us)
                    return true;
    }
    return false;
}

static int look(struct keeper *k, struct err *err)
{
    int64_t now = clock_monotonic_us();
    bool due = k->repos_us == 0 || now - k->repos_us >= k->config.http.refresh_ms * 1000;

    TRY(status_refresh(&k->status, STATUS_CATALOG | STATUS_SERVERS, &k->stop, err));
    if (due || is_behind(&k->status)) {
        TRY(status_refresh(&k->status, STATUS_REPOSITORIES, &k->stop, err));
        k->repos_us = now;
    }
    k->round_us = clock_monotonic_us();
    return 0;
}

/* The clock that counts is the one of the condition. */
static void wait_for_round(struct keeper *k)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += MIN_OF(k->config.http.refresh_ms / 1000, ROUND_S);
    pthread_mutex_lock(&k->lock);
    while (!stop_wanted(&k->stop) && pthread_cond_timedwait(&k->wake, &k->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&k->lock);
}

static int keep(void *ctx, unsigned index, struct err *err)
{
    struct keeper *k = ctx;

    (void)index;
    while (look(k, err) == 0)
        wait_for_round(k);
    return -1; /* it was asked to stop */
}

int keeper_start(struct keeper **out, const struct config *config, struct err *err)
{
    struct keeper *k = xcalloc(1, sizeof *k);
    pthread_condattr_t monotonic;

    k->config = *config;
    k->config.stop = &k->stop;
    status_init(&k->status, &k->config, NULL);
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&k->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (workers_start(&k->thread, 1, keep, k, NULL, err) == 0) {
        *out = k;
        return 0;
    }
    keeper_stop(&k);
    return -1;
}

void keeper_stop(struct keeper **keeper)
{
    struct keeper *k = *keeper;
    struct err ended = {0};

    if (k == NULL)
        return;
    pthread_mutex_lock(&k->lock);
    atomic_store(&k->stop.signal, -1);
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
    if (k->thread != NULL && workers_join(&k->thread, &ended) != 0)
        log_debug("status: %s", ended.msg);
    status_free(&k->status);
    pthread_cond_destroy(&k->wake);
    pthread_mutex_destroy(&k->lock);
    free(k);
    *keeper = NULL;
}

struct status *keeper_status(struct keeper *k)
{
    return &k->status;
}

int64_t keeper_round_us(struct keeper *k)
{
    return k->round_us;
}
