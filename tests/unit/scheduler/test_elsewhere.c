#include "tests/lib/test.h"

#include "scheduler/elsewhere.h"

static void all_hosts_mean_the_same_lease(void **state)
{
    char a[LABEL_SIZE + 1], b[LABEL_SIZE + 1];
    const int64_t due = INT64_C(1795950000000000);
    (void)state;

    elsewhere_label(a, "backup", "nightly", due, 0);
    elsewhere_label(b, "backup", "nightly", due, 0);
    assert_string_equal(a, b);
    assert_true(label_valid(a));
    assert_int_equal(label_kind(a), SET_RESTORE);
    assert_int_equal(label_time_us(a), due);
    elsewhere_label(b, "backup", "nightly", due, 1); /* a second attempt */
    assert_string_not_equal(a, b);
    assert_memory_equal(a, b, LABEL_SIZE - 4); /* of the same kind */
    elsewhere_label(b, "backup", "weekly", due, 0);
    assert_string_not_equal(a, b);
    elsewhere_label(b, "verify", "nightly", due, 0);
    assert_memory_not_equal(a + LABEL_SIZE - 6, b + LABEL_SIZE - 6, 2);
    elsewhere_label(b, "backup", "nightly", due + 60000000, 0);
    assert_string_not_equal(a, b);
}

static void a_backup_serves_a_job_that_would_take_no_more(void **state)
{
    static const struct {
        const char *words[4];
        bool full, diff, incr;
    } table[] = {
        {{"backup"}, true, true, true},
        {{"backup", "--type", "auto"}, true, true, true},
        {{"backup", "--type=incr"}, true, true, true},
        {{"backup", "--type", "diff"}, true, true, false},
        {{"backup", "--type", "full"}, true, false, false},
        {{"backup", "--type=full"}, true, false, false},
        {{"verify", "--deep"}, false, false, false},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        char *words[4];
        size_t n = 0;

        for (; n < 4 && table[i].words[n] != NULL; n++)
            words[n] = (char *)(uintptr_t)table[i].words[n];
        assert_int_equal(elsewhere_serves(SET_FULL, words, n), table[i].full);
        assert_int_equal(elsewhere_serves(SET_DIFF, words, n), table[i].diff);
        assert_int_equal(elsewhere_serves(SET_INCR, words, n), table[i].incr);
        assert_false(elsewhere_serves(SET_RESTORE, words, n));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_hosts_mean_the_same_lease),
        cmocka_unit_test(a_backup_serves_a_job_that_would_take_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
