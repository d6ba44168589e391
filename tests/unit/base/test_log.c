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

/* Every line of JSON must be an object with these, whatever went in. */
static void check_json_lines(const struct buf *b, size_t expected)
{
    size_t lines = 0;

    for (char *line = b->p, *end;
         (end = memchr(line, '\n', b->len - (size_t)(line - b->p))) != NULL; line = end + 1) {
        json_error_t error;
        json_t *o = json_loadb(line, (size_t)(end - line), 0, &error);

        if (o == NULL)
            fail_msg("%s: %.*s", error.text, (int)(end - line), line);
        assert_true((size_t)(end - line) < LOG_LINE_MAX);
        assert_true(json_is_string(json_object_get(o, "message")));
        assert_true(json_is_string(json_object_get(o, "time")));
        assert_true(json_is_string(json_object_get(o, "host")));
        assert_string_equal(json_string_value(json_object_get(o, "command")), "backup");
        assert_string_equal(json_string_value(json_object_get(o, "cluster")), "c");
        json_decref(o);
        lines++;
        if (end + 1 == b->p + b->len)
            break;
    }
    assert_int_equal(lines, expected);
}

static void json_is_valid_whatever_bytes_a_message_has(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    char message[600];
    uint32_t seed = 1;

    (void)state;
    log_setup(LOG_JSON, LOG_INFO);
    log_command("backup");
    log_identity("c", NULL);
    capture();
    for (unsigned first = 1; first < 256; first++) {
        for (size_t i = 0; i < sizeof message - 1; i++) {
            seed = seed * 1664525 + 1013904223;
            message[i] = (char)(i == 0 ? first : (seed >> 24) != 0 ? seed >> 24 : 1);
        }
        message[sizeof message - 1] = '\0';
        log_info("%s", message);
    }
    captured(&b);
    log_command(NULL);
    check_json_lines(&b, 255);
}

/* 4,096 bytes are written to a pipe as a whole; more could mix with the lines of others. */
static void a_long_line_is_cut_to_what_a_pipe_takes_whole(void **state)
{
    static const char *const parts[] = {
        "x", "\x01", "\"", "gr\xc3\xbc\xc3\x9f", "\xff", "\xf0\x9f\x90\x98"};
    AUTO(buf_free) struct buf b = BUF_INIT;
    AUTO(buf_free) struct buf long_one = BUF_INIT;

    (void)state;
    log_command("backup");
    log_identity("c", NULL);
    capture();
    for (size_t i = 0; i < LENGTH(parts); i++) {
        buf_clear(&long_one);
        while (long_one.len < 20000)
            buf_adds(&long_one, parts[i]);
        log_setup(LOG_JSON, LOG_INFO);
        log_info("%s", long_one.p);
    }
    captured(&b);
    check_json_lines(&b, LENGTH(parts));
    assert_int_equal(memcmp(b.p + b.len - 6, "...\"}\n", 6), 0);
    buf_clear(&b);
    log_setup(LOG_TEXT, LOG_INFO);
    capture();
    log_info("%s", long_one.p);
    captured(&b);
    log_command(NULL);
    assert_true(b.len > LOG_LINE_MAX - 8 && b.len <= LOG_LINE_MAX);
    assert_string_equal(b.p + b.len - 4, "...\n");
}

static void text_is_valid_too_and_cannot_move_a_cursor(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    (void)state;
    log_setup(LOG_TEXT, LOG_INFO);
    log_identity(NULL, NULL);
    capture();
    log_error("csi \xc2\x9b"
              "31m bad \xff\xc3 end");
    captured(&b);
    assert_non_null(strstr(b.p, "ERROR csi  31m bad \xef\xbf\xbd\xef\xbf\xbd end\n"));
}

static int log_for_one(void *ctx, unsigned index, struct err *e)
{
    static const char *const names[] = {"a", "b", "c", "d"};

    (void)ctx;
    (void)e;
    log_identity_here(names[index], "i");
    for (int i = 0; i < 50; i++)
        log_info("for %s", names[index]);
    log_identity_here(NULL, NULL);
    log_info("for all");
    return 0;
}

static void a_thread_may_speak_for_another_cluster(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    struct workers *w = NULL;
    size_t own = 0, all = 0;

    (void)state;
    log_setup(LOG_TEXT, LOG_INFO);
    log_identity("all", NULL);
    capture();
    OK(workers_start(&w, 4, log_for_one, NULL, NULL, &err), &err);
    OK(workers_join(&w, &err), &err);
    captured(&b);
    for (char *line = b.p, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        char said[20], about[20];

        assert_int_equal(sscanf(strstr(line, "INFO "), "INFO %19s for %19s", said, about), 2);
        own += said[1] == '/' && said[0] == about[0];
        all += strcmp(said, "all") == 0 && strcmp(about, "all") == 0;
    }
    assert_int_equal(own, 200);
    assert_int_equal(all, 4);
}

/* Somebody else's program may have made the pipe non-blocking. */
static void a_full_pipe_that_does_not_block_loses_no_half_lines(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    char filler[4096];

    (void)state;
    log_setup(LOG_TEXT, LOG_INFO);
    log_identity(NULL, NULL);
    capture();
    fcntl(out[1], F_SETFL, O_NONBLOCK);
    memset(filler, '.', sizeof filler);
    while (write(out[1], filler, sizeof filler) > 0)
        ;
    log_info("nobody reads this");
    assert_int_equal(read(out[0], filler, sizeof filler), sizeof filler);
    log_info("this one is whole");
    captured(&b);
    assert_null(strstr(b.p, "nobody"));
    assert_non_null(strstr(b.p, "INFO this one is whole\n"));
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
        cmocka_unit_test(json_is_valid_whatever_bytes_a_message_has),
        cmocka_unit_test(a_long_line_is_cut_to_what_a_pipe_takes_whole),
        cmocka_unit_test(text_is_valid_too_and_cannot_move_a_cursor),
        cmocka_unit_test(a_thread_may_speak_for_another_cluster),
        cmocka_unit_test(a_full_pipe_that_does_not_block_loses_no_half_lines),
        cmocka_unit_test(levels_below_the_wanted_one_are_silent_but_counted),
        cmocka_unit_test(lines_of_many_threads_do_not_mix),
        cmocka_unit_test(names_of_levels_and_formats_are_known),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
