/* test_push.c - a file counts as archived when every required repository has it. */
#include "tests/unit/wal/archive_rig.h"
#include "wal/archive/push.h"

static int push(struct archive *a, const char *file, struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("%s/data/pg_wal/%s", a->top, file);

    return wal_push(a->config, a->cluster, path, err);
}

static void assert_same(const struct archive *a, const char *repo, const char *file)
{
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(buf_free) struct buf got = BUF_INIT;
    AUTO(buf_free) struct buf want = BUF_INIT;
    AUTO(mem_free) char *path = xasprintf("%s/data/pg_wal/%s", a->top, file);
    struct err err = {0};

    OK(fs_read_file(AT_FDCWD, path, 1 << 30, &want, &err), &err);
    OK(config_open_repo(a->config, a->cluster, repo, REPO_OPEN_FULL, &r, &err), &err);
    OK(wal_object_get(r, a->system_id, ARCHIVE_MAJOR, file, 1 << 30, 1, &got, &err), &err);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.p, want.p, want.len);
}

static void a_segment_goes_into_all_repositories(void **state)
{
    struct archive *a = *state;
    char name[WAL_SEGMENT_NAME];
    struct err err = {0};

    OK(push(a, archive_segment(a, name), &err), &err);
    assert_same(a, "must", name);
    assert_same(a, "may", name);
    OK(push(a, name, &err), &err); /* an identical one again */
}

static void small_files_and_partial_segments_too(void **state)
{
    static const char label[] = "START WAL LOCATION: 0/300028\n";
    static const char history[] = "1\t0/300000\tno recovery target specified\n";
    static const char label_file[] = "000000010000000000000003.00000028.backup";
    struct archive *a = *state;
    char name[WAL_SEGMENT_NAME];
    AUTO(mem_free) char *partial = NULL;
    AUTO(mem_free) char *to = NULL;
    struct err err = {0};

    archive_segment(a, name);
    partial = xasprintf("%s.partial", name);
    to = xasprintf("data/pg_wal/%s", partial);
    archive_write(a, to, wal_make_segment(&a->wal, 0), ARCHIVE_SEGSZ);
    archive_write(a, "data/pg_wal/00000002.history", history, sizeof history - 1);
    archive_write(a, "data/pg_wal/000000010000000000000003.00000028.backup", label,
                  sizeof label - 1);
    OK(push(a, partial, &err), &err);
    OK(push(a, "00000002.history", &err), &err);
    OK(push(a, label_file, &err), &err);
    assert_same(a, "must", partial);
    assert_same(a, "must", "00000002.history");
    assert_same(a, "must", label_file);
}

static void without_a_required_repository_it_fails(void **state)
{
    struct archive *a = *state;
    char name[WAL_SEGMENT_NAME];
    struct err err = {0};

    archive_move(a, "must", "away");
    assert_int_equal(push(a, archive_segment(a, name), &err), -1);
    assert_non_null(strstr(err.msg, name));
    assert_non_null(strstr(err.msg, "must"));
    archive_move(a, "away", "must");
    assert_false(archive_has(a, "must", name));
    assert_true(archive_has(a, "may", name)); /* the others get it all the same */
    OK(push(a, name, &err), &err);
    assert_true(archive_has(a, "must", name));
}

static void what_an_optional_repository_misses_comes_with_a_later_push(void **state)
{
    struct archive *a = *state;
    char first[WAL_SEGMENT_NAME], second[WAL_SEGMENT_NAME];
    AUTO(mem_free) char *want = NULL, *missed = NULL, *left = NULL;
    struct err err = {0};

    archive_move(a, "may", "away");
    OK(push(a, archive_segment(a, first), &err), &err);
    want = xasprintf("%s\n", first);
    missed = archive_missed(a);
    assert_string_equal(missed, want);
    archive_move(a, "away", "may");
    assert_false(archive_has(a, "may", first));
    OK(push(a, archive_segment(a, second), &err), &err);
    assert_same(a, "may", first);
    assert_same(a, "may", second);
    left = archive_missed(a);
    assert_string_equal(left, "");
}

static void other_content_of_that_name_is_refused_everywhere(void **state)
{
    static const char *const repos[] = {"must", "may"};
    struct archive *a = *state;
    char name[WAL_SEGMENT_NAME];
    AUTO(mem_free) char *path = NULL;
    struct err err = {0};

    OK(push(a, archive_segment(a, name), &err), &err);
    path = xasprintf("data/pg_wal/%s", name);
    wal_make_free(&a->wal);
    wal_make_init(&a->wal, ARCHIVE_MAJOR, a->system_id, 1, ARCHIVE_SEGSZ, 3);
    wal_make_noise(&a->wal, 3000);
    wal_make_switch(&a->wal);
    for (size_t i = 0; i < LENGTH(repos); i++) { /* an optional one does not hide it either */
        archive_write(a, path, wal_make_segment(&a->wal, 0), ARCHIVE_SEGSZ);
        FAILS(push(a, name, &err), &err, ERR_CONFLICT);
        assert_non_null(strstr(err.msg, name));
        archive_remove(a, "must"); /* so that only the other one knows */
        archive_init_repo(a, "must");
    }
}

