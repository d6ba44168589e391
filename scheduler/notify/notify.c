/* notify.c - see notify.h. */
#include "scheduler/notify/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/crypt.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "scheduler/notify/notify_policy.h"

#define SECOND_US INT64_C(1000000)
#define HOUR_US (3600 * SECOND_US)
#define KEEP_US (30 * 24 * HOUR_US) /* how long it is remembered what was delivered */
enum {
    BATCH = 500,          /* events decided about in one transaction */
    GROUP_MAX = 1000,     /* deliveries in one summary */
    LOOK_EVERY_S = 2,     /* the notifier, for new events */
    PRUNE_EVERY_S = 3600, /* and for old deliveries */
    MARGIN_US = 5000000,  /* beyond the time limit, until a dead process's try is repeated */
};

/* What one thread does for one receiver. */
struct duty {
    const struct config *config;
    const struct notify_receiver *r;
    const struct stop *stop;
    struct catalog *catalog;
    struct notify_made made;
};

static char *catalog_path(const struct config *c)
{
    return xasprintf("%s/catalog.db", c->state_dir);
}

/* ---- deciding ---- */

static int decide_one(struct duty *d, const struct catalog_event *e, struct err *err)
{
    struct catalog_delivery row = {.event = e->id, .receiver = d->r->name};
    char problem[NOTIFY_PROBLEM_SIZE];
    struct catalog_told told;
    enum notify_verdict verdict;

    notify_problem(e, problem);
    TRY(catalog_notify_told(d->catalog, d->r->name, e, problem, &told, err));
    verdict = notify_judge(d->r, e, &told);
    if (verdict == NOTIFY_SKIP)
        return 0;
    row.problem = problem;
    row.state = verdict == NOTIFY_REPEATED ? DELIVERY_REPEATED : DELIVERY_PENDING;
    row.recovered = verdict == NOTIFY_RECOVERED;
    row.repeats = verdict == NOTIFY_TELL ? told.repeats : 0;
    return catalog_put_delivery(d->catalog, &row, err);
}

/* *more: there may be others. A receiver that is new gets the last hour. */
static int decide_batch(struct duty *d, bool *more, struct err *err)
{
    AUTO(catalog_events_free) struct catalog_events events = {0};

    TRY(catalog_begin(d->catalog, err));
    TRY(catalog_notify_new(d->catalog, d->r->name, clock_now_us() - HOUR_US, BATCH, &events, err));
    for (size_t i = 0; i < events.n; i++)
        TRY(decide_one(d, &events.rows[i], err));
    if (events.n != 0)
        TRY(catalog_notify_seen(d->catalog, d->r->name, events.rows[events.n - 1].id, err));
    *more = events.n == BATCH;
    return catalog_commit(d->catalog, err);
}

static int decide(struct duty *d, struct err *err)
{
    bool more;

    TRY(catalog_notify_any(d->catalog, d->r->name, &more, err));
    while (more && !stop_wanted(d->stop))
        if (decide_batch(d, &more, err) != 0) {
            catalog_rollback(d->catalog);
            return -1;
        }
    return 0;
}

/* ---- delivering ---- */

static int give_up(struct duty *d, struct err *err)
{
    char span[40];
    size_t n;

    TRY(catalog_notify_give_up(d->catalog, d->r->name, clock_now_us() - d->r->give_up_ms * 1000, &n,
                               err));
    if (n != 0)
        log_error("receiver \"%s\": %zu notification%s given up, which could not be delivered for "
                  "%s; \"pgbr notify list\" tells why",
                  d->r->name, n, n == 1 ? " is" : "s are",
                  clock_format_duration(d->r->give_up_ms * 1000, span));
    return 0;
}

/* Who was asked to stop leaves it to the next one, without a wait. */
static int64_t next_try(const struct catalog_delivery *row, const struct err *why)
{
    uint32_t random = 0;
    struct err ignored = {0};

    if (why->code == ERR_INTERRUPTED)
        return clock_now_us();
    if (crypt_random(&random, sizeof random, &ignored) != 0)
        random = (uint32_t)getpid();
    return clock_now_us() + notify_backoff_us(row->tries + 1, random);
}

/* The try is written down before it is made: a process that dies in it has tried. */
static int try_group(struct duty *d, const struct catalog_delivery *rows, size_t n, bool *delivered,
                     struct err *err)
{
    AUTO(notify_answer_free) struct notify_answer answer = {0};
    const struct notify_message message = {.rows = rows, .n = n, .config = d->config};
    int64_t again_us;
    struct err why = {0};
    char when[40];

