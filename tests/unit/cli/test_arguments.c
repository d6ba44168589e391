/* Reading a command line: what is understood, and what is said about the rest. */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "cli/arguments.h"
#include "tests/lib/test.h"

static const struct option_row rows[] = {
    {'d', "delta", NULL, "use what is there"},
    {'t', "target-time", "TIME", "the state at this time"},
    {'x', "target-xid", "XID", "the state when this transaction had ended"},
    {'T', "target", "WHAT",
     "where to stop; a text so long that it has to be written in more than "
     "one line of help"},
    {0},
};
static const struct command sample = {
    .name = "sample", .words = "[CLUSTER] FILE", .min_words = 1, .max_words = 2, .options = rows};

struct seen {
    char text[256];
};

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct seen *s = ctx;
    size_t at = strlen(s->text);

    if (value != NULL && strcmp(value, "refused") == 0)
        return err_set(err, ERR_USAGE, "a value that the command refuses");
    snprintf(s->text + at, sizeof s->text - at, "%c=%s ", code, value != NULL ? value : "");
    return 0;
}

enum { MANY = 12 };

/* Splits at '|', so that an argument may be empty; getopt wants memory it could write to. */
static int split(const char *line, char **argv)
{
    int argc = 0;
    char *copy = xstrdup(line);

    argv[argc++] = copy;
    for (char *c = copy; *c != '\0'; c++)
        if (*c == '|') {
            *c = '\0';
            assert_true(argc < MANY);
            argv[argc++] = c + 1;
        }
    argv[argc] = NULL;
    return argc;
}

static int read_line(const char *line, struct arguments *args, struct seen *seen, char **copy,
                     struct err *err)
{
    char *argv[MANY + 1];
    int argc = split(line, argv);

    *copy = argv[0];
    *seen = (struct seen){{0}};
    return arguments_read(&sample, argc, argv, args, on_option, seen, err);
}

static void options_and_words_may_stand_in_any_order(void **state)
{
    static const struct {
        const char *line, *options, *first, *second;
    } cases[] = {
        {"sample|f", "", "f", NULL},
        {"sample|c|f", "", "c", "f"},
        {"sample|--delta|f", "d= ", "f", NULL},
        {"sample|c|--delta|f|--target-xid|7", "d= x=7 ", "c", "f"},
        {"sample|f|--target-xid=7|--delta", "x=7 d= ", "f", NULL},
        {"sample|--target|now|f", "T=now ", "f", NULL},
        {"sample|--de|f", "d= ", "f", NULL},
        {"sample|--target-t=--delta|f", "t=--delta ", "f", NULL},
        {"sample|--|--delta|-x", "", "--delta", "-x"},
        {"sample|f|--", "", "f", NULL},
        {"sample|", "", "", NULL},
        {"sample|-", "", "-", NULL},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(mem_free) char *copy = NULL;
        struct arguments args;
        struct seen seen;
        struct err err = {0};

        OK(read_line(cases[i].line, &args, &seen, &copy, &err), &err);
        assert_string_equal(seen.text, cases[i].options);
        assert_int_equal(args.n, cases[i].second != NULL ? 2 : 1);
        assert_string_equal(args.words[0], cases[i].first);
        if (cases[i].second != NULL)
            assert_string_equal(args.words[1], cases[i].second);
        assert_null(args.config);
        assert_false(args.quiet);
    }
}

static void the_order_does_not_depend_on_the_environment(void **state)
{
    AUTO(mem_free) char *copy = NULL;
    struct arguments args;
    struct seen seen;
    struct err err = {0};
    (void)state;

    assert_int_equal(setenv("POSIXLY_CORRECT", "1", 1), 0);
    OK(read_line("sample|f|--delta", &args, &seen, &copy, &err), &err);
    assert_string_equal(seen.text, "d= ");
    unsetenv("POSIXLY_CORRECT");
}

static void options_of_the_program_are_understood_behind_the_command(void **state)
{
    static const char *const lines[] = {"sample|-c|x.yml|-q|f", "sample|f|--config=x.yml|--quiet",
                                        "sample|f|-qc|x.yml", "sample|-qcx.yml|f"};
    (void)state;

    for (size_t i = 0; i < LENGTH(lines); i++) {
        AUTO(mem_free) char *copy = NULL;
        struct arguments args;
        struct seen seen;
        struct err err = {0};

        OK(read_line(lines[i], &args, &seen, &copy, &err), &err);
        assert_string_equal(args.config, "x.yml");
        assert_true(args.quiet);
        assert_string_equal(args.words[0], "f");
    }
}

static void mistakes_are_named_and_the_probable_word_is_offered(void **state)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"sample|f|--detla", "unknown option \"--detla\" (did you mean \"--delta\"?)"},
        {"sample|f|-delta", "unknown option \"-delta\" (did you mean \"--delta\"?)"},
        {"sample|f|--target_xyd=7", "unknown option \"--target_xyd\""},
        {"sample|f|--nothing-like-it",
         "unknown option \"--nothing-like-it\"; \"pgbr help sample\""},
        {"sample|f|-x", "unknown option \"-x\""},
        {"sample|f|-qx", "unknown option \"-qx\""},
        {"sample|f|--=", "unknown option \"--\""},
        {"sample|f|--delta=yes", "option \"--delta\" takes no value"},
        {"sample|f|--target-", "2 options begin with \"--target-\""},
        {"sample|f|--target-time", "option \"--target-time\" needs a value"},
        {"sample|f|--target-time=", "option \"--target-time\" needs a value"},
        {"sample|f|--target-time|", "option \"--target-time\" needs a value"},
        {"sample|f|-c", "option \"-c\" needs a value"},
        {"sample|f|--config=", "option \"--config\" needs a value"},
        {"sample|f|--target-xid|refused", "a value that the command refuses"},
        {"sample|c|f|g", "unexpected \"g\": usage is \"pgbr sample [CLUSTER] FILE\""},
        {"sample|c|f|--|g", "unexpected \"g\""},
        {"sample", "something is missing: usage is \"pgbr sample [CLUSTER] FILE\""},
        {"sample|--delta", "something is missing"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(mem_free) char *copy = NULL;
        struct arguments args;
        struct seen seen;
        struct err err = {0};

        FAILS(read_line(cases[i].line, &args, &seen, &copy, &err), &err, ERR_USAGE);
        if (strstr(err.msg, cases[i].says) == NULL)
            fail_msg("\"%s\" says: %s", cases[i].line, err.msg);
    }
}

