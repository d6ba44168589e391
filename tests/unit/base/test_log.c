#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/queue.h"

static struct err err;
static int real_stderr = -1, out[2] = {-1, -1};

/* Standard error goes into a pipe until it is read. */
static void capture(void)
{
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    fcntl(out[1], F_SETPIPE_SZ, 1 << 20);
    real_stderr = dup(STDERR_FILENO);
    dup2(out[1], STDERR_FILENO);
}

static char *captured(struct buf *b)
{
    char piece[4096];
    ssize_t n;

    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(out[1]);
    while ((n = read(out[0], piece, sizeof piece)) > 0)
        buf_add(b, piece, (size_t)n);
    close(out[0]);
    buf_add(b, "", 0);
    return b->p;
}

static void a_text_line_carries_time_pid_level_and_identity(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    int year, ms, pid, end = 0;

    (void)state;
    log_setup(LOG_TEXT, LOG_INFO);
    log_identity("pg-test", "pg-test-1");
    capture();
    log_info("backup: copied %s", "7.6 GB");
    captured(&b);
    assert_int_equal(sscanf(b.p,
                            "%4d-%*2d-%*2d %*2d:%*2d:%*2d.%3dZ [%d] INFO pg-test/pg-test-1 backup: "
                            "copied 7.6 GB%n",
                            &year, &ms, &pid, &end),
                     3);
    assert_int_equal(pid, getpid());
    assert_int_equal(end, b.len - 1);
    assert_int_equal(b.p[end], '\n');
}

static void the_identity_may_be_missing_in_part(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    (void)state;
    log_setup(LOG_TEXT, LOG_INFO);
    capture();
    log_identity(NULL, NULL);
    log_info("one");
    log_identity("main", NULL);
    log_info("two");
    captured(&b);
    assert_non_null(strstr(b.p, "] INFO one\n"));
    assert_non_null(strstr(b.p, "] INFO main two\n"));
}

static void a_json_line_is_one_object(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    json_error_t error;
    json_t *line;

    (void)state;
    log_setup(LOG_JSON, LOG_INFO);
    log_identity("pg-test", NULL);
    capture();
    log_warning("two\nlines and a \"quote\" %d", 7);
    captured(&b);
    assert_ptr_equal(strchr(b.p, '\n'), b.p + b.len - 1);
    line = json_loadb(b.p, b.len, 0, &error);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(line, "message")),
                        "two\nlines and a \"quote\" 7");
    assert_string_equal(json_string_value(json_object_get(line, "cluster")), "pg-test");
    assert_null(json_object_get(line, "instance"));
    assert_int_equal(json_integer_value(json_object_get(line, "pid")), getpid());
    assert_int_equal(json_string_length(json_object_get(line, "time")),
                     strlen("2026-11-22T14:05:33.120Z"));
    json_decref(line);
}

static void a_text_event_is_one_line_and_harmless_to_a_terminal(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    (void)state;
    log_setup(LOG_TEXT, LOG_INFO);
    log_identity(NULL, NULL);
    capture();
    log_error("a\nb\rc\td\033[31m\x7f gr\xc3\xbcn");
    captured(&b);
    assert_non_null(strstr(b.p, "ERROR a b c d [31m  gr\xc3\xbcn\n"));
}

static void levels_below_the_wanted_one_are_silent_but_counted(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    unsigned before = log_count(LOG_DEBUG);

    (void)state;
    log_setup(LOG_TEXT, LOG_WARNING);
    capture();
    errno = EBUSY;
    log_error("e");
    log_warning("w");
    log_info("i");
    log_debug("d");
    assert_int_equal(errno, EBUSY);
    captured(&b);
    assert_non_null(strstr(b.p, "ERROR e\n"));
    assert_non_null(strstr(b.p, "WARNING w\n"));
    assert_null(strstr(b.p, "INFO"));
    assert_null(strstr(b.p, "DEBUG"));
    assert_int_equal(log_count(LOG_DEBUG), before + 1);
    assert_true(log_wants(LOG_ERROR) && log_wants(LOG_WARNING) && !log_wants(LOG_INFO));
}

static int log_much(void *ctx, unsigned index, struct err *e)
{
    (void)ctx;
    (void)e;
    for (int i = 0; i < 200; i++) {
        log_info("line %u of worker %u", (unsigned)i, index);
        log_identity("cluster", "instance");
    }
    return 0;
}

static void lines_of_many_threads_do_not_mix(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    struct workers *w = NULL;
    size_t lines = 0;

    (void)state;
    log_setup(LOG_TEXT, LOG_INFO);
    capture();
    OK(workers_start(&w, 4, log_much, NULL, NULL, &err), &err);
    OK(workers_join(&w, &err), &err);
    captured(&b);
    for (char *line = b.p, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        unsigned a, c;
        assert_non_null(strstr(line, "INFO "));
        assert_int_equal(sscanf(strstr(line, "line "), "line %u of worker %u\n", &a, &c), 2);
        lines++;
    }
    assert_int_equal(lines, 800);
}

static void names_of_levels_and_formats_are_known(void **state)
{
    enum log_level level;
    enum log_format format;

    (void)state;
    assert_int_equal(log_level_parse("debug", &level), 0);
    assert_int_equal(level, LOG_DEBUG);
    assert_int_equal(log_level_parse("loud", &level), -1);
    assert_int_equal(log_format_parse("json", &format), 0);
    assert_int_equal(format, LOG_JSON);
    assert_int_equal(log_format_parse("", &format), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_line_carries_time_pid_level_and_identity),
        cmocka_unit_test(the_identity_may_be_missing_in_part),
        cmocka_unit_test(a_json_line_is_one_object),
        cmocka_unit_test(a_text_event_is_one_line_and_harmless_to_a_terminal),
        cmocka_unit_test(levels_below_the_wanted_one_are_silent_but_counted),
        cmocka_unit_test(lines_of_many_threads_do_not_mix),
        cmocka_unit_test(names_of_levels_and_formats_are_known),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
