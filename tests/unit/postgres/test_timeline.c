#include "tests/lib/test.h"

#include "postgres/timeline.h"

enum { MB16 = 16 << 20 };

static const char plain[] = "1\t0/5003EC8\tat restore point \"rp1\"\n"
                            "\n"
                            "2\t0/9000000\tno recovery target specified\n";

/* Recovery along timeline 2 that stopped before 2 had begun: written by a 15.20 server. */
static const char backwards[] = "1\t0/8000000\tno recovery target specified\n"
                                "\n"
                                "2\t0/7018090\tat restore point \"early\"\n";

static void parse(uint32_t tli, const char *text, struct history *h)
{
    struct err err = {0};

    OK(history_parse(tli, text, strlen(text), h, &err), &err);
}

static void a_history_is_read_oldest_first_with_the_timeline_itself_last(void **state)
{
    AUTO(history_free) struct history h = HISTORY_INIT;

    (void)state;
    parse(3, plain, &h);
    assert_int_equal(h.tli, 3);
    assert_int_equal(h.count, 3);
    assert_int_equal(h.entries[0].tli, 1);
    assert_true(h.entries[0].begin == 0 && h.entries[0].end == 0x5003EC8);
    assert_string_equal(h.entries[0].reason, "at restore point \"rp1\"");
    assert_int_equal(h.entries[1].tli, 2);
    assert_true(h.entries[1].begin == 0x5003EC8 && h.entries[1].end == 0x9000000);
    assert_int_equal(h.entries[2].tli, 3);
    assert_true(h.entries[2].begin == 0x9000000 && h.entries[2].end == UINT64_MAX);
    assert_null(h.entries[2].reason);
}

static void a_position_belongs_to_the_timeline_that_had_begun_there(void **state)
{
    static const struct {
        uint64_t lsn;
        uint32_t tli;
    } rows[] = {{0, 1},         {0x5003EC7, 1}, {0x5003EC8, 2},
                {0x8FFFFFF, 2}, {0x9000000, 3}, {UINT64_MAX, 3}};
    AUTO(history_free) struct history h = HISTORY_INIT;

    (void)state;
    parse(3, plain, &h);
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_int_equal(history_tli_at(&h, rows[i].lsn), rows[i].tli);
}

static void the_segment_of_a_switch_is_the_childs(void **state)
{
    static const struct {
        uint64_t segno;
        uint32_t tli;
    } rows[] = {{4, 1}, {5, 2}, {8, 2}, {9, 3}, {10, 3}};
    AUTO(history_free) struct history h = HISTORY_INIT;

    (void)state;
    parse(3, plain, &h);
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_int_equal(history_segment_tli(&h, rows[i].segno, MB16), rows[i].tli);
}

static void a_backup_lies_on_the_way_only_up_to_the_switch(void **state)
{
    static const struct {
        uint32_t tli;
        uint64_t lsn;
        bool reached;
    } rows[] = {
        {1, 0x5000000, true},  {1, 0x5003EC8, true},  {1, 0x5003EC9, false}, {2, 0x5003EC7, false},
        {2, 0x5003EC8, true},  {2, 0x9000000, true},  {2, 0x9000001, false}, {3, 0x9000000, true},
        {3, UINT64_MAX, true}, {3, 0x8000000, false}, {4, 0xA000000, false},
    };
    AUTO(history_free) struct history h = HISTORY_INIT;

    (void)state;
    parse(3, plain, &h);
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_int_equal(history_reaches(&h, rows[i].tli, rows[i].lsn), rows[i].reached);
}

static void a_timeline_that_was_left_before_it_began_owns_nothing(void **state)
{
    AUTO(history_free) struct history h = HISTORY_INIT;

    (void)state;
    parse(3, backwards, &h);
    assert_int_equal(history_tli_at(&h, 0x7018000), 1);
    assert_int_equal(history_tli_at(&h, 0x7018090), 3);
    assert_int_equal(history_tli_at(&h, 0x8000000), 3);
    assert_int_equal(history_tli_at(&h, 0x9000000), 3);
    assert_int_equal(history_segment_tli(&h, 6, MB16), 1);
    assert_int_equal(history_segment_tli(&h, 7, MB16), 3);
    assert_true(history_reaches(&h, 1, 0x7018090));
    assert_false(history_reaches(&h, 1, 0x7018091));
    assert_false(history_reaches(&h, 2, 0x7018090));
    assert_false(history_reaches(&h, 2, 0x8000000));
    assert_true(history_reaches(&h, 3, 0x7018090));
}

