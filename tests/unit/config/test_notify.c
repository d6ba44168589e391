/* The receivers of notifications in the configuration. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"

#define REST "repos: {local: {path: /repo}}\nclusters: {main: {data: /d}, two: {data: /e}}\n"

static struct config *parse(const char *text)
{
    struct config *c = NULL;
    struct err err = {0};

    OK(config_parse(text, strlen(text), "f", &c, &err), &err);
    return c;
}

static void a_url_or_a_command_is_enough(void **state)
{
    AUTO(config_free)
    struct config *c =
        parse(REST "notify:\n  a: {url: 'https://h/x'}\n  b: {command: mail me}\n"
                   "  c: {type: command, command: [/bin/echo, a b], events: drill}\n");
    const struct notify_receiver *r = c->notify.receivers;

    (void)state;
    assert_int_equal(c->notify.n, 3);
    assert_int_equal(r[0].type, NOTIFY_WEBHOOK);
    assert_int_equal(r[0].limit, 30);
    assert_int_equal(r[0].limit_window_ms, 3600000);
    assert_int_equal(r[0].timeout_ms, 10000);
    assert_int_equal(r[0].repeat_ms, 4 * 3600000);
    assert_int_equal(r[0].give_up_ms, 86400000);
    assert_int_equal(r[0].n_events, 2);
    assert_string_equal(r[0].events[0], "error");
    assert_string_equal(r[0].events[1], "warning");
    assert_int_equal(r[1].type, NOTIFY_COMMAND);
    assert_string_equal(r[1].argv[0], "/bin/sh");
    assert_string_equal(r[1].argv[2], "mail me");
    assert_null(r[1].argv[3]);
    assert_int_equal(r[2].n_argv, 2);
    assert_string_equal(r[2].argv[1], "a b");
    assert_string_equal(r[2].events[0], "drill");
    assert_true(c->has_secret);
    assert_ptr_equal(notify_find(&c->notify, "b"), &r[1]);
    assert_null(notify_find(&c->notify, "d"));
}

static void every_key_is_read(void **state)
{
    AUTO(config_free)
    struct config *c =
        parse(REST "notify:\n  a:\n    url_file: /u\n    token_file: /t\n    header_file: /h\n"
                   "    ca_file: /ca\n    events: [info, wal gap, drill]\n    clusters: [main]\n"
                   "    rate_limit: 3 / 5min\n    timeout: 3 s\n    repeat: 0\n    give_up: 2 d\n");
    const struct notify_receiver *r = c->notify.receivers;

    (void)state;
    assert_int_equal(r->type, NOTIFY_WEBHOOK);
    assert_string_equal(r->url_file, "/u");
    assert_string_equal(r->token_file, "/t");
    assert_string_equal(r->header_file, "/h");
    assert_string_equal(r->ca_file, "/ca");
    assert_string_equal(r->events[1], "wal gap");
    assert_string_equal(r->clusters[0], "main");
    assert_int_equal(r->limit, 3);
    assert_int_equal(r->limit_window_ms, 300000);
    assert_int_equal(r->timeout_ms, 3000);
    assert_int_equal(r->repeat_ms, 0);
    assert_int_equal(r->give_up_ms, 2 * 86400000);
    assert_false(c->has_secret);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *receiver, *said;
    } cases[] = {
        {"{}", "receiver \"a\" has neither a \"command\" nor a \"url\""},
        {"{type: webhook}", "receiver \"a\" is a webhook and has no \"url\""},
        {"{url: 'https://h', command: x}", "has both a URL and a \"command\""},
        {"{url: 'https://h', url_file: /x}", "keep one"},
        {"{url: 'https://h', token: a, token_file: /x}", "keep one"},
        {"{url: 'ftp://h/secret'}", "must begin with https://"},
        {"{url: 'h/secret'}", "names no host"},
        {"{url: 'https://'}", "names no host"},
        {"{url: 'https:///secret'}", "names no host"},
        {"{url: 'https://h/a secret'}", "spaces or control characters"},
        {"{url: 'http://h/secret', token: secret}", "in clear: use https"},
        {"{url: 'http://127.evil.example/secret', token: secret}", "in clear: use https"},
        {"{url: 'http://localhost.example/secret', token: secret}", "in clear: use https"},
        {"{url: 'http://127.0.0.1@h/secret', token_file: /x}", "in clear: use https"},
        {"{url: 'http://h/secret', header_file: /x}", "in clear: use https"},
        {"{command: [mail]}", "absolute path, not \"mail\""},
        {"{command: []}", "\"command\" is empty"},
        {"{command: x, token: y}", "\"token\" is for webhooks"},
        {"{command: x, events: [errors]}", "did you mean \"error\"?"},
        {"{command: x, events: [wal-gap]}", "did you mean \"wal gap\"?"},
        {"{command: x, clusters: [mian]}", "there is no cluster \"mian\" (did you mean \"main\"?)"},
        {"{command: x, rate_limit: 10}", "a number and a time"},
        {"{command: x, rate_limit: 0/h}", "with 1 to 10000"},
        {"{command: x, rate_limit: -1/h}", "with 1 to 10000"},
        {"{command: x, rate_limit: 5/year}", "a number and a time"},
        {"{command: x, timeout: 0}", "outside of 1 s to 10 min"},
        {"{comand: x}", "unknown key \"comand\" in receiver \"a\" (did you mean \"command\"?)"},
        {"x", "must be a map"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct config *c = NULL;
        struct err err = {0};
        char text[500];

        snprintf(text, sizeof text, REST "notify:\n  a: %s\n", cases[i].receiver);
        if (config_parse(text, strlen(text), "f", &c, &err) != -1)
            fail_msg("%s: was taken", cases[i].receiver);
        assert_int_equal(err.code, ERR_CONFIG);
        if (strstr(err.msg, cases[i].said) == NULL || strstr(err.msg, "line 4") == NULL)
            fail_msg("%s: \"%s\"", cases[i].receiver, err.msg);
        assert_null(strstr(err.msg, "secret"));
    }
}

static void a_token_may_go_in_clear_to_this_host_only(void **state)
{
    AUTO(config_free)
    struct config *c =
        parse(REST "notify:\n  a: {url: 'http://localhost:1/x', token: t}\n"
                   "  b: {url: 'http://[::1]:1/x', token: t}\n"
                   "  c: {url: 'http://127.0.0.1/x', token: t}\n  d: {url: 'http://h/x'}\n");

    (void)state;
    assert_int_equal(c->notify.n, 4);
}

static void of_a_url_only_the_host_is_shown(void **state)
{
    static const struct {
        const char *url, *shown;
    } cases[] = {
        {"https://h.example/path?query#x", "https://h.example"},
        {"https://user:word@h:8443/path", "https://h:8443"},
        {"https://u:p@ss@h?token=1", "https://h"},
        {"http://[::1]:80/x", "http://[::1]:80"},
        {"https://h?x://y@z", "https://h"},
        {"nothing", "?"},
    };
    char shown[128];

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        notify_url_shown(cases[i].url, shown);
        assert_string_equal(shown, cases[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_or_a_command_is_enough),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_token_may_go_in_clear_to_this_host_only),
        cmocka_unit_test(of_a_url_only_the_host_is_shown),
    };
    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
