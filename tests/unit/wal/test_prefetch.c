/* test_prefetch.c - segments fetched ahead: bounded, only taken where they belong, cleared away. */
#include "wal/archive/prefetch.h"

#include <dirent.h>
#include <pthread.h>

#include "base/clock.h"
#include "repo/store/store_driver.h"
#include "tests/unit/wal/archive_rig.h"
#include "wal/archive/get.h"
#include "wal/archive/local.h"
#include "wal/archive/push.h"

enum { SEGMENTS = 6, WAIT_MS = 5000 };

struct rig {
    struct archive *a;
    char names[SEGMENTS][WAL_SEGMENT_NAME];
    char *data;
    struct prefetch p;
    struct spool own; /* what the process would have */
    pthread_t thread;
};

static int begin(void **state)
{
    struct rig *r = xcalloc(1, sizeof *r);
    struct err err = {0};
    void *archive;

    archive_begin(&archive);
    r->a = archive;
    for (size_t i = 0; i < SEGMENTS; i++) {
        AUTO(mem_free) char *path = NULL;

        archive_segment(r->a, r->names[i]);
        path = xasprintf("%s/data/pg_wal/%s", r->a->top, r->names[i]);
        OK(wal_push(r->a->config, r->a->cluster, path, &err), &err);
    }
    archive_write(r->a, "data/recovery.signal", "", 0);
    archive_write(r->a, "data/postmaster.pid", "", 0);
    archive_write(r->a, "data/postgresql.conf", "", 0);
    r->data = archive_path(r->a, "data");
    r->own = (struct spool)SPOOL_INIT;
    r->p = (struct prefetch){.c = r->a->config,
                             .cluster = r->a->cluster,
                             .data_dir = r->data,
                             .id = {r->a->system_id, ARCHIVE_MAJOR},
                             .file = r->names[0],
                             .segment_size = ARCHIVE_SEGSZ,
                             .ahead = 3};
    r->a->config->clusters[0].archive_get_ahead = 3;
    *state = r;
    return 0;
}

static int end(void **state)
{
    struct rig *r = *state;
    void *archive = r->a;

    assert_int_equal(chdir("/"), 0);
    spool_close(&r->own);
    free(r->data);
    free(r);
    return archive_end(&archive);
}

/* ---- the process, as a thread ---- */

static void *run(void *arg)
{
    struct rig *r = arg;

    prefetch_run(&r->p, &r->own);
    spool_close(&r->own);
    return NULL;
}

static void own(struct rig *r)
{
    struct err err = {0};

    OK(spool_open(&r->own, r->p.c, r->p.cluster, NULL, r->data, &r->p.id, SPOOL_CREATE, &err),
       &err);
    assert_true(spool_own(&r->own));
    spool_tell(&r->own, r->p.file);
}

static void start(struct rig *r)
{
    own(r);
    assert_int_equal(pthread_create(&r->thread, NULL, run, r), 0);
}

static void ends(struct rig *r)
{
    AUTO(mem_free) char *spools = archive_path(r->a, "state/spool");

    assert_int_equal(pthread_join(r->thread, NULL), 0);
    assert_int_equal(rmdir(spools), 0); /* nothing is left in it */
}

static void find(struct rig *r, struct spool *s)
{
    struct err err = {0};

    OK(spool_open(s, r->p.c, r->p.cluster, NULL, r->data, &r->p.id, SPOOL_FIND, &err), &err);
}

static bool has(const struct spool *s, const char *name)
{
    return fs_exists(s->dir, name);
}

static void wait_for(const struct spool *s, const char *name, bool there)
{
    for (int ms = 0; ms < WAIT_MS && has(s, name) != there; ms++)
        clock_sleep_ms(1);
    assert_int_equal(has(s, name), there);
}

static int files_in(const struct spool *s)
{
    DIR *d = opendir(s->path);
    int n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] == '0';
    closedir(d);
    return n;
}

/* One call of restore_command, as the server makes it. */
static int get(struct rig *r, const char *file)
{
    struct err err = {0};
    int status;

    assert_int_equal(chdir(r->data), 0);
    status = wal_get(r->p.c, r->p.cluster, NULL, NULL, file, "pg_wal/RECOVERYXLOG", &err);
    if (status != 0)
        print_message("%s\n", err.msg);
    return status;
}

static void got(const struct rig *r, size_t i)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err err = {0};

    OK(fs_read_file(AT_FDCWD, "pg_wal/RECOVERYXLOG", ARCHIVE_SEGSZ, &bytes, &err), &err);
    assert_int_equal(bytes.len, ARCHIVE_SEGSZ);
    assert_memory_equal(bytes.p, wal_make_segment(&r->a->wal, i), ARCHIVE_SEGSZ);
}

/* ---- tests ---- */

