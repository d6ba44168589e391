/* Events on their way to commands: what is told, when the process or the receiver dies, and by the
 * notifier of the scheduler. */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "scheduler/notify/notify.h"

static char dir[] = "/tmp/pgbr-test-XXXXXX";
static char *heard_path, *catalog_path;
static struct err err;

static int make_dir(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as main does */
    if (mkdtemp(dir) == NULL)
        return -1;
    heard_path = xasprintf("%s/heard", dir);
    catalog_path = xasprintf("%s/catalog.db", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    free(heard_path);
    free(catalog_path);
    return fs_remove_tree(AT_FDCWD, dir, false, &err);
}

static int empty_dir(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, LOG_ERROR);
    return fs_remove_tree(AT_FDCWD, dir, true, &err);
}

/* receivers: lines of YAML below "notify". */
static struct config *configured(const char *receivers)
{
    AUTO(mem_free)
    char *text = xasprintf("state_dir: %s\nrepos: {local: {path: /repo}}\n"
                           "clusters: {main: {data: /data}, other: {data: /data2}}\n"
                           "notify:\n%s\n",
                           dir, receivers);
    struct config *c = NULL;

    OK(config_parse(text, strlen(text), "test", &c, &err), &err);
    return c;
}

static void event(const char *level, const char *kind, const char *cluster, const char *text)
{
    AUTO(catalog_close) struct catalog *c = NULL;
    const struct catalog_event e = {.level = level, .kind = kind, .cluster = cluster, .text = text};

    OK(catalog_open(&c, catalog_path, &err), &err);
    OK(catalog_put_event(c, &e, &err), &err);
}

static struct catalog_receiver receiver(const char *name)
{
    AUTO(catalog_close) struct catalog *c = NULL;
    struct catalog_receiver r;

    OK(catalog_open(&c, catalog_path, &err), &err);
    OK(catalog_get_receiver(c, name, &r, &err), &err);
    return r;
}

/* Nothing waits for its time any more. */
static void make_due(const char *name)
{
    AUTO(catalog_close) struct catalog *c = NULL;
    AUTO(catalog_deliveries_free) struct catalog_deliveries l = {0};

    OK(catalog_open(&c, catalog_path, &err), &err);
    OK(catalog_get_deliveries(c, name, DELIVERY_PENDING, 100, &l, &err), &err);
    for (size_t i = 0; i < l.n; i++)
        OK(catalog_notify_try(c, &l.rows[i], 1, 1, &err), &err);
}

static struct notify_made run(const struct config *c)
{
    struct notify_made made;

    OK(notify_run(c, NULL, NULL, &made, &err), &err);
    return made;
}

/* The bodies that came, one JSON object a line. */
static size_t heard(json_t **last)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    size_t lines = 0;

    if (last != NULL)
        *last = NULL;
    if (!fs_exists(AT_FDCWD, heard_path))
        return 0;
    OK(fs_read_file(AT_FDCWD, heard_path, 1 << 20, &text, &err), &err);
    for (char *line = text.p, *end;
         (end = memchr(line, '\n', text.len - (size_t)(line - text.p))) != NULL; line = end + 1) {
        json_error_t error;
        json_t *body = json_loadb(line, (size_t)(end - line), 0, &error);

        if (body == NULL)
            fail_msg("%s: %s", error.text, line);
        if (last != NULL) {
            json_decref(*last);
            *last = body;
        } else {
            json_decref(body);
        }
        lines++;
        if (end + 1 == text.p + text.len)
            break;
    }
    return lines;
}

static const char *text_of(const json_t *body, const char *key)
{
    const char *text = json_string_value(json_object_get(body, key));

    return text != NULL ? text : "(none)";
}

static char *ops(const char *more)
{
    return xasprintf("  ops: {command: [/bin/sh, -c, 'cat >>%s']%s}", heard_path, more);
}

static void an_event_is_told_once_with_all_its_fields(void **state)
{
    AUTO(mem_free) char *text = ops("");
    AUTO(config_free) struct config *c = configured(text);
    json_t *body;
    (void)state;

    event("error", "verify", "main", "quote \" \\ bad \xff newline \n end");
    assert_int_equal(run(c).sent, 1);
    assert_int_equal(run(c).sent, 0);
    assert_int_equal(heard(&body), 1);
    assert_string_equal(text_of(body, "level"), "error");
    assert_string_equal(text_of(body, "kind"), "verify");
    assert_string_equal(text_of(body, "cluster"), "main");
    assert_string_equal(text_of(body, "receiver"), "ops");
    assert_string_equal(text_of(body, "message"), "quote \" \\ bad \xef\xbf\xbd newline \n end");
    assert_string_equal(text_of(body, "text"),
                        "ERROR main: verify: quote \" \\ bad \xef\xbf\xbd newline \n end");
    assert_int_equal(json_integer_value(json_object_get(body, "id")), 1);
    assert_true(json_is_false(json_object_get(body, "test")));
    json_decref(body);
}

