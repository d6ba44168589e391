/* test_target_parse.c - targets as people write them, and how they are told back. */
#include "tests/lib/test.h"
#include "wal/reach/target.h"

static void positions_are_read_as_postgres_writes_them(void **state)
{
    static const struct {
        const char *text;
        uint64_t lsn; /* 0: refused */
    } cases[] = {
        {"16/B374D848", UINT64_C(0x16B374D848)},
        {"0/3000028", 0x3000028},
        {"0/0", 0},
        {"", 0},
        {"3000028", 0},
        {"0/3000028 ", 0},
        {"1/2/3", 0},
        {"123456789/0", 0},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct target t = {.kind = TARGET_LSN};
        struct err err = {0};

        if (cases[i].lsn == 0) {
            FAILS(target_parse_lsn(cases[i].text, &t, &err), &err, ERR_USAGE);
        } else {
            OK(target_parse_lsn(cases[i].text, &t, &err), &err);
            assert_int_equal(t.lsn, cases[i].lsn);
        }
    }
}

static void transaction_ids_may_carry_an_epoch(void **state)
{
    static const struct {
        const char *text;
        uint32_t xid; /* 0: refused */
    } cases[] = {
        {"731", 731},
        {"4294967295", UINT32_MAX},
        {"8589935323", 731}, /* 2 * 2^32 + 731 */
        {"3", 3},
        {"2", 0},
        {"0", 0},
        {"4294967296", 0},
        {"", 0},
        {"-5", 0},
        {" 731", 0},
        {"731x", 0},
        {"0x2db", 0},
        {"99999999999999999999999", 0},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct target t = {.kind = TARGET_XID};
        struct err err = {0};

        if (cases[i].xid == 0) {
            FAILS(target_parse_xid(cases[i].text, &t, &err), &err, ERR_USAGE);
        } else {
            OK(target_parse_xid(cases[i].text, &t, &err), &err);
            assert_int_equal(t.xid, cases[i].xid);
        }
    }
}

static void a_timeline_is_latest_current_or_a_number(void **state)
{
    static const char *const refused[] = {"", "0", "newest", "4294967296", "2 ", "+2", "Latest"};
    struct target t = {0};
    struct err err = {0};
    (void)state;

    OK(target_parse_timeline("17", &t, &err), &err);
    assert_int_equal(t.line, LINE_NUMBER);
    assert_int_equal(t.timeline, 17);
    OK(target_parse_timeline("current", &t, &err), &err);
    assert_int_equal(t.line, LINE_CURRENT);
    OK(target_parse_timeline("latest", &t, &err), &err);
    assert_int_equal(t.line, LINE_LATEST);
    for (size_t i = 0; i < LENGTH(refused); i++)
        FAILS(target_parse_timeline(refused[i], &t, &err), &err, ERR_USAGE);
}

static void a_target_is_told_in_full(void **state)
{
    static const struct {
        struct target t;
        const char *text;
    } cases[] = {
        {{.kind = TARGET_LATEST}, "latest"},
        {{.kind = TARGET_LATEST, .line = LINE_CURRENT}, "latest on the backup's timeline"},
        {{.kind = TARGET_IMMEDIATE}, "immediate"},
        {{.kind = TARGET_TIME, .time_us = INT64_C(1795348800500000)},
         "time 2026-11-22 12:00:00.5+00 (inclusive)"},
        {{.kind = TARGET_LSN, .lsn = 0x16B374D848, .exclusive = true},
         "LSN 16/B374D848 (exclusive)"},
        {{.kind = TARGET_XID, .xid = 731, .line = LINE_NUMBER, .timeline = 3},
         "transaction 731 (inclusive) on timeline 3"},
        {{.kind = TARGET_NAME, .name = "before import"}, "restore point \"before import\""},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf b = BUF_INIT;

        target_describe(&cases[i].t, &b);
        assert_string_equal(buf_text(&b), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_are_read_as_postgres_writes_them),
        cmocka_unit_test(transaction_ids_may_carry_an_epoch),
        cmocka_unit_test(a_timeline_is_latest_current_or_a_number),
        cmocka_unit_test(a_target_is_told_in_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
