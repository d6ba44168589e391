/* scheduler.c - see scheduler.h. */
#include "scheduler/scheduler.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "scheduler/jobs/child.h"
#include "scheduler/jobs/clock.h"
#include "scheduler/jobs/events.h"
#include "scheduler/jobs/jobs.h"
#include "scheduler/notify/notify.h"
#include "scheduler/page/http.h"
#include "scheduler/supervisor.h"

enum {
    US = 1000000,
    WAIT_MAX_S = 5, /* a clock that was set is noticed, and a runner without a parent */
};

struct scheduler {
    const struct scheduler_terms *terms;
    struct config **config;
    struct sched_clock clock;
    struct supervisor supervisor;
    struct job_set set;
    struct lock_file lock;
    struct catalog *catalog; /* open for one turn of the loop; NULL: not, or cannot be used */
    char *catalog_path;
    bool unrecorded; /* that was logged */
    bool resting;    /* it is not tried again in this turn */
    int signals;     /* a signalfd */
    bool reload;
    bool began;      /* what was missed before that, nobody was there for */
    unsigned stops;  /* how often it was asked to stop */
    int64_t stop_us; /* monotonic: since when */
    bool failed;
    struct notifier *notifier; /* NULL: nobody is to be told, or the commands do it */
    struct http *http;         /* NULL: not served */
};

/* ---- what else works in this process ----
 *
 * The one place for what is not the running of jobs: threads are started here, after the
 * configuration was read and before the first job, and ended here. They block all signals. *config
 * is replaced by a reload: who keeps it stops in services_stop() and starts again.
 */
static int services_start(struct scheduler *s, struct err *err)
{
    struct err why = {0};

    if (s->terms->once)
        return 0;
    if (http_start(&s->http, *s->config, &why) != 0)
        log_error("the status is not served, jobs run all the same: %s", why.msg);
    return notifier_start(&s->notifier, *s->config, err);
}

/* Called by the loop every few seconds at least; must not take long. */
static void services_tick(struct scheduler *s)
{
    http_cut_off(s->http, HTTP_STAY_US);
}

static void services_stop(struct scheduler *s)
{
    notifier_stop(&s->notifier);
    http_stop(&s->http);
}

/* ---- memory ---- */

static void scheduler_free(struct scheduler *s)
{
    services_stop(s);
    job_set_free(&s->set);
    catalog_close(&s->catalog);
    supervisor_close(&s->supervisor);
    lock_release(&s->lock);
    mem_free(&s->catalog_path);
    fd_close(&s->signals);
}

/* Somebody who keeps it locked costs some seconds: once in a turn of the loop, then it rests. */
static bool give_up_catalog(struct scheduler *s, const struct err *err)
{
    if (!s->unrecorded)
        log_warning("the scheduler's memory is not recorded, if it ended now it would begin anew: "
                    "%s",
                    err->msg);
    s->unrecorded = s->resting = true;
    catalog_close(&s->catalog);
    return false;
}

/* The catalog is opened again after a failure: perhaps it was rebuilt. */
static bool use_catalog(struct scheduler *s)
{
    struct err err = {0};

    if (s->resting)
        return false;
    if (s->catalog != NULL || catalog_open(&s->catalog, s->catalog_path, &err) == 0)
        return true;
    return give_up_catalog(s, &err);
}

static struct catalog *catalog_now(struct scheduler *s)
{
    return use_catalog(s) ? s->catalog : NULL;
}

static bool put_job(struct scheduler *s, size_t i)
{
    struct catalog_job row;
    struct err err = {0};

    if (!use_catalog(s))
        return false;
    job_row(&s->set, i, &row);
    return catalog_put_job(s->catalog, &row, &err) == 0 || give_up_catalog(s, &err);
}

/* What cannot be saved now is later. */
static void save(struct scheduler *s, size_t i)
{
    s->set.jobs[i].unsaved = !put_job(s, i);
}

static void save_rest(struct scheduler *s)
{
    size_t left = 0;

    s->resting = false;
    for (size_t i = 0; i < s->set.n; i++) {
        if (s->set.jobs[i].unsaved)
            save(s, i);
        left += s->set.jobs[i].unsaved;
    }
    if (s->unrecorded && left == 0 && use_catalog(s)) {
        log_info("the scheduler's memory is recorded again");
        s->unrecorded = false;
    }
}

