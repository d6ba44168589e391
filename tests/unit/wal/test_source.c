/* test_source.c - whose a WAL file is, and reading it. */
#include "tests/unit/wal/archive_rig.h"
#include "wal/archive/source.h"

static void the_control_file_two_levels_up_tells_the_cluster(void **state)
{
    struct archive *a = *state;
    AUTO(mem_free) char *path = archive_path(a, "data/pg_wal/000000010000000000000003");
    struct wal_identity id = {0};
    struct err err = {0};

    OK(wal_identity_near(path, "/no/such/directory", &id, &err), &err);
    assert_int_equal(id.system_id, a->system_id);
    assert_int_equal(id.major, ARCHIVE_MAJOR);
}

/* As PostgreSQL calls it: in the data directory, with a relative path. */
static void relative_paths_start_at_the_present_directory(void **state)
{
    static const struct {
        const char *directory, *path;
    } ways[] = {{"data", "pg_wal/X"}, {"data/pg_wal", "X"}, {"data/base", "../pg_wal/X"}};
    struct archive *a = *state;
    AUTO(fd_close) int before = open(".", O_RDONLY | O_DIRECTORY);
    struct err err = {0};

    archive_write(a, "data/base/x", "", 0);
    for (size_t i = 0; i < LENGTH(ways); i++) {
        AUTO(mem_free) char *directory = archive_path(a, ways[i].directory);
        struct wal_identity id = {0};
        int rc;

        assert_int_equal(chdir(directory), 0);
        rc = wal_identity_near(ways[i].path, NULL, &id, &err);
        assert_int_equal(fchdir(before), 0);
        OK(rc, &err);
        assert_int_equal(id.system_id, a->system_id);
    }
}

static void elsewhere_the_configured_directory_is_asked(void **state)
{
    struct archive *a = *state;
    AUTO(mem_free) char *path = archive_path(a, "elsewhere/deep/X");
    AUTO(mem_free) char *data = archive_path(a, "data");
    struct wal_identity id = {0};
    struct err err = {0};

    archive_write(a, "elsewhere/deep/X", "", 0);
    OK(wal_identity_near(path, data, &id, &err), &err);
    assert_int_equal(id.system_id, a->system_id);
    FAILS(wal_identity_near(path, NULL, &id, &err), &err, ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, path));
}

static void a_damaged_control_file_is_told(void **state)
{
    struct archive *a = *state;
    AUTO(mem_free) char *path = archive_path(a, "data/pg_wal/X");
    struct wal_identity id = {0};
    struct err err = {0};

    archive_write(a, "data/global/pg_control", "too short", 9);
    assert_int_equal(wal_identity_near(path, NULL, &id, &err), -1);
    assert_int_not_equal(err.code, ERR_NOT_FOUND);
}

static void a_segment_is_read_whole(void **state)
{
    struct archive *a = *state;
    AUTO(wal_memory_free) struct wal_memory m = {0};
    char name[WAL_SEGMENT_NAME];
    AUTO(mem_free) char *path = NULL;
    struct err err = {0};

    path = xasprintf("%s/data/pg_wal/%s", a->top, archive_segment(a, name));
    OK(wal_file_read(path, WAL_SEGMENT, &m, &err), &err);
    assert_int_equal(m.len, ARCHIVE_SEGSZ);
    assert_memory_equal(m.data, wal_make_segment(&a->wal, 0), ARCHIVE_SEGSZ);
}

static void a_history_file_is_read_whole(void **state)
{
    struct archive *a = *state;
    AUTO(wal_memory_free) struct wal_memory m = {0};
    AUTO(mem_free) char *path = archive_path(a, "data/pg_wal/00000002.history");
    struct err err = {0};

    archive_write(a, "data/pg_wal/00000002.history", "1\t0/3000000\tx\n", 14);
    OK(wal_file_read(path, WAL_HISTORY, &m, &err), &err);
    assert_int_equal(m.len, 14);
    assert_memory_equal(m.data, "1\t0/3000000\tx\n", 14);
}

static void sizes_that_no_wal_file_has_are_refused(void **state)
{
    static const struct {
        enum wal_kind kind;
        size_t len;
    } odd[] = {{WAL_SEGMENT, 0},       {WAL_SEGMENT, 100},
               {WAL_SEGMENT, 1 << 19}, {WAL_SEGMENT, (1 << 20) + 1},
               {WAL_SEGMENT, 3 << 20}, {WAL_PARTIAL, 8192},
               {WAL_HISTORY, 0},       {WAL_HISTORY, WAL_SMALL_MAX + 1}};
    struct archive *a = *state;
    AUTO(mem_free) uint8_t *bytes = xcalloc(1, 4 << 20);
    AUTO(mem_free) char *path = archive_path(a, "data/pg_wal/odd");
    struct err err = {0};

    for (size_t i = 0; i < LENGTH(odd); i++) {
        struct wal_memory m;

        archive_write(a, "data/pg_wal/odd", bytes, odd[i].len);
        FAILS(wal_file_read(path, odd[i].kind, &m, &err), &err, ERR_CORRUPT);
        assert_non_null(strstr(err.msg, path));
        assert_null(m.data);
    }
}

static void what_is_no_file_is_refused(void **state)
{
    struct archive *a = *state;
    AUTO(mem_free) char *path = archive_path(a, "data/pg_wal/archive_status");
    AUTO(mem_free) char *gone = archive_path(a, "data/pg_wal/gone");
    struct wal_memory m;
    struct err err = {0};

    FAILS(wal_file_read(path, WAL_SEGMENT, &m, &err), &err, ERR_IO);
    FAILS(wal_file_read(gone, WAL_SEGMENT, &m, &err), &err, ERR_NOT_FOUND);
}

#define WITH_ARCHIVE(test) cmocka_unit_test_setup_teardown(test, archive_begin, archive_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARCHIVE(the_control_file_two_levels_up_tells_the_cluster),
        WITH_ARCHIVE(relative_paths_start_at_the_present_directory),
        WITH_ARCHIVE(elsewhere_the_configured_directory_is_asked),
        WITH_ARCHIVE(a_damaged_control_file_is_told),
        WITH_ARCHIVE(a_segment_is_read_whole),
        WITH_ARCHIVE(a_history_file_is_read_whole),
        WITH_ARCHIVE(sizes_that_no_wal_file_has_are_refused),
        WITH_ARCHIVE(what_is_no_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
