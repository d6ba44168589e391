/* Yes and no, numbers, sizes, durations; and the guess at what a mistyped word meant. */
#include <string.h>

#include "config/suggest.h"
#include "config/units.h"
#include "tests/lib/test.h"

static void booleans_are_read_in_every_spelling(void **state)
{
    static const struct {
        const char *text;
        bool value;
    } table[] = {{"y", true},  {"yes", true}, {"on", true},   {"true", true},   {"Yes", true},
                 {"n", false}, {"no", false}, {"off", false}, {"false", false}, {"FALSE", false}};
    static const char *const bad[] = {"", "1", "0", "ye", "yess", "t"};
    struct err err = {0};
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        bool value = !table[i].value;
        OK(units_bool(table[i].text, &value, &err), &err);
        assert_int_equal(value, table[i].value);
    }
    for (size_t i = 0; i < LENGTH(bad); i++) {
        bool value;
        FAILS(units_bool(bad[i], &value, &err), &err, ERR_CONFIG);
    }
}

static void sizes_carry_decimal_or_binary_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } table[] = {
        {"0", 0},
        {"65536", 65536},
        {"1B", 1},
        {"1 kB", 1000},
        {"20MB", 20000000},
        {"3 GB", UINT64_C(3000000000)},
        {"2TB", UINT64_C(2000000000000)},
        {"1KiB", 1024},
        {"20MiB", 20 << 20},
        {"128 mib", 128 << 20},
        {"4GiB", UINT64_C(4) << 30},
        {"1TiB", UINT64_C(1) << 40},
        {"9223372036854775807", INT64_MAX},
    };
    static const char *const bad[] = {"",
                                      "MiB",
                                      "-1",
                                      "1.5GiB",
                                      "1  MiB",
                                      "1 MiB ",
                                      "1M",
                                      "0x10",
                                      "9223372036854775808",
                                      "18446744073709551616",
                                      "9000000 TiB",
                                      "1 parsec"};
    struct err err = {0};
    uint64_t bytes;
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        OK(units_size(table[i].text, &bytes, &err), &err);
        assert_true(bytes == table[i].bytes);
    }
    for (size_t i = 0; i < LENGTH(bad); i++)
        FAILS(units_size(bad[i], &bytes, &err), &err, ERR_CONFIG);
    assert_string_equal(err.msg, "\"1 parsec\" is not a size (examples: 65536, 64 KiB, 32 MiB, "
                                 "100 MB, 1 GiB)");
}

static void durations_need_their_unit(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } table[] = {{"0", 0},          {"500ms", 500},   {"60 s", 60000},
                 {"10min", 600000}, {"1 h", 3600000}, {"3d", 259200000}};
    static const char *const bad[] = {"", "s", "-1s", "1.5h", "1m", "1 month", "999999999999999d"};
    struct err err = {0};
    int64_t ms;
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        OK(units_duration(table[i].text, &ms, &err), &err);
        assert_true(ms == table[i].ms);
    }
    for (size_t i = 0; i < LENGTH(bad); i++)
        FAILS(units_duration(bad[i], &ms, &err), &err, ERR_CONFIG);
    FAILS(units_duration("60", &ms, &err), &err, ERR_CONFIG);
    assert_string_equal(err.msg, "\"60\" is not a duration without its unit (ms, s, min, h or d)");
}

static void numbers_are_whole_and_fit(void **state)
{
    static const char *const bad[] = {
        "", "-", "+", "1x", " 1", "1 ", "0x1", "1e3", "9223372036854775808"};
    struct err err = {0};
    int64_t n;
    (void)state;

    OK(units_number("-50", &n, &err), &err);
    assert_true(n == -50);
    OK(units_number("+7", &n, &err), &err);
    assert_true(n == 7);
    OK(units_number("9223372036854775807", &n, &err), &err);
    assert_true(n == INT64_MAX);
    for (size_t i = 0; i < LENGTH(bad); i++)
        FAILS(units_number(bad[i], &n, &err), &err, ERR_CONFIG);
}

static void formatted_units_read_back(void **state)
{
    char text[32];
    (void)state;

    assert_string_equal(units_format_size(32 << 20, text), "32 MiB");
    assert_string_equal(units_format_size(1000000, text), "1 MB");
    assert_string_equal(units_format_size(1025, text), "1025 B");
    assert_string_equal(units_format_size(0, text), "0 B");
    assert_string_equal(units_format_duration(600000, text), "10 min");
    assert_string_equal(units_format_duration(1500, text), "1500 ms");
}

static void hostile_text_is_shown_tamed(void **state)
{
    char shown[80], expected[80];
    char longest[200];
    (void)state;

    assert_string_equal(units_printable("a\x1b[31m\nb", shown), "a?[31m?b");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    memset(expected, 'x', 76);
    memcpy(expected + 76, "...", 4);
    assert_string_equal(units_printable(longest, shown), expected);
}

static void a_typing_mistake_is_recognised(void **state)
{
    static const char *const known[] = {"retention_full", "retention_full_type", "path",  "repos",
                                        "repo",           "cipher_type",         "s3_key"};
    static const struct {
        const char *wanted, *best;
    } table[] = {
        {"retention_ful", "retention_full"},
        {"retention-full", "retention_full"},
        {"Retention_Full", "retention_full"},
        {"repo1-retention-full", "retention_full"},
        {"repo1_path", "path"},
        {"pahth", "path"},
        {"apth", "path"},
        {"ciphertype", "cipher_type"},
        {"repost", "repos"},
        {"s3key", "s3_key"},
        {"colour", NULL},
        {"", NULL},
        {"x", NULL},
        {"repo1-", NULL},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        struct suggestion s = suggest_for(table[i].wanted);
        for (size_t k = 0; k < LENGTH(known); k++)
            suggest_offer(&s, known[k]);
        if (table[i].best == NULL)
            assert_null(s.best);
        else
            assert_string_equal(s.best != NULL ? s.best : "nothing", table[i].best);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(booleans_are_read_in_every_spelling),
        cmocka_unit_test(sizes_carry_decimal_or_binary_units),
        cmocka_unit_test(durations_need_their_unit),
        cmocka_unit_test(numbers_are_whole_and_fit),
        cmocka_unit_test(formatted_units_read_back),
        cmocka_unit_test(hostile_text_is_shown_tamed),
        cmocka_unit_test(a_typing_mistake_is_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
