/* app.c - see app.h. */
#include "cli/app.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

int app_config(struct app *app, struct err *err)
{
    if (app->config != NULL)
        return 0;
    TRY(config_load(app->config_path, &app->config, err));
    log_setup(app->config->log_format, app->quiet ? LOG_WARNING : app->config->log_level);
    app->config_absolute = realpath(app->config_path, NULL);
    for (size_t i = 0; i < app->config->n_notes; i++) {
        if (app->config->notes[i].warning)
            log_warning("%s", app->config->notes[i].text);
        else
            log_debug("%s", app->config->notes[i].text);
    }
    return 0;
}

/* ---- the right user ---- */

static int find_user(const struct app *app, const struct cluster_config *cluster,
                     struct passwd *found, char *text, size_t size, struct err *err)
{
    struct passwd *entry = NULL;
    struct stat st;

    if (app->config->user != NULL) {
        if (getpwnam_r(app->config->user, found, text, size, &entry) != 0 || entry == NULL)
            return err_set(err, ERR_CONFIG, "\"%s\": there is no user \"%s\"", app->config->path,
                           app->config->user);
        return 0;
    }
    if (cluster->data != NULL && stat(cluster->data, &st) == 0 && st.st_uid != 0) {
        if (getpwuid_r(st.st_uid, found, text, size, &entry) == 0 && entry != NULL)
            return 0;
        return err_set(err, ERR_CONFIG, "the owner of \"%s\", uid %u, has no name", cluster->data,
                       st.st_uid);
    }
    if (getpwnam_r("postgres", found, text, size, &entry) == 0 && entry != NULL)
        return 0;
    return err_set(
        err, ERR_CONFIG,
        "pgbr does not work as root, and there is neither a data directory whose owner it "
        "could become nor a user \"postgres\"; set \"user\" in \"%s\"",
        app->config->path);
}

/* Directories that only root may create, handed to the user who will work in them. */
static int give_directory(const char *path, const struct passwd *user, struct err *err)
{
    struct stat st;

    if (stat(path, &st) == 0)
        return 0;
    TRY(fs_mkdirs(path, 0700, err));
    if (chown(path, user->pw_uid, user->pw_gid) != 0)
        return err_sys(err, "cannot give \"%s\" to user \"%s\"", path, user->pw_name);
    return 0;
}

static int give_directories(const struct app *app, const struct cluster_config *cluster,
                            const struct passwd *user, struct err *err)
{
    TRY(give_directory(app->config->state_dir, user, err));
    for (size_t i = 0; i < cluster->n_repos; i++) {
        AUTO(repo_config_free) struct repo_config repo = {0};

        TRY(config_repo(app->config, cluster, cluster->repos[i], &repo, err));
        if (repo.type == CONFIG_REPO_POSIX)
            TRY(give_directory(repo.path, user, err));
    }
    return 0;
}

static int become_user(const struct app *app, const struct cluster_config *cluster, struct err *err)
{
    struct passwd user;
    char text[4096];

    if (geteuid() != 0)
        return 0;
    TRY(find_user(app, cluster, &user, text, sizeof text, err));
    if (user.pw_uid == 0)
        return err_set(err, ERR_CONFIG,
                       "pgbr does not work as root; set another \"user\" in \"%s\"",
                       app->config->path);
    TRY(give_directories(app, cluster, &user, err));
    if (initgroups(user.pw_name, user.pw_gid) != 0 || setgid(user.pw_gid) != 0 ||
        setuid(user.pw_uid) != 0)
        return err_sys(err, "cannot become user \"%s\"", user.pw_name);
    setenv("HOME", user.pw_dir, 1);
    setenv("USER", user.pw_name, 1);
    setenv("LOGNAME", user.pw_name, 1);
    log_info("started as root, working as user \"%s\"", user.pw_name);
    return 0;
}

int app_cluster(struct app *app, const char *name, const struct cluster_config **cluster,
                struct err *err)
{
    TRY(app_config(app, err));
    TRY(config_cluster(app->config, name, cluster, err));
    log_identity((*cluster)->name, (*cluster)->instance);
    return become_user(app, *cluster, err);
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

struct catalog *app_catalog(struct app *app)
{
    AUTO(mem_free) char *path = xasprintf("%s/catalog.db", app->config->state_dir);
    struct catalog *c = NULL;
    struct err err = {0};

    if (fs_mkdirs(app->config->state_dir, 0700, &err) == 0 && catalog_open(&c, path, &err) == 0)
        return c;
    log_warning("the catalog cannot be used, nothing is recorded: %s", err.msg);
    return NULL;
}

int app_arguments(int argc, char **argv, const struct option *options, int max,
                  struct arguments *args,
                  int (*on_option)(void *ctx, int option, const char *value, struct err *err),
                  void *ctx, const char *usage, struct err *err)
{
    args->n = 0;
    optind = 0; /* start anew */
    for (int c; (c = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (c == '?')
            return err_set(err, ERR_USAGE, "unknown option \"%s\"; usage: pgbr %s",
                           argv[optind - 1], usage);
        if (c == ':')
            return err_set(err, ERR_USAGE, "option \"%s\" needs a value; usage: pgbr %s",
                           argv[optind - 1], usage);
        TRY(on_option(ctx, c, optarg, err));
    }
    for (; optind < argc; optind++) {
        if (args->n == max)
            return err_set(err, ERR_USAGE, "unexpected \"%s\"; usage: pgbr %s", argv[optind],
                           usage);
        args->words[args->n++] = argv[optind];
    }
    return 0;
}

int parse_count(const char *text, const char *what, unsigned max, unsigned *out, struct err *err)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value == 0 || value > max)
        return err_set(err, ERR_USAGE, "%s must be a number from 1 to %u, not \"%s\"", what, max,
                       text);
    *out = (unsigned)value;
    return 0;
}
