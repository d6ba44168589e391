/* What may be overwritten, what never is, and that a directory under restore cannot start. */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "postgres/control.h"
#include "restore/site.h"

enum { OURS = 42, OTHERS = 43 };

/* A sandbox with a data directory that need not exist, and a plan to restore there. */
struct sandbox {
    char top[32];
    char *data;
    struct cluster_config cluster;
    struct restore_request q;
    struct pubinfo pub;
    struct backup_info info;
    struct layout layout;
};

static int sandbox_make(void **state)
{
    struct sandbox *s = xcalloc(1, sizeof *s);
    struct err err = {0};

    strcpy(s->top, "/tmp/pgbr-test-XXXXXX");
    assert_non_null(mkdtemp(s->top));
    s->data = xasprintf("%s/data", s->top);
    s->cluster.data = s->data;
    s->q.cluster = &s->cluster;
    s->pub = (struct pubinfo){.pg_version = 150004, .system_id = OURS};
    strcpy(s->pub.label, "20261122T140533Z-F-0a1b2c");
    s->info.catalog_version = 202209061;
    OK(layout_plan(&s->layout, &s->q, s->data, NULL, &s->pub, &s->info, &err), &err);
    *state = s;
    return 0;
}

static int sandbox_remove(void **state)
{
    struct sandbox *s = *state;
    struct err err = {0};

    OK(fs_remove_tree(AT_FDCWD, s->top, false, &err), &err);
    layout_free(&s->layout);
    free(s->data);
    free(s);
    return 0;
}

static void put(const struct sandbox *s, const char *path, const char *text)
{
    AUTO(mem_free) char *full = xasprintf("%s/%s", s->data, path);
    AUTO(mem_free) char *dir = xstrdup(full);
    struct err err = {0};

    *strrchr(dir, '/') = '\0';
    OK(fs_mkdirs(dir, 0700, &err), &err);
    OK(fs_replace(AT_FDCWD, full, text, strlen(text), 0600, &err), &err);
}

/* A pg_control that is just good enough to be parsed, of PostgreSQL 15. */
static void put_control(const struct sandbox *s, const char *path, uint64_t system_id)
{
    AUTO(mem_free) char *full = xasprintf("%s/%s", s->data, path);
    AUTO(mem_free) char *dir = xasprintf("%s/global", s->data);
    uint8_t image[CONTROL_SIZE] = {0};
    const double probe = 1234567.0;
    struct err err = {0};

    put_u64(image, system_id);
    put_u32(image + 8, 1300);
    put_u32(image + 12, 202209061);
    put_u32(image + 16, CONTROL_IN_PRODUCTION);
    put_u32(image + 48, 1);
    put_u32(image + 52, 1);
    put_u32(image + 172, WAL_LEVEL_REPLICA);
    put_u32(image + 204, 8);
    memcpy(image + 208, &probe, sizeof probe);
    put_u32(image + 216, 8192);
    put_u32(image + 220, 131072);
    put_u32(image + 224, 8192);
    put_u32(image + 228, 16 << 20);
    put_u32(image + 288, crc32c(0, image, 288));
    OK(fs_mkdirs(dir, 0700, &err), &err);
    OK(fs_replace(AT_FDCWD, full, image, sizeof image, 0600, &err), &err);
}

static int judge(struct sandbox *s, struct err *err)
{
    AUTO(site_free) struct site site = {0};

    TRY(site_look(s->data, &site, err));
    return site_check(&site, &s->q, &s->layout, OURS, err);
}

static void nothing(struct sandbox *s)
{
    (void)s;
}
static void empty_dir(struct sandbox *s)
{
    assert_int_equal(mkdir(s->data, 0700), 0);
}
static void new_disk(struct sandbox *s)
{
    put(s, "lost+found/x", "");
}
static void somebodys_files(struct sandbox *s)
{
    put(s, "thesis.txt", "ten years of work");
}
static void our_cluster(struct sandbox *s)
{
    put(s, "PG_VERSION", "15\n");
    put_control(s, CONTROL_PATH, OURS);
}
static void foreign_cluster(struct sandbox *s)
{
    put(s, "PG_VERSION", "15\n");
    put_control(s, CONTROL_PATH, OTHERS);
}
static void broken_cluster(struct sandbox *s)
{
    put(s, "PG_VERSION", "15\n");
    put(s, CONTROL_PATH, "garbage");
}
static void a_mark_alone(struct sandbox *s)
{
    put(s, RESTORE_MARK, "");
}
static void half_by_mark(struct sandbox *s)
{
    put(s, "PG_VERSION", "15\n");
    put(s, RESTORE_MARK, "A restore.\nbackup x\nsystem 42\n");
}
static void half_by_control(struct sandbox *s)
{
    put_control(s, CONTROL_ASIDE, OURS);
}
static void half_of_another(struct sandbox *s)
{
    put(s, "base/1", "x");
    put(s, RESTORE_MARK, "A restore.\nbackup x\nsystem 43\n");
}
static void half_with_torn_mark(struct sandbox *s)
{
    put(s, "base/1", "x");
    put(s, RESTORE_MARK, "A rest");
}

