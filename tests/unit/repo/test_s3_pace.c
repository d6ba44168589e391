/* How many requests may be under way, and how that follows what the store says. */
#include "tests/lib/test.h"

#include "repo/store/s3_pace.h"

static void a_store_that_is_too_slow_gets_half_as_many(void **state)
{
    struct s3_pace p;
    int64_t now = 1000000000;

    (void)state;
    s3_pace_init(&p);
    p.active = 16; /* it never had more than these */
    s3_pace_slower(&p, now);
    assert_int_equal(p.limit, 8);
    s3_pace_slower(&p, now + 900000); /* of the same burst */
    assert_int_equal(p.limit, 8);
    s3_pace_slower(&p, now + 1100000);
    assert_int_equal(p.limit, 4);
    for (int i = 2; i < 9; i++)
        s3_pace_slower(&p, now + i * INT64_C(2000000));
    assert_int_equal(p.limit, 1);
    s3_pace_free(&p);
}

static void it_recovers_by_one_each_half_minute(void **state)
{
    struct s3_pace p;
    int64_t now = 1000000000;
    unsigned most;

    (void)state;
    s3_pace_init(&p);
    most = p.limit;
    s3_pace_recover(&p, now);
    assert_int_equal(p.limit, most);
    p.active = 8;
    s3_pace_slower(&p, now);
    assert_int_equal(p.limit, 4);
    s3_pace_recover(&p, now + 29999999);
    assert_int_equal(p.limit, 4);
    s3_pace_recover(&p, now + 30000000);
    assert_int_equal(p.limit, 5);
    s3_pace_recover(&p, now + 100000000);
    assert_int_equal(p.limit, 7);
    s3_pace_recover(&p, now + INT64_C(100000000000));
    assert_int_equal(p.limit, most);
    s3_pace_free(&p);
}

static void who_leaves_makes_room(void **state)
{
    struct s3_pace p;

    (void)state;
    s3_pace_init(&p);
    p.limit = 1;
    s3_pace_enter(&p);
    s3_pace_leave(&p, false);
    s3_pace_enter(&p);
    assert_int_equal(p.active, 1);
    s3_pace_leave(&p, true);
    assert_int_equal(p.active, 0);
    assert_int_equal(p.limit, 1);
    s3_pace_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_is_too_slow_gets_half_as_many),
        cmocka_unit_test(it_recovers_by_one_each_half_minute),
        cmocka_unit_test(who_leaves_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