static void a_new_receiver_is_not_told_of_old_times(void **state)
{
    AUTO(mem_free) char *text = ops("");
    AUTO(config_free) struct config *c = configured(text);
    AUTO(catalog_close) struct catalog *catalog = NULL;
    struct catalog_event e = {.time_us = clock_now_us() - INT64_C(3700000000),
                              .level = "error",
                              .kind = "backup",
                              .text = "long ago"};
    json_t *body;
    (void)state;

    OK(catalog_open(&catalog, catalog_path, &err), &err);
    OK(catalog_put_event(catalog, &e, &err), &err);
    event("error", "backup", NULL, "just now");
    assert_int_equal(run(c).sent, 1);
    assert_int_equal(heard(&body), 1);
    assert_string_equal(text_of(body, "message"), "just now");
    json_decref(body);
}

static void what_recovers_is_told_and_the_problem_may_come_again(void **state)
{
    AUTO(mem_free) char *text = ops("");
    AUTO(config_free) struct config *c = configured(text);
    json_t *body;
    (void)state;

    event("error", "backup", "main", "failed after 3 s");
    event("error", "backup", "main", "failed after 4 s");
    event("error", "backup", "other", "failed after 4 s");
    assert_int_equal(run(c).sent, 2);
    event("info", "backup", "main", "done");
    event("info", "backup", "main", "done");
    assert_int_equal(run(c).sent, 1);
    assert_int_equal(heard(&body), 3);
    assert_true(json_is_true(json_object_get(body, "recovered")));
    json_decref(body);
    event("error", "backup", "main", "failed after 5 s");
    assert_int_equal(run(c).sent, 1);
}

static void repeats_are_counted_until_they_are_told(void **state)
{
    AUTO(mem_free) char *text = ops(", repeat: 0");
    AUTO(mem_free) char *quiet = ops(", repeat: 1 h");
    AUTO(config_free) struct config *loud = configured(text);
    AUTO(config_free) struct config *c = configured(quiet);
    json_t *body;
    (void)state;

    for (int i = 0; i < 5; i++) {
        event("error", "backup", "main", "failed");
        assert_int_equal(run(c).sent, i == 0);
    }
    event("error", "backup", "main", "failed");
    assert_int_equal(run(loud).sent, 1);
    assert_int_equal(heard(&body), 2);
    assert_int_equal(json_integer_value(json_object_get(body, "repeats")), 4);
    assert_non_null(strstr(text_of(body, "text"), "4 more of this"));
    json_decref(body);
}

static void one_receiver_that_fails_keeps_nobody_from_hearing(void **state)
{
    AUTO(mem_free) char *good = ops("");
    AUTO(mem_free) char *text = xasprintf("%s\n  bad: {command: [/bin/false]}", good);
    AUTO(config_free) struct config *c = configured(text);
    struct notify_made made;
    struct catalog_receiver bad;
    (void)state;

    event("error", "backup", "main", "failed");
    made = run(c);
    assert_int_equal(made.sent, 1);
    assert_int_equal(made.failed, 1);
    assert_int_equal(made.waiting, 1);
    assert_int_equal(run(c).failed, 0); /* not before its time */
    make_due("bad");
    assert_int_equal(run(c).failed, 1);
    assert_int_equal(heard(NULL), 1);
    bad = receiver("bad");
    assert_string_equal(bad.error, "\"/bin/false\" ended with status 1");
    catalog_receiver_free(&bad);
}

/* One event a receiver chokes on shall not stop the others for ever. */
static void an_event_that_is_always_refused_lets_others_pass(void **state)
{
    AUTO(mem_free)
    char *text = xasprintf(
        "  ops: {command: 'b=$(cat); case $b in *poison*) exit 1;; esac; echo \"$b\" >>%s'}",
        heard_path);
    AUTO(config_free) struct config *c = configured(text);
    struct catalog_receiver r;
    (void)state;

    event("error", "backup", "main", "poison");
    event("error", "verify", "main", "damage");
    assert_int_equal(run(c).sent, 0);
    for (int i = 0; i < 2; i++) {
        make_due("ops");
        run(c);
    }
    assert_int_equal(heard(NULL), 1);
    r = receiver("ops");
    assert_int_equal(r.pending, 1);
    catalog_receiver_free(&r);
}