static void a_segment_of_another_cluster_is_refused(void **state)
{
    struct archive *a = *state;
    char name[WAL_SEGMENT_NAME], number[24];
    struct err err = {0};

    wal_make_free(&a->wal);
    wal_make_init(&a->wal, ARCHIVE_MAJOR, a->system_id + 1, 1, ARCHIVE_SEGSZ, 3);
    FAILS(push(a, archive_segment(a, name), &err), &err, ERR_FOREIGN);
    snprintf(number, sizeof number, "%llu", (unsigned long long)a->system_id);
    assert_non_null(strstr(err.msg, number));
    snprintf(number, sizeof number, "%llu", (unsigned long long)a->system_id + 1);
    assert_non_null(strstr(err.msg, number));
    assert_false(archive_has(a, "must", name));
}

static void a_repository_of_another_cluster_refuses(void **state)
{
    struct archive *a = *state;
    AUTO(repo_close) struct repo *r = NULL;
    char name[WAL_SEGMENT_NAME];
    struct err err = {0};
    bool created;

    archive_remove(a, "must");
    OK(config_init_repo(a->config, a->cluster, "must", &r, &created, &err), &err);
    OK(repo_accept(r, a->system_id + 1, ARCHIVE_MAJOR, &err), &err);
    FAILS(push(a, archive_segment(a, name), &err), &err, ERR_FOREIGN);
}

static void what_is_no_wal_is_refused(void **state)
{
    static const struct {
        const char *file;
        size_t len;
        enum err_code why;
    } odd[] = {
        {"000000010000000000000003", 0, ERR_CORRUPT},
        {"000000010000000000000003", 1000000, ERR_CORRUPT},
        {"000000010000000000000003", 1 << 20, ERR_CORRUPT}, /* zeros */
        {"00000002.history", 0, ERR_CORRUPT},
        {"00000002.history", 2 << 20, ERR_CORRUPT},
        {"xlogtemp.123", 10, ERR_USAGE},
        {"000000010000000000000003.tmp", 10, ERR_USAGE},
    };
    struct archive *a = *state;
    AUTO(mem_free) uint8_t *zeros = xcalloc(1, 2 << 20);
    struct err err = {0};

    for (size_t i = 0; i < LENGTH(odd); i++) {
        AUTO(mem_free) char *path = xasprintf("data/pg_wal/%s", odd[i].file);

        archive_write(a, path, zeros, odd[i].len);
        FAILS(push(a, odd[i].file, &err), &err, odd[i].why);
        assert_non_null(strstr(err.msg, odd[i].file));
    }
    FAILS(push(a, "0000000100000000000000FF", &err), &err, ERR_NOT_FOUND);
}

/* A record that nobody understands: archived, since it is the server's. */
static void a_segment_that_cannot_be_understood_is_archived(void **state)
{
    struct archive *a = *state;
    char name[WAL_SEGMENT_NAME];
    AUTO(mem_free) char *path = NULL;
    uint8_t *segment;
    struct err err = {0};

    wal_make_noise(&a->wal, 3000);
    archive_segment(a, name);
    path = xasprintf("data/pg_wal/%s", name);
    segment = wal_make_segment(&a->wal, 0);
    segment[2000] ^= 1; /* its CRC no longer fits */
    archive_write(a, path, segment, ARCHIVE_SEGSZ);
    OK(push(a, name, &err), &err);
    assert_same(a, "must", name);
}

static void bytes_in_memory_go_into_open_repositories(void **state)
{
    struct archive *a = *state;
    AUTO(open_repos_close) struct open_repos repos = {0};
    char name[WAL_SEGMENT_NAME];
    struct err err = {0};
    bool stored = false;

    archive_segment(a, name);
    OK(config_open_repos(a->config, a->cluster, NULL, REPO_OPEN_FULL, &repos, &err), &err);
    OK(wal_push_bytes(&repos, name, wal_make_segment(&a->wal, 0), ARCHIVE_SEGSZ, &stored, &err),
       &err);
    assert_true(stored);
    OK(wal_push_bytes(&repos, name, wal_make_segment(&a->wal, 0), ARCHIVE_SEGSZ, &stored, &err),
       &err);
    assert_false(stored);
    assert_same(a, "may", name);
}

static void without_any_repository_bytes_are_not_archived(void **state)
{
    struct archive *a = *state;
    AUTO(open_repos_close) struct open_repos repos = {0};
    char name[WAL_SEGMENT_NAME];
    struct err err = {0};

    archive_segment(a, name);
    archive_remove(a, "must");
    archive_remove(a, "may");
    OK(config_open_repos(a->config, a->cluster, NULL, REPO_OPEN_FULL, &repos, &err), &err);
    FAILS(wal_push_bytes(&repos, name, wal_make_segment(&a->wal, 0), ARCHIVE_SEGSZ, NULL, &err),
          &err, ERR_UNREACHABLE);
}

#define WITH_ARCHIVE(test) cmocka_unit_test_setup_teardown(test, archive_begin, archive_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARCHIVE(a_segment_goes_into_all_repositories),
        WITH_ARCHIVE(small_files_and_partial_segments_too),
        WITH_ARCHIVE(without_a_required_repository_it_fails),
        WITH_ARCHIVE(what_an_optional_repository_misses_comes_with_a_later_push),
        WITH_ARCHIVE(other_content_of_that_name_is_refused_everywhere),
        WITH_ARCHIVE(a_segment_of_another_cluster_is_refused),
        WITH_ARCHIVE(a_repository_of_another_cluster_refuses),
        WITH_ARCHIVE(what_is_no_wal_is_refused),
        WITH_ARCHIVE(a_segment_that_cannot_be_understood_is_archived),
        WITH_ARCHIVE(bytes_in_memory_go_into_open_repositories),
        WITH_ARCHIVE(without_any_repository_bytes_are_not_archived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