static void what_was_read_is_written_again(void **state)
{
    AUTO(history_free) struct history h = HISTORY_INIT, again = HISTORY_INIT;
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct err err = {0};

    (void)state;
    parse(3, backwards, &h);
    history_format(&h, &text);
    assert_string_equal(buf_text(&text), "1\t0/8000000\tno recovery target specified\n"
                                         "2\t0/7018090\tat restore point \"early\"\n");
    OK(history_parse(3, text.p, text.len, &again, &err), &err);
    assert_int_equal(again.count, 3);
}

static void comments_blanks_and_a_missing_last_newline_are_fine(void **state)
{
    AUTO(history_free) struct history h = HISTORY_INIT;

    (void)state;
    parse(9, "# a comment\n   \n \t4 \t 1/A\r\n7\t1/B\tx", &h);
    assert_int_equal(h.count, 3);
    assert_int_equal(history_tli_at(&h, UINT64_C(0x10000000A)), 7);
    assert_string_equal(h.entries[1].reason, "x");
}

static void a_timeline_without_ancestors_owns_everything(void **state)
{
    AUTO(history_free) struct history h = HISTORY_INIT;

    (void)state;
    history_root(1, &h);
    assert_int_equal(history_tli_at(&h, 0), 1);
    assert_int_equal(history_tli_at(&h, UINT64_MAX), 1);
    assert_int_equal(history_segment_tli(&h, 77, MB16), 1);
    assert_true(history_reaches(&h, 1, 0));
    assert_false(history_reaches(&h, 2, 0));
}

static void damaged_histories_are_refused_by_line(void **state)
{
    static const struct {
        uint32_t tli;
        const char *text, *said;
    } rows[] = {
        {3, "", "names no ancestor"},
        {3, "# only a comment\n", "names no ancestor"},
        {3, "1\n", "line 1"},
        {3, "1\t\n", "line 1"},
        {3, "1\t0/5003EC8\n2\t0-9\n", "line 2"},
        {3, "x\t0/1\n", "line 1"},
        {3, "-1\t0/1\n", "line 1"},
        {3, "99999999999\t0/1\n", "line 1"},
        {3, "0\t0/1\n", "timeline 0, expected one from 1 to 2"},
        {3, "2\t0/1\n1\t0/2\n", "timeline 1, expected one from 3 to 2"},
        {3, "2\t0/1\n2\t0/2\n", "line 2"},
        {3, "3\t0/1\n", "timeline 3, expected one from 1 to 2"},
        {1, "1\t0/1\n", "line 1"},
        {0, "1\t0/1\n", "timeline 0"},
        {3, "1\t0/00000000000000000000000000000000001\n", "line 1"},
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct history h = HISTORY_INIT;
        FAILS(history_parse(rows[i].tli, rows[i].text, strlen(rows[i].text), &h, &err), &err,
              ERR_CORRUPT);
        assert_non_null(strstr(err.msg, rows[i].said));
        assert_null(h.entries);
    }
    struct history h = HISTORY_INIT;
    FAILS(history_parse(2, "1\t0/1\0x\n", 8, &h, &err), &err, ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_history_is_read_oldest_first_with_the_timeline_itself_last),
        cmocka_unit_test(a_position_belongs_to_the_timeline_that_had_begun_there),
        cmocka_unit_test(the_segment_of_a_switch_is_the_childs),
        cmocka_unit_test(a_backup_lies_on_the_way_only_up_to_the_switch),
        cmocka_unit_test(a_timeline_that_was_left_before_it_began_owns_nothing),
        cmocka_unit_test(what_was_read_is_written_again),
        cmocka_unit_test(comments_blanks_and_a_missing_last_newline_are_fine),
        cmocka_unit_test(a_timeline_without_ancestors_owns_everything),
        cmocka_unit_test(damaged_histories_are_refused_by_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