    TRY(catalog_notify_try(d->catalog, rows, n,
                           clock_now_us() + d->r->timeout_ms * 1000 + MARGIN_US, err));
    crash_point("notify-trying");
    *delivered = notify_send(d->r, &message, d->stop, &answer, &why) == 0;
    crash_point("notify-sent");
    if (*delivered) {
        d->made.sent++;
        return catalog_notify_sent(d->catalog, rows, n, clock_now_us(), err);
    }
    d->made.failed++;
    again_us = next_try(&rows[0], &why);
    log_identity_here(rows[0].e.cluster, NULL);
    log_warning(
        "receiver \"%s\": notification of event %lld not delivered, try %u: %s; again at %s",
        d->r->name, (long long)rows[0].event, rows[0].tries + 1, why.msg,
        clock_format_utc(again_us / SECOND_US * SECOND_US, when));
    log_identity_here(NULL, NULL);
    return catalog_notify_failed(d->catalog, rows, n, why.msg, again_us, err);
}

/* *go_on: something was delivered, and there may be more. */
static int deliver_next(struct duty *d, bool *go_on, struct err *err)
{
    AUTO(catalog_deliveries_free) struct catalog_deliveries due = {0};
    AUTO(mem_free) int64_t *times = NULL;
    int64_t now = clock_now_us();
    size_t n;

    *go_on = false;
    TRY(catalog_notify_due(d->catalog, d->r->name, now, GROUP_MAX, &due, err));
    if (due.n == 0)
        return 0;
    TRY(catalog_notify_times(d->catalog, d->r->name, now - d->r->limit_window_ms * 1000, &times, &n,
                             err));
    if (notify_slot_us(d->r, times, n, now) > now)
        return 0;
    return try_group(d, due.rows, notify_group(d->r, times, n, now, due.n), go_on, err);
}

static int count_waiting(struct duty *d, struct err *err)
{
    AUTO(catalog_receiver_free) struct catalog_receiver state = {0};

    TRY(catalog_get_receiver(d->catalog, d->r->name, &state, err));
    d->made.waiting = state.pending;
    return 0;
}

static int work(struct duty *d, struct err *err)
{
    AUTO(mem_free) char *path = catalog_path(d->config);
    bool go_on = true;

    TRY(catalog_open(&d->catalog, path, err));
    TRY(decide(d, err));
    TRY(give_up(d, err));
    while (go_on && !stop_wanted(d->stop))
        TRY(deliver_next(d, &go_on, err));
    return count_waiting(d, err);
}

/* What another process is telling this receiver now was written before what brought us here. */
static int lock_receiver(const struct duty *d, struct lock_file *lock, int64_t wait_us,
                         struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("%s/notify-%s.lock", d->config->state_dir, d->r->name);
    int64_t until_us = clock_monotonic_us() + wait_us;

    while (lock_take(lock, path, err) != 0) {
        if (err->code != ERR_BUSY || clock_monotonic_us() >= until_us || stop_wanted(d->stop))
            return -1;
        clock_sleep_ms(50);
    }
    return 0;
}

/* One round for one receiver. */
static int serve(struct duty *d, int64_t wait_us, struct err *err)
{
    AUTO(lock_release) struct lock_file lock = LOCK_FILE_INIT;
    int rc;

    if (lock_receiver(d, &lock, wait_us, err) != 0) {
        d->made.busy = err->code == ERR_BUSY;
        return d->made.busy != 0 ? 0 : -1;
    }
    rc = work(d, err);
    catalog_close(&d->catalog);
    return rc;
}

/* ---- once ---- */

static int serve_once(void *ctx, unsigned index, struct err *err)
{
    struct duty *d = (struct duty *)ctx + index;

    if (serve(d, d->r->timeout_ms * 1000 + SECOND_US, err) != 0)
        return err_context(err, "receiver \"%s\"", d->r->name);
    return 0;
}

static int prune(const struct config *config, struct err *err)
{
    AUTO(mem_free) char *path = catalog_path(config);
    AUTO(catalog_close) struct catalog *c = NULL;

    TRY(catalog_open(&c, path, err));
    return catalog_notify_prune(c, clock_now_us() - KEEP_US, err);
}

int notify_run(const struct config *config, const char *only, const struct stop *stop,
               struct notify_made *made, struct err *err)
{
    AUTO(mem_free) struct duty *duties = xcalloc(config->notify.n + 1, sizeof *duties);
    struct workers *w = NULL;
    unsigned n = 0;
    int rc;