static void tell(void *ctx, const struct schedule_job *plan, enum schedule_event what,
                 int64_t number)
{
    struct scheduler *s = ctx;
    const struct job_config *conf = s->set.jobs[plan - s->set.plans].conf;
    char when[40];

    switch (what) {
    case SCHEDULE_MISSED:
        log_warning("job %s: %lld earlier times have passed; they are made up for by one run",
                    conf->name, (long long)number);
        if (!s->began)
            job_event(catalog_now(s), conf, "warning",
                      "%lld times have passed without it, while no scheduler was there; they are "
                      "made up for by one run",
                      (long long)number + 1);
        break;
    case SCHEDULE_DROPPED:
        log_warning("job %s: left out, it was due at %s and does not catch up", conf->name,
                    clock_format_utc(number, when));
        job_event(catalog_now(s), conf, "warning",
                  "left out, it was due at %s and does not catch up", when);
        break;
    case SCHEDULE_CLOCK_BACK:
        log_warning("job %s: the clock had been at %s before; that is taken for a mistake",
                    conf->name, clock_format_utc(number, when));
        break;
    case SCHEDULE_RETRY:
        log_info("job %s: tried again at %s", conf->name, clock_format_utc(number, when));
        break;
    case SCHEDULE_GIVEN_UP:
        log_error("job %s: failed %lld times, not tried again before its next time", conf->name,
                  (long long)number);
        job_event(catalog_now(s), conf, "error",
                  "failed %lld times, not tried again before its next "
                  "time; \"pgbr scheduler list\" tells why",
                  (long long)number);
        break;
    }
}

/* Rows of jobs that the configuration has no more. */
static void forget_others(struct scheduler *s, const struct catalog_jobs *rows)
{
    struct err err = {0};

    for (size_t r = 0; r < rows->n; r++) {
        bool known = false;

        for (size_t i = 0; i < s->set.n; i++)
            known |= strcmp(s->set.jobs[i].conf->name, rows->rows[r].name) == 0;
        if (!known && catalog_forget_job(s->catalog, rows->rows[r].name, &err) != 0)
            log_warning("%s", err.msg);
    }
}

/* before: the jobs until now; empty at the start. */
static void recall(struct scheduler *s, const struct job_set *before)
{
    AUTO(catalog_jobs_free) struct catalog_jobs rows = {0};
    struct schedule_told told = {tell, s};
    struct err err = {0};
    bool known = use_catalog(s) && catalog_get_jobs(s->catalog, &rows, &err) == 0;

    if (err.code != ERR_NONE)
        log_warning("%s", err.msg);
    job_set_recall(&s->set, before, known ? &rows : NULL, (*s->config)->state_dir,
                   sched_now_us(&s->clock), &told);
    for (size_t i = 0; i < s->set.n; i++)
        save(s, i);
    if (known)
        forget_others(s, &rows);
}

/* ---- starting and ending ---- */

static int start_runner(struct scheduler *s, size_t i, struct err *err)
{
    const struct schedule_job *plan = &s->set.plans[i];
    struct job *job = &s->set.jobs[i];
    char due[24], failures[16];
    const char *args[] = {s->terms->program,
                          "-c",
                          s->terms->config_path,
                          "scheduler",
                          "job",
                          job->conf->name,
                          "--due",
                          due,
                          "--failures",
                          failures,
                          s->terms->quiet ? "-q" : NULL,
                          NULL};
    struct child_terms terms = {args, NULL, -1};

    snprintf(due, sizeof due, "%lld", (long long)plan->due_us);
    snprintf(failures, sizeof failures, "%u", plan->memory.failures);
    return child_start(&terms, &job->pid, err);
}

static void end_job(struct scheduler *s, size_t i, int status)
{
    struct schedule_told told = {tell, s};
    enum schedule_outcome outcome = job_outcome(status);

    s->set.jobs[i].pid = 0;
    s->set.jobs[i].orphan = false;
    s->failed |= outcome != SCHEDULE_DONE && outcome != SCHEDULE_SETTLED;
    schedule_end(&s->set.plans[i], outcome, sched_now_us(&s->clock), &told);
    save(s, i);
    if (outcome == SCHEDULE_BROKEN && s->set.plans[i].memory.failures == 1)
        job_event(catalog_now(s), s->set.jobs[i].conf, "error",
                  "its command or the configuration is wrong; it waits until that is mended");
}

