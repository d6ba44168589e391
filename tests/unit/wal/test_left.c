/* test_left.c - which WAL lies behind the point where the cluster left its timeline, and for whom
 * that matters. */
#include "wal/archive/left.h"

#include "tests/unit/wal/archive_rig.h"
#include "wal/archive/get.h"
#include "wal/archive/push.h"

static void push_history(struct archive *a, uint32_t tli, const char *text)
{
    AUTO(mem_free) char *name = xasprintf("data/pg_wal/%08X.history", tli);
    AUTO(mem_free) char *path = archive_path(a, name);
    struct err err = {0};

    archive_write(a, name, text, strlen(text));
    OK(wal_push(a->config, a->cluster, path, &err), &err);
}

static uint64_t left(struct archive *a, uint32_t timeline, uint32_t *newest)
{
    AUTO(open_repos_close) struct open_repos repos = {0};
    struct wal_identity id = {a->system_id, ARCHIVE_MAJOR};
    uint64_t lsn = 99;
    struct err err = {0};

    OK(config_open_repos(a->config, a->cluster, NULL, REPO_OPEN_FULL, &repos, &err), &err);
    OK(left_at(&repos, &id, timeline, &lsn, newest, &err), &err);
    return lsn;
}

static void the_newest_history_tells_where_a_timeline_was_left(void **state)
{
    struct archive *a = *state;
    uint32_t newest;

    assert_true(left(a, 1, &newest) == 0);
    push_history(a, 2, "1\t0/400100\tbecause\n");
    assert_true(left(a, 1, &newest) == 0x400100);
    assert_int_equal(newest, 2);
    assert_true(left(a, 2, &newest) == 0); /* the newest itself */
    push_history(a, 3, "1\t0/400100\tbecause\n2\t0/600000\tbecause\n");
    assert_true(left(a, 1, &newest) == 0x400100);
    assert_true(left(a, 2, &newest) == 0x600000);
    assert_int_equal(newest, 3);
}

/* A restore in place along 1 after 2 had been begun and given up: the way to 3 uses more of 1. */
static void other_branches_do_not_matter(void **state)
{
    struct archive *a = *state;
    uint32_t newest;

    push_history(a, 2, "1\t0/400100\tbecause\n");
    push_history(a, 3, "1\t0/700000\tbecause\n");
    assert_true(left(a, 1, &newest) == 0x700000);
    assert_int_equal(newest, 3);
    assert_true(left(a, 2, &newest) == 0); /* no ancestor of 3: PostgreSQL would not go there */
}

/* As PostgreSQL counts: it would not see 4 from 2 either. */
static void a_missing_history_ends_the_search(void **state)
{
    struct archive *a = *state;
    uint32_t newest;

    push_history(a, 4, "1\t0/400100\tbecause\n2\t0/500000\tx\n3\t0/600000\tx\n");
    assert_true(left(a, 1, &newest) == 0);
    assert_true(left(a, 3, &newest) == 0x600000);
}

static void one_repository_that_knows_is_enough(void **state)
{
    struct archive *a = *state;
    uint32_t newest;

    archive_move(a, "may", "away");
    push_history(a, 2, "1\t0/400100\tbecause\n");
    archive_move(a, "away", "may");
    assert_true(left(a, 1, &newest) == 0x400100);
    archive_move(a, "may", "away");
    assert_true(left(a, 1, &newest) == 0x400100);
}

static void nobody_to_ask_is_an_error(void **state)
{
    struct archive *a = *state;
    AUTO(open_repos_close) struct open_repos repos = {0};
    struct wal_identity id = {a->system_id, ARCHIVE_MAJOR};
    uint64_t lsn;
    uint32_t newest;
    struct err err = {0};

    archive_move(a, "must", "away");
    archive_move(a, "may", "away2");
    OK(config_open_repos(a->config, a->cluster, NULL, REPO_OPEN_FULL, &repos, &err), &err);
    FAILS(left_at(&repos, &id, 1, &lsn, &newest, &err), &err, ERR_UNREACHABLE);
}

/* Segments 3, 4, 5 of timeline 1 are archived; 2 begins inside of 4. */
static void only_a_standby_that_goes_on_does_not_get_it(void **state)
{
    static const struct {
        const char *conf, *signal;
        enum wal_get_status before, inside, behind;
    } cases[] = {
        {"", "standby.signal", WAL_GET_DELIVERED, WAL_GET_ABSENT, WAL_GET_ABSENT},
        {"recovery_target_timeline = 'latest'\n", "standby.signal", WAL_GET_DELIVERED,
         WAL_GET_ABSENT, WAL_GET_ABSENT},
        {"", "recovery.signal", WAL_GET_DELIVERED, WAL_GET_DELIVERED, WAL_GET_DELIVERED},
        {"", "neither", WAL_GET_DELIVERED, WAL_GET_DELIVERED, WAL_GET_DELIVERED},
        {"recovery_target_timeline = '1'\n", "standby.signal", WAL_GET_DELIVERED, WAL_GET_DELIVERED,
         WAL_GET_DELIVERED},
        {"recovery_target_timeline = current\n", "standby.signal", WAL_GET_DELIVERED,
         WAL_GET_DELIVERED, WAL_GET_DELIVERED},
        {"include 'nowhere.conf'\n", "standby.signal", WAL_GET_DELIVERED, WAL_GET_DELIVERED,
         WAL_GET_DELIVERED},
    };
    struct archive *a = *state;
    AUTO(mem_free) char *data = archive_path(a, "data");
    char names[3][WAL_SEGMENT_NAME];
    struct err err = {0};

    for (size_t i = 0; i < LENGTH(names); i++) {
        AUTO(mem_free) char *path = NULL;

        archive_segment(a, names[i]);
        path = xasprintf("%s/pg_wal/%s", data, names[i]);
        OK(wal_push(a->config, a->cluster, path, &err), &err);
    }
    push_history(a, 2, "1\t0/400100\tbecause\n");
    assert_int_equal(chdir(data), 0);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        enum wal_get_status want[] = {cases[i].before, cases[i].inside, cases[i].behind};
        AUTO(mem_free) char *signal = xasprintf("data/%s", cases[i].signal);

        archive_write(a, signal, "", 0);
        archive_write(a, "data/postgresql.conf", cases[i].conf, strlen(cases[i].conf));
        for (size_t n = 0; n < LENGTH(names); n++) {
            int got =
                wal_get(a->config, a->cluster, NULL, NULL, names[n], "pg_wal/RECOVERYXLOG", &err);

            if (got != (int)want[n])
                fail_msg("case %zu, segment %zu: %d, %s", i, n, got, err.msg);
            err_clear(&err);
        }
        archive_remove(a, signal);
    }
    assert_int_equal(chdir("/"), 0);
}

#define WITH_ARCHIVE(test) cmocka_unit_test_setup_teardown(test, archive_begin, archive_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARCHIVE(the_newest_history_tells_where_a_timeline_was_left),
        WITH_ARCHIVE(other_branches_do_not_matter),
        WITH_ARCHIVE(a_missing_history_ends_the_search),
        WITH_ARCHIVE(one_repository_that_knows_is_enough),
        WITH_ARCHIVE(nobody_to_ask_is_an_error),
        WITH_ARCHIVE(only_a_standby_that_goes_on_does_not_get_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
