/* event.c - see event.h. */
#include "cli/event.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/app.h"
#include "scheduler/notify/notify.h"

void run_event_free(struct run_event *e)
{
    free(e->repo);
    buf_free(&e->text);
}

void event_at(struct app *app, const char *repo)
{
    free(app->event.repo);
    app->event.repo = xstrdup(repo);
}

void event_tell(struct app *app, enum log_level level, const char *repo, const char *fmt, ...)
{
    struct run_event *e = &app->event;
    AUTO(mem_free) char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = xstrdup(fmt);
    va_end(args);
    if (e->text.len == 0)
        event_at(app, repo);
    else if (repo != NULL && e->repo != NULL && strcmp(e->repo, repo) != 0)
        event_at(app, NULL);
    buf_addf(&e->text, "%s%s", e->text.len != 0 ? "; " : "", text);
    e->level = MIN_OF(e->level, level); /* LOG_ERROR is the least */
}

void event_leave_out(struct app *app)
{
    app->event.none = true;
}

/* ---- recording ---- */

static const char *level_name(enum log_level level)
{
    return level == LOG_ERROR ? "error" : level == LOG_WARNING ? "warning" : "info";
}

static void record(struct app *app, enum log_level level, bool change_only, const char *kind,
                   const char *repo, const char *text)
{
    AUTO(catalog_close) struct catalog *c = app_catalog(app);
    const struct catalog_event row = {
        .level = level_name(level),
        .kind = kind,
        .cluster = app->event.cluster != NULL ? app->event.cluster->name : NULL,
        .repo = repo,
        .text = text};
    bool put = !change_only;
    struct err err = {0};

    if (c == NULL)
        return;
    if ((change_only ? catalog_put_change(c, &row, &put, &err)
                     : catalog_put_event(c, &row, &err)) == 0)
        app->event.recorded |= put;
    else
        log_warning("what happened (\"%s\") could not be recorded in the catalog: %s", kind,
                    err.msg);
}

void event_put(struct app *app, enum log_level level, const char *kind, const char *repo,
               const char *text)
{
    record(app, level, false, kind, repo, text);
}

void event_change(struct app *app, enum log_level level, const char *kind, const char *repo,
                  const char *text)
{
    record(app, level, true, kind, repo, text);
}

/* ---- telling the receivers ---- */

/* A process of its own session, which goes on when this one has waited long enough. */
static pid_t start_sender(const struct app *app)
{
    char *const argv[] = {app->program,
                          (char[]){"-c"},
                          app->config_absolute,
                          (char[]){"-q"},
                          (char[]){"notify"},
                          (char[]){"send"},
                          NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid = 0;
    int rc;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDERR_FILENO);
    rc = posix_spawn(&pid, app->program, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        log_warning("notifications wait: cannot start \"%s\": %s", app->program, strerror(rc));
    return rc == 0 ? pid : 0;
}

static void notify(const struct app *app)
{
    int64_t until_us = clock_monotonic_us() + EVENT_WAIT_S * INT64_C(1000000);
    pid_t pid = start_sender(app);
    int status = 0;

    if (pid == 0)
        return;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_monotonic_us() > until_us) {
            log_warning("notifications are not delivered after %d s, and go on without being "
                        "waited for; \"pgbr notify list\" shows them",
                        EVENT_WAIT_S);
            return;
        }
        clock_sleep_ms(10);
    }
    if (status != 0)
        log_warning("not every receiver could be told of this; \"pgbr notify list\" says why, and "
                    "it is tried again");
}

/* ---- the end of a run ---- */

static enum log_level level_of(const struct app *app, int rc, int status, const struct err *err)
{
    if (rc != 0)
        return err->code == ERR_INTERRUPTED ? LOG_WARNING : LOG_ERROR;
    if (app->event.level == LOG_ERROR || status == EXIT_FAILED)
        return LOG_ERROR;
    return app->event.level == LOG_WARNING || status != EXIT_DONE ? LOG_WARNING : LOG_INFO;
}

/* "backup failed: ...", or what the command said of itself. */
static void text_of(const struct app *app, int rc, int status, const struct err *err,
                    struct buf *out)
{
    const struct buf *told = &app->event.text;

    if (rc != 0)
        buf_addf(out, "%s %s: %s", app->command->name,
                 err->code == ERR_INTERRUPTED ? "was stopped" : "failed", err->msg);
    else if (told->len == 0)
        buf_addf(out, "%s is done%s", app->command->name,
                 status != EXIT_DONE ? ", with warnings: the log has them" : "");
    if (told->len != 0)
        buf_addf(out, "%s%s", out->len != 0 ? "; before that: " : "", told->p);
}

static bool is_event(const struct app *app, int rc, const struct err *err)
{
    if (app->command->event == NULL)
        return false;
    return rc != 0 ? err->code != ERR_USAGE : !app->event.none;
}

void event_end(struct app *app, int rc, int status, const struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    const struct run_event *e = &app->event;

    if (app->command == NULL || app->config == NULL || e->cluster == NULL)
        return;
    if (is_event(app, rc, err)) {
        text_of(app, rc, status, err, &text);
        record(app, level_of(app, rc, status, err), e->text.len == 0, app->command->event, e->repo,
               buf_text(&text));
    }
    if (e->recorded && app->config->notify.n != 0 && !notifier_running(app->config))
        notify(app);
}
