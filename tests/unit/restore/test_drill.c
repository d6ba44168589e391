/* The parts of a rehearsal that need no server: moments, answers, the configuration of the sandbox,
 * and what keeps its server in. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "postgres/conf.h"
#include "restore/confine.h"
#include "restore/drill_form.h"
#include "restore/drill_moment.h"
#include "restore/pg_bin.h"
#include "restore/program.h"
#include "tests/lib/test.h"

/* ---- moments ---- */

static void a_random_moment_lies_in_a_window_and_can_be_repeated(void **state)
{
    const struct window windows[] = {{.start_us = 1000, .end_us = 2000},
                                     {.start_us = 5000, .end_us = 5000},
                                     {.start_us = 9000, .end_us = 9001}};
    (void)state;

    for (uint64_t seed = 0; seed < 5000; seed++) {
        size_t which = 99, again;
        int64_t us = 0, us_again = 0;

        assert_true(drill_moment_pick(windows, 3, seed, &which, &us));
        assert_true(which == 0 || which == 2);
        assert_true(us >= windows[which].start_us && us < windows[which].end_us);
        assert_true(drill_moment_pick(windows, 3, seed, &again, &us_again));
        assert_true(again == which && us_again == us);
    }
}

/* Longer windows are met more often, and no part of one is left out. */
static void every_moment_is_as_likely(void **state)
{
    const struct window windows[] = {{.start_us = 0, .end_us = 1000000},
                                     {.start_us = 5000000, .end_us = 8000000}};
    unsigned parts[4] = {0};
    (void)state;

    for (uint64_t seed = 0; seed < 8000; seed++) {
        size_t which;
        int64_t us;

        assert_true(drill_moment_pick(windows, 2, seed, &which, &us));
        parts[which == 0 ? 0 : 1 + (us - 5000000) / 1000000]++;
    }
    for (size_t i = 0; i < LENGTH(parts); i++)
        assert_in_range(parts[i], 1850, 2150); /* 2000, and more than four sigma around it */
}

static void windows_without_length_have_no_moment(void **state)
{
    const struct window windows[] = {{.start_us = 5000, .end_us = 5000},
                                     {.start_us = 6000, .end_us = 10}};
    size_t which;
    int64_t us;
    (void)state;

    assert_false(drill_moment_pick(windows, 2, 1, &which, &us));
    assert_false(drill_moment_pick(NULL, 0, 1, &which, &us));
}

/* ---- answers ---- */

static char *text(const char *s)
{
    return s == NULL ? NULL : (char *)(uintptr_t)s; /* only read */
}

