#include "tests/lib/test.h"

#include <stdlib.h>

#include "repo/descriptor.h"

static struct err err;

static void info_bodies_that_lie_are_refused(void **state)
{
    static const struct identity two[] = {{1, 13}, {UINT64_MAX, 18}};
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct identity *ids;
    size_t n;

    (void)state;
    info_format("main", two, 2, &body);
    OK(info_parse(body.p, body.len, "main", &ids, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_memory_equal(&ids[1].system_id, &two[1].system_id, 8);
    free(ids);
    FAILS(info_parse(body.p, body.len, "mai", &ids, &n, &err), &err, ERR_FOREIGN);
    for (size_t len = 0; len < body.len; len++)
        FAILS(info_parse(body.p, len, "main", &ids, &n, &err), &err, ERR_CORRUPT);
    buf_clear(&body);
    field_text(&body, 1, "main");
    field_bytes(&body, 3, "\xff\xff\x03", 3); /* 65535 identities in no bytes */
    FAILS(info_parse(body.p, body.len, "main", &ids, &n, &err), &err, ERR_CORRUPT);
}

static void fields_that_are_not_known_are_critical_when_odd(void **state)
{
    static const struct {
        unsigned tag;
        enum err_code why;
    } cases[] = {{20, ERR_NONE}, {21, ERR_UNSUPPORTED}, {254, ERR_NONE}, {255, ERR_UNSUPPORTED}};
    struct identity *ids;
    size_t n;

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf body = BUF_INIT;
        info_format("main", NULL, 0, &body);
        field_text(&body, cases[i].tag, "new");
        if (cases[i].why == ERR_NONE) {
            OK(info_parse(body.p, body.len, "main", &ids, &n, &err), &err);
            free(ids);
        } else {
            FAILS(info_parse(body.p, body.len, "main", &ids, &n, &err), &err, cases[i].why);
        }
    }
}

static void fields_come_in_order_and_once(void **state)
{
    static const char *const bodies[] = {
        "\x03\x01\x00\x01\x04main", /* 3, 1 */
        "\x01\x04main\x01\x04main\x03\x01\x00",
        "\x00\x00",
    };
    static const size_t lens[] = {9, 15, 2};
    struct identity *ids;
    size_t n;

    (void)state;
    for (size_t i = 0; i < LENGTH(bodies); i++)
        FAILS(info_parse(bodies[i], lens[i], "main", &ids, &n, &err), &err, ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(info_bodies_that_lie_are_refused),
        cmocka_unit_test(fields_that_are_not_known_are_critical_when_odd),
        cmocka_unit_test(fields_come_in_order_and_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
