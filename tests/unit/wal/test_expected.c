/* How long a restore will take: arithmetic on what drills measured. */
#include "tests/lib/test.h"
#include "wal/reach/expected.h"

#define S INT64_C(1000000)
#define MB UINT64_C(1000000)

static struct catalog_drill drill(int64_t us, uint64_t bytes, int64_t restore_s, uint64_t wal,
                                  int64_t recover_s)
{
    return (struct catalog_drill){.started_us = us,
                                  .restored_us = us + restore_s * S,
                                  .recovered_us = us + (restore_s + recover_s) * S,
                                  .restored_bytes = bytes,
                                  .replayed_bytes = wal,
                                  .outcome = "passed"};
}

static void without_a_drill_nothing_is_known(void **state)
{
    struct expected e;
    bool sure;
    (void)state;

    expected_learn(NULL, 0, &e);
    assert_int_equal(e.drills, 0);
    assert_int_equal(expected_us(&e, 1000 * MB, 0, &sure), 0);
}

static void time_is_that_of_the_bytes_the_start_and_the_replay(void **state)
{
    const struct catalog_drill rows[] = {
        drill(900 * S, 1000 * MB, 10, 1000 * MB, 20), /* 100 MB/s, 50 MB/s */
        drill(500 * S, 1000 * MB, 10, 1 * MB, 3),     /* the start takes 3 s */
    };
    struct expected e;
    bool sure;
    (void)state;

    expected_learn(rows, LENGTH(rows), &e);
    assert_int_equal(e.drills, 2);
    assert_int_equal(e.newest_us, 900 * S);
    assert_int_equal(expected_us(&e, 2000 * MB, 500 * MB, &sure), (20 + 3 + 10) * S);
    assert_true(sure);
}

static void one_slow_drill_does_not_count_for_more_than_the_others(void **state)
{
    const struct catalog_drill rows[] = {
        drill(900 * S, 1000 * MB, 10, 0, 1),
        drill(800 * S, 1000 * MB, 1000, 0, 50),
        drill(700 * S, 1000 * MB, 10, 0, 1),
    };
    struct expected e;
    bool sure;
    (void)state;

    expected_learn(rows, LENGTH(rows), &e);
    assert_int_equal(expected_us(&e, 1000 * MB, 0, &sure), 11 * S);
}

static void the_newest_drills_that_passed_count(void **state)
{
    struct catalog_drill rows[9];
    struct expected e;
    bool sure;
    (void)state;

    for (int i = 0; i < 9; i++) /* the older ones were slower */
        rows[i] = drill((900 - i * 10) * S, 1000 * MB, i < 7 ? 10 : 1000, 0, 1);
    rows[0].outcome = "failed";
    rows[1].outcome = NULL;
    expected_learn(rows, LENGTH(rows), &e);
    assert_int_equal(e.drills, EXPECTED_DRILLS);
    assert_int_equal(e.newest_us, 880 * S);
    assert_int_equal(expected_us(&e, 1000 * MB, 0, &sure), 11 * S);
}

static void much_more_wal_than_any_drill_replayed_is_not_guessed(void **state)
{
    const struct catalog_drill rows[] = {drill(900 * S, 1000 * MB, 10, 10 * MB, 2)};
    struct expected e;
    bool sure;
    (void)state;

    expected_learn(rows, LENGTH(rows), &e);
    assert_int_equal(expected_us(&e, 1000 * MB, 40 * MB, &sure), 12 * S);
    assert_true(sure);
    assert_int_equal(expected_us(&e, 1000 * MB, 50 * MB, &sure), 12 * S);
    assert_false(sure);
}

static void rows_that_do_not_add_up_are_left_out(void **state)
{
    struct catalog_drill rows[] = {
        drill(900 * S, 0, 10, 0, 1), /* nothing was restored */
        drill(800 * S, 1000 * MB, 0, 0, 1),
        drill(700 * S, 1000 * MB, 10, 0, -1), /* the clock was set */
    };
    struct expected e;
    bool sure;
    (void)state;

    expected_learn(rows, LENGTH(rows), &e);
    assert_int_equal(e.drills, 0);
    rows[0] = drill(900 * S, 1, 1000, 0, 1);
    expected_learn(rows, 1, &e);
    assert_int_equal(expected_us(&e, UINT64_MAX, 0, &sure), INT64_MAX); /* for ever */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_drill_nothing_is_known),
        cmocka_unit_test(time_is_that_of_the_bytes_the_start_and_the_replay),
        cmocka_unit_test(one_slow_drill_does_not_count_for_more_than_the_others),
        cmocka_unit_test(the_newest_drills_that_passed_count),
        cmocka_unit_test(much_more_wal_than_any_drill_replayed_is_not_guessed),
        cmocka_unit_test(rows_that_do_not_add_up_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
