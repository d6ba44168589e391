/* The block "http": where the status is served. */
#include <string.h>

#include "base/mem.h"
#include "config/config.h"
#include "tests/lib/test.h"

static int parse(const char *http, struct config **c, struct err *err)
{
    AUTO(mem_free)
    char *text = xasprintf("repos: {local: {path: /r}}\nclusters: {main: {data: /d}}\n%s\n", http);

    return config_parse(text, strlen(text), "f", c, err);
}

static void it_is_served_on_loopback_unless_told_otherwise(void **state)
{
    AUTO(config_free) struct config *c = NULL;
    struct err err = {0};
    (void)state;

    OK(parse("", &c, &err), &err);
    assert_false(c->http.off);
    assert_string_equal(c->http.address, "127.0.0.1");
    assert_int_equal(c->http.port, HTTP_DEFAULT_PORT);
    assert_int_equal(c->http.refresh_ms, 300000);
}

static void a_place_to_listen_is_an_address_and_a_port(void **state)
{
    static const struct {
        const char *listen, *address;
        unsigned port;
    } good[] = {{"0.0.0.0:80", "0.0.0.0", 80},
                {"'[::1]:19854'", "::1", 19854},
                {"'[fe80::1]:65535'", "fe80::1", 65535},
                {"10.1.2.3:1", "10.1.2.3", 1}};
    (void)state;

    for (size_t i = 0; i < LENGTH(good); i++) {
        AUTO(mem_free) char *text = xasprintf("http: {listen: %s, refresh: 1 min}", good[i].listen);
        AUTO(config_free) struct config *c = NULL;
        struct err err = {0};

        OK(parse(text, &c, &err), &err);
        assert_string_equal(c->http.address, good[i].address);
        assert_int_equal(c->http.port, good[i].port);
        assert_int_equal(c->http.refresh_ms, 60000);
    }
}

static void it_can_be_switched_off(void **state)
{
    AUTO(config_free) struct config *c = NULL;
    struct err err = {0};
    (void)state;

    OK(parse("http: {listen: \"off\"}", &c, &err), &err);
    assert_true(c->http.off);
}

static void what_is_no_place_is_refused_where_it_stands(void **state)
{
    static const char *const bad[] = {"{listen: localhost:80}",
                                      "{listen: 127.0.0.1}",
                                      "{listen: '127.0.0.1:0'}",
                                      "{listen: ':80'}",
                                      "{listen: '127.0.0.1:'}",
                                      "{listen: '127.0.0.1:65536'}",
                                      "{listen: '[::1]'}",
                                      "{listen: '::1:80'}",
                                      "{listen: '[127.0.0.1]:80'}",
                                      "{listen: '[]:80'}",
                                      "{listen: '127.0.0.1:+80'}",
                                      "{listen: ''}",
                                      "{refresh: 5 s}",
                                      "{refresh: 2 d}",
                                      "{listne: off}",
                                      "off"};
    (void)state;

    for (size_t i = 0; i < LENGTH(bad); i++) {
        AUTO(mem_free) char *text = xasprintf("http: %s", bad[i]);
        AUTO(config_free) struct config *c = NULL;
        struct err err = {0};

        if (parse(text, &c, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(err.code, ERR_CONFIG);
        assert_non_null(strstr(err.msg, "line 3"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_served_on_loopback_unless_told_otherwise),
        cmocka_unit_test(a_place_to_listen_is_an_address_and_a_port),
        cmocka_unit_test(it_can_be_switched_off),
        cmocka_unit_test(what_is_no_place_is_refused_where_it_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
