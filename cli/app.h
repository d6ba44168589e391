/*
 * app.h - what all commands share: configuration, the cluster asked for, output, signals, exit
 * status.
 *
 * A command parses its options, opens what it needs, calls one function of another folder, shows
 * the result. Results go to standard output, everything else to standard error.
 */
#ifndef PGBR_CLI_APP_H
#define PGBR_CLI_APP_H

#include <getopt.h>

#include "base/progress.h"
#include "base/queue.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "config/open.h"

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_WRONG_USE = 2, EXIT_WARNINGS = 3 };

struct app {
    const char *config_path; /* as given, or the default */
    char *config_absolute;   /* for commands written into settings */
    char *program;           /* absolute path of this program */
    struct config *config;   /* loaded by app_config() */
    int status;              /* of a command that succeeded: EXIT_DONE or EXIT_WARNINGS */
    bool quiet;              /* no progress */
    struct stop stop;        /* set by SIGINT and SIGTERM once app_catch_signals() was called */
};

/* Loads the configuration once and sets up logging. */
int app_config(struct app *app, struct err *err) MUST_CHECK;
/* The cluster named (NULL: the only one). Becomes the right user first when started as root, logs
 * with the cluster's name. */
int app_cluster(struct app *app, const char *name, const struct cluster_config **cluster,
                struct err *err) MUST_CHECK;
/* From here on SIGINT and SIGTERM set app->stop; a second one ends the process at once. */
int app_catch_signals(struct app *app, struct err *err) MUST_CHECK;
/* How progress is to be shown. */
enum progress_mode app_progress(const struct app *app);
/* The catalog; NULL when it cannot be used: that was logged, and the command goes on. */
struct catalog *app_catalog(struct app *app);

/*
 * Reads options and at most max positional arguments (behind the command's name). on_option gets
 * each option's value; -1 from it ends with its error. usage: "backup [CLUSTER] [--type full]", for
 * the message of an ERR_USAGE.
 */
struct arguments {
    const char *words[4];
    int n;
};
int app_arguments(int argc, char **argv, const struct option *options, int max,
                  struct arguments *args,
                  int (*on_option)(void *ctx, int option, const char *value, struct err *err),
                  void *ctx, const char *usage, struct err *err) MUST_CHECK;

/* Numbers of options. */
int parse_count(const char *text, const char *what, unsigned max, unsigned *out,
                struct err *err) MUST_CHECK;

/* ---- commands: cmd_*.c ---- */

typedef int command_fn(struct app *app, int argc, char **argv, struct err *err);
command_fn cmd_init, cmd_backup, cmd_archive_push, cmd_archive_get, cmd_restore, cmd_list,
    cmd_verify, cmd_check, cmd_catalog;

#endif