static void answers_are_compared_as_people_mean_them(void **state)
{
    static const struct {
        const char *expect, *min, *max, *answer;
        bool null, fits;
        const char *told;
    } cases[] = {
        {"3", NULL, NULL, "3", false, true, "3"},
        {"3", NULL, NULL, "3.0", false, false, "3"},
        {"true", NULL, NULL, "t", false, true, "true"},
        {"true", NULL, NULL, "f", false, false, "true"},
        {"False", NULL, NULL, "f", false, true, "False"},
        {"null", NULL, NULL, "", true, true, "null"},
        {"", NULL, NULL, "", true, false, ""},
        {NULL, "3", NULL, "", true, false, "at least 3"},
        {NULL, "3", NULL, "3", false, true, "at least 3"},
        {NULL, "3", NULL, "2.99", false, false, "at least 3"},
        {NULL, NULL, "1e3", "1000", false, true, "at most 1e3"},
        {NULL, NULL, "1e3", "1001", false, false, "at most 1e3"},
        {NULL, "-1", "5", "-1", false, true, "-1 to 5"},
        {NULL, "-1", "5", "6", false, false, "-1 to 5"},
        {NULL, "1", NULL, "many", false, false, "at least 1"},
        {NULL, "1", NULL, "nan", false, false, "at least 1"},
        {NULL, "9223372036854775807", NULL, "9223372036854775806", false, false,
         "at least 9223372036854775807"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct drill_check check = {.expect = text(cases[i].expect),
                                          .expect_min = text(cases[i].min),
                                          .expect_max = text(cases[i].max)};
        AUTO(buf_free) struct buf told = BUF_INIT;

        if (drill_answer_fits(&check, cases[i].answer, cases[i].null) != cases[i].fits)
            fail_msg("case %zu: \"%s\"", i, cases[i].answer);
        drill_expectation(&check, &told);
        assert_string_equal(buf_text(&told), cases[i].told);
    }
}

/* ---- the configuration ---- */

static void a_library_is_taken_out_of_a_list(void **state)
{
    static const struct {
        const char *list, *name, *left;
    } cases[] = {
        {"a, b,c", "b", "\"a\", \"c\""},
        {"a", "a", ""},
        {" \"a b\" , \"c\"\"d\"", "a b", "\"c\"\"d\""},
        {"a,b", "x", "\"a\", \"b\""},
        {"", "x", ""},
        {",,a,,", "", "\"a\""},
        {"\"unfinished", "x", "\"unfinished\""},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf left = BUF_INIT;

        drill_conf_without(cases[i].list, cases[i].name, &left);
        assert_string_equal(buf_text(&left), cases[i].left);
    }
}

static void assert_conf(const struct buf *conf, const char *name, const char *want)
{
    AUTO(buf_free) struct buf value = BUF_INIT;

    if (!conf_find(conf->p, conf->len, name, &value))
        fail_msg("%s is not set", name);
    if (strcmp(buf_text(&value), want) != 0)
        fail_msg("%s is \"%s\", not \"%s\"", name, buf_text(&value), want);
}

/* Whatever was taken from the original's files stands before, so it cannot win. */
static void the_sandbox_has_no_way_out(void **state)
{
    char dir[] = "/s/box", data[] = "/s/box/data";
    const struct sandbox box = {.dir = dir, .data = data, .sockets = dir};
    struct drill_conf c = {.slots = 200,
                           .origins = 300,
                           .control = {.version = pg_version_by_major(18),
                                       .max_connections = 500,
                                       .max_prepared_transactions = 7,
                                       .max_locks_per_transaction = 128,
                                       .wal_segsz = 64 << 20,
                                       .track_commit_timestamp = true}};
    AUTO(buf_free) struct buf conf = BUF_INIT;
    (void)state;

    conf_set(&c.taken, "archive_mode", "on");
    conf_set(&c.taken, "listen_addresses", "*");
    conf_set(&c.recover, "restore_command", "get it's");
    drill_conf_text(&c, &box, "auto_explain", &conf);
    assert_conf(&conf, "archive_mode", "off");
    assert_conf(&conf, "listen_addresses", "");
    assert_conf(&conf, "unix_socket_directories", "/s/box");
    assert_conf(&conf, "primary_conninfo", "");
    assert_conf(&conf, "max_wal_senders", "0");
    assert_conf(&conf, "max_logical_replication_workers", "0");
    assert_conf(&conf, "max_worker_processes", "0");
    assert_conf(&conf, "event_triggers", "off");
    assert_conf(&conf, "data_directory", "/s/box/data");
    assert_conf(&conf, "hba_file", "/s/box/pg_hba.conf");
    assert_conf(&conf, "shared_preload_libraries", "auto_explain");
    assert_conf(&conf, "restore_command", "get it's");
    assert_conf(&conf, "max_connections", "500");
    assert_conf(&conf, "max_prepared_transactions", "7");
    assert_conf(&conf, "max_locks_per_transaction", "128");
    assert_conf(&conf, "max_replication_slots", "200");
    assert_conf(&conf, "max_active_replication_origins", "300");
    assert_conf(&conf, "min_wal_size", "128MB");
    assert_conf(&conf, "track_commit_timestamp", "on");
    buf_free(&c.taken);
    buf_free(&c.recover);
}

static void older_versions_get_what_they_know(void **state)
{
    char dir[] = "/s/box", data[] = "/s/box/data";
    const struct sandbox box = {.dir = dir, .data = data, .sockets = dir};
    const struct drill_conf c = {.slots = 100,
                                 .control = {.version = pg_version_by_major(13),
                                             .max_connections = 3,
                                             .wal_segsz = 1 << 20}};
    AUTO(buf_free) struct buf conf = BUF_INIT, value = BUF_INIT;
    (void)state;

    drill_conf_text(&c, &box, "", &conf);
    assert_false(conf_find(conf.p, conf.len, "event_triggers", &value));
    assert_false(conf_find(conf.p, conf.len, "max_active_replication_origins", &value));
    assert_conf(&conf, "max_connections", "20");
    assert_conf(&conf, "min_wal_size", "80MB");
}

/* ---- the log ---- */

static void complaints_are_found_in_the_log(void **state)
{
    static const char log[] = "2026-11-29 11:00:00.000 UTC [1] FATAL:  of the start before\n"
                              "2026-11-29 11:00:00.000 UTC [1] LOG:  starting\n"
                              "2026-11-29 11:00:01.000Z [7] ERROR main \"0001\" cannot be had\n"
                              "2026-11-29 11:00:01.000 UTC [2] WARNING:  something\n"
                              "2026-11-29 11:00:02.000 UTC [2] FATAL:  could not restore\n";
    char path[] = "/tmp/pgbr-test-XXXXXX";
    int fd = mkstemp(path);
    struct server s = {.log = path};
    AUTO(buf_free) struct buf out = BUF_INIT;
    (void)state;

    assert_int_equal(write(fd, log, sizeof log - 1), sizeof log - 1);
    close(fd);
    s.log_from = strcspn(log, "\n") + 1;
    server_complaint(&s, &out);
    unlink(path);
    assert_string_equal(buf_text(&out), "main \"0001\" cannot be had; could not restore");
}

/* ---- programs ---- */

static void a_program_is_read_and_judged(void **state)
{
    const char *const good[] = {"/bin/sh", "-c", "echo one; echo two >&2", NULL};
    const char *const bad[] = {"/bin/sh", "-c", "echo why; exit 3", NULL};
    const char *const none[] = {"/nonexistent/program", NULL};
    AUTO(buf_free) struct buf said = BUF_INIT;
    struct err err = {0};
    (void)state;

    OK(program_read(good, 100, NULL, &said, &err), &err);
    assert_string_equal(buf_text(&said), "one\ntwo\n");
    buf_clear(&said);
    FAILS(program_read(bad, 2, NULL, &said, &err), &err, ERR_FAILED);
    assert_string_equal(buf_text(&said), "wh");
    assert_non_null(strstr(err.msg, "status 3"));
    FAILS(program_read(none, 100, NULL, &said, &err), &err, ERR_NOT_FOUND);
}

static void a_program_can_be_stopped(void **state)
{
    const char *const words[] = {"/bin/sleep", "100", NULL};
    struct stop stop = {15};
    AUTO(buf_free) struct buf said = BUF_INIT;
    struct err err = {0};
    (void)state;

    FAILS(program_read(words, 100, &stop, &said, &err), &err, ERR_INTERRUPTED);
}

static void programs_of_another_version_are_refused(void **state)
{
    char dir[] = "/tmp/pgbr-test-XXXXXX", *found = NULL, path[64];
    static const char script[] = "#!/bin/sh\necho 'postgres (PostgreSQL) 14.9 (Debian)'\n";
    struct err err = {0};
    (void)state;

    assert_non_null(mkdtemp(dir));
    FAILS(pg_bin_find(dir, 15, &found, &err), &err, ERR_CONFIG);
    assert_non_null(strstr(err.msg, "no program \"postgres\""));
    snprintf(path, sizeof path, "%s/postgres", dir);
    OK(fs_replace(AT_FDCWD, path, script, sizeof script - 1, 0700, &err), &err);
    FAILS(pg_bin_find(dir, 15, &found, &err), &err, ERR_CONFIG);
    assert_non_null(strstr(err.msg, "has PostgreSQL 14, the backup is of PostgreSQL 15"));
    OK(pg_bin_find(dir, 14, &found, &err), &err);
    assert_string_equal(found, dir);
    free(found);
    unlink(path);
    rmdir(dir);
}

/* ---- confinement ---- */

static int touch(const char *dir, const char *name)
{
    char path[128];
    int fd;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd < 0)
        return -1;
    close(fd);
    return unlink(path);
}

