/* main.c - from the command line to one command. */
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "cli/app.h"
#include "config/suggest.h"

static const struct command *const commands[] = {
    &command_init,    &command_check,   &command_backup,       &command_restore,
    &command_list,    &command_info,    &command_verify,       &command_expire,
    &command_hold,    &command_unhold,  &command_archive_push, &command_archive_get,
    &command_windows, &command_catalog, &command_key,          &command_scheduler,
    &command_notify,  &command_metrics, &command_drill,
};

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < LENGTH(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown(const char *name, struct err *err)
{
    struct suggestion s = suggest_for(name);
    char hint[112];

    for (size_t i = 0; i < LENGTH(commands); i++)
        suggest_offer(&s, commands[i]->name);
    return err_set(err, ERR_USAGE, "unknown command \"%.100s\"%s; \"pgbr --help\" lists them", name,
                   suggest_text(&s, hint));
}

/* ---- help ---- */

static void show_commands(FILE *to)
{
    fprintf(to, "usage: pgbr [-c FILE] [-q] COMMAND [CLUSTER] [options]\n\ncommands:\n");
    for (size_t i = 0; i < LENGTH(commands); i++)
        if (commands[i]->summary != NULL)
            fprintf(to, "  %-13s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to,
            "\n  -c, --config FILE  configuration (default: $PGBR_CONFIG, else " CONFIG_DEFAULT_PATH
            ")\n"
            "  -q, --quiet        only warnings and errors\n"
            "      --version      show the version\n"
            "\n\"pgbr help COMMAND\" tells its options, \"man pgbr\" everything.\n");
}

/* words: what follows "help" or --help. */
static int show_help(int n, char **words, struct err *err)
{
    const struct command *command;

    if (n == 0 || strcmp(words[0], "help") == 0) {
        show_commands(stdout);
        return 0;
    }
    command = find(words[0]);
    if (command == NULL)
        return unknown(words[0], err);
    arguments_show_help(command, stdout);
    return 0;
}

/* ---- running ---- */

static int run_command(struct app *app, int argc, char **argv, struct err *err)
{
    if (strcmp(argv[0], "help") == 0)
        return show_help(argc - 1, argv + 1, err);
    app->command = find(argv[0]);
    if (app->command == NULL)
        return unknown(argv[0], err);
    log_command(app->command->name);
    /* Where a program waits for the status, help must not look like success of something else. */
    if (arguments_ask_help(argc, argv) && (app->command->failure_status == NULL || argc == 2)) {
        arguments_show_help(app->command, stdout);
        return 0;
    }
    return app->command->run(app, argc, argv, err);
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    struct program_options options;
    int next;

    TRY(arguments_read_program(argc, argv, &options, &next, err));
    if (options.config != NULL)
        app->config_path = options.config;
    app->quiet = options.quiet;
    argc -= next;
    argv += next;
    if (options.version && argc == 0) {
        printf("pgbr " PGBR_VERSION "\n");
        return 0;
    }
    if (options.version)
        return err_set(err, ERR_USAGE, "--version stands alone");
    if (options.help && argc <= 1)
        return show_help(argc, argv, err);
    if (options.help)
        return err_set(err, ERR_USAGE, "--help takes one command at most");
    if (argc == 0) {
        show_commands(stderr);
        return err_set(err, ERR_USAGE, "no command given");
    }
    return run_command(app, argc, argv, err);
}

/* ---- the end ---- */

/* A command line too broken to be read still has the status that its reader needs. */
static const struct command *guess(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const struct command *command = find(argv[i]);

        if (command != NULL && command->failure_status != NULL)
            return command;
    }
    return NULL;
}

static int failure_status(const struct app *app, int argc, char **argv, const struct err *err)
{
    const struct command *command = app->command != NULL ? app->command : guess(argc, argv);
    int usual = err->code == ERR_USAGE || err->code == ERR_CONFIG ? EXIT_WRONG_USE : EXIT_FAILED;

    if (command != NULL && command->failure_status != NULL)
        return command->failure_status(usual, argc, argv);
    return usual;
}

static int finish(const struct app *app, int rc, int argc, char **argv, struct err *err)
{
    if (rc == 0 && app->status != EXIT_DONE && app->status != EXIT_WARNINGS)
        return app->status;
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout) != 0))
        rc = err_set(err, ERR_IO, "cannot write to standard output");
    if (rc == 0)
        return app->status;
    fflush(stdout);
    log_error("%s", err->msg);
    return failure_status(app, argc, argv, err);
}

/* ---- the beginning ---- */

/* A file opened later must not become standard output or error, into which messages go. */
static void hold_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(EXIT_FAILED);
}

/* The lock of the scheduler's job that this process runs for: held as long as it lives, and not by
 * what it starts. */
static void hold_job_lock(void)
{
    const char *text = getenv("PGBR_JOB_LOCK");
    long fd = text != NULL ? strtol(text, NULL, 10) : 0;

    if (fd > STDERR_FILENO && fd < INT_MAX)
        (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    else
        unsetenv("PGBR_JOB"); /* a hook's, perhaps: its commands are not the job */
    unsetenv("PGBR_JOB_LOCK");
}

/* Settings name this program by its whole path: PostgreSQL's PATH may be another. */
static char *own_path(const char *argv0)
{
    char text[4096];
    ssize_t n = readlink("/proc/self/exe", text, sizeof text - 1);

    return n > 0 ? xstrndup(text, (size_t)n) : xstrdup(argv0);
}

/* Until the configuration is read, which may fail. */
static enum log_format first_format(void)
{
    const char *told = getenv("PGBR_LOG_FORMAT");
    enum log_format format = LOG_TEXT;

    return told != NULL && log_format_parse(told, &format) == 0 ? format : LOG_TEXT;
}

/* Buffers of half a MiB go back to the system when they are freed, and threads share their pools: a
 * restore with two workers needs a third of the memory. */
static void bound_memory(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
}

int main(int argc, char **argv)
{
    const char *told = getenv("PGBR_CONFIG");
    struct app app = {.config_path = told != NULL && *told != '\0' ? told : CONFIG_DEFAULT_PATH,
                      .event = RUN_EVENT_INIT};
    struct err err = {0};
    int rc, status;

    hold_standard_files();
    hold_job_lock();
    bound_memory();
    umask(0077);
    signal(SIGPIPE, SIG_IGN); /* a backup outlives the reader of its messages */
    log_setup(first_format(), LOG_INFO);
    app.program = own_path(argc > 0 ? argv[0] : "pgbr");
    rc = run(&app, argc, argv, &err);
    status = finish(&app, rc, argc, argv, &err);
    event_end(&app, rc, status, &err);
    run_event_free(&app.event);
    config_free(&app.config);
    free(app.config_absolute);
    free(app.program);
    return status;
}
