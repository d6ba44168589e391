#include "tests/lib/test.h"

#include <stdlib.h>

#include "repo/object/names.h"

static struct err err;

static void a_new_label_is_valid_and_says_when_and_what(void **state)
{
    static const enum set_kind kinds[] = {SET_FULL,       SET_DIFF,    SET_INCR,
                                          SET_COMPACTION, SET_RESTORE, SET_GC};
    const int64_t now_us = INT64_C(1767323045) * 1000000 + 999999; /* 2026-01-02 03:04:05 */
    char label[LABEL_SIZE + 1], other[LABEL_SIZE + 1];

    (void)state;
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        OK(label_make(label, kinds[i], now_us, &err), &err);
        assert_int_equal(strlen(label), LABEL_SIZE);
        assert_memory_equal(label, "20260102T030405Z-", 17);
        assert_true(label_valid(label));
        assert_int_equal(label_kind(label), kinds[i]);
        assert_int_equal(label_time_us(label), now_us - 999999);
    }
    OK(label_make(other, SET_GC, now_us, &err), &err);
    assert_string_not_equal(label + 19, other + 19);
}

static void a_clock_of_another_age_is_refused(void **state)
{
    char label[LABEL_SIZE + 1];

    (void)state;
    FAILS(label_make(label, SET_FULL, INT64_C(253402300800) * 1000000, &err), &err, ERR_FAILED);
}

static void only_the_exact_form_is_a_label(void **state)
{
    static const struct {
        const char *label;
        bool valid;
    } cases[] = {
        {"20260102T030405Z-F-0a1b2c", true},
        {"20240229T235959Z-I-ffffff", true},
        {"20260229T030405Z-F-0a1b2c", false}, /* no leap year */
        {"20261302T030405Z-F-0a1b2c", false},
        {"20260102T240405Z-F-0a1b2c", false},
        {"20260102T030405Z-X-0a1b2c", false},
        {"20260102T030405Z-F-0A1B2C", false},
        {"20260102T030405Z-F-0a1b2", false},
        {"20260102T030405Z-F-0a1b2cd", false},
        {"20260102T030405Z-F-0a1b2/", false},
        {"20260102T030405ZzF-0a1b2c", false},
        {"20260102 030405Z-F-0a1b2c", false},
        {"20260102T030405Z--0a1b2c", false},
        {"", false},
        {"20260102T030405Z-", false},
        {"../../../../etc/passwd/ab", false},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++)
        assert_int_equal(label_valid(cases[i].label), cases[i].valid);
}

static void clusters_have_names_that_are_safe_in_keys(void **state)
{
    static const struct {
        const char *name;
        bool valid;
    } cases[] = {
        {"main", true},
        {"pg-test_1", true},
        {"X", true},
        {"keysx", true},
        {"123456789012345678901234567890123456789012345678901234567890123", true},
        {"1234567890123456789012345678901234567890123456789012345678901234", false},
        {"", false},
        {"keys", false},
        {"features", false},
        {"tmp", false},
        {"a.b", false},
        {"a/b", false},
        {"..", false},
        {"a b", false},
        {"\xc3\xa4", false},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++)
        assert_int_equal(cluster_name_valid(cases[i].name), cases[i].valid);
}

static void every_object_has_its_place(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    (void)state;
    assert_string_equal(name_descriptor(), "pgbr-repo");
    assert_string_equal(name_feature(&b, 26), "features/0000001a");
    assert_string_equal(name_key_slot(&b, 1), "keys/00000001");
    assert_string_equal(name_info(&b, "main", 10), "main/info/0000000a");
    assert_string_equal(name_manifest(&b, "main", "L"), "main/backup/L/manifest");
    assert_string_equal(name_expired(&b, "main", "L"), "main/backup/L/expired");
    assert_string_equal(name_hold(&b, "main", "L"), "main/backup/L/hold");
    assert_string_equal(name_pack(&b, "main", "S", 0), "main/data/S/00000/00000000");
    assert_string_equal(name_pack(&b, "main", "S", 1023), "main/data/S/00000/000003ff");
    assert_string_equal(name_pack(&b, "main", "S", 1024), "main/data/S/00001/00000400");
    assert_string_equal(name_pack(&b, "main", "S", 0xabcdef01), "main/data/S/2af37b/abcdef01");
    assert_string_equal(name_set(&b, "main", "S"), "main/data/S/");
    assert_string_equal(name_lease(&b, "main", "S"), "main/lease/S");
    assert_string_equal(name_fence_intent(&b, "main", "S"), "main/fence/S.intent");
    assert_string_equal(name_fence_final(&b, "main", "S"), "main/fence/S.final");
    assert_string_equal(name_wal_root(&b, "main", 0xabc, 15), "main/wal/0000000000000abc-15/");
}

