/* test_get_guard.c - archive-get asks the repositories for the rest of a record that is cut by the
 * end of a segment. */
#include "tests/unit/wal/archive_rig.h"
#include "wal/archive/get.h"
#include "wal/archive/push.h"

enum { RM_TABLESPACE = 5, ROOM = 64 };

/* The first segment ends in a CREATE TABLESPACE, of which the second one has the rest. */
static void make(struct archive *a, const char *place)
{
    struct wal_make *m = &a->wal;
    char main[300] = {1, 64, 0, 0};

    memcpy(main + 4, place, strlen(place) + 1);
    wal_make_fill(m, 600);
    while (m->start + ARCHIVE_SEGSZ - m->end > ROOM + 320)
        wal_make_noise(m, 64);
    wal_make_noise(m, (size_t)(m->start + ARCHIVE_SEGSZ - m->end) - ROOM);
    wal_make_record(m, RM_TABLESPACE, 0, 700, NULL, 0, main, 4 + strlen(place) + 1);
    wal_make_switch(m);
}

static void push(struct archive *a, size_t i, char name[WAL_SEGMENT_NAME])
{
    AUTO(mem_free) char *path = NULL;
    AUTO(mem_free) char *full = NULL;
    struct err err = {0};

    wal_segment_name(1, wal_make_segno(&a->wal, i), ARCHIVE_SEGSZ, name);
    path = xasprintf("data/pg_wal/%s", name);
    full = archive_path(a, path);
    archive_write(a, path, wal_make_segment(&a->wal, i), ARCHIVE_SEGSZ);
    OK(wal_push(a->config, a->cluster, full, &err), &err);
}

static void the_rest_of_a_name_comes_from_the_archive(void **state)
{
    const struct wal_guard copy = {.kind = WAL_GUARD_COPY, .end = UINT64_MAX};
    struct archive *a = *state;
    AUTO(mem_free) char *data = archive_path(a, "data");
    AUTO(mem_free) char *place = archive_path(a, "a/place/that/is/not/there/for/a/tablespace");
    char first[WAL_SEGMENT_NAME], rest[WAL_SEGMENT_NAME];
    struct err err = {0};

    assert_int_equal(chdir(data), 0);
    make(a, place);
    push(a, 0, first);
    assert_int_equal(
        wal_get(a->config, a->cluster, NULL, &copy, first, "pg_wal/RECOVERYXLOG", &err),
        WAL_GET_FAILED);
    assert_non_null(strstr(err.msg, "cannot be seen as a whole"));
    push(a, 1, rest);
    err_clear(&err);
    if (wal_get(a->config, a->cluster, NULL, &copy, first, "pg_wal/RECOVERYXLOG", &err) != 0)
        fail_msg("%s", err.msg);
    assert_false(fs_exists(AT_FDCWD, "pg_wal/RECOVERYXLOG.next"));
    OK(fs_mkdirs(place, 0700, &err), &err);
    AUTO(mem_free) char *there = xasprintf("%s/PG_15_202209061", place);
    OK(fs_mkdirs(there, 0700, &err), &err);
    assert_int_equal(
        wal_get(a->config, a->cluster, NULL, &copy, first, "pg_wal/RECOVERYXLOG", &err),
        WAL_GET_FAILED);
    assert_non_null(strstr(err.msg, place));
    assert_int_equal(chdir("/"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_rest_of_a_name_comes_from_the_archive, archive_begin,
                                        archive_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
