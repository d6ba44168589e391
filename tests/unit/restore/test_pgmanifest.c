/* backup_manifest: lines, times, names, and the whole file's own checksum. */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "restore/pgmanifest.h"

static void a_line_is_what_the_server_writes(void **state)
{
    AUTO(buf_free) struct buf out = BUF_INIT;
    (void)state;

    pgmanifest_line(&out, "base/5/1259", 122880, 1795409381, 0xE3069283);
    assert_string_equal(buf_text(&out),
                        "{ \"Path\": \"base/5/1259\", \"Size\": 122880, \"Last-Modified\": "
                        "\"2026-11-23 04:49:41 GMT\", \"Checksum-Algorithm\": \"CRC32C\", "
                        "\"Checksum\": \"839206e3\" }");
}

static void names_are_escaped_or_encoded(void **state)
{
    static const struct {
        const char *path, *want;
    } cases[] = {
        {"a\"b\\c", "\"Path\": \"a\\\"b\\\\c\""},
        {"\xc3\xa4", "\"Path\": \"\xc3\xa4\""},
        {"\xf0\x9f\x90\x98", "\"Path\": \"\xf0\x9f\x90\x98\""},
        {"x\xff", "\"Encoded-Path\": \"78ff\""},
        {"\xc0\xaf", "\"Encoded-Path\": \"c0af\""},             /* overlong */
        {"\xe0\x80\xaf", "\"Encoded-Path\": \"e080af\""},       /* overlong */
        {"\xed\xa0\x80", "\"Encoded-Path\": \"eda080\""},       /* a surrogate */
        {"\xf5\x80\x80\x80", "\"Encoded-Path\": \"f5808080\""}, /* beyond Unicode */
        {"\xe2\x82", "\"Encoded-Path\": \"e282\""},             /* cut */
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf out = BUF_INIT;
        pgmanifest_line(&out, cases[i].path, 0, 0, 0);
        assert_non_null(strstr(buf_text(&out), cases[i].want));
    }
}

static void times_are_those_of_the_calendar(void **state)
{
    static const struct {
        int64_t unix_s;
        const char *want;
    } cases[] = {
        {0, "1970-01-01 00:00:00 GMT"},         {-1, "1969-12-31 23:59:59 GMT"},
        {951827696, "2000-02-29 12:34:56 GMT"}, {4107542399, "2100-02-28 23:59:59 GMT"},
        {INT64_MAX, "9999-12-31 23:59:59 GMT"}, {INT64_MIN, "0000-01-01 00:00:00 GMT"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf out = BUF_INIT;
        pgmanifest_time(&out, cases[i].unix_s);
        assert_string_equal(buf_text(&out), cases[i].want);
    }
}

/* Writes a manifest of n files and gives back its text. */
static void whole(uint32_t pg_version, size_t n, struct buf *text)
{
    char dir[] = "/tmp/pgbr-test-XXXXXX";
    struct wal_span spans[] = {{1, 0x2000028, 0x3000000}, {2, 0x3000000, 0x3000100}};
    struct pubinfo pub = {.pg_version = pg_version, .system_id = 42, .spans = spans, .n_spans = 2};
    struct pgmanifest *m = NULL;
    struct err err = {0};
    int fd;

    assert_non_null(mkdtemp(dir));
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    OK(pgmanifest_begin(&m, fd, &pub, &err), &err);
    for (size_t i = 0; i < n; i++) {
        char path[32];
        snprintf(path, sizeof path, "base/5/%zu", i);
        OK(pgmanifest_add(m, path, i, 0, 0, &err), &err);
    }
    OK(pgmanifest_finish(m, &err), &err);
    pgmanifest_free(&m);
    OK(fs_read_file(fd, "backup_manifest", 16 << 20, text, &err), &err);
    close(fd);
    OK(fs_remove_tree(AT_FDCWD, dir, false, &err), &err);
}

static void its_checksum_covers_all_bytes_before_it(void **state)
{
    static const size_t counts[] = {0, 1, 5000}; /* 5,000: more than is kept in memory */
    (void)state;

    for (size_t i = 0; i < LENGTH(counts); i++) {
        AUTO(buf_free) struct buf text = BUF_INIT;
        AUTO(buf_free) struct buf want = BUF_INIT;
        uint8_t digest[32];
        const char *last;
        whole(150000, counts[i], &text);
        last = strstr(buf_text(&text), "\"Manifest-Checksum\"");
        assert_non_null(last);
        sha256(text.p, (size_t)(last - text.p), digest);
        buf_adds(&want, "\"Manifest-Checksum\": \"");
        buf_hex(&want, digest, sizeof digest);
        buf_adds(&want, "\"}\n");
        assert_string_equal(last, buf_text(&want));
    }
}

static void each_version_gets_its_own_form(void **state)
{
    AUTO(buf_free) struct buf old = BUF_INIT;
    AUTO(buf_free) struct buf new = BUF_INIT;
    (void)state;

    whole(160004, 1, &old);
    whole(170001, 1, &new);
    assert_ptr_equal(
        strstr(buf_text(&old), "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n{"),
        old.p);
    assert_ptr_equal(strstr(buf_text(&new), "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
                                            "\"System-Identifier\": 42,\n\"Files\": [\n{"),
                     new.p);
    assert_non_null(strstr(buf_text(&old), "],\n\"WAL-Ranges\": [\n"
                                           "{ \"Timeline\": 2, \"Start-LSN\": \"0/3000000\", "
                                           "\"End-LSN\": \"0/3000100\" },\n"
                                           "{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", "
                                           "\"End-LSN\": \"0/3000000\" }\n],\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_what_the_server_writes),
        cmocka_unit_test(names_are_escaped_or_encoded),
        cmocka_unit_test(times_are_those_of_the_calendar),
        cmocka_unit_test(its_checksum_covers_all_bytes_before_it),
        cmocka_unit_test(each_version_gets_its_own_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
