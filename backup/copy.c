/* copy.c - see copy.h: threads, and the watch over the session. */
#include "backup/copy.h"

#include <stdlib.h>

#include "backup/base.h"
#include "backup/worker.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"

enum {
    QUEUE_SIZE = 16,
    TEND_EVERY_US = 1000000,
    WATCH_MS = 4,
};

int copy_blame_base(struct copy *c, const struct err *err)
{
    if (base_fault(err->code))
        atomic_store(&c->made->base_bad, true);
    return -1;
}

/* ---- threads ---- */

static int work(struct copy *c, unsigned index, struct err *err)
{
    AUTO(worker_free) struct worker *w = NULL;
    void *item;

    TRY(packer_new(&c->packers[index], c->q->set, OBJECT_PACK, err));
    w = worker_new(c, index);
    while (queue_pop(c->tasks, &item)) {
        int rc = worker_do(w, item, err);

        crash_point("copy-task");

        copy_task_drop(item);
        TRY(rc);
        TRY(stop_check(c->q->stop, err));
    }
    crash_point("copy-worker");
    /* The first worker's pack stays open for pg_control. */
    return index == 0 ? 0 : packer_finish(c->packers[index], err);
}

static int thread(void *ctx, unsigned index, struct err *err)
{
    struct copy *c = ctx;

    return index == c->q->workers ? copy_make_tasks(c, err) : work(c, index, err);
}

static void give_up(void *ctx)
{
    struct copy *c = ctx;

    queue_cancel(c->tasks);
}

/* Looks after the session and shows progress until the threads are done. */
static int watch(struct copy *c, struct workers *workers, struct err *err)
{
    int64_t next = clock_monotonic_us() + TEND_EVERY_US;
    int rc = 0;

    while (workers_running(workers)) {
        clock_sleep_ms(WATCH_MS);
        if (clock_monotonic_us() < next || rc != 0)
            continue;
        next = clock_monotonic_us() + TEND_EVERY_US;
        progress_show(c->q->progress);
        uint64_t lsn;
        rc = c->q->tend(c->q->tend_ctx, &lsn, err);
        if (rc == 0)
            atomic_store(&c->insert_lsn, lsn);
        else
            queue_cancel(c->tasks);
    }
    return rc;
}

static int run_threads(struct copy *c, struct err *err)
{
    struct workers *workers = NULL;
    struct err late = {0};
    uint64_t lsn;
    int tended, joined;

    TRY(c->q->tend(c->q->tend_ctx, &lsn, err));
    atomic_init(&c->insert_lsn, lsn);
    TRY(workers_start(&workers, c->q->workers + 1, thread, c, give_up, err));
    tended = watch(c, workers, err);
    joined = workers_join(&workers, tended == 0 ? err : &late);
    return tended == 0 ? joined : tended;
}

int copy_run(const struct copy_request *q, struct copy_made *made, struct err *err)
{
    struct copy c = {.q = q,
                     .made = made,
                     .parsing = PTHREAD_MUTEX_INITIALIZER,
                     .bad.lock = PTHREAD_MUTEX_INITIALIZER};
    int rc;

    made->workers = q->workers;
    made->suspects = xcalloc(q->workers, sizeof *made->suspects);
    c.packers = xcalloc(q->workers, sizeof *c.packers);
    c.tasks = queue_new(QUEUE_SIZE, copy_task_drop);
    c.rate = rate_new(q->rate_limit);
    rc = run_threads(&c, err);
    made->packer = TAKE(c.packers[0]);
    for (unsigned i = 1; i < q->workers; i++)
        packer_free(&c.packers[i]);
    free(c.packers);
    queue_free(&c.tasks);
    rate_free(&c.rate);
    pthread_mutex_destroy(&c.parsing);
    pthread_mutex_destroy(&c.bad.lock);
    free(c.bad.items);
    return rc;
}

void copy_made_free(struct copy_made *made)
{
    for (unsigned i = 0; made->suspects != NULL && i < made->workers; i++)
        suspects_free(&made->suspects[i]);
    free(made->suspects);
    packer_free(&made->packer);
    made->suspects = NULL;
    samples_free(&made->samples);
}
