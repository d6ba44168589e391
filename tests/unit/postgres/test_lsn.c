#include "tests/lib/test.h"

#include "postgres/lsn.h"
#include "postgres/version.h"

static void every_major_is_found_by_each_of_its_marks(void **state)
{
    (void)state;
    for (unsigned major = PG_MAJOR_MIN; major <= PG_MAJOR_MAX; major++) {
        const struct pg_version *v = pg_version_by_major(major);

        assert_non_null(v);
        assert_int_equal(v->major, major);
        assert_ptr_equal(pg_version_by_control(v->control_version, v->catalog_version), v);
        assert_ptr_equal(pg_version_by_magic(v->wal_magic), v);
        assert_ptr_equal(pg_version_by_dir(v->tablespace_dir), v);
    }
}

static void other_versions_are_not_known(void **state)
{
    (void)state;
    assert_null(pg_version_by_major(12));
    assert_null(pg_version_by_major(19));
    assert_null(pg_version_by_control(1300, 202307072));
    assert_null(pg_version_by_control(1700, 202209061));
    assert_null(pg_version_by_magic(0xD101));
    assert_null(pg_version_by_dir("PG_15_202209062"));
}

static void a_position_is_read_as_it_is_printed(void **state)
{
    static const struct {
        const char *text;
        uint64_t lsn;
        const char *printed;
    } rows[] = {
        {"0/0", 0, "0/0"},
        {"16/B374D848", UINT64_C(0x16B374D848), "16/B374D848"},
        {"0/3000028", 0x3000028, "0/3000028"},
        {"0/03000028", 0x3000028, "0/3000028"},
        {"a/ff", UINT64_C(0xA000000FF), "A/FF"},
        {"FFFFFFFF/FFFFFFFF", UINT64_MAX, "FFFFFFFF/FFFFFFFF"},
    };
    char text[LSN_TEXT];

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint64_t lsn = 1;
        assert_int_equal(lsn_parse(rows[i].text, &lsn), 0);
        assert_true(lsn == rows[i].lsn);
        assert_string_equal(lsn_format(lsn, text), rows[i].printed);
    }
}

static void what_is_no_position_is_refused(void **state)
{
    static const char *const rows[] = {
        "",    "/",   "0",    "0/",    "/0",   "0/0/0",       "0x1/0",
        "0/G", "0/ ", " 0/0", "0/0\n", "-1/0", "000000001/0", "0/123456789",
    };
    uint64_t lsn;

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++)
        if (lsn_parse(rows[i], &lsn) == 0)
            fail_msg("\"%s\" was read", rows[i]);
}

static void a_segment_size_is_a_power_of_two_between_its_limits(void **state)
{
    (void)state;
    assert_true(wal_segsz_valid(1 << 20));
    assert_true(wal_segsz_valid(16 << 20));
    assert_true(wal_segsz_valid(1 << 30));
    assert_false(wal_segsz_valid(0));
    assert_false(wal_segsz_valid(1 << 19));
    assert_false(wal_segsz_valid(3 << 20));
    assert_false(wal_segsz_valid(UINT64_C(1) << 31));
}

/* Names as pg_walfile_name() gives them for clusters with these segment sizes. */
static void a_segment_has_the_name_postgresql_gives_it(void **state)
{
    static const struct {
        uint64_t lsn;
        uint32_t segsz;
        const char *name;
    } rows[] = {
        {0x3000028, 16 << 20, "000000010000000000000003"},
        {UINT64_C(0x1FFFFFFFF), 16 << 20, "0000000100000001000000FF"},
        {UINT64_C(0x200000000), 16 << 20, "000000010000000200000000"},
        {UINT64_C(0x1FFFFFFFF), 1 << 20, "000000010000000100000FFF"},
        {UINT64_C(0x1FFFFFFFF), 1 << 30, "000000010000000100000003"},
        {UINT64_MAX, 16 << 20, "00000001FFFFFFFF000000FF"},
    };
    char name[WAL_SEGMENT_NAME];

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct wal_file f;
        uint64_t segno = lsn_segno(rows[i].lsn, rows[i].segsz), back;

        assert_string_equal(wal_segment_name(1, segno, rows[i].segsz, name), rows[i].name);
        assert_int_equal(wal_file_parse(name, &f), 0);
        assert_int_equal(wal_file_segno(&f, rows[i].segsz, &back), 0);
        assert_true(back == segno);
    }
}