    *made = (struct notify_made){0};
    for (size_t i = 0; i < config->notify.n; i++)
        if (only == NULL || strcmp(only, config->notify.receivers[i].name) == 0)
            duties[n++] =
                (struct duty){.config = config, .r = &config->notify.receivers[i], .stop = stop};
    if (n == 0)
        return 0;
    TRY(fs_mkdirs(config->state_dir, 0700, err));
    TRY(prune(config, err));
    TRY(workers_start(&w, n, serve_once, duties, NULL, err));
    rc = workers_join(&w, err);
    for (unsigned i = 0; i < n; i++) {
        made->sent += duties[i].made.sent;
        made->failed += duties[i].made.failed;
        made->waiting += duties[i].made.waiting;
        made->busy += duties[i].made.busy;
    }
    return rc;
}

/* ---- for ever ---- */

struct notifier {
    const struct config *config;
    struct workers *workers;
    struct stop stop;
    int lock; /* on a file of its own, as long as it lives */
};

static int lock_open(const struct config *config, int how)
{
    AUTO(mem_free) char *path = xasprintf("%s/notify.lock", config->state_dir);
    AUTO(fd_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int got;

    if (fd < 0 || flock(fd, how | LOCK_NB) != 0)
        return -1;
    got = fd;
    fd = -1;
    return got;
}

/* A shared lock, so that two that ask do not take each other for a notifier. */
bool notifier_running(const struct config *config)
{
    AUTO(fd_close) int fd = lock_open(config, LOCK_SH);

    return fd < 0 && errno == EWOULDBLOCK;
}

static void wait_a_moment(const struct stop *stop)
{
    for (unsigned i = 0; i < LOOK_EVERY_S * 10 && !stop_wanted(stop); i++)
        clock_sleep_ms(100);
}

/* What fails (the catalog, mostly) is said once until it works again. */
static int serve_on(void *ctx, unsigned index, struct err *err)
{
    struct notifier *n = ctx;
    struct duty d = {
        .config = n->config, .r = &n->config->notify.receivers[index], .stop = &n->stop};
    int64_t pruned_us = 0;
    bool failing = false;

    for (; !stop_wanted(&n->stop); wait_a_moment(&n->stop)) {
        struct err why = {0};
        bool bad = serve(&d, 0, &why) != 0;

        if (bad && !failing)
            log_warning("receiver \"%s\": %s", d.r->name, why.msg);
        failing = bad;
        if (index != 0 || clock_monotonic_us() - pruned_us < PRUNE_EVERY_S * SECOND_US)
            continue;
        pruned_us = clock_monotonic_us();
        if (prune(n->config, &why) != 0)
            log_debug("%s", why.msg);
    }
    (void)err;
    return 0;
}

static void stop_all(void *ctx)
{
    struct notifier *n = ctx;

    atomic_store(&n->stop.signal, -1);
}

/* A command that just asks whether there is one holds the lock for a moment. */
static int lock_wait(const struct config *config)
{
    int fd;

    for (unsigned i = 0; (fd = lock_open(config, LOCK_EX)) < 0 && i < 20; i++)
        clock_sleep_ms(50);
    return fd;
}

int notifier_start(struct notifier **out, const struct config *config, struct err *err)
{
    AUTO(notifier_stop) struct notifier *n = NULL;

    *out = NULL;
    if (config->notify.n == 0)
        return 0;
    TRY(fs_mkdirs(config->state_dir, 0700, err));
    n = xcalloc(1, sizeof *n);
    n->config = config;
    n->lock = lock_wait(config);
    if (n->lock < 0)
        return err_sys(err, "cannot lock \"%s/notify.lock\"", config->state_dir);
    TRY(workers_start(&n->workers, (unsigned)config->notify.n, serve_on, n, stop_all, err));
    *out = TAKE(n);
    return 0;
}

void notifier_stop(struct notifier **address)
{
    struct notifier *n = *address;
    struct err ignored = {0};

    if (n == NULL)
        return;
    stop_all(n);
    if (n->workers != NULL && workers_join(&n->workers, &ignored) != 0)
        log_debug("%s", ignored.msg);
    fd_close(&n->lock);
    free(n);
    *address = NULL;
}

/* ---- trying it out ---- */

int notify_test(const struct config *config, const struct notify_receiver *r,
                const struct stop *stop, struct notify_answer *a, struct err *err)
{
    const struct catalog_delivery row = {
        .receiver = r->name,
        .e = {.time_us = clock_now_us(),
              .level = "info",
              .kind = "test",
              .cluster = r->n_clusters != 0        ? r->clusters[0]
                         : config->n_clusters != 0 ? config->clusters[0].name
                                                   : NULL,
              .text = "this is a test of notifications; nothing happened"}};
    const struct notify_message message = {.rows = &row, .n = 1, .config = config, .test = true};

    return notify_send(r, &message, stop, a, err);
}