/* 0: as it should be; in a child, because it is for good. */
static int try_inside(const struct confinement *c, const char *in, const char *out)
{
    char a[128], b[128];
    pid_t pid = fork();
    int status;

    if (pid != 0)
        return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    snprintf(a, sizeof a, "%s/kept", out);
    snprintf(b, sizeof b, "%s/kept", in);
    if (!confine_self(c))
        _exit(1);
    if (touch(in, "x") != 0)
        _exit(2);
    if (touch(out, "x") == 0)
        _exit(3);
    if (unlink(a) == 0 || rename(a, b) == 0 || open(a, O_WRONLY) >= 0 || mkdir(b, 0700) != 0)
        _exit(4);
    if (open(a, O_RDONLY) < 0 || open("/dev/null", O_WRONLY) < 0)
        _exit(5);
    _exit(0);
}

static void a_confined_child_changes_nothing_elsewhere(void **state)
{
    char in[] = "/tmp/pgbr-test-XXXXXX", out[] = "/tmp/pgbr-test-XXXXXX", kept[64], made[64];
    const char *const dirs[] = {in, "/nonexistent"};
    AUTO(confine_free) struct confinement c = CONFINEMENT_INIT;
    struct err err = {0};
    (void)state;

    assert_non_null(mkdtemp(in));
    assert_non_null(mkdtemp(out));
    snprintf(kept, sizeof kept, "%s/kept", out);
    snprintf(made, sizeof made, "%s/kept", in);
    close(open(kept, O_CREAT | O_WRONLY, 0600));
    OK(confine_prepare(&c, dirs, 2, false, &err), &err);
    if (c.rules >= 0)
        assert_int_equal(try_inside(&c, in, out), 0);
    rmdir(made);
    unlink(kept);
    rmdir(in);
    rmdir(out);
    if (c.rules < 0)
        skip(); /* this kernel has no Landlock */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_random_moment_lies_in_a_window_and_can_be_repeated),
        cmocka_unit_test(every_moment_is_as_likely),
        cmocka_unit_test(windows_without_length_have_no_moment),
        cmocka_unit_test(answers_are_compared_as_people_mean_them),
        cmocka_unit_test(a_library_is_taken_out_of_a_list),
        cmocka_unit_test(the_sandbox_has_no_way_out),
        cmocka_unit_test(older_versions_get_what_they_know),
        cmocka_unit_test(complaints_are_found_in_the_log),
        cmocka_unit_test(a_program_is_read_and_judged),
        cmocka_unit_test(a_program_can_be_stopped),
        cmocka_unit_test(programs_of_another_version_are_refused),
        cmocka_unit_test(a_confined_child_changes_nothing_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
