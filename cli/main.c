/* main.c - from the command line to one command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "cli/app.h"
#include "wal/get.h"

struct command {
    const char *name;
    command_fn *run;
    const char *help;
};
static const struct command commands[] = {
    {"init", cmd_init, "create the repositories of a cluster, show the archive_command to set"},
    {"check", cmd_check, "say of each part whether it works, and what to do if not"},
    {"backup", cmd_backup, "take a backup now"},
    {"restore", cmd_restore, "bring a cluster back, to the latest or to any moment"},
    {"list", cmd_list, "show backups, WAL, gaps and the moments one can go back to"},
    {"info", cmd_list, NULL},
    {"verify", cmd_verify, "read everything in the repositories and check it"},
    {"archive-push", cmd_archive_push, "for archive_command: store a WAL file"},
    {"archive-get", cmd_archive_get, "for restore_command: fetch a WAL file"},
    {"catalog", cmd_catalog, "rebuild the local catalog from the repositories"},
};

static void show_help(FILE *to)
{
    fprintf(to, "usage: pgbr [-c FILE] [-q] COMMAND [CLUSTER] [options]\n\ncommands:\n");
    for (size_t i = 0; i < LENGTH(commands); i++)
        if (commands[i].help != NULL)
            fprintf(to, "  %-13s %s\n", commands[i].name, commands[i].help);
    fprintf(to, "\n  -c FILE  configuration (default: $PGBR_CONFIG, else " CONFIG_DEFAULT_PATH ")\n"
                "  -q       only warnings and errors\n"
                "\n\"man pgbr\" tells more.\n");
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < LENGTH(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int global_options(struct app *app, int argc, char **argv, struct err *err)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"quiet", no_argument, NULL, 'q'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };

    for (int c; (c = getopt_long(argc, argv, "+:c:qvh", options, NULL)) != -1;) {
        if (c == 'c')
            app->config_path = optarg;
        else if (c == 'q')
            app->quiet = true;
        else if (c == 'v') {
            printf("pgbr " PGBR_VERSION "\n");
            exit(EXIT_DONE);
        } else if (c == 'h') {
            show_help(stdout);
            exit(EXIT_DONE);
        } else {
            return err_set(err, ERR_USAGE, "unknown option or missing value: \"%s\"",
                           argv[optind - 1]);
        }
    }
    return 0;
}

/* Settings name this program by its whole path: PostgreSQL's PATH may be another. */
static char *own_path(const char *argv0)
{
    char text[4096];
    ssize_t n = readlink("/proc/self/exe", text, sizeof text - 1);

    return n > 0 ? xstrndup(text, (size_t)n) : xstrdup(argv0);
}

static int exit_status(const struct app *app, int rc, const struct err *err)
{
    if (rc == 0)
        return app->status;
    log_error("%s", err->msg);
    return err->code == ERR_USAGE || err->code == ERR_CONFIG ? EXIT_WRONG_USE : EXIT_FAILED;
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    const struct command *command;

    TRY(global_options(app, argc, argv, err));
    if (optind == argc) {
        show_help(stderr);
        return err_set(err, ERR_USAGE, "no command given");
    }
    argc -= optind;
    argv += optind;
    command = find(argv[0]);
    if (command == NULL)
        return err_set(err, ERR_USAGE, "unknown command \"%s\"; \"pgbr --help\" lists them",
                       argv[0]);
    return command->run(app, argc, argv, err);
}

int main(int argc, char **argv)
{
    const char *from_environment = getenv("PGBR_CONFIG");
    struct app app = {
        .config_path = from_environment != NULL ? from_environment : CONFIG_DEFAULT_PATH,
        .program = own_path(argv[0]),
    };
    struct err err = {0};
    int status;

    umask(0077);
    log_setup(LOG_TEXT, LOG_INFO);
    status = exit_status(&app, run(&app, argc, argv, &err), &err);
    if (fflush(stdout) != 0 && status == EXIT_DONE) {
        log_error("cannot write to standard output");
        status = EXIT_FAILED;
    }
    config_free(&app.config);
    free(app.config_absolute);
    free(app.program);
    return status;
}