static void start_job(struct scheduler *s, struct schedule_job *plan)
{
    size_t i = (size_t)(plan - s->set.plans);
    struct err err = {0};
    char due[40];

    schedule_start(plan);
    s->set.jobs[i].start_us = sched_now_us(&s->clock);
    save(s, i);
    log_info("job %s: %s of cluster %s, due at %s", s->set.jobs[i].conf->name,
             s->set.jobs[i].conf->run, s->set.jobs[i].conf->cluster,
             clock_format_utc(plan->due_us, due));
    if (start_runner(s, i, &err) == 0)
        return;
    log_error("job %s: %s", s->set.jobs[i].conf->name, err.msg);
    end_job(s, i, JOB_FAILED);
}

/* Those of this thread: the notifier's have children of their own. */
static void reap(struct scheduler *s)
{
    int wait_status;
    pid_t pid;

    while ((pid = waitpid(-1, &wait_status, WNOHANG | __WNOTHREAD)) > 0)
        for (size_t i = 0; i < s->set.n; i++)
            if (s->set.jobs[i].pid == pid)
                end_job(s, i, child_status(wait_status));
}

static bool is_over(const struct scheduler *s, const struct job *job)
{
    AUTO(mem_free) char *path = job_lock_path((*s->config)->state_dir, job->conf);
    AUTO(lock_release) struct lock_file lock = LOCK_FILE_INIT;
    struct err err = {0};

    return lock_take(&lock, path, &err) == 0 || err.code != ERR_BUSY;
}

/* Runs that a scheduler before this one started, and whose end it cannot be told. */
static void look_after_orphans(struct scheduler *s)
{
    for (size_t i = 0; i < s->set.n; i++) {
        AUTO(catalog_jobs_free) struct catalog_jobs rows = {0};
        const struct catalog_job *row = NULL;
        struct err err = {0};

        if (!s->set.jobs[i].orphan || !is_over(s, &s->set.jobs[i]))
            continue;
        if (use_catalog(s) && catalog_get_jobs(s->catalog, &rows, &err) == 0)
            row = job_find_row(&rows, s->set.jobs[i].conf->name);
        end_job(s, i, row != NULL && row->end_us >= row->start_us ? row->status : JOB_STOPPED);
    }
}

static bool is_running(const struct scheduler *s)
{
    for (size_t i = 0; i < s->set.n; i++)
        if (s->set.jobs[i].pid != 0)
            return true;
    return false;
}

static void start_due(struct scheduler *s)
{
    struct schedule_told told = {tell, s};
    struct schedule_job *plan;
    int64_t now = sched_now_us(&s->clock);

    for (size_t i = 0; i < s->set.n; i++)
        if (schedule_tick(&s->set.plans[i], now, &told))
            save(s, i);
    s->began = true;
    while ((plan = schedule_pick(s->set.plans, s->set.n, now)) != NULL)
        start_job(s, plan);
}

/* ---- a new configuration ---- */

static int load_anew(struct scheduler *s, struct config **config, struct job_set *set,
                     struct err *err)
{
    TRY(config_load(s->terms->config_path, config, err));
    if (strcmp((*config)->state_dir, (*s->config)->state_dir) != 0)
        return err_set(err, ERR_CONFIG, "\"state_dir\" changed: that needs a restart");
    TRY(s->terms->check(*config, err));
    return job_set_open(set, *config, err);
}

static void reload(struct scheduler *s)
{
    AUTO(config_free) struct config *config = NULL;
    AUTO(job_set_free) struct job_set set = {0};
    struct err err = {0};
    struct config *old_config = *s->config;
    struct job_set old_set = s->set;

    s->reload = false;
    if (load_anew(s, &config, &set, &err) != 0) {
        log_error("the configuration is not read again, the old one goes on: %s", err.msg);
        return;
    }
    services_stop(s);
    config->stop = old_config->stop;
    log_setup(config->log_format,
              s->terms->quiet ? MIN_OF(config->log_level, LOG_WARNING) : config->log_level);
    *s->config = TAKE(config);
    s->set = set;
    set = old_set;
    config = old_config;
    recall(s, &old_set);
    log_info("the configuration was read again: %zu jobs", s->set.n);
    if (services_start(s, &err) != 0)
        log_error("%s", err.msg);
}