#define SEGMENT "0000000A000000010000FFFE"
#define ROOT "main/wal/6789abcdef012345-17/"

static void files_of_pg_wal_have_keys_and_labels(void **state)
{
    static const struct {
        const char *file, *key, *label;
    } cases[] = {
        {SEGMENT, ROOT "0000000A/00000001/" SEGMENT, SEGMENT "@6789abcdef012345"},
        {SEGMENT ".partial", ROOT "0000000A/00000001/" SEGMENT ".partial",
         SEGMENT ".p@6789abcdef012345"},
        {"0000000A.history", ROOT "history/0000000A.history", "0000000A.h@6789abcdef012345"},
        {SEGMENT ".00000028.backup", ROOT "label/" SEGMENT ".00000028.backup",
         SEGMENT ".b@6789abcdef012345"},
    };
    AUTO(buf_free) struct buf key = BUF_INIT;
    char label[49];

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        OK(name_wal(&key, "main", 0x6789abcdef012345, 17, cases[i].file, &err), &err);
        assert_string_equal(buf_text(&key), cases[i].key);
        OK(label_wal(label, 0x6789abcdef012345, cases[i].file, &err), &err);
        assert_string_equal(label, cases[i].label);
    }
}

static void sums_have_keys_and_labels(void **state)
{
    static const char *const wrong[] = {
        "",
        "00000001-0000000300000000-000000040000000",
        "00000001-0000000300000000-00000004000000000",
        "00000001-000000030000000a-0000000400000000",
        "00000001_0000000300000000-0000000400000000",
        "00000000-0000000300000000-0000000400000000", /* no timeline */
        "00000001-0000000400000000-0000000400000000", /* of nothing */
    };
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct sum_name n = {0x1a, UINT64_C(0x300000000), UINT64_C(0x400000000)}, again;
    char label[49];
    (void)state;

    assert_string_equal(name_sum(&key, "main", 0x4711, 15, &n),
                        "main/wal/0000000000004711-15/sum/"
                        "0000001A-0000000300000000-0000000400000000");
    label_sum(label, 0x4711, &n);
    assert_string_equal(label, "0000001A-0000000300000000.s@0000000000004711");
    assert_true(sum_name_parse(strrchr(key.p, '/') + 1, &again));
    assert_int_equal(sum_name_compare(&n, &again), 0);
    for (size_t i = 0; i < LENGTH(wrong); i++)
        assert_false(sum_name_parse(wrong[i], &again));
    assert_true(name_is_sum(key.p));
    assert_false(name_is_sum("main/wal/0000000000004711-15/sum/of-a-later-version"));
    assert_false(name_is_sum("0000001A-0000000300000000-0000000400000000"));
    assert_false(name_is_sum("m/0000001A-0000000300000000-0000000400000000"));
    assert_false(name_is_sum("main/consum/0000001A-0000000300000000-0000000400000000"));
}

static void other_files_are_refused(void **state)
{
    static const char *const files[] = {"",
                                        "archive_status",
                                        "0000000a000000010000fffe",
                                        "0000000A000000010000FFF",
                                        SEGMENT "0",
                                        SEGMENT ".part",
                                        SEGMENT ".partial.gz",
                                        "A.history",
                                        "0000000A.historyy",
                                        SEGMENT ".backup",
                                        SEGMENT ".0000002G.backup",
                                        "../../../../../../../etc",
                                        "xlogtemp.123"};
    AUTO(buf_free) struct buf key = BUF_INIT;
    char label[49];

    (void)state;
    for (size_t i = 0; i < LENGTH(files); i++) {
        FAILS(name_wal(&key, "main", 1, 17, files[i], &err), &err, ERR_USAGE);
        FAILS(label_wal(label, 1, files[i], &err), &err, ERR_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_label_is_valid_and_says_when_and_what),
        cmocka_unit_test(a_clock_of_another_age_is_refused),
        cmocka_unit_test(only_the_exact_form_is_a_label),
        cmocka_unit_test(clusters_have_names_that_are_safe_in_keys),
        cmocka_unit_test(every_object_has_its_place),
        cmocka_unit_test(files_of_pg_wal_have_keys_and_labels),
        cmocka_unit_test(sums_have_keys_and_labels),
        cmocka_unit_test(other_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
