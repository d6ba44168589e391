/*
 * arguments.h - commands as tables, and reading a command line by them.
 *
 * One table per command serves reading, "--help", and the suggestion for a mistyped option, so that
 * they cannot differ. Options may be shortened as getopt_long allows, and may stand before or
 * behind the words. -c and -q, which belong to the program, are understood behind the command too.
 * An option's value is never empty. All errors are ERR_USAGE and safe to print, whatever was typed.
 * Not for threads: getopt_long has global state.
 */
#ifndef PGBR_CLI_ARGUMENTS_H
#define PGBR_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

struct app;

struct option_row {
    int code; /* a letter other than c and q: what the command's on_option gets */
    const char *name;
    const char *value; /* what help calls the value; NULL: the option takes none */
    const char *help;
};
enum { OPTIONS_MAX = 30, WORDS_MAX = 4 };

struct command {
    const char *name;
    int (*run)(struct app *app, int argc, char **argv, struct err *err);
    const char *words; /* "[CLUSTER]", for help */
    int min_words, max_words;
    const char *summary;              /* one line; NULL: another name, not listed */
    const struct option_row *options; /* up to a row without a name; NULL: none */
    /* For commands whose exit status another program reads: the one after an error, given the usual
     * one. argv may be anything. NULL: people read it. */
    int (*failure_status)(int usual, int argc, char **argv);
    const char
        *event; /* the kind (catalog/kinds.h) of the event at its end; NULL: it leaves none */
};

struct arguments {
    const char *words[WORDS_MAX];
    int n;
    const char *config; /* of -c; NULL: not given */
    bool quiet;
};
typedef int option_fn(void *ctx, int code, const char *value, struct err *err);

/* argv[0] is the command's name. on_option (NULL for a command without options) gets each option in
 * turn; -1 from it ends with its error. */
int arguments_read(const struct command *command, int argc, char **argv, struct arguments *out,
                   option_fn *on_option, void *ctx, struct err *err) MUST_CHECK;

/* What stands before the command. *next: index of the first word that is no option. */
struct program_options {
    const char *config; /* NULL: not given */
    bool quiet, help, version;
};
int arguments_read_program(int argc, char **argv, struct program_options *out, int *next,
                           struct err *err) MUST_CHECK;

/* Is "--help" or "-h" among the arguments, before a "--"? */
bool arguments_ask_help(int argc, char **argv);
/* "usage: pgbr restore [CLUSTER] [options]" and a line for each option. */
void arguments_show_help(const struct command *command, FILE *to);

/* A number from 1 to max. what: the option, for the message. */
int parse_count(const char *text, const char *what, unsigned max, unsigned *out,
                struct err *err) MUST_CHECK;

#endif
