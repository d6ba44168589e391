#include "tests/lib/test.h"

#include "postgres/conn.h"
#include "postgres/libpq.h"

static void the_library_is_found_once_and_for_all(void **state)
{
    const struct libpq *a = NULL, *b = NULL;
    struct err err = {0};

    (void)state;
    OK(libpq_load(&a, &err), &err);
    OK(libpq_load(&b, &err), &err);
    assert_ptr_equal(a, b);
    assert_non_null(a->PQconnectdbParams);
    assert_non_null(a->PQfreeCancel);
}

static void a_malformed_connection_string_does_not_show_its_password(void **state)
{
    static const char *const rows[] = {
        "host=/tmp password=my hunter2 port=1",
        "host=/tmp password=my hunter2=x",
        "host=/tmp password='hunter2",
        "postgresql://u:hunter2@[::1",
        "hunter2=1",
        "hunter2",
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct pg *pg = NULL;
        FAILS(pg_connect(&pg, rows[i], 1, &err), &err, ERR_CONFIG);
        assert_null(strstr(err.msg, "hunter2"));
        assert_null(pg);
    }
}

static void a_server_that_is_not_there_is_unreachable(void **state)
{
    static const char *const rows[] = {
        "host=/nonexistent user=u dbname=d password=hunter2",
        "host=127.0.0.1 port=1 user=u dbname=d password=hunter2",
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct pg *pg = NULL;
        FAILS(pg_connect(&pg, rows[i], 1, &err), &err, ERR_UNREACHABLE);
        assert_null(strstr(err.msg, "hunter2"));
        assert_null(strchr(err.msg, '\n'));
        assert_null(pg);
        pg_close(&pg);
    }
}

static void a_wrong_option_is_a_mistake_in_the_configuration(void **state)
{
    struct err err = {0};
    struct pg *pg = NULL;

    (void)state;
    FAILS(pg_connect(&pg, "host=/tmp port=x", 1, &err), &err, ERR_CONFIG);
    FAILS(pg_connect(&pg, "host=/tmp sslmode=maybe", 1, &err), &err, ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_library_is_found_once_and_for_all),
        cmocka_unit_test(a_malformed_connection_string_does_not_show_its_password),
        cmocka_unit_test(a_server_that_is_not_there_is_unreachable),
        cmocka_unit_test(a_wrong_option_is_a_mistake_in_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
