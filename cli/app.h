/*
 * app.h - what all commands share: configuration, the cluster asked for, output, signals, exit
 * status.
 *
 * A command reads its arguments, opens what it needs, calls one function of another folder, shows
 * the result. Results go to standard output, everything else to standard error.
 */
#ifndef PGBR_CLI_APP_H
#define PGBR_CLI_APP_H

#include "base/progress.h"
#include "base/queue.h"
#include "catalog/catalog.h"
#include "cli/arguments.h"
#include "cli/event.h"
#include "config/config.h"
#include "config/open.h"

enum { THREADS_MAX = 64 }; /* of --workers, as of "workers" in the configuration */
enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_WRONG_USE = 2, EXIT_WARNINGS = 3 };

struct app {
    const struct command *command;
    const char *config_path; /* as given, or the default */
    char *config_absolute;   /* for commands written into settings */
    char *program;           /* absolute path of this program */
    struct config *config;   /* loaded by app_config() */
    int status;              /* of a command that succeeded: EXIT_DONE unless it sets another */
    bool quiet;              /* no progress */
    bool creates;            /* init: root makes directories that are missing, for the user */
    struct run_event event;  /* what is told of this run at its end */
    struct stop stop;        /* set by SIGINT and SIGTERM once app_catch_signals() was called */
};

/* arguments_read() for app->command; heeds -c and -q. */
int app_arguments(struct app *app, int argc, char **argv, struct arguments *args,
                  option_fn *on_option, void *ctx, struct err *err) MUST_CHECK;
/* Loads the configuration once and sets up logging. Whatever is wrong with it is ERR_CONFIG. */
int app_config(struct app *app, struct err *err) MUST_CHECK;
/* The cluster named (NULL: the only one). Becomes the right user first when started as root, logs
 * with the cluster's name. */
int app_cluster(struct app *app, const char *name, const struct cluster_config **cluster,
                struct err *err) MUST_CHECK;
/* The same for commands that take all clusters when name is NULL: *list points at n of them. Call
 * app_at_work() for each when its turn comes. */
int app_clusters(struct app *app, const char *name, const struct cluster_config **list, size_t *n,
                 struct err *err) MUST_CHECK;
/* Logs with this cluster's name from here on. */
void app_at_work(const struct cluster_config *cluster);

/* From here on SIGINT and SIGTERM set app->stop; a second one ends the process at once. */
int app_catch_signals(struct app *app, struct err *err) MUST_CHECK;
/* How progress is to be shown. */
enum progress_mode app_progress(const struct app *app);
/* The catalog; NULL when it cannot be used: that was logged, and the command goes on. */
struct catalog *app_catalog(struct app *app);
/* Its file; the caller frees the text. */
char *app_catalog_path(const struct app *app);
/* Appends the archive_command for a cluster: this program and this configuration, by whole paths.
 */
void app_archive_command(const struct app *app, const char *cluster, struct buf *out);

/* ---- commands: cmd_*.c ---- */

extern const struct command command_init, command_check, command_backup, command_restore,
    command_list, command_info, command_verify, command_expire, command_hold, command_unhold,
    command_archive_push, command_archive_get, command_catalog, command_key, command_scheduler,
    command_windows, command_notify, command_metrics, command_drill;

#endif