static void an_enormous_argument_is_refused_briefly(void **state)
{
    enum { SIZE = 1 << 20 };
    static const char *const begins[] = {"--", "-x", "f|g|", "--delta=", "--target-time=", ""};
    (void)state;

    for (size_t i = 0; i < LENGTH(begins); i++) {
        AUTO(mem_free) char *copy = NULL;
        AUTO(mem_free) char *big = xmalloc(SIZE + 1);
        AUTO(mem_free) char *line = NULL;
        struct arguments args;
        struct seen seen;
        struct err err = {0};
        int rc;

        memset(big, 'a', SIZE);
        big[SIZE] = '\0';
        line = xasprintf("sample|%s%s", begins[i], big);
        rc = read_line(line, &args, &seen, &copy, &err);
        if (i >= 4) { /* what a value or a word may be is not decided here */
            assert_int_equal(rc, i == 4 ? -1 : 0);
            continue;
        }
        assert_int_equal(rc, -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_true(strlen(err.msg) < 400);
    }
}

static int read_before(const char *line, struct program_options *o, int *next, char **copy,
                       struct err *err)
{
    char *argv[MANY + 1];
    int argc = split(line, argv);

    *copy = argv[0];
    *o = (struct program_options){0};
    if (arguments_read_program(argc, argv, o, next, err) != 0)
        return -1;
    if (o->config != NULL) /* it points into what the caller keeps */
        assert_true(o->config > *copy);
    return 0;
}

static void what_stands_before_the_command_is_read_apart(void **state)
{
    AUTO(mem_free) char *a = NULL, *b = NULL, *c = NULL, *d = NULL, *e = NULL;
    struct program_options o;
    struct err err = {0};
    char *none[] = {NULL};
    int next;
    (void)state;

    OK(read_before("pgbr|-qc|x.yml|backup|--json", &o, &next, &a, &err), &err);
    assert_string_equal(o.config, "x.yml");
    assert_true(o.quiet && !o.help && !o.version);
    assert_int_equal(next, 3);
    OK(read_before("pgbr|--help|backup", &o, &next, &b, &err), &err);
    assert_true(o.help);
    assert_int_equal(next, 2);
    OK(read_before("pgbr|--version", &o, &next, &c, &err), &err);
    assert_true(o.version);
    FAILS(read_before("pgbr|--confg|x|backup", &o, &next, &d, &err), &err, ERR_USAGE);
    assert_non_null(strstr(err.msg, "did you mean \"--config\"?"));
    FAILS(read_before("pgbr|-c||backup", &o, &next, &e, &err), &err, ERR_USAGE);
    OK(arguments_read_program(0, none, &o, &next, &err), &err); /* not even a name */
}

static void help_is_asked_for_anywhere_before_two_dashes(void **state)
{
    static const struct {
        const char *line;
        bool asked;
    } cases[] = {{"sample|f|--help", true},
                 {"sample|-h", true},
                 {"sample", false},
                 {"sample|--|--help", false},
                 {"sample|help", false}};
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        char *argv[MANY + 1];
        int argc = split(cases[i].line, argv);

        assert_int_equal(arguments_ask_help(argc, argv), cases[i].asked);
        free(argv[0]);
    }
}

static void help_shows_every_option_in_lines_that_fit(void **state)
{
    AUTO(mem_free) char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    (void)state;

    assert_non_null(to);
    arguments_show_help(&sample, to);
    assert_int_equal(fclose(to), 0);
    assert_non_null(strstr(text, "usage: pgbr [-c FILE] [-q] sample [CLUSTER] FILE [options]\n"));
    for (const struct option_row *r = rows; r->name != NULL; r++)
        assert_non_null(strstr(text, r->name));
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 100);
}

static void numbers_have_limits(void **state)
{
    static const char *const wrong[] = {
        "0", "-1", "+1", "", " 1", "1 ", "1.0", "x", "65", "0x1", "99999999999999999999999"};
    struct err err = {0};
    unsigned n = 0;
    (void)state;

    OK(parse_count("64", "--workers", 64, &n, &err), &err);
    assert_int_equal(n, 64);
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        FAILS(parse_count(wrong[i], "--workers", 64, &n, &err), &err, ERR_USAGE);
        assert_non_null(strstr(err.msg, "--workers must be a number from 1 to 64"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_words_may_stand_in_any_order),
        cmocka_unit_test(the_order_does_not_depend_on_the_environment),
        cmocka_unit_test(options_of_the_program_are_understood_behind_the_command),
        cmocka_unit_test(mistakes_are_named_and_the_probable_word_is_offered),
        cmocka_unit_test(an_enormous_argument_is_refused_briefly),
        cmocka_unit_test(what_stands_before_the_command_is_read_apart),
        cmocka_unit_test(help_is_asked_for_anywhere_before_two_dashes),
        cmocka_unit_test(help_shows_every_option_in_lines_that_fit),
        cmocka_unit_test(numbers_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
