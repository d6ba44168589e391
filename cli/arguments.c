/*
 * arguments.c - see arguments.h.
 *
 * getopt_long does the reading, told not to print and not to reorder ("-"): so it is known which
 * argument an error is about, and POSIXLY_CORRECT in the environment changes nothing.
 */
#include "cli/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "config/suggest.h"

enum { SHOWN_MAX = 100 }; /* bytes of an argument that a message repeats */

static size_t count_rows(const struct option_row *rows)
{
    size_t n = 0;

    while (rows != NULL && rows[n].name != NULL)
        n++;
    return n;
}

static const struct option_row own_rows[] = {
    {'c', "config", "FILE", NULL},
    {'q', "quiet", NULL, NULL},
    {0, NULL, NULL, NULL},
};
static const struct option_row program_rows[] = {
    {'c', "config", "FILE", NULL}, {'q', "quiet", NULL, NULL}, {'h', "help", NULL, NULL},
    {'V', "version", NULL, NULL},  {0, NULL, NULL, NULL},
};

/* ---- what was wrong ---- */

struct wrong {
    const struct option *options;
    const char *word; /* the argument at fault */
    const char *help; /* "pgbr --help", "pgbr help restore" */
};

/* For "%.*s": the length to show, up to the first of the characters in `end`. */
static int shown(const char *text, const char *end)
{
    return (int)MIN_OF(strcspn(text, end), (size_t)SHOWN_MAX);
}

static int unknown_option(const struct wrong *w, struct err *err)
{
    const char *name = w->word + strspn(w->word, "-");
    size_t len = strcspn(name, "=");
    char wanted[64] = "", best[112] = "";
    struct suggestion s = suggest_for(wanted);
    unsigned begin_so = 0;

    if (len < sizeof wanted) {
        memcpy(wanted, name, len);
        wanted[len] = '\0';
    }
    for (const struct option *o = w->options; o->name != NULL; o++) {
        if (w->word[1] == '-' && strcmp(o->name, wanted) == 0)
            return err_set(err, ERR_USAGE, "option \"--%s\" takes no value; \"%s\" tells more",
                           o->name, w->help);
        begin_so += len != 0 && len < sizeof wanted && strncmp(o->name, wanted, len) == 0;
        suggest_offer(&s, o->name);
    }
    if (w->word[1] == '-' && begin_so > 1)
        return err_set(err, ERR_USAGE,
                       "%u options begin with \"--%s\": write more of it; \"%s\" lists them",
                       begin_so, wanted, w->help);
    if (s.best != NULL)
        snprintf(best, sizeof best, " (did you mean \"--%.64s\"?)", s.best);
    return err_set(err, ERR_USAGE, "unknown option \"%.*s\"%s; \"%s\" lists what there is",
                   shown(w->word, "="), w->word, best, w->help);
}

static int no_value(const struct wrong *w, struct err *err)
{
    return err_set(err, ERR_USAGE, "option \"%.*s\" needs a value; \"%s\" tells more",
                   shown(w->word, "="), w->word, w->help);
}

/* ---- reading ---- */

static void add_options(struct option *out, size_t *n, const struct option_row *rows)
{
    size_t more = count_rows(rows);

    for (size_t i = 0; i < more; i++)
        out[(*n)++] =
            (struct option){rows[i].name, rows[i].value != NULL ? required_argument : no_argument,
                            NULL, rows[i].code};
    out[*n] = (struct option){0};
}

static int next_option(int argc, char **argv, const char *letters, struct wrong *w, int *code,
                       struct err *err)
{
    int at = optind > 0 ? optind : 1;

    *code = getopt_long(argc, argv, letters, w->options, NULL);
    w->word = at < argc ? argv[at] : "";
    if (*code == '?')
        return unknown_option(w, err);
    if (*code == ':' || (*code > 1 && optarg != NULL && *optarg == '\0'))
        return no_value(w, err);
    return 0;
}

static int add_word(const struct command *command, const char *word, const char *help,
                    struct arguments *out, struct err *err)
{
    if (out->n == command->max_words)
        return err_set(err, ERR_USAGE,
                       "unexpected \"%.*s\": usage is \"pgbr %s%s%s\"; \"%s\" tells more",
                       shown(word, ""), word, command->name, command->words[0] != '\0' ? " " : "",
                       command->words, help);
    out->words[out->n++] = word;
    return 0;
}

