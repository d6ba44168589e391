/* The HTTP server: what it answers, whom it refuses, and that it ends. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/queue.h"
#include "scheduler/page/http.h"
#include "tests/lib/test.h"

static char dir[] = "/tmp/pgbr-test-XXXXXX";
static struct config *config;
static struct http *http;

/* Nothing that it looks at is there. */
static int begin(void **state)
{
    AUTO(mem_free) char *text = NULL;
    struct err err = {0};
    (void)state;

    if (mkdtemp(dir) == NULL)
        return -1;
    text = xasprintf("state_dir: %s/state\n"
                     "repos: {local: {path: %s/none}}\n"
                     "clusters: {main: {data: %s/data, connection: host=%s password=geheim}}\n",
                     dir, dir, dir, dir);
    OK(config_parse(text, strlen(text), "test", &config, &err), &err);
    config->http.port = 0; /* any that is free */
    OK(http_start(&http, config, &err), &err);
    return 0;
}

static int end(void **state)
{
    struct err err = {0};
    (void)state;

    http_stop(&http);
    config_free(&config);
    return fs_remove_tree(AT_FDCWD, dir, false, &err);
}

static int dial(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_port(http))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        fail_msg("cannot connect to port %u", http_port(http));
    return fd;
}

/* Everything that comes back; the caller frees it. */
static char *ask(const char *request)
{
    AUTO(fd_close) int fd = dial();
    struct buf out = BUF_INIT;
    char part[4096];
    ssize_t n;

    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        fail_msg("cannot send");
    shutdown(fd, SHUT_WR);
    while ((n = read(fd, part, sizeof part)) > 0)
        buf_add(&out, part, (size_t)n);
    buf_text(&out);
    return buf_steal(&out);
}

static char *get(const char *path, const char *host)
{
    AUTO(mem_free)
    char *request =
        xasprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);

    return ask(request);
}

static void answers(const char *request, const char *status)
{
    AUTO(mem_free) char *got = ask(request);
    AUTO(mem_free) char *want = xasprintf("HTTP/1.1 %s ", status);

    if (strncmp(got, want, strlen(want)) != 0)
        fail_msg("to %.40s: got %.80s, want %s", request, got, status);
}

static void has(const char *answer, const char *text)
{
    if (strstr(answer, text) == NULL)
        fail_msg("lacks \"%s\": %.2000s", text, answer);
}

/* Looking begins at once, but takes its time. */
static void wait_until_read(void)
{
    for (int i = 0; i < 200; i++) {
        AUTO(mem_free) char *text = get("/metrics", "localhost");

        if (strstr(text, "\npgbr_repo_up{") != NULL &&
            strstr(text, "\npgbr_check_findings{") != NULL)
            return;
        clock_sleep_ms(50);
    }
    fail_msg("nothing was looked at");
}

