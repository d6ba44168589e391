/* The judgements of "pgbr check" that need no server. */
#include <string.h>

#include "cli/check.h"
#include "tests/lib/test.h"

static void same_text(const char *got, const char *want)
{
    if (want == NULL)
        assert_null(got);
    else
        assert_string_equal(got != NULL ? got : "(null)", want);
}

static void an_archive_command_is_read_as_the_shell_reads_it(void **state)
{
    static const struct {
        const char *command;
        bool push, path;
        const char *program, *config, *cluster;
    } cases[] = {
        {"/usr/bin/pgbr archive-push %p", true, true, "/usr/bin/pgbr", NULL, NULL},
        {"/usr/bin/pgbr -c /etc/a.yml archive-push main %p", true, true, "/usr/bin/pgbr",
         "/etc/a.yml", "main"},
        {"\"/opt/my pgbr\" --config='/etc/a b.yml' archive-push main \"%p\"", true, true,
         "/opt/my pgbr", "/etc/a b.yml", "main"},
        {"pgbr -c/etc/a.yml -q archive-push main %p", true, true, "pgbr", "/etc/a.yml", "main"},
        {"pgbr archive-push -c /etc/a.yml main %p", true, true, "pgbr", "/etc/a.yml", "main"},
        {"nice -n 5 /usr/bin/pgbr archive-push main %p", true, true, "/usr/bin/pgbr", NULL, "main"},
        {"PGBR_CONFIG=/x pgbr archive-push main %p", true, true, "pgbr", NULL, "main"},
        {"test -f /stop || pgbr archive-push main %p && true", true, true, "pgbr", NULL, "main"},
        {"(pgbr archive-push main %p)", true, true, "pgbr", NULL, "main"},
        {"pgbr archive-push main %p >> /tmp/log 2>&1", true, true, "pgbr", NULL, "main"},
        {"2>/tmp/log pgbr archive-push %p >log", true, true, "pgbr", NULL, NULL},
        {"pgbr archive-push %p >", true, true, "pgbr", NULL, NULL},
        {"pg\\br archive-push main '%p'", true, true, "pgbr", NULL, "main"},
        {"pgbr archive-push main", true, false, "pgbr", NULL, NULL},
        {"pgbr archive-push main %f", true, false, "pgbr", NULL, "main"},
        {"pgbr archive-push", true, false, "pgbr", NULL, NULL},
        {"pgbr archive-push main %p -c", true, true, "pgbr", NULL, "main"},
        {"cp %p /archive/%f", false, false, "/archive/%f", NULL, NULL},
        {"echo 'archive-push main %p'", false, false, "archive-push main %p", NULL, NULL},
        {"\"unfinished archive-push %p", false, false, "unfinished archive-push %p", NULL, NULL},
        {"", false, false, NULL, NULL, NULL},
        {"\\", false, false, "\\", NULL, NULL},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(archive_words_free) struct archive_words w = {0};

        archive_words_read(cases[i].command, &w);
        if (w.push != cases[i].push || w.path != cases[i].path)
            fail_msg("%s: push %d, path %d", cases[i].command, w.push, w.path);
        same_text(w.program, cases[i].program);
        same_text(w.config, cases[i].config);
        same_text(w.cluster, cases[i].cluster);
    }
}

static void a_command_of_many_words_is_read_as_far_as_is_reasonable(void **state)
{
    AUTO(archive_words_free) struct archive_words w = {0};
    AUTO(buf_free) struct buf text = BUF_INIT;
    (void)state;

    for (int i = 0; i < 10000; i++)
        buf_adds(&text, "word ");
    buf_adds(&text, "archive-push %p");
    archive_words_read(buf_text(&text), &w);
    assert_false(w.push);
}

static void the_command_to_set_survives_shell_and_server(void **state)
{
    static const struct {
        const char *program, *config, *want;
    } cases[] = {
        {"/usr/bin/pgbr", "/etc/pgbr/pgbr.yml",
         "/usr/bin/pgbr -c /etc/pgbr/pgbr.yml archive-push main %p"},
        {"/opt/my pgbr", "/etc/$x\"`.yml",
         "\"/opt/my pgbr\" -c \"/etc/\\$x\\\"\\`.yml\" archive-push main %p"},
        {"/opt/100%/pgbr", "/etc/a.yml", "/opt/100%%/pgbr -c /etc/a.yml archive-push main %p"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf out = BUF_INIT;
        struct app app = {0};

        app.program = (char *)(uintptr_t)cases[i].program;
        app.config_absolute = (char *)(uintptr_t)cases[i].config;
        app_archive_command(&app, "main", &out);
        assert_string_equal(buf_text(&out), cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_archive_command_is_read_as_the_shell_reads_it),
        cmocka_unit_test(a_command_of_many_words_is_read_as_far_as_is_reasonable),
        cmocka_unit_test(the_command_to_set_survives_shell_and_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
