/* app.c - see app.h. */
#include "cli/app.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/user.h"

int app_arguments(struct app *app, int argc, char **argv, struct arguments *args,
                  option_fn *on_option, void *ctx, struct err *err)
{
    TRY(arguments_read(app->command, argc, argv, args, on_option, ctx, err));
    if (args->config != NULL)
        app->config_path = args->config;
    app->quiet |= args->quiet;
    return 0;
}

int app_config(struct app *app, struct err *err)
{
    const struct config *c;

    if (app->config != NULL)
        return 0;
    if (config_load(app->config_path, &app->config, err) != 0) {
        if (err->code == ERR_NOT_FOUND)
            err_set(err, ERR_CONFIG,
                    "there is no configuration \"%s\"; name another with -c, or write one: \"man "
                    "pgbr.yml\" has an example",
                    app->config_path);
        err->code = ERR_CONFIG;
        return -1;
    }
    app->config->stop = &app->stop;
    c = app->config;
    log_setup(c->log_format, app->quiet ? MIN_OF(c->log_level, LOG_WARNING) : c->log_level);
    app->config_absolute = realpath(app->config_path, NULL);
    if (app->config_absolute == NULL)
        app->config_absolute = xstrdup(app->config_path);
    for (size_t i = 0; i < c->n_notes; i++) {
        if (c->notes[i].warning)
            log_warning("%s", c->notes[i].text);
        else
            log_debug("%s", c->notes[i].text);
    }
    return 0;
}

int app_cluster(struct app *app, const char *name, const struct cluster_config **cluster,
                struct err *err)
{
    TRY(app_config(app, err));
    TRY(config_cluster(app->config, name, cluster, err));
    app_at_work(*cluster);
    app->event.cluster = *cluster;
    return user_become(app->config, *cluster, app->creates, err);
}

int app_clusters(struct app *app, const char *name, const struct cluster_config **list, size_t *n,
                 struct err *err)
{
    TRY(app_config(app, err));
    *n = 1;
    if (name == NULL && app->config->n_clusters > 1) {
        *n = app->config->n_clusters;
        name = app->config->clusters[0].name; /* they follow each other */
    }
    return app_cluster(app, name, list, err);
}

void app_at_work(const struct cluster_config *cluster)
{
    log_identity(cluster->name, cluster->instance);
}

/* ---- signals ---- */

static void *wait_for_signals(void *arg)
{
    struct app *app = arg;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    for (;;) {
        int number;

        if (sigwait(&set, &number) != 0)
            continue;
        if (atomic_exchange(&app->stop.signal, number) > 0)
            _exit(128 + number); /* asked twice */
        log_warning("stopping (%s); once more to stop at once", strsignal(number));
    }
    return NULL;
}

int app_catch_signals(struct app *app, struct err *err)
{
    pthread_t thread;
    sigset_t set;
    int rc;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* inherited by all threads made later */
    rc = pthread_create(&thread, NULL, wait_for_signals, app);
    if (rc != 0) {
        errno = rc;
        return err_sys(err, "cannot create the signal thread");
    }
    pthread_detach(thread);
    return 0;
}

/* ---- the rest ---- */

enum progress_mode app_progress(const struct app *app)
{
    if (app->quiet)
        return PROGRESS_QUIET;
    return isatty(STDERR_FILENO) ? PROGRESS_TERMINAL : PROGRESS_LOG;
}

char *app_catalog_path(const struct app *app)
{
    return xasprintf("%s/catalog.db", app->config->state_dir);
}

struct catalog *app_catalog(struct app *app)
{
    AUTO(mem_free) char *path = app_catalog_path(app);
    struct catalog *c = NULL;
    struct err err = {0};

    if (fs_mkdirs(app->config->state_dir, 0700, &err) == 0 && catalog_open(&c, path, &err) == 0)
        return c;
    log_warning("the catalog cannot be used, nothing is recorded: %s", err.msg);
    return NULL;
}

/* A path as the shell reads it, with "%" doubled for PostgreSQL. */
static void add_path(struct buf *out, const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%";
    bool quoted = path[strspn(path, plain)] != '\0';

    if (quoted)
        buf_addc(out, '"');
    for (const char *c = path; *c != '\0'; c++) {
        if (strchr("\"\\$`", *c) != NULL)
            buf_addc(out, '\\');
        if (*c == '%')
            buf_addc(out, '%');
        buf_addc(out, *c);
    }
    if (quoted)
        buf_addc(out, '"');
}

void app_archive_command(const struct app *app, const char *cluster, struct buf *out)
{
    add_path(out, app->program);
    buf_adds(out, " -c ");
    add_path(out, app->config_absolute);
    buf_addf(out, " archive-push %s %%p", cluster);
}