static void a_directory_is_overwritten_only_as_asked(void **state)
{
    static const struct {
        void (*make)(struct sandbox *s);
        enum err_code plain, delta, force; /* what each way of asking gets */
    } cases[] = {
        {nothing, ERR_NONE, ERR_NONE, ERR_NONE},
        {empty_dir, ERR_NONE, ERR_NONE, ERR_NONE},
        {new_disk, ERR_NONE, ERR_NONE, ERR_NONE},
        {somebodys_files, ERR_EXISTS, ERR_EXISTS, ERR_EXISTS},
        {our_cluster, ERR_EXISTS, ERR_NONE, ERR_NONE},
        {foreign_cluster, ERR_FOREIGN, ERR_FOREIGN, ERR_NONE},
        {broken_cluster, ERR_FOREIGN, ERR_FOREIGN, ERR_NONE},
        {a_mark_alone, ERR_NONE, ERR_NONE, ERR_NONE},
        {half_by_mark, ERR_EXISTS, ERR_NONE, ERR_NONE},
        {half_by_control, ERR_EXISTS, ERR_NONE, ERR_NONE},
        {half_of_another, ERR_FOREIGN, ERR_FOREIGN, ERR_NONE},
        {half_with_torn_mark, ERR_FOREIGN, ERR_FOREIGN, ERR_NONE},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        const enum err_code want[] = {cases[i].plain, cases[i].delta, cases[i].force};
        void *own;
        sandbox_make(&own);
        cases[i].make(own);
        for (int way = 0; way < 3; way++) {
            struct sandbox *s = own;
            struct err err = {0};
            s->q.delta = way == 1;
            s->q.force = way == 2;
            assert_int_equal(judge(s, &err), want[way] == ERR_NONE ? 0 : -1);
            assert_int_equal(err.code, want[way]);
        }
        sandbox_remove(&own);
    }
}

static void a_running_server_is_refused_whatever_is_asked(void **state)
{
    struct sandbox *s = *state;
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct err err = {0};
    int fd = -1;
    pid_t child = fork();

    if (child == 0) {
        pause();
        _exit(0);
    }
    our_cluster(s);
    buf_addf(&text, "%d\n%s\n", (int)child, s->data);
    put(s, "postmaster.pid", buf_text(&text));
    s->q.force = s->q.delta = true;
    FAILS(judge(s, &err), &err, ERR_BUSY);
    FAILS(site_lock(&s->layout, &fd, &err), &err, ERR_BUSY);
    fd_close(&fd);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    OK(judge(s, &err), &err); /* the file is still there, the server is not */
}

static void a_file_that_names_nobody_is_stale(void **state)
{
    static const char *const stale[] = {"",
                                        "garbage\n",
                                        "0\n",
                                        "1\n",
                                        "-0\n",
                                        "999999999\n",
                                        "999999999\n/x\n1\n2\n3\n4\n  12345  -1\n"};
    struct sandbox *s = *state;
    struct err err = {0};

    empty_dir(s);
    for (size_t i = 0; i < LENGTH(stale); i++) {
        put(s, "postmaster.pid", stale[i]);
        OK(site_refuse_running(s->data, &err), &err);
    }
}

static void only_one_restore_at_a_time(void **state)
{
    struct sandbox *s = *state;
    AUTO(fd_close) int first = -1;
    AUTO(fd_close) int second = -1;
    struct err err = {0};

    OK(site_lock(&s->layout, &first, &err), &err);
    FAILS(site_lock(&s->layout, &second, &err), &err, ERR_BUSY);
    fd_close(&second);
    fd_close(&first);
    OK(site_lock(&s->layout, &second, &err), &err);
}

static bool has(const struct sandbox *s, const char *path)
{
    AUTO(mem_free) char *full = xasprintf("%s/%s", s->data, path);
    return fs_exists(AT_FDCWD, full);
}

static void take(struct sandbox *s, bool delta, int *fd)
{
    AUTO(site_free) struct site site = {0};
    struct err err = {0};

    OK(site_look(s->data, &site, &err), &err);
    OK(site_lock(&s->layout, fd, &err), &err);
    OK(site_take(&s->layout, &site, &s->pub, delta, *fd, &err), &err);
}

static void a_taken_directory_cannot_start_until_it_is_given_back(void **state)
{
    struct sandbox *s = *state;
    AUTO(fd_close) int fd = -1;
    AUTO(site_free) struct site half = {0};
    struct err err = {0};

    our_cluster(s);
    put(s, "postgresql.conf", "port = 1");
    put(s, "backup_label", "stale");
    put(s, "standby.signal", "");
    take(s, true, &fd);
    assert_false(has(s, CONTROL_PATH));
    assert_false(has(s, "backup_label"));
    assert_false(has(s, "standby.signal"));
    assert_true(has(s, "postgresql.conf")); /* for delta to compare */
    OK(site_look(s->data, &half, &err), &err);
    assert_int_equal(half.state, SITE_HALF);
    assert_true(site_is_same(&half, OURS));

    OK(layout_open(&s->layout, &err), &err);
    put_control(s, CONTROL_ASIDE, OURS);
    OK(site_release(&s->layout, &err), &err);
    assert_true(has(s, CONTROL_PATH));
    assert_false(has(s, CONTROL_ASIDE));
    assert_false(has(s, RESTORE_MARK));
}

