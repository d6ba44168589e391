/* runner.c - see runner.h. */
#include "scheduler/runner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/jobs.h"
#include "scheduler/jobs/child.h"
#include "scheduler/jobs/events.h"
#include "scheduler/jobs/jobs.h"
#include "scheduler/turn.h"

enum {
    US = 1000000,
    KILL_AFTER_S = 120, /* between asking the command to end and ending it */
    HOOK_KILL_AFTER_S = 10,
    ENV_MAX = 8,
};

struct runner {
    const struct run_order *o;
    struct lock_file lock;
    struct elsewhere elsewhere;
    sigset_t signals;
    bool stopped; /* asked to end */
    char *env[ENV_MAX + 1];
    size_t n_env;
    pid_t pid;          /* of the command, when it ran */
    int64_t started_us; /* host's clock */
};

static void runner_free(struct runner *r)
{
    for (size_t i = 0; i < r->n_env; i++)
        mem_free(&r->env[i]);
    elsewhere_end(&r->elsewhere);
    lock_release(&r->lock);
}

/* ---- one process and its end ---- */

/* Waits for a signal, or for so long (negative: for ever). 0: the time is over. */
static int next_signal(const struct runner *r, int64_t wait_us)
{
    struct timespec t = {wait_us / US, wait_us % US * 1000};
    int number;

    do
        number = sigtimedwait(&r->signals, NULL, wait_us < 0 ? NULL : &t);
    while (number < 0 && errno == EINTR);
    return number < 0 ? 0 : number;
}

/* How a child is ended. The command ends in order what it has started itself; a hook is a shell,
 * which does not. */
struct ending {
    enum child_reach reach;
    int kill_after_s;
};

/*
 * To the end of a child, within a limit (0: none). Asked to end, or too slow, it gets SIGTERM, and
 * after a while SIGKILL. So does what it leaves behind then: nothing goes on beyond its time.
 */
static int wait_for(struct runner *r, pid_t pid, const struct ending *how, int64_t limit_us)
{
    int64_t deadline = limit_us > 0 ? clock_monotonic_us() + limit_us : INT64_MAX;
    bool asked = false, too_slow = false;
    int wait_status;

    while (waitpid(pid, &wait_status, WNOHANG) != pid) {
        int64_t left = deadline == INT64_MAX ? -1 : MAX_OF(deadline - clock_monotonic_us(), 0);
        int number = next_signal(r, left);

        if (number == SIGCHLD || number == SIGHUP)
            continue;
        if (number == 0 && asked) {
            child_kill(pid);
            deadline = INT64_MAX;
            continue;
        }
        r->stopped |= number != 0;
        too_slow |= number == 0;
        child_ask(pid, how->reach);
        asked = true;
        deadline = clock_monotonic_us() + (int64_t)how->kill_after_s * US;
    }
    if (asked)
        child_kill(pid);
    return too_slow ? JOB_TIMED_OUT : child_status(wait_status);
}

static int run_hook(struct runner *r, const char *what, const char *command, int *status,
                    struct err *err)
{
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    const struct ending ending = {CHILD_GROUP, HOOK_KILL_AFTER_S};
    struct child_terms terms = {argv, (const char *const *)r->env, -1};
    pid_t pid;

    log_info("job %s: running its \"%s\" command", r->o->job->name, what);
    TRY(child_start(&terms, &pid, err));
    *status =
        wait_for(r, pid, &ending, sched_wait_us(r->o->clock, r->o->job->time_limit_ms * 1000));
    return 0;
}

/* ---- the command ---- */

/* Quiet for the database. The command inherits it; what it may not have is left away. */
static void be_quiet(const struct job_config *job)
{
    enum { WHO_PROCESS = 1, CLASS_SHIFT = 13, BEST_EFFORT = 2, IDLE = 3, LOWEST = 7 };
    int io = job->io == CONFIG_IO_IDLE ? IDLE << CLASS_SHIFT : BEST_EFFORT << CLASS_SHIFT | LOWEST;

    errno = 0; /* -1 may be the new priority */
    if (job->nice != 0 && nice(job->nice) == -1 && errno != 0)
        log_warning("job %s: nice: %s", job->name, strerror(errno));
    if (job->io != CONFIG_IO_NORMAL && syscall(SYS_ioprio_set, WHO_PROCESS, 0, io) != 0)
        log_warning("job %s: io: %s", job->name, strerror(errno));
}

static int start_command(struct runner *r, struct err *err)
{
    const struct run_order *o = r->o;
    AUTO(mem_free) const char **argv = xcalloc(o->job->n_words + 6, sizeof *argv);
    struct child_terms terms = {argv, (const char *const *)r->env, r->lock.fd};
    size_t n = 0;
    int rc;

    argv[n++] = o->program;
    argv[n++] = "-c";
    argv[n++] = o->config_path;
    argv[n++] = o->job->words[0];
    argv[n++] = o->cluster->name;
    for (size_t i = 1; i < o->job->n_words; i++)
        argv[n++] = o->job->words[i];
    r->env[r->n_env] = xasprintf("PGBR_JOB_LOCK=%d", r->lock.fd); /* not for the hooks */
    r->started_us = clock_now_us();
    rc = child_start(&terms, &r->pid, err);
    mem_free(&r->env[r->n_env]);
    return rc;
}