static void what_was_fetched_ahead_is_delivered_without_asking(void **state)
{
    struct rig *r = *state;
    AUTO(spool_close) struct spool seen = SPOOL_INIT;

    start(r);
    find(r, &seen);
    for (size_t i = 1; i <= 3; i++) /* they come in any order */
        wait_for(&seen, r->names[i], true);
    archive_move(r->a, "must", "away"); /* nobody could answer now */
    archive_move(r->a, "may", "away2");
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(get(r, r->names[i]), WAL_GET_DELIVERED);
        got(r, i);
        assert_false(has(&seen, r->names[i]));
    }
    ends(r);
}

static void it_follows_recovery_and_ends_with_the_archive(void **state)
{
    struct rig *r = *state;

    start(r);
    for (size_t i = 1; i < SEGMENTS; i++) {
        assert_int_equal(get(r, r->names[i]), WAL_GET_DELIVERED);
        got(r, i);
    }
    ends(r);
}

static void no_more_than_so_many_wait(void **state)
{
    struct rig *r = *state;
    AUTO(spool_close) struct spool seen = SPOOL_INIT;

    start(r);
    find(r, &seen);
    wait_for(&seen, r->names[3], true);
    clock_sleep_ms(100);
    assert_int_equal(files_in(&seen), 3);
    spool_tell(&seen, r->names[2]);        /* asked for without taking it from here */
    wait_for(&seen, r->names[5], true);    /* then there is room again */
    assert_false(has(&seen, r->names[1])); /* and what is behind recovery goes */
    archive_remove(r->a, "data/recovery.signal");
    ends(r);
}

static void it_ends_when_the_recovery_is_over_or_the_server_gone(void **state)
{
    static const char *const files[] = {"data/recovery.signal", "data/postmaster.pid"};
    struct rig *r = *state;

    for (size_t i = 0; i < LENGTH(files); i++) {
        start(r);
        archive_remove(r->a, files[i]);
        ends(r);
        archive_write(r->a, files[i], "", 0);
    }
}

static void recovery_that_starts_again_is_followed_back(void **state)
{
    struct rig *r = *state;
    AUTO(spool_close) struct spool seen = SPOOL_INIT;

    r->p.file = r->names[2];
    start(r);
    find(r, &seen);
    wait_for(&seen, r->names[5], true);
    assert_int_equal(get(r, r->names[0]), WAL_GET_DELIVERED);
    got(r, 0);
    wait_for(&seen, r->names[1], true);
    wait_for(&seen, r->names[5], false);
    archive_remove(r->a, "data/recovery.signal");
    ends(r);
}

static void what_nobody_owns_is_not_used(void **state)
{
    struct rig *r = *state;
    AUTO(mem_free) char *left = NULL;

    own(r);
    left = xasprintf("%s/%s", r->own.path + strlen(r->a->top) + 1, r->names[1]);
    archive_write(r->a, left, wal_make_segment(&r->a->wal, 1), ARCHIVE_SEGSZ);
    spool_close(&r->own);
    r->a->config->clusters[0].archive_get_timeout_ms = 100;
    archive_move(r->a, "must", "away");
    archive_move(r->a, "may", "away2");
    assert_int_equal(get(r, r->names[1]), WAL_GET_FAILED);
}

static void what_is_another_segment_or_clusters_is_not_used(void **state)
{
    struct rig *r = *state;
    AUTO(mem_free) char *wrong = NULL, *short_one = NULL, *foreign = NULL;
    uint8_t *other;

    own(r);
    wrong = xasprintf("%s/%s", r->own.path + strlen(r->a->top) + 1, r->names[1]);
    short_one = xasprintf("%s/%s", r->own.path + strlen(r->a->top) + 1, r->names[2]);
    foreign = xasprintf("%s/%s", r->own.path + strlen(r->a->top) + 1, r->names[3]);
    archive_write(r->a, wrong, wal_make_segment(&r->a->wal, 4), ARCHIVE_SEGSZ);
    archive_write(r->a, short_one, wal_make_segment(&r->a->wal, 2), ARCHIVE_SEGSZ / 2);
    other = xmalloc(ARCHIVE_SEGSZ);
    memcpy(other, wal_make_segment(&r->a->wal, 3), ARCHIVE_SEGSZ);
    other[24] ^= 1; /* xlp_sysid */
    archive_write(r->a, foreign, other, ARCHIVE_SEGSZ);
    free(other);
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(get(r, r->names[i]), WAL_GET_DELIVERED); /* from the repository */
        got(r, i);
    }
}

static void other_recoveries_have_other_spools(void **state)
{
    struct rig *r = *state;
    AUTO(spool_close) struct spool dir = SPOOL_INIT, cluster = SPOOL_INIT, one = SPOOL_INIT;
    AUTO(spool_close) struct spool place = SPOOL_INIT;
    struct wal_identity id = r->p.id;
    struct err err = {0};

    own(r);
    OK(spool_open(&dir, r->p.c, r->p.cluster, NULL, "/", &id, SPOOL_FIND, &err), &err);
    assert_int_equal(dir.dir, -1);
    OK(spool_open(&one, r->p.c, r->p.cluster, "must", r->data, &id, SPOOL_FIND, &err), &err);
    assert_int_equal(one.dir, -1);
    id.system_id++;
    OK(spool_open(&cluster, r->p.c, r->p.cluster, NULL, r->data, &id, SPOOL_FIND, &err), &err);
    assert_int_equal(cluster.dir, -1);
    id.system_id--;
    free(r->a->config->repos[0].path);
    r->a->config->repos[0].path = archive_path(r->a, "elsewhere");
    OK(spool_open(&place, r->p.c, r->p.cluster, NULL, r->data, &id, SPOOL_FIND, &err), &err);
    assert_int_equal(place.dir, -1);
}