/* ---- the loop ---- */

static void pass_on(const struct scheduler *s)
{
    for (size_t i = 0; i < s->set.n; i++)
        if (s->set.jobs[i].pid != 0)
            kill(s->set.jobs[i].pid, SIGTERM);
}

static void stop_asked(struct scheduler *s, int number)
{
    s->stops++;
    if (s->stops == 1) {
        s->stop_us = clock_monotonic_us();
        supervisor_tell(&s->supervisor, "STOPPING=1");
        log_info("stopping (%s)%s", strsignal(number),
                 is_running(s) ? ": waiting for the jobs that run" : "");
    }
    if (s->stops == 2 || s->terms->once)
        pass_on(s);
}

static void read_signals(struct scheduler *s)
{
    struct signalfd_siginfo info;

    while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            s->reload = true;
        else if (info.ssi_signo != SIGCHLD)
            stop_asked(s, (int)info.ssi_signo);
    }
}

/* Until something is due, a signal comes, or a few seconds have passed. */
static void wait_a_while(struct scheduler *s)
{
    int64_t now = sched_now_us(&s->clock), left = (int64_t)WAIT_MAX_S * US;
    int64_t wake = s->stops != 0 ? INT64_MAX : schedule_wake(s->set.plans, s->set.n, now);
    struct pollfd p = {.fd = s->signals, .events = POLLIN};

    if (wake != INT64_MAX)
        left = MIN_OF(left, MAX_OF(sched_wait_us(&s->clock, wake - now), 0));
    if (s->stops != 0)
        left = MIN_OF(left, US);
    if (poll(&p, 1, (int)(left / 1000) + 1) > 0)
        read_signals(s);
}

/* The jobs that run have had their time. */
static void lose_patience(struct scheduler *s)
{
    if (s->stops == 1 &&
        clock_monotonic_us() - s->stop_us >= (*s->config)->scheduler.stop_wait_ms * 1000) {
        log_warning("the jobs that still run are stopped");
        s->stops = 2;
        pass_on(s);
    }
}

static bool is_done(const struct scheduler *s)
{
    return (s->stops != 0 || s->terms->once) && !is_running(s);
}

static void loop(struct scheduler *s)
{
    for (;;) {
        save_rest(s);
        reap(s);
        look_after_orphans(s);
        if (s->reload && s->stops == 0)
            reload(s);
        if (s->stops == 0)
            start_due(s);
        services_tick(s);
        lose_patience(s);
        if (is_done(s))
            return;
        catalog_close(&s->catalog); /* somebody may make it anew meanwhile */
        wait_a_while(s);
    }
}

static int open_signals(struct scheduler *s, struct err *err)
{
    sigset_t set;

    child_block_signals(&set);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals >= 0 ? 0 : err_sys(err, "cannot wait for signals");
}

/* There is one in a state directory. */
static int take_lock(struct scheduler *s, struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("%s/scheduler.lock", (*s->config)->state_dir);

    TRY(fs_mkdirs((*s->config)->state_dir, 0700, err));
    if (lock_take(&s->lock, path, err) != 0)
        return err_context(err, "a scheduler runs already");
    return 0;
}

int scheduler_run(const struct scheduler_terms *terms, struct config **config, bool *failed,
                  struct err *err)
{
    AUTO(scheduler_free)
    struct scheduler s = {.terms = terms, .config = config, .lock = LOCK_FILE_INIT, .signals = -1};

    supervisor_open(&s.supervisor);
    TRY(sched_clock_open(&s.clock, err));
    if (take_lock(&s, err) != 0) {
        if (err->code != ERR_BUSY || !terms->once)
            return -1;
        log_info("%s: it starts what is due", err->msg);
        return 0;
    }
    TRY(terms->check(*config, err));
    TRY(job_set_open(&s.set, *config, err));
    TRY(open_signals(&s, err));
    s.catalog_path = xasprintf("%s/catalog.db", (*config)->state_dir);
    recall(&s, NULL);
    TRY(services_start(&s, err));
    log_info("the scheduler is at work: %zu jobs", s.set.n);
    supervisor_tell(&s.supervisor, "READY=1");
    loop(&s);
    save_rest(&s);
    log_info("the scheduler ends");
    *failed = s.failed;
    return 0;
}