/* The process dies while the receiver listens: it cannot know whether it was heard. */
static void a_process_that_dies_in_a_delivery_leaves_it_to_the_next(void **state)
{
    AUTO(config_free) struct config *slow = configured("  ops: {command: 'sleep 30'}");
    AUTO(mem_free) char *text = ops("");
    AUTO(config_free) struct config *c = configured(text);
    int64_t until_us = clock_monotonic_us() + INT64_C(20000000);
    struct catalog_receiver r = {0};
    pid_t pid;
    (void)state;

    event("error", "backup", "main", "failed");
    pid = fork();
    if (pid == 0) {
        struct notify_made made;
        struct err ignored;
        _exit(notify_run(slow, NULL, NULL, &made, &ignored));
    }
    while (r.next_try_us == 0 && clock_monotonic_us() < until_us) {
        clock_sleep_ms(20);
        r = receiver("ops");
        catalog_receiver_free(&r);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(r.next_try_us > clock_now_us()); /* claimed, for longer than a try may take */
    assert_int_equal(run(c).sent, 0);
    make_due("ops");
    assert_int_equal(run(c).sent, 1);
    assert_int_equal(run(c).sent, 0);
    assert_int_equal(heard(NULL), 1);
}

static void a_command_gets_no_secret_of_pgbr(void **state)
{
    AUTO(mem_free)
    char *text = xasprintf("  ops: {command: 'cat >>%s; env >%s/env'}", heard_path, dir);
    AUTO(config_free) struct config *c = configured(text);
    AUTO(mem_free) char *path = xasprintf("%s/env", dir);
    AUTO(buf_free) struct buf env = BUF_INIT;
    (void)state;

    setenv("PGBR_REPO_LOCAL_CIPHER_PASS", "hidden", 1);
    event("warning", "backup", "main", "hm");
    assert_int_equal(run(c).sent, 1);
    unsetenv("PGBR_REPO_LOCAL_CIPHER_PASS");
    OK(fs_read_file(AT_FDCWD, path, 1 << 16, &env, &err), &err);
    assert_null(strstr(buf_text(&env), "hidden"));
    assert_non_null(strstr(env.p, "PGBR_EVENT_LEVEL=warning\n"));
    assert_non_null(strstr(env.p, "PGBR_EVENT_TEXT=WARNING main: backup: hm\n"));
    assert_non_null(strstr(env.p, "PATH="));
}

static void a_command_need_not_read_and_may_say_much(void **state)
{
    AUTO(config_free)
    struct config *c = configured(
        "  ops: {command: 'exec <&-; head -c 1000000 /dev/zero | tr \"\\0\" x; exit 5'}");
    AUTO(notify_answer_free) struct notify_answer a = {0};
    (void)state;

    FAILS(notify_test(c, &c->notify.receivers[0], NULL, &a, &err), &err, ERR_FAILED);
    assert_int_equal(a.status, 5);
    assert_int_equal(a.output.len, NOTIFY_OUTPUT_MAX);
}

static void a_command_that_leaves_somebody_behind_is_not_waited_for(void **state)
{
    AUTO(config_free) struct config *c = configured("  ops: {command: 'sleep 20 & exit 0'}");
    AUTO(notify_answer_free) struct notify_answer a = {0};
    (void)state;

    OK(notify_test(c, &c->notify.receivers[0], NULL, &a, &err), &err);
    assert_true(a.took_us < 10000000);
}

static bool wait_heard(size_t n)
{
    int64_t until_us = clock_monotonic_us() + INT64_C(20000000);

    while (heard(NULL) < n && clock_monotonic_us() < until_us)
        clock_sleep_ms(20);
    return heard(NULL) == n;
}

static void the_notifier_tells_as_long_as_it_runs(void **state)
{
    AUTO(mem_free) char *good = ops("");
    AUTO(mem_free)
    char *text = xasprintf("%s\n  slow: {command: 'sleep 30', timeout: 1 min}", good);
    AUTO(config_free) struct config *c = configured(text);
    struct notifier *n = NULL;
    int64_t begun_us;
    (void)state;

    event("error", "backup", "main", "before");
    assert_false(notifier_running(c));
    OK(notifier_start(&n, c, &err), &err);
    assert_true(notifier_running(c));
    assert_true(wait_heard(1));
    event("error", "verify", "main", "while it runs");
    assert_true(wait_heard(2)); /* though another receiver hangs */
    begun_us = clock_monotonic_us();
    notifier_stop(&n);
    assert_true(clock_monotonic_us() - begun_us < 5000000);
    assert_false(notifier_running(c));
    assert_null(n);
}

static void without_receivers_there_is_no_notifier(void **state)
{
    AUTO(config_free) struct config *c = configured("  {}");
    struct notifier *n = NULL;
    (void)state;

    OK(notifier_start(&n, c, &err), &err);
    assert_null(n);
    assert_false(notifier_running(c));
    notifier_stop(&n);
}

#define TEST(name) cmocka_unit_test_setup(name, empty_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_event_is_told_once_with_all_its_fields),
        TEST(a_new_receiver_is_not_told_of_old_times),
        TEST(what_recovers_is_told_and_the_problem_may_come_again),
        TEST(repeats_are_counted_until_they_are_told),
        TEST(one_receiver_that_fails_keeps_nobody_from_hearing),
        TEST(an_event_that_is_always_refused_lets_others_pass),
        TEST(a_process_that_dies_in_a_delivery_leaves_it_to_the_next),
        TEST(a_command_gets_no_secret_of_pgbr),
        TEST(a_command_need_not_read_and_may_say_much),
        TEST(a_command_that_leaves_somebody_behind_is_not_waited_for),
        TEST(the_notifier_tells_as_long_as_it_runs),
        TEST(without_receivers_there_is_no_notifier),
    };
    return cmocka_run_group_tests_name("notify", tests, make_dir, remove_dir);
}