/* The command knows what went wrong; that it was too slow, was killed, or that a hook failed behind
 * it is known here. */
static void amend_record(struct catalog_run *run, struct catalog *c, struct run_result *out)
{
    struct err err = {0};

    if (run->message != NULL && out->note[0] == '\0')
        snprintf(out->note, sizeof out->note, "%s", run->message);
    if (run->exit_status == out->status)
        return;
    run->exit_status = out->status;
    run->message = out->note[0] != '\0' ? out->note : NULL;
    if (catalog_run_finish(c, run, &err) != 0)
        log_warning("%s", err.msg);
}

/* What the command itself said of its end, where it left a row. Otherwise it gets one here. */
static void take_record(struct runner *r, struct catalog *c, struct run_result *out)
{
    AUTO(catalog_runs_free) struct catalog_runs runs = {0};
    struct err err = {0};

    if (catalog_get_job_runs(c, r->o->job->name, 1, &runs, &err) != 0) {
        log_warning("%s", err.msg);
        return;
    }
    if (runs.n == 1 && r->pid != 0 && runs.rows[0].pid == r->pid &&
        runs.rows[0].started_us >= r->started_us) {
        amend_record(&runs.rows[0], c, out);
        return;
    }
    struct catalog_run row = {.job = r->o->job->name,
                              .command = r->o->job->words[0],
                              .cluster = r->o->cluster->name,
                              .instance = r->o->cluster->instance,
                              .pid = r->pid != 0 ? r->pid : getpid(),
                              .started_us = r->started_us,
                              .exit_status = out->status,
                              .message = out->note[0] != '\0' ? out->note : NULL};
    char host[65] = "";

    row.host = gethostname(host, sizeof host - 1) == 0 ? host : NULL;
    if (catalog_run_begin(c, &row, &row.id, &err) != 0 || catalog_run_finish(c, &row, &err) != 0)
        log_warning("this run is not recorded: %s", err.msg);
}

/* That it cannot begin is told once; that all is well, after something was not. */
static void tell_people(struct runner *r, struct catalog *c, const struct run_result *out)
{
    const struct job_config *job = r->o->job;

    if (out->status == JOB_LATER && !out->usual && !job_is_bad(c, job))
        job_event(c, job, "warning", "it waits: %s", out->note);
    if ((out->status == JOB_DONE || out->status == JOB_WARNINGS) && job_is_bad(c, job))
        job_event(c, job, "info", "it works again");
}

static void record(struct runner *r, struct run_result *out)
{
    AUTO(catalog_close) struct catalog *c = NULL;
    struct err err = {0};

    if (catalog_open(&c, r->o->catalog_path, &err) != 0) {
        log_warning("job %s: its end is not recorded: %s", r->o->job->name, err.msg);
        return;
    }
    if (out->status != JOB_LATER && out->status != JOB_SETTLED)
        take_record(r, c, out);
    tell_people(r, c, out);
    if (r->o->recorded &&
        catalog_job_ended(c, r->o->job->name, sched_now_us(r->o->clock), out->status,
                          out->note[0] != '\0' ? out->note : NULL, &err) != 0)
        log_warning("job %s: its end is not recorded: %s", r->o->job->name, err.msg);
}

/* ---- the steps: each returns 0 to go on ---- */

static int take_lock(struct runner *r, struct run_result *out)
{
    AUTO(mem_free) char *path = job_lock_path(r->o->config->state_dir, r->o->job);
    struct err err = {0};

    if (lock_take(&r->lock, path, &err) == 0)
        return 0;
    if (err.code == ERR_BUSY)
        return result_set(out, JOB_LATER, "another %s of cluster \"%s\" is under way: %s",
                          r->o->job->words[0], r->o->cluster->name, err.msg);
    return result_set(out, JOB_FAILED, "%s", err.msg);
}

/* Backups by hand are locked out by a lock of their own. */
static int look_for_backup(struct runner *r, struct run_result *out)
{
    AUTO(mem_free)
    char *path = xasprintf("%s/%s.backup.lock", r->o->config->state_dir, r->o->cluster->name);
    AUTO(lock_release) struct lock_file lock = LOCK_FILE_INIT;
    struct err err = {0};

    if (strcmp(r->o->job->words[0], "backup") != 0 || lock_take(&lock, path, &err) == 0 ||
        err.code != ERR_BUSY)
        return 0;
    return result_set(out, JOB_LATER, "a backup of cluster \"%s\" is under way: %s",
                      r->o->cluster->name, err.msg);
}

/* What came while a server or a repository was asked. */
static int see_stop(struct runner *r, struct run_result *out)
{
    int number;

    while ((number = next_signal(r, 0)) != 0)
        r->stopped |= number == SIGTERM || number == SIGINT;
    return r->stopped ? result_set(out, JOB_STOPPED, "stopped before it began") : 0;
}