static void an_end_position_on_a_boundary_needs_the_segment_before_it(void **state)
{
    (void)state;
    assert_int_equal(lsn_last_segno(0x3000000, 16 << 20), 2);
    assert_int_equal(lsn_last_segno(0x3000001, 16 << 20), 3);
    assert_int_equal(lsn_last_segno(0, 16 << 20), 0);
}

static void every_kind_of_file_name_is_read_and_written(void **state)
{
    static const struct {
        const char *name;
        struct wal_file f;
    } rows[] = {
        {"00000002000000010000000A", {WAL_SEGMENT, 2, 1, 10, 0}},
        {"00000002000000010000000A.partial", {WAL_PARTIAL, 2, 1, 10, 0}},
        {"0000000C.history", {WAL_HISTORY, 12, 0, 0, 0}},
        {"00000002000000010000000A.00000028.backup", {WAL_BACKUP_LABEL, 2, 1, 10, 0x28}},
    };
    char name[WAL_NAME];

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct wal_file f;
        assert_int_equal(wal_file_parse(rows[i].name, &f), 0);
        assert_memory_equal(&f, &rows[i].f, sizeof f);
        assert_string_equal(wal_file_format(&f, name), rows[i].name);
    }
}

static void other_file_names_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "0000000200000001",
        "00000002000000010000000a",
        "00000000000000010000000A",
        "00000000.history",
        "00000002000000010000000A.PARTIAL",
        "00000002000000010000000A.partial2",
        "00000002000000010000000A0",
        "00000002000000010000000A.0000002.backup",
        "00000002000000010000000A.00000028.back",
        "0000000C.histor",
        "RECOVERYXLOG",
        "../00000002000000010000000A",
        "archive_status",
    };
    struct wal_file f;

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++)
        if (wal_file_parse(rows[i], &f) == 0)
            fail_msg("\"%s\" was read", rows[i]);
}

static void a_name_of_another_segment_size_has_no_number(void **state)
{
    struct wal_file f;
    uint64_t segno;

    (void)state;
    assert_int_equal(wal_file_parse("000000010000000000000100", &f), 0);
    assert_int_equal(wal_file_segno(&f, 16 << 20, &segno), -1);
    assert_int_equal(wal_file_segno(&f, 1 << 20, &segno), 0);
    assert_int_equal(segno, 0x100);
    assert_int_equal(wal_file_parse("000000010000000000000001.00200000.backup", &f), 0);
    assert_int_equal(wal_file_segno(&f, 1 << 20, &segno), -1);
    assert_int_equal(wal_file_parse("00000001.history", &f), 0);
    assert_int_equal(wal_file_segno(&f, 16 << 20, &segno), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_major_is_found_by_each_of_its_marks),
        cmocka_unit_test(other_versions_are_not_known),
        cmocka_unit_test(a_position_is_read_as_it_is_printed),
        cmocka_unit_test(what_is_no_position_is_refused),
        cmocka_unit_test(a_segment_size_is_a_power_of_two_between_its_limits),
        cmocka_unit_test(a_segment_has_the_name_postgresql_gives_it),
        cmocka_unit_test(an_end_position_on_a_boundary_needs_the_segment_before_it),
        cmocka_unit_test(every_kind_of_file_name_is_read_and_written),
        cmocka_unit_test(other_file_names_are_refused),
        cmocka_unit_test(a_name_of_another_segment_size_has_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