static void spools_left_behind_are_swept(void **state)
{
    struct rig *r = *state;
    AUTO(spool_close) struct spool old = SPOOL_INIT, live = SPOOL_INIT;
    struct wal_identity id = r->p.id;
    AUTO(mem_free) char *path = NULL, *stays = NULL;
    struct err err = {0};

    OK(spool_open(&old, r->p.c, r->p.cluster, "must", r->data, &id, SPOOL_CREATE, &err), &err);
    OK(spool_open(&live, r->p.c, r->p.cluster, "may", r->data, &id, SPOOL_CREATE, &err), &err);
    assert_true(spool_own(&live));
    path = xstrdup(old.path);
    stays = xstrdup(live.path);
    spool_close(&old);
    own(r);
    spool_sweep(&r->own);
    assert_false(fs_exists(AT_FDCWD, path));
    assert_true(fs_exists(AT_FDCWD, stays));
    assert_true(fs_exists(AT_FDCWD, r->own.path));
}

static void a_standby_does_not_get_what_was_fetched_before_the_timeline_was_left(void **state)
{
    struct rig *r = *state;
    AUTO(spool_close) struct spool seen = SPOOL_INIT;
    AUTO(mem_free) char *path = archive_path(r->a, "data/pg_wal/00000002.history");
    char text[80], lsn[LSN_TEXT];
    uint64_t start_lsn = segno_lsn(wal_make_segno(&r->a->wal, 2), ARCHIVE_SEGSZ);
    struct err err = {0};

    archive_write(r->a, "data/standby.signal", "", 0);
    start(r);
    find(r, &seen);
    wait_for(&seen, r->names[3], true);
    snprintf(text, sizeof text, "1\t%s\tno recovery target specified\n",
             lsn_format(start_lsn + 1000, lsn));
    archive_write(r->a, "data/pg_wal/00000002.history", text, strlen(text));
    OK(wal_push(r->a->config, r->a->cluster, path, &err), &err);
    wait_for(&seen, r->names[2], false);
    wait_for(&seen, r->names[3], false);
    assert_true(has(&seen, r->names[1]));
    assert_int_equal(get(r, r->names[1]), WAL_GET_DELIVERED);
    assert_int_equal(get(r, r->names[2]), WAL_GET_ABSENT);
    ends(r);
}

/* A repository behind a network, for the defaults. */
static bool yes(struct store *s)
{
    (void)s;
    return true;
}

static void only_repositories_over_a_network_are_worth_it(void **state)
{
    struct rig *r = *state;
    AUTO(open_repos_close) struct open_repos repos = {0};
    struct store *store;
    struct store_ops remote;
    const struct store_ops *local;
    struct err err = {0};

    OK(config_open_repos(r->p.c, r->p.cluster, NULL, REPO_OPEN_FULL, &repos, &err), &err);
    assert_int_equal(local_ahead(CONFIG_UNSET, &repos, 1 << 24, PREFETCH_BUDGET), 0);
    assert_int_equal(local_ahead(5, &repos, 1 << 24, PREFETCH_BUDGET), 5);
    store = repo_store(repos.items[1].repo);
    local = store->ops;
    remote = *local;
    remote.is_remote = yes;
    store->ops = &remote;
    assert_int_equal(local_ahead(CONFIG_UNSET, &repos, 1 << 24, PREFETCH_BUDGET), CONFIG_AHEAD);
    assert_int_equal(local_ahead(0, &repos, 1 << 24, PREFETCH_BUDGET), 0);
    assert_int_equal(local_ahead(CONFIG_UNSET, &repos, 1 << 28, PREFETCH_BUDGET), 2);
    assert_int_equal(local_ahead(CONFIG_UNSET, &repos, 1 << 30, PREFETCH_BUDGET), 0);
    store->ops = local;
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(what_was_fetched_ahead_is_delivered_without_asking),
        WITH_RIG(it_follows_recovery_and_ends_with_the_archive),
        WITH_RIG(no_more_than_so_many_wait),
        WITH_RIG(it_ends_when_the_recovery_is_over_or_the_server_gone),
        WITH_RIG(recovery_that_starts_again_is_followed_back),
        WITH_RIG(what_nobody_owns_is_not_used),
        WITH_RIG(what_is_another_segment_or_clusters_is_not_used),
        WITH_RIG(other_recoveries_have_other_spools),
        WITH_RIG(spools_left_behind_are_swept),
        WITH_RIG(a_standby_does_not_get_what_was_fetched_before_the_timeline_was_left),
        WITH_RIG(only_repositories_over_a_network_are_worth_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