static void add_env(struct runner *r, const char *name, const char *value)
{
    r->env[r->n_env++] = xasprintf("%s=%s", name, value);
}

static void make_env(struct runner *r)
{
    char due[40], attempt[16];

    snprintf(attempt, sizeof attempt, "%u", r->o->failures + 1);
    add_env(r, "PGBR_JOB", r->o->job->name);
    add_env(r, "PGBR_CLUSTER", r->o->cluster->name);
    add_env(r, "PGBR_COMMAND", r->o->job->run);
    add_env(r, "PGBR_DUE", clock_format_iso(r->o->due_us, due));
    add_env(r, "PGBR_ATTEMPT", attempt);
}

static int before(struct runner *r, struct run_result *out)
{
    struct err err = {0};
    int status;

    r->started_us = clock_now_us();
    if (r->o->job->before == NULL)
        return 0;
    if (run_hook(r, "before", r->o->job->before, &status, &err) != 0)
        return result_set(out, JOB_FAILED, "the \"before\" command: %s", err.msg);
    if (r->stopped)
        return result_set(out, JOB_STOPPED, "stopped during the \"before\" command");
    if (status != 0)
        return result_set(out, JOB_FAILED,
                          "the \"before\" command ended with status %d, so nothing was run",
                          status);
    return 0;
}

static void after(struct runner *r, struct run_result *out)
{
    struct err err = {0};
    char status_text[16];
    int status;

    if (r->o->job->after == NULL)
        return;
    snprintf(status_text, sizeof status_text, "%d", out->status);
    add_env(r, "PGBR_STATUS", status_text);
    if (run_hook(r, "after", r->o->job->after, &status, &err) != 0)
        status = -1;
    if (status == 0)
        return;
    if (status < 0)
        log_error("job %s: the \"after\" command: %s", r->o->job->name, err.msg);
    else
        log_error("job %s: the \"after\" command ended with status %d", r->o->job->name, status);
    if (out->status == JOB_DONE)
        result_set(out, JOB_WARNINGS, "done, but the \"after\" command failed");
}

static int command(struct runner *r, struct run_result *out)
{
    const struct ending ending = {CHILD_ALONE, KILL_AFTER_S};
    int64_t limit_ms = r->o->job->time_limit_ms;
    struct err err = {0};

    be_quiet(r->o->job);
    if (start_command(r, &err) != 0)
        return result_set(out, JOB_FAILED, "%s", err.msg);
    out->status = wait_for(r, r->pid, &ending, sched_wait_us(r->o->clock, limit_ms * 1000));
    if (out->status == JOB_TIMED_OUT)
        result_set(out, JOB_TIMED_OUT,
                   "it took longer than its time limit of %lld s and was stopped",
                   (long long)limit_ms / 1000);
    else if (out->status >= 128)
        snprintf(out->note, sizeof out->note, "ended by signal %d (%s)", out->status - 128,
                 strsignal(out->status - 128));
    else if (r->stopped && out->status == JOB_FAILED)
        out->status = JOB_STOPPED; /* in order */
    after(r, out);
    return 0;
}

static void tell(const struct run_order *o, const struct run_result *out, int64_t took_us)
{
    const char *name = o->job->name,
               *note = out->note[0] != '\0' ? out->note : "no reason was told";
    char took[40];

    clock_format_duration(took_us, took);
    if (out->status == JOB_DONE)
        log_info("job %s: done in %s", name, took);
    else if (out->status == JOB_WARNINGS)
        log_warning("job %s: done in %s, with warnings", name, took);
    else if (out->status == JOB_LATER && out->usual)
        log_info("job %s: waits: %s", name, note);
    else if (out->status == JOB_LATER)
        log_warning("job %s: waits: %s", name, note);
    else if (out->status == JOB_SETTLED)
        log_info("job %s: not run here: %s", name, note);
    else if (out->status == JOB_STOPPED)
        log_warning("job %s: stopped after %s", name, took);
    else
        log_error("job %s: failed after %s with status %d: %s", name, took, out->status, note);
}

void runner_run(const struct run_order *o, struct run_result *out)
{
    AUTO(runner_free) struct runner r = {.o = o, .lock = LOCK_FILE_INIT};
    int64_t began = clock_monotonic_us();

    *out = (struct run_result){0};
    child_block_signals(&r.signals);
    make_env(&r);
    if (take_lock(&r, out) == 0 && look_for_backup(&r, out) == 0 &&
        turn_take(o, &r.elsewhere, out) == 0 && see_stop(&r, out) == 0 && before(&r, out) == 0)
        command(&r, out);
    if (job_outcome(out->status) == SCHEDULE_DONE)
        elsewhere_done(&r.elsewhere);
    elsewhere_end(&r.elsewhere);
    record(&r, out);
    tell(o, out, clock_monotonic_us() - began);
}
