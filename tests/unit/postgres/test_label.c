#include "tests/lib/test.h"

#include "base/mem.h"
#include "postgres/label.h"

static const char primary[] = "START WAL LOCATION: 0/C000028 (file 00000001000000000000000C)\n"
                              "CHECKPOINT LOCATION: 0/C000060\n"
                              "BACKUP METHOD: streamed\n"
                              "BACKUP FROM: primary\n"
                              "START TIME: 2026-11-23 04:56:13 UTC\n"
                              "LABEL: nightly full\n"
                              "START TIMELINE: 1\n";

/* The label with one part of it replaced. */
static char *changed(const char *from, const char *to)
{
    const char *at = strstr(primary, from);

    assert_non_null(at);
    return xasprintf("%.*s%s%s", (int)(at - primary), primary, to, at + strlen(from));
}

static void a_label_says_where_recovery_begins(void **state)
{
    struct err err = {0};
    struct backup_label b;

    (void)state;
    OK(backup_label_parse(primary, strlen(primary), &b, &err), &err);
    assert_true(b.start_lsn == 0xC000028);
    assert_true(b.checkpoint_lsn == 0xC000060);
    assert_int_equal(b.tli, 1);
    assert_string_equal(b.wal_file, "00000001000000000000000C");
    assert_true(b.streamed);
    assert_false(b.from_standby);
    assert_false(b.incremental);
    assert_string_equal(b.start_time, "2026-11-23 04:56:13 UTC");
    assert_string_equal(b.label, "nightly full");
}

static void the_variants_servers_write_are_understood(void **state)
{
    static const struct {
        const char *from, *to;
        bool streamed, standby, incremental;
    } rows[] = {
        {"FROM: primary", "FROM: master", true, false, false},
        {"FROM: primary", "FROM: standby", true, true, false},
        {"METHOD: streamed", "METHOD: pg_rewind", false, false, false},
        {"TIMELINE: 1\n", "TIMELINE: 1\nINCREMENTAL FROM LSN: 0/1\nINCREMENTAL FROM TLI: 1\n", true,
         false, true},
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        AUTO(mem_free) char *text = changed(rows[i].from, rows[i].to);
        struct backup_label b;
        OK(backup_label_parse(text, strlen(text), &b, &err), &err);
        assert_int_equal(b.streamed, rows[i].streamed);
        assert_int_equal(b.from_standby, rows[i].standby);
        assert_int_equal(b.incremental, rows[i].incremental);
    }
}

static void a_damaged_label_is_refused_by_line(void **state)
{
    static const struct {
        const char *from, *to, *said;
    } rows[] = {
        {"START WAL", "START  WAL", "line 1"},
        {"0/C000028", "C000028", "line 1"},
        {" (file ", " (", "line 1"},
        {"0000000C)", "0000000C", "line 1"},
        {"00000001000000000000000C)", "00000001000000000000000c)", "line 1"},
        {"00000001000000000000000C)", "00000001.history)", "line 1"},
        {"(file 00000001", "(file 00000002", "line 7"},
        {"CHECKPOINT LOCATION: 0/C000060\n", "", "line 2"},
        {"0/C000060", "0/", "line 2"},
        {"streamed", "exclusive", "line 3"},
        {"primary", "replica", "line 4"},
        {"UTC\n", "UTC\r\n", "line 5"},
        {"LABEL: ", "LABEL:", "line 6"},
        {"TIMELINE: 1", "TIMELINE: 2", "line 7"},
        {"START TIMELINE: 1\n", "", "line 7"},
        {"TIMELINE: 1\n", "TIMELINE: 1", "line 7"},
        {"TIMELINE: 1\n", "TIMELINE: 1\nx", "does not end with a newline"},
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        AUTO(mem_free) char *text = changed(rows[i].from, rows[i].to);
        struct backup_label b;
        FAILS(backup_label_parse(text, strlen(text), &b, &err), &err, ERR_CORRUPT);
        if (strstr(err.msg, rows[i].said) == NULL)
            fail_msg("row %zu: %s", i, err.msg);
    }
}

static void a_label_cut_anywhere_is_refused(void **state)
{
    struct err err = {0};
    struct backup_label b;

    (void)state;
    for (size_t len = 0; len < strlen(primary); len++)
        FAILS(backup_label_parse(primary, len, &b, &err), &err, ERR_CORRUPT);
}

static void a_map_is_read_and_written_with_the_escapes_of_its_version(void **state)
{
    static const struct {
        unsigned major;
        const char *text, *path;
    } rows[] = {
        {15, "16384 /srv/ts\n", "/srv/ts"},
        {15, "16384 /srv/with blank\n", "/srv/with blank"},
        {14, "16384 /srv/a\\\\b\n", "/srv/a\\b"}, /* as 14.23 wrote it */
        {13, "16384 /srv/a\\b\n", "/srv/a\\b"},   /* as 13.23 wrote it */
        {18, "16384 /srv/a\\\nb\n", "/srv/a\nb"},
        {18, "16384 /srv/a\\\rb\\\\\n", "/srv/a\rb\\"},
        {13, "16384 /srv/a\\\nb\n", "/srv/a\nb"},
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        AUTO(tablespace_map_free) struct tablespace_map m = TABLESPACE_MAP_INIT;
        AUTO(buf_free) struct buf text = BUF_INIT;
        OK(tablespace_map_parse(rows[i].text, strlen(rows[i].text), rows[i].major, &m, &err), &err);
        assert_int_equal(m.count, 1);
        assert_int_equal(m.links[0].oid, 16384);
        assert_string_equal(m.links[0].path, rows[i].path);
        tablespace_map_format(&m, &text);
        assert_string_equal(buf_text(&text), rows[i].text);
    }
}

static void no_text_is_an_empty_map(void **state)
{
    AUTO(tablespace_map_free) struct tablespace_map m = TABLESPACE_MAP_INIT;
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct err err = {0};

    (void)state;
    OK(tablespace_map_parse("", 0, 15, &m, &err), &err);
    assert_int_equal(m.count, 0);
    tablespace_map_format(&m, &out);
    assert_int_equal(out.len, 0);
}

static void a_damaged_map_is_refused_by_line(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"16384 /srv/ts", "line 1"}, {"16384\n", "line 1"},       {"\n", "line 1"},
        {"0 /srv\n", "line 1"},      {"x /srv\n", "line 1"},      {"16384 srv\n", "line 1"},
        {"1 /a\n-2 /b\n", "line 2"}, {"1 /a\n1 /b\n", "1 again"}, {"1 /a\\", "line 1"},
        {"1 /a\\x\n", "line 1"},     {"1 /a\r\n", "line 1"},      {"16384 \n", "line 1"},
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct tablespace_map m = TABLESPACE_MAP_INIT;
        FAILS(tablespace_map_parse(rows[i].text, strlen(rows[i].text), 15, &m, &err), &err,
              ERR_CORRUPT);
        assert_non_null(strstr(err.msg, rows[i].said));
        assert_null(m.links);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_label_says_where_recovery_begins),
        cmocka_unit_test(the_variants_servers_write_are_understood),
        cmocka_unit_test(a_damaged_label_is_refused_by_line),
        cmocka_unit_test(a_label_cut_anywhere_is_refused),
        cmocka_unit_test(a_map_is_read_and_written_with_the_escapes_of_its_version),
        cmocka_unit_test(no_text_is_an_empty_map),
        cmocka_unit_test(a_damaged_map_is_refused_by_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
