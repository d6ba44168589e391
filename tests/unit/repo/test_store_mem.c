#include "tests/lib/test.h"

#include "repo/store/store.h"
#include "tests/lib/store_contract.h"

static int open_mem(void **state)
{
    *state = store_mem_new();
    return 0;
}

static int close_store(void **state)
{
    struct store *s = *state;

    store_close(&s);
    return 0;
}

static void handles_that_share_see_the_same_objects(void **state)
{
    struct store *other = store_mem_share(*state);
    AUTO(buf_free) struct buf got = BUF_INIT;
    struct err err = {0};

    OK(store_put(*state, "a", STORE_CREATE_ONLY, "1", 1, &err), &err);
    FAILS(store_put(other, "a", STORE_CREATE_ONLY, "2", 1, &err), &err, ERR_EXISTS);
    store_close(&other);
    OK(store_read(*state, "a", 10, &got, &err), &err);
    assert_string_equal(buf_text(&got), "1");
}

static void objects_live_as_long_as_one_handle(void **state)
{
    struct store *first = store_mem_new(), *second = store_mem_share(first);
    AUTO(buf_free) struct buf got = BUF_INIT;
    struct err err = {0};

    (void)state;
    OK(store_put(first, "a", STORE_CREATE_ONLY, "1", 1, &err), &err);
    store_close(&first);
    OK(store_read(second, "a", 10, &got, &err), &err);
    store_close(&second);
    assert_null(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_CONTRACT(open_mem, close_store),
        cmocka_unit_test_setup_teardown(handles_that_share_see_the_same_objects, open_mem,
                                        close_store),
        cmocka_unit_test(objects_live_as_long_as_one_handle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