static void force_empties_all_but_what_must_stay(void **state)
{
    struct sandbox *s = *state;
    AUTO(fd_close) int fd = -1;

    foreign_cluster(s);
    put(s, "base/5/1259", "x");
    put(s, "pg_wal/000000010000000000000001", "x");
    put(s, WAL_ASIDE "20260101T000000Z/000000010000000000000001", "x");
    put(s, CONFIG_DIR "/etc/x", "stale");
    put(s, "lost+found/y", "x");
    take(s, false, &fd);
    assert_false(has(s, "base"));
    assert_false(has(s, "PG_VERSION"));
    assert_false(has(s, "global"));
    assert_false(has(s, CONFIG_DIR));
    assert_true(has(s, "pg_wal/000000010000000000000001"));
    assert_true(has(s, WAL_ASIDE "20260101T000000Z/000000010000000000000001"));
    assert_true(has(s, "lost+found/y"));
    assert_true(has(s, RESTORE_MARK));
}

/* ---- tablespaces and WAL directories ---- */

static void plan_with_space(struct sandbox *s, struct tablespace_info *space, char *where)
{
    struct err err = {0};

    *space = (struct tablespace_info){16400, where};
    s->info.tablespaces = space;
    s->info.n_tablespaces = 1;
    layout_free(&s->layout);
    OK(layout_plan(&s->layout, &s->q, s->data, NULL, &s->pub, &s->info, &err), &err);
}

static void a_tablespace_of_somebody_else_is_not_overwritten(void **state)
{
    struct sandbox *s = *state;
    AUTO(mem_free) char *where = xasprintf("%s/space", s->top);
    AUTO(mem_free) char *own = xasprintf("%s/PG_15_202209061", where);
    AUTO(mem_free) char *older = xasprintf("%s/PG_13_202007201", where);
    AUTO(mem_free) char *links = xasprintf("%s/pg_tblspc", s->data);
    AUTO(mem_free) char *link = xasprintf("%s/16400", links);
    struct tablespace_info space;
    struct err err = {0};

    plan_with_space(s, &space, where);
    OK(fs_mkdirs(older, 0700, &err), &err);
    OK(judge(s, &err), &err); /* another version's directory is nobody's business */
    OK(fs_mkdirs(own, 0700, &err), &err);
    FAILS(judge(s, &err), &err, ERR_EXISTS);
    our_cluster(s);
    s->q.delta = true;
    FAILS(judge(s, &err), &err, ERR_EXISTS); /* nothing says that it is this cluster's */
    OK(fs_mkdirs(links, 0700, &err), &err);
    assert_int_equal(symlink(where, link), 0);
    OK(judge(s, &err), &err);
    s->q.delta = false;
    s->q.force = true;
    OK(judge(s, &err), &err);
}

static void a_directory_for_wal_must_be_empty_or_in_use_for_it(void **state)
{
    struct sandbox *s = *state;
    AUTO(mem_free) char *wal = xasprintf("%s/wal", s->top);
    AUTO(mem_free) char *file = xasprintf("%s/wal/x", s->top);
    AUTO(mem_free) char *link = xasprintf("%s/pg_wal", s->data);
    struct err err = {0};

    layout_free(&s->layout);
    OK(layout_plan(&s->layout, &s->q, s->data, wal, &s->pub, &s->info, &err), &err);
    OK(judge(s, &err), &err); /* it does not exist yet */
    OK(fs_mkdirs(wal, 0700, &err), &err);
    OK(judge(s, &err), &err);
    OK(fs_replace(AT_FDCWD, file, "x", 1, 0600, &err), &err);
    FAILS(judge(s, &err), &err, ERR_EXISTS);
    our_cluster(s);
    s->q.delta = true;
    FAILS(judge(s, &err), &err, ERR_EXISTS);
    assert_int_equal(symlink(wal, link), 0);
    OK(judge(s, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_is_overwritten_only_as_asked),
        cmocka_unit_test_setup_teardown(a_running_server_is_refused_whatever_is_asked, sandbox_make,
                                        sandbox_remove),
        cmocka_unit_test_setup_teardown(a_file_that_names_nobody_is_stale, sandbox_make,
                                        sandbox_remove),
        cmocka_unit_test_setup_teardown(only_one_restore_at_a_time, sandbox_make, sandbox_remove),
        cmocka_unit_test_setup_teardown(a_taken_directory_cannot_start_until_it_is_given_back,
                                        sandbox_make, sandbox_remove),
        cmocka_unit_test_setup_teardown(force_empties_all_but_what_must_stay, sandbox_make,
                                        sandbox_remove),
        cmocka_unit_test_setup_teardown(a_tablespace_of_somebody_else_is_not_overwritten,
                                        sandbox_make, sandbox_remove),
        cmocka_unit_test_setup_teardown(a_directory_for_wal_must_be_empty_or_in_use_for_it,
                                        sandbox_make, sandbox_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