static int read_all(const struct command *command, int argc, char **argv, struct arguments *out,
                    option_fn *on_option, void *ctx, struct wrong *w, struct err *err)
{
    int code;

    for (;;) {
        TRY(next_option(argc, argv, "-:c:q", w, &code, err));
        if (code == -1)
            break;
        if (code == 1)
            TRY(add_word(command, optarg, w->help, out, err));
        else if (code == 'c')
            out->config = optarg;
        else if (code == 'q')
            out->quiet = true;
        else
            TRY(on_option(ctx, code, optarg, err));
    }
    for (int i = optind; i < argc; i++) /* behind "--" */
        TRY(add_word(command, argv[i], w->help, out, err));
    return 0;
}

int arguments_read(const struct command *command, int argc, char **argv, struct arguments *out,
                   option_fn *on_option, void *ctx, struct err *err)
{
    struct option options[OPTIONS_MAX + LENGTH(own_rows)];
    char help[64];
    struct wrong w = {options, "", help};
    size_t n = 0;

    *out = (struct arguments){0};
    snprintf(help, sizeof help, "pgbr help %s", command->name);
    add_options(options, &n, command->options);
    add_options(options, &n, own_rows);
    optind = 0; /* glibc: begin anew */
    TRY(read_all(command, argc, argv, out, on_option, ctx, &w, err));
    if (out->n < command->min_words)
        return err_set(err, ERR_USAGE,
                       "something is missing: usage is \"pgbr %s %s\"; \"%s\" tells more",
                       command->name, command->words, help);
    return 0;
}

int arguments_read_program(int argc, char **argv, struct program_options *out, int *next,
                           struct err *err)
{
    struct option options[LENGTH(program_rows)];
    struct wrong w = {options, "", "pgbr --help"};
    size_t n = 0;
    int code;

    *out = (struct program_options){0};
    add_options(options, &n, program_rows);
    optind = 0;
    for (;;) {
        TRY(next_option(argc, argv, "+:c:qhV", &w, &code, err));
        if (code == -1)
            break;
        if (code == 'c')
            out->config = optarg;
        out->quiet |= code == 'q';
        out->help |= code == 'h';
        out->version |= code == 'V';
    }
    *next = optind;
    return 0;
}

bool arguments_ask_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* ---- help ---- */

enum { HELP_COLUMN = 34, HELP_WIDTH = 100 };

/* Words of the text from HELP_COLUMN on, in lines of HELP_WIDTH. */
static void show_wrapped(const char *text, FILE *to)
{
    size_t column = HELP_COLUMN;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        if (column + 1 + len > HELP_WIDTH) {
            fprintf(to, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        fprintf(to, "%s%.*s", column > HELP_COLUMN ? " " : "", (int)len, text);
        column += len + (column > HELP_COLUMN);
        text += len + (text[len] == ' ');
    }
    fputc('\n', to);
}

static void show_option(const struct option_row *row, FILE *to)
{
    char left[80];
    int len = snprintf(left, sizeof left, "  --%s%s%s", row->name, row->value != NULL ? " " : "",
                       row->value != NULL ? row->value : "");

    if (len < HELP_COLUMN)
        fprintf(to, "%-*s", HELP_COLUMN, left);
    else
        fprintf(to, "%s\n%*s", left, HELP_COLUMN, "");
    show_wrapped(row->help, to);
}

void arguments_show_help(const struct command *command, FILE *to)
{
    size_t n = count_rows(command->options);

    fprintf(to, "usage: pgbr [-c FILE] [-q] %s%s%s%s\n", command->name,
            command->words[0] != '\0' ? " " : "", command->words, n != 0 ? " [options]" : "");
    if (command->summary != NULL)
        fprintf(to, "\n%s\n", command->summary);
    if (n != 0)
        fputc('\n', to);
    for (size_t i = 0; i < n; i++)
        show_option(&command->options[i], to);
}

/* ---- values ---- */

int parse_count(const char *text, const char *what, unsigned max, unsigned *out, struct err *err)
{
    char *end = NULL;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || strspn(text, "0123456789") == 0 || *end != '\0' || value == 0 || value > max)
        return err_set(err, ERR_USAGE, "%s must be a number from 1 to %u, not \"%.*s\"", what, max,
                       shown(text, ""), text);
    *out = (unsigned)value;
    return 0;
}