static void each_path_has_its_kind_of_answer(void **state)
{
    AUTO(mem_free) char *page = NULL, *metrics = NULL, *json = NULL, *health = NULL, *none = NULL;
    (void)state;

    wait_until_read();
    page = get("/", "localhost");
    has(page, "HTTP/1.1 200 ");
    has(page, "Content-Type: text/html; charset=utf-8\r\n");
    has(page, "Content-Security-Policy: default-src 'none'; style-src 'sha256-");
    has(page, "X-Content-Type-Options: nosniff\r\n");
    has(page, "X-Frame-Options: DENY\r\n");
    has(page, "Cache-Control: no-store\r\n");
    has(page, "<!DOCTYPE html>");
    has(page, "could not be read");
    metrics = get("/metrics", "127.0.0.1:80");
    has(metrics, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    has(metrics, "\npgbr_repo_up{cls=\"main\"");
    json = get("/status?x=1", "[::1]:7");
    has(json, "Content-Type: application/json\r\n");
    has(json, "\"format\": 1");
    health = get("/healthz", "localhost:1");
    has(health, "\r\n\r\nok\n");
    none = get("/etc/passwd", "localhost");
    has(none, "HTTP/1.1 404 ");
}

static void nothing_secret_is_served(void **state)
{
    static const char *const paths[] = {"/", "/metrics", "/status"};
    (void)state;

    wait_until_read();
    for (size_t i = 0; i < LENGTH(paths); i++) {
        AUTO(mem_free) char *text = get(paths[i], "localhost");

        assert_null(strstr(text, "geheim"));
        assert_null(strstr(text, "password"));
    }
}

static void only_reading_is_answered(void **state)
{
    AUTO(mem_free) char *head = NULL, *post = NULL;
    (void)state;

    head = ask("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    has(head, "HTTP/1.1 200 ");
    has(head, "Content-Length: ");
    assert_null(strstr(head, "<!DOCTYPE"));
    post = ask("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc");
    has(post, "HTTP/1.1 405 ");
    has(post, "Allow: GET, HEAD\r\n");
    answers("DELETE /status HTTP/1.1\r\nHost: localhost\r\n\r\n", "405");
    answers("OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405");
    answers("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", "413");
    answers("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
            "0\r\n\r\n",
            "413");
}

/* A name that somebody else made to point here is not ours. */
static void other_names_are_refused_on_loopback(void **state)
{
    static const char *const names[] = {
        "evil.example",           "evil.example:19854", "localhost.evil.example",
        "127.0.0.1.evil.example", "10.0.0.1",           ""};
    (void)state;

    for (size_t i = 0; i < LENGTH(names); i++) {
        AUTO(mem_free) char *text = get("/status", names[i]);

        has(text, "HTTP/1.1 403 ");
        assert_null(strstr(text, "clusters"));
    }
    answers("GET / HTTP/1.0\r\n\r\n", "403");
}

static void a_host_is_read_with_care(void **state)
{
    static const char *const ours[] = {"localhost", "LocalHost:80", "127.0.0.1", "127.9.8.7:19854",
                                       "[::1]",     "[::1]:80",     "localhost:"};
    static const char *const others[] = {"",
                                         ":",
                                         ":80",
                                         "[::1",
                                         "[::1]x",
                                         "[::2]",
                                         "::1",
                                         "127.1",
                                         "128.0.0.1",
                                         "localhost:80x",
                                         "localhost ",
                                         "localhost:80:80",
                                         "user@localhost",
                                         "localhost/",
                                         "[",
                                         "127.0.0.1@evil.example"};
    (void)state;

    for (size_t i = 0; i < LENGTH(ours); i++)
        if (!http_host_is_loopback(ours[i]))
            fail_msg("refused: %s", ours[i]);
    for (size_t i = 0; i < LENGTH(others); i++)
        if (http_host_is_loopback(others[i]))
            fail_msg("taken: %s", others[i]);
}

static void broken_and_endless_requests_harm_nobody(void **state)
{
    AUTO(buf_free) struct buf big = BUF_INIT;
    int idle[70];
    (void)state;

    buf_adds(&big, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    for (int i = 0; i < 40000; i++)
        buf_addc(&big, 'a');
    free(ask(buf_text(&big)));
    free(ask("\r\n\r\n\x01\x02\xff garbage\r\n\r\n"));
    free(ask("GET\r\n"));
    free(ask(""));
    for (size_t i = 0; i < LENGTH(idle); i++) /* more than it takes at a time */
        idle[i] = dial();
    for (size_t i = 0; i < LENGTH(idle); i++)
        close(idle[i]);
    for (int i = 0; i < 100; i++) {
        AUTO(mem_free) char *text = get("/healthz", "localhost");

        if (strstr(text, "\r\n\r\nok\n") != NULL)
            return;
        clock_sleep_ms(50);
    }
    fail_msg("it does not answer any more");
}

static void is_well(bool expected)
{
    AUTO(fd_close) int fd = dial();
    const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const struct timeval patience = {.tv_sec = expected ? 5 : 1};
    char part[4096];

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        fail_msg("cannot send");
    assert_int_equal(read(fd, part, sizeof part) > 0, expected);
}

/* A byte now and then keeps a connection, and all connections keep everybody else out. */
static void who_asks_slowly_is_cut_off(void **state)
{
    int slow[64];
    (void)state;

    for (size_t i = 0; i < LENGTH(slow); i++) {
        slow[i] = dial();
        assert_int_equal(send(slow[i], "GET /", 5, MSG_NOSIGNAL), 5);
    }
    clock_sleep_ms(200);
    is_well(false);
    http_cut_off(http, 60000000); /* not that long */
    is_well(false);
    http_cut_off(http, 0);
    is_well(true);
    for (size_t i = 0; i < LENGTH(slow); i++)
        close(slow[i]);
}

static int ask_often(void *ctx, unsigned index, struct err *err)
{
    static const char *const paths[] = {"/", "/metrics", "/status"};
    atomic_int *bad = ctx;

    (void)err;
    for (int i = 0; i < 30; i++) {
        AUTO(mem_free) char *text = get(paths[(index + (unsigned)i) % LENGTH(paths)], "localhost");

        if (strncmp(text, "HTTP/1.1 200 ", 13) != 0)
            atomic_fetch_add(bad, 1);
    }
    return 0;
}

static void many_may_ask_at_once(void **state)
{
    struct workers *askers = NULL;
    atomic_int bad = 0;
    struct err err = {0};
    (void)state;

    OK(workers_start(&askers, 6, ask_often, &bad, NULL, &err), &err);
    OK(workers_join(&askers, &err), &err);
    assert_int_equal(bad, 0);
}

static void a_port_that_is_taken_is_named(void **state)
{
    struct config other = *config;
    struct http *second = NULL;
    struct err err = {0};
    char port[16];
    (void)state;

    other.http.port = http_port(http);
    assert_int_equal(http_start(&second, &other, &err), -1);
    assert_null(second);
    snprintf(port, sizeof port, "%u", http_port(http));
    assert_non_null(strstr(err.msg, port));
    assert_non_null(strstr(err.msg, "in use"));
    other.http.off = true;
    OK(http_start(&second, &other, &err), &err);
    assert_null(second);
}

static void it_ends_soon_and_can_begin_again(void **state)
{
    int64_t begun = clock_monotonic_us();
    int idle = dial();
    struct err err = {0};
    (void)state;

    for (int i = 0; i < 5; i++) {
        http_stop(&http);
        OK(http_start(&http, config, &err), &err);
    }
    close(idle);
    assert_true(clock_monotonic_us() - begun < 20000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_path_has_its_kind_of_answer),
        cmocka_unit_test(nothing_secret_is_served),
        cmocka_unit_test(only_reading_is_answered),
        cmocka_unit_test(other_names_are_refused_on_loopback),
        cmocka_unit_test(a_host_is_read_with_care),
        cmocka_unit_test(broken_and_endless_requests_harm_nobody),
        cmocka_unit_test(who_asks_slowly_is_cut_off),
        cmocka_unit_test(many_may_ask_at_once),
        cmocka_unit_test(a_port_that_is_taken_is_named),
        cmocka_unit_test(it_ends_soon_and_can_begin_again),
    };

    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, begin, end);
}
