#include "tests/lib/test.h"

#include "scheduler/role.h"

static struct err err;

static void patronis_answers_are_understood(void **state)
{
    static const struct {
        const char *text;
        enum server_role role;
        bool recovers;
    } table[] = {
        {"{\"state\": \"running\", \"role\": \"master\", \"timeline\": 1}", SERVER_PRIMARY, false},
        {"{\"state\": \"running\", \"role\": \"primary\"}", SERVER_PRIMARY, false},
        {"{\"state\": \"running\", \"role\": \"replica\", \"xlog\": {}}", SERVER_REPLICA, true},
        {"{\"state\": \"streaming\", \"role\": \"sync_standby\"}", SERVER_REPLICA, true},
        {"{\"state\": \"running\", \"role\": \"standby_leader\"}", SERVER_PRIMARY, true},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        enum server_role role;
        bool recovers;

        OK(role_parse_patroni(table[i].text, strlen(table[i].text), &role, &recovers, &err), &err);
        assert_int_equal(role, table[i].role);
        assert_int_equal(recovers, table[i].recovers);
    }
}

static void what_is_not_certain_is_no_role(void **state)
{
    static const struct {
        const char *text;
        enum err_code code;
    } table[] = {
        {"{\"state\": \"starting\", \"role\": \"replica\"}", ERR_BUSY},
        {"{\"state\": \"running\", \"role\": \"uninitialized\"}", ERR_BUSY},
        {"{\"state\": \"running\"}", ERR_CORRUPT},
        {"{\"state\": 1, \"role\": \"primary\"}", ERR_CORRUPT},
        {"{\"role\": \"primary\", \"role\": \"replica\", \"state\": \"running\"}", ERR_CORRUPT},
        {"[\"primary\"]", ERR_CORRUPT},
        {"<html>primary</html>", ERR_CORRUPT},
        {"", ERR_CORRUPT},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        enum server_role role;
        bool recovers;

        FAILS(role_parse_patroni(table[i].text, strlen(table[i].text), &role, &recovers, &err),
              &err, table[i].code);
    }
}

/* It may be anybody who answers at that address. */
static void what_patroni_says_steers_no_terminal(void **state)
{
    static const char *const table[] = {
        "{\"state\": \"\\u001b[2Jgone\\u009b31m\\r\\n\", \"role\": \"replica\"}",
        "{\"state\": \"running\", \"role\": \"\\u001b[2Jgone\\u009b31m\\r\\n\"}",
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        enum server_role role;
        bool recovers;

        FAILS(role_parse_patroni(table[i], strlen(table[i]), &role, &recovers, &err), &err,
              ERR_BUSY);
        assert_non_null(strstr(err.msg, "gone"));
        assert_null(strpbrk(err.msg, "\033\r\n"));
        assert_null(strstr(err.msg, "\xc2\x9b"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patronis_answers_are_understood),
        cmocka_unit_test(what_is_not_certain_is_no_role),
        cmocka_unit_test(what_patroni_says_steers_no_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
