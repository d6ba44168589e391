#include "tests/lib/test.h"

#include <float.h>
#include <jansson.h>
#include <math.h>

#include "base/json.h"

static void build(struct buf *b, bool pretty)
{
    struct json j;

    json_begin(&j, b, pretty);
    json_open(&j, NULL, '{');
    json_text(&j, "text", "a \"quoted\" one");
    json_text(&j, "none", NULL);
    json_open(&j, "list", '[');
    json_uint(&j, NULL, UINT64_MAX);
    json_int(&j, NULL, INT64_MIN);
    json_open(&j, NULL, '{');
    json_close(&j, '}');
    json_open(&j, NULL, '[');
    json_bool(&j, NULL, true);
    json_close(&j, ']');
    json_close(&j, ']');
    json_time(&j, "time", 1795356333120456);
    json_time(&j, "never", 0);
    json_bool(&j, "no", false);
    json_close(&j, '}');
}

static void commas_and_nesting_are_right(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    (void)state;
    build(&b, false);
    assert_string_equal(
        b.p, "{\"text\":\"a \\\"quoted\\\" one\",\"none\":null,\"list\":[18446744073709551615,"
             "-9223372036854775808,{},[true]],\"time\":\"2026-11-22T14:05:33.120456Z\","
             "\"never\":null,\"no\":false}");
}

static void the_pretty_form_says_the_same_over_many_lines(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    (void)state;
    build(&b, true);
    assert_string_equal(b.p, "{\n"
                             "  \"text\": \"a \\\"quoted\\\" one\",\n"
                             "  \"none\": null,\n"
                             "  \"list\": [\n"
                             "    18446744073709551615,\n"
                             "    -9223372036854775808,\n"
                             "    {},\n"
                             "    [\n"
                             "      true\n"
                             "    ]\n"
                             "  ],\n"
                             "  \"time\": \"2026-11-22T14:05:33.120456Z\",\n"
                             "  \"never\": null,\n"
                             "  \"no\": false\n"
                             "}\n");
}

static void text_is_escaped_and_made_valid(void **state)
{
#define BAD "\xef\xbf\xbd"
    static const struct {
        const char *raw, *escaped;
    } cases[] = {
        {"\"\\/\b\f\n\r\t", "\\\"\\\\/\\b\\f\\n\\r\\t"},
        {"\x01\x1f\x7f ~", "\\u0001\\u001f\\u007f ~"},
        {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x98", NULL}, /* valid, unchanged */
        {"\xee\x80\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\xed\x9f\xbf\xe0\xa0\x80\xf0\x90\x80\x80", NULL},
        {"a\x80z", "a" BAD "z"},                                       /* continuation alone */
        {"a\xc3", "a" BAD},                                            /* cut off */
        {"\xe2\x82z", BAD BAD "z"},                                    /* cut short */
        {"\xf0\x9f\x90", BAD BAD BAD},                                 /* cut off */
        {"\xc0\xaf\xc1\xbf", BAD BAD BAD BAD},                         /* overlong */
        {"\xe0\x9f\xbf\xf0\x8f\xbf\xbf", BAD BAD BAD BAD BAD BAD BAD}, /* overlong */
        {"\xed\xa0\x80", BAD BAD BAD},                                 /* surrogate */
        {"\xf4\x90\x80\x80\xf5\xff", BAD BAD BAD BAD BAD BAD},         /* beyond U+10FFFF */
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf b = BUF_INIT;
        json_escape(&b, cases[i].raw, strlen(cases[i].raw));
        assert_string_equal(b.p, cases[i].escaped != NULL ? cases[i].escaped : cases[i].raw);
    }
}

/* Another reader takes any bytes that were written as text. */
static void any_bytes_make_json_that_others_read(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        AUTO(buf_free) struct buf b = BUF_INIT;
        char text[24];
        struct json j;
        json_t *read;
        json_error_t error;
        for (size_t i = 0; i < sizeof text - 1; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = (char)(seed >> 24 | 1); /* no NUL */
        }
        text[sizeof text - 1] = '\0';
        json_begin(&j, &b, round % 2);
        json_open(&j, NULL, '{');
        json_text(&j, text, text);
        json_close(&j, '}');
        read = json_loadb(b.p, b.len, 0, &error);
        if (read == NULL)
            fail_msg("%s: %s", error.text, b.p);
        json_decref(read);
    }
}

static void real_numbers_are_exact_and_short(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "[0.1]"},
                 {3, "[3]"},
                 {-2.5e-7, "[-2.5e-07]"},
                 {1.0 / 3, "[0.3333333333333333]"},
                 {DBL_MAX, "[1.7976931348623157e+308]"},
                 {INFINITY, "[null]"},
                 {NAN, "[null]"}};

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf b = BUF_INIT;
        struct json j;
        json_begin(&j, &b, false);
        json_open(&j, NULL, '[');
        json_double(&j, NULL, cases[i].value);
        json_close(&j, ']');
        assert_string_equal(b.p, cases[i].text);
    }
}

static void nesting_may_be_as_deep_as_promised(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    struct json j;

    (void)state;
    json_begin(&j, &b, false);
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        json_open(&j, NULL, '[');
    json_none(&j, NULL);
    json_none(&j, NULL);
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        json_close(&j, ']');
    assert_int_equal(b.len, 2 * JSON_DEPTH_MAX + strlen("null,null"));
    assert_non_null(strstr(b.p, "[null,null]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_and_nesting_are_right),
        cmocka_unit_test(the_pretty_form_says_the_same_over_many_lines),
        cmocka_unit_test(text_is_escaped_and_made_valid),
        cmocka_unit_test(any_bytes_make_json_that_others_read),
        cmocka_unit_test(real_numbers_are_exact_and_short),
        cmocka_unit_test(nesting_may_be_as_deep_as_promised),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
