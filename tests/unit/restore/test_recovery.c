/* What a restore writes for PostgreSQL's recovery: settings, quoting, limits, notes. */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/conf.h"
#include "postgres/lsn.h"
#include "restore/recovery.h"

struct example {
    struct cluster_config cluster;
    struct restore_request q;
    struct target target;
    struct recovery_terms terms;
};

static char main_name[] = "main";

static void set_up(struct example *x)
{
    memset(x, 0, sizeof *x);
    x->cluster.name = main_name;
    x->q.cluster = &x->cluster;
    x->q.program = "/usr/bin/pgbr";
    x->terms = (struct recovery_terms){.request = &x->q,
                                       .target = &x->target,
                                       .timeline = 3,
                                       .label = "20261122T140533Z-F-0a1b2c",
                                       .config = "/etc/pgbr/pgbr.yml"};
}

static void settings(const struct example *x, const char *main_conf, const char *auto_conf,
                     struct buf *out)
{
    AUTO(buf_free) struct buf m = BUF_INIT;
    AUTO(buf_free) struct buf a = BUF_INIT;
    struct err err = {0};

    buf_adds(&m, main_conf);
    buf_adds(&a, auto_conf);
    buf_clear(out);
    OK(recovery_settings(out, &x->terms, &m, &a, &err), &err);
}

static void assert_set(const struct buf *conf, const char *name, const char *want)
{
    AUTO(buf_free) struct buf value = BUF_INIT;
    bool there = conf_find(conf->p, conf->len, name, &value);

    assert_true(there == (want != NULL));
    if (want != NULL)
        assert_string_equal(buf_text(&value), want);
}

/* The shell takes the words apart again as they were, and PostgreSQL sees %f and %p only. */
static void a_command_survives_shell_and_server(void **state)
{
    static const struct {
        const char *program, *config, *repo, *want;
    } cases[] = {
        {"/usr/bin/pgbr", "/etc/pgbr/pgbr.yml", NULL,
         "\"/usr/bin/pgbr\" -c \"/etc/pgbr/pgbr.yml\" archive-get main \"%f\" \"%p\""},
        {"/opt/100%/pg br", "/c", "local",
         "\"/opt/100%%/pg br\" -c \"/c\" archive-get --repo local main \"%f\" \"%p\""},
        {"/a\"b", "/$HOME/`id`\\x'y", NULL,
         "\"/a\\\"b\" -c \"/\\$HOME/\\`id\\`\\\\x'y\" archive-get main \"%f\" \"%p\""},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf out = BUF_INIT;
        struct example x;
        struct err err = {0};
        set_up(&x);
        x.q.program = cases[i].program;
        x.q.repo = cases[i].repo;
        x.terms.config = cases[i].config;
        OK(recovery_command(&out, &x.terms, &err), &err);
        assert_string_equal(buf_text(&out), cases[i].want);
    }
}

/* Beside the original, its recovery must not enter what is the original's. */
static void a_copy_is_guarded_and_what_is_in_place_is_not(void **state)
{
    struct layout layout = {0};
    (void)state;

    for (int copy = 0; copy < 2; copy++) {
        AUTO(buf_free) struct buf out = BUF_INIT;
        struct example x;
        struct err err = {0};

        set_up(&x);
        layout.side_copy = copy;
        x.terms.layout = &layout;
        OK(recovery_command(&out, &x.terms, &err), &err);
        assert_true((strstr(buf_text(&out), "archive-get --side-copy FFFFFFFF/FFFFFFFF main") !=
                     NULL) == copy);
        buf_clear(&out);
        x.terms.end_lsn = 0x10000F0;
        OK(recovery_command(&out, &x.terms, &err), &err);
        assert_true((strstr(buf_text(&out), "--side-copy 0/10000F0 main") != NULL) == copy);
    }
}

static void a_copy_keeps_off_what_the_original_uses(void **state)
{
    struct layout layout = {.side_copy = true};
    struct pg_control control = {.version = pg_version_by_major(14)};
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct example x;
    (void)state;

    set_up(&x);
    x.terms.layout = &layout;
    x.terms.control = &control;
    settings(&x, "external_pid_file = '/run/main.pid'\nlog_directory = '/var/log/pg'\n", "", &out);
    assert_set(&out, "external_pid_file", "");
    assert_set(&out, "archive_cleanup_command", "");
    assert_set(&out, "recovery_end_command", "");
    assert_set(&out, "log_directory", "log");
    assert_set(&out, "stats_temp_directory", "pg_stat_tmp");
    control.version = pg_version_by_major(15); /* does not know it any more */
    settings(&x, "log_directory = 'mine'\n", "", &out);
    assert_set(&out, "stats_temp_directory", NULL);
    assert_set(&out, "log_directory", NULL);
    layout.side_copy = false;
    settings(&x, "log_directory = '/var/log/pg'\n", "", &out);
    assert_set(&out, "external_pid_file", NULL);
    assert_set(&out, "archive_cleanup_command", NULL);
    assert_set(&out, "log_directory", NULL);
}

static void a_copy_streams_nothing_and_takes_no_slot(void **state)
{
    struct layout layout = {.side_copy = true};
    struct pg_control control = {.version = pg_version_by_major(15)};
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct example x;
    (void)state;

    set_up(&x);
    x.terms.layout = &layout;
    x.terms.control = &control;
    settings(&x, "", "", &out);
    assert_set(&out, "primary_conninfo", "");
    assert_set(&out, "primary_slot_name", "");
    assert_set(&out, "promote_trigger_file", "");
    assert_set(&out, "max_logical_replication_workers", "0");
    x.q.standby = true; /* that is what it is for */
    settings(&x, "", "", &out);
    assert_set(&out, "primary_conninfo", NULL);
    assert_set(&out, "primary_slot_name", NULL);
    assert_set(&out, "max_logical_replication_workers", NULL);
    x.q.standby = false;
    control.version = pg_version_by_major(16); /* does not know it any more */
    x.q.archive = RESTORE_ARCHIVE_ON;          /* it takes the original's place */
    settings(&x, "", "", &out);
    assert_set(&out, "primary_slot_name", "");
    assert_set(&out, "promote_trigger_file", NULL);
    assert_set(&out, "max_logical_replication_workers", NULL);
    layout.side_copy = false;
    x.q.archive = RESTORE_ARCHIVE_OFF;
    settings(&x, "", "", &out);
    assert_set(&out, "primary_conninfo", NULL);
    assert_set(&out, "primary_slot_name", NULL);
    assert_set(&out, "max_logical_replication_workers", NULL);
}

static void log_files_stay_in_the_data_directory(void **state)
{
    static const struct {
        const char *conf, *directory, *filename;
    } table[] = {
        {"log_directory = '../logs'\n", "log", NULL},
        {"log_directory = 'a/../../b'\n", "log", NULL},
        {"log_directory = 'a/..'\n", "log", NULL},
        {"log_directory = '..'\n", "log", NULL},
        {"log_directory = 'a..b/..c'\n", NULL, NULL},
        {"log_directory = 'pg_log'\n", NULL, NULL},
        {"log_filename = '../../logs/x.log'\n", NULL, "postgresql-%Y-%m-%d_%H%M%S.log"},
        {"log_filename = 'server.log'\n", NULL, NULL},
    };
    struct layout layout = {.side_copy = true};
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct example x;
    (void)state;

    set_up(&x);
    x.terms.layout = &layout;
    for (size_t i = 0; i < LENGTH(table); i++) {
        settings(&x, table[i].conf, "", &out);
        assert_set(&out, "log_directory", table[i].directory);
        assert_set(&out, "log_filename", table[i].filename);
    }
}

static void a_path_with_a_line_break_is_refused(void **state)
{
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct example x;
    struct err err = {0};
    (void)state;

    set_up(&x);
    x.terms.config = "/etc/a\nb";
    FAILS(recovery_command(&out, &x.terms, &err), &err, ERR_USAGE);
}

static const char *const targets[] = {"recovery_target", "recovery_target_name",
                                      "recovery_target_time", "recovery_target_xid",
                                      "recovery_target_lsn"};

/* PostgreSQL refuses a second target, even an empty one that stands behind the one that is set. */
static void one_target_is_set_and_it_is_the_last(void **state)
{
    static const struct {
        struct target target;
        const char *name, *value;
    } cases[] = {
        {{.kind = TARGET_LATEST}, NULL, NULL},
        {{.kind = TARGET_IMMEDIATE}, "recovery_target", "immediate"},
        {{.kind = TARGET_TIME, .time_us = 1795356333120456},
         "recovery_target_time",
         "2026-11-22 14:05:33.120456+00"},
        {{.kind = TARGET_LSN, .lsn = 0x16B374D848}, "recovery_target_lsn", "16/B374D848"},
        {{.kind = TARGET_XID, .xid = 4294967295}, "recovery_target_xid", "4294967295"},
        {{.kind = TARGET_NAME, .name = "it's \\ this"}, "recovery_target_name", "it's \\ this"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf out = BUF_INIT;
        const char *set = NULL;
        struct example x;
        set_up(&x);
        x.target = cases[i].target;
        settings(&x, "", "", &out);
        for (size_t k = 0; k < LENGTH(targets); k++) {
            bool ours = cases[i].name != NULL && strcmp(cases[i].name, targets[k]) == 0;
            assert_set(&out, targets[k], ours ? cases[i].value : "");
        }
        if (cases[i].name == NULL)
            continue;
        set = strstr(buf_text(&out), cases[i].name);
        for (const char *at = set; at != NULL; at = strstr(at + 1, cases[i].name))
            if (at[strlen(cases[i].name)] == ' ')
                set = at;
        for (size_t k = 0; k < LENGTH(targets); k++) {
            AUTO(buf_free) struct buf line = BUF_INIT;
            buf_addf(&line, "\n%s = ''", targets[k]);
            assert_null(strstr(set, buf_text(&line)));
        }
    }
}

static void inclusive_timeline_and_action_are_always_told(void **state)
{
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct example x;
    (void)state;

    set_up(&x);
    x.target.kind = TARGET_LSN;
    settings(&x, "", "", &out);
    assert_set(&out, "recovery_target_inclusive", "on");
    assert_set(&out, "recovery_target_timeline", "3");
    assert_set(&out, "recovery_target_action", "pause");
    x.target.exclusive = true;
    x.terms.timeline = 0;
    x.q.action = ACTION_PROMOTE;
    settings(&x, "", "", &out);
    assert_set(&out, "recovery_target_inclusive", "off");
    assert_set(&out, "recovery_target_timeline", "latest");
    assert_set(&out, "recovery_target_action", "promote");
}

static void a_copy_does_not_archive_unless_told(void **state)
{
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct example x;
    (void)state;

    set_up(&x);
    settings(&x, "", "", &out);
    assert_set(&out, "archive_mode", "off");
    x.q.archive = RESTORE_ARCHIVE_ON;
    settings(&x, "", "", &out);
    assert_set(&out, "archive_mode", NULL);
}

static void limits_are_raised_only_where_they_are_too_small(void **state)
{
    static const struct {
        const char *main_conf, *auto_conf, *want;
    } cases[] = {
        {"", "", "300"},                                            /* the default is 100 */
        {"max_connections = 500", "", NULL},                        /* enough */
        {"max_connections = 500", "max_connections = 20", "300"},   /* the later file wins */
        {"max_connections = 20", "max_connections = '300'", NULL},  /* just enough */
        {"max_connections = many # no number", "", "300"},          /* not understood */
        {"max_connections = 20\nmax_connections = 1000", "", NULL}, /* the last line wins */
    };
    struct pg_control control = {.max_connections = 300,
                                 .max_worker_processes = 8,
                                 .max_wal_senders = 10,
                                 .max_prepared_transactions = 0,
                                 .max_locks_per_transaction = 64};
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf out = BUF_INIT;
        struct example x;
        set_up(&x);
        x.terms.control = &control;
        settings(&x, cases[i].main_conf, cases[i].auto_conf, &out);
        assert_set(&out, "max_connections", cases[i].want);
        assert_set(&out, "max_wal_senders", NULL);
        assert_set(&out, "max_locks_per_transaction", NULL);
    }
}

static void in_directory(void (*test)(int dirfd))
{
    char dir[] = "/tmp/pgbr-test-XXXXXX";
    struct err err = {0};
    int fd;

    assert_non_null(mkdtemp(dir));
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    test(fd);
    close(fd);
    OK(fs_remove_tree(AT_FDCWD, dir, false, &err), &err);
}

static void rewrites_auto_conf(int dirfd)
{
    static const char old[] = "# Do not edit\nwork_mem = '5MB'\n"
                              "recovery_target_time = '2001-01-01'\nrestore_command = 'cp'\n"
                              "archive_mode = 'on'\nprimary_conninfo = 'host=a'\n"
                              "max_wal_senders = 3"; /* and no newline at its end */
    struct pg_control control = {.max_connections = 100,
                                 .max_worker_processes = 8,
                                 .max_wal_senders = 10,
                                 .max_locks_per_transaction = 64};
    AUTO(buf_free) struct buf now = BUF_INIT;
    struct example x;
    struct err err = {0};
    bool names_dir;

    set_up(&x);
    x.target.kind = TARGET_XID;
    x.target.xid = 7;
    x.terms.control = &control;
    OK(fs_replace(dirfd, "postgresql.auto.conf", old, strlen(old), 0600, &err), &err);
    OK(recovery_write(dirfd, &x.terms, NULL, &names_dir, &err), &err);
    assert_false(names_dir);
    OK(fs_read_file(dirfd, "postgresql.auto.conf", 1 << 20, &now, &err), &err);
    assert_int_equal(strncmp(buf_text(&now), "# Do not edit\nwork_mem = '5MB'\n", 31), 0);
    assert_set(&now, "recovery_target_time", "");
    assert_set(&now, "recovery_target_xid", "7");
    assert_set(&now, "primary_conninfo", NULL);
    assert_set(&now, "archive_mode", "off");
    assert_set(&now, "max_wal_senders", "10");
    assert_null(strstr(buf_text(&now), "2001"));
    assert_true(fs_exists(dirfd, "recovery.signal"));
    assert_false(fs_exists(dirfd, "standby.signal"));
}

static void stale_settings_do_not_survive(void **state)
{
    (void)state;
    in_directory(rewrites_auto_conf);
}

/* The path of a file of the directory that is open. */
static char *path_in(int dirfd, const char *name)
{
    AUTO(mem_free) char *link = xasprintf("/proc/self/fd/%d", dirfd);
    AUTO(mem_free) char *dir = realpath(link, NULL);

    assert_non_null(dir);
    return xasprintf("%s/%s", dir, name);
}

static void put(int dirfd, const char *name, const char *text)
{
    struct err err = {0};

    OK(fs_replace(dirfd, name, text, strlen(text), 0600, &err), &err);
}

/* As "include" finds it: beside the file, at its place on this host, or in what the backup has. */
static void reads_what_is_included(int dirfd)
{
    static const struct {
        const char *conf, *log_directory, *hba_file, *max_connections;
    } table[] = {
        {"include 'more.conf'\n", "log", "/copy/pg_hba.conf", NULL},
        {"include_dir 'more.d'\n", "log", NULL, "500"},
        {"include_if_exists 'nowhere.conf'\n", NULL, NULL, "500"},
        {"include '/nowhere/extra.conf'\n", "log", NULL, NULL},
        {"include '/nowhere/else.conf'\n", "log", NULL, "500"}, /* who knows what is in it */
        {"include 'more.conf'\nlog_directory = 'mine'\n", NULL, "/copy/pg_hba.conf", NULL},
    };
    AUTO(mem_free) char *config = path_in(dirfd, "pgbr_config");
    AUTO(mem_free) char *conf = path_in(dirfd, "postgresql.conf");
    char orig[] = "/orig", copy[] = "/copy";
    struct root roots[] = {{.dir = copy}, {.dir = copy}, {.dir = config}};
    struct layout l = {
        .roots = roots, .n = 3, .original_dir = orig, .side_copy = true, .has_config = true};
    struct pg_control control = {.version = pg_version_by_major(15), .max_connections = 500};
    struct example x;
    struct err err = {0};

    set_up(&x);
    x.terms.layout = &l;
    x.terms.control = &control;
    assert_int_equal(mkdirat(dirfd, "more.d", 0700), 0);
    assert_int_equal(mkdirat(dirfd, "pgbr_config", 0700), 0);
    assert_int_equal(mkdirat(dirfd, "pgbr_config/nowhere", 0700), 0);
    put(dirfd, "more.conf",
        "log_directory = '/logs'\nhba_file = '/orig/pg_hba.conf'\nmax_connections = 500\n");
    put(dirfd, "more.d/a.conf", "LOG_DIRECTORY '/logs'\n");
    put(dirfd, "pgbr_config/nowhere/extra.conf", "log_directory = /logs\nmax_connections=500");
    for (size_t i = 0; i < LENGTH(table); i++) {
        AUTO(buf_free) struct buf now = BUF_INIT;
        bool names_dir;

        put(dirfd, "postgresql.conf", table[i].conf);
        put(dirfd, "postgresql.auto.conf", "");
        OK(recovery_write(dirfd, &x.terms, conf, &names_dir, &err), &err);
        OK(fs_read_file(dirfd, "postgresql.auto.conf", 1 << 20, &now, &err), &err);
        assert_set(&now, "log_directory", table[i].log_directory);
        assert_set(&now, "hba_file", table[i].hba_file);
        assert_set(&now, "max_connections", table[i].max_connections);
    }
}

static void included_configuration_counts(void **state)
{
    (void)state;
    in_directory(reads_what_is_included);
}

static void makes_a_standby(int dirfd)
{
    AUTO(mem_free) char *conf = path_in(dirfd, "postgresql.conf");
    struct example x;
    struct err err = {0};
    bool names_dir;

    set_up(&x);
    x.q.standby = true;
    OK(recovery_write(dirfd, &x.terms, conf, &names_dir, &err), &err);
    assert_false(names_dir);
    assert_true(fs_exists(dirfd, "standby.signal"));
    assert_false(fs_exists(dirfd, "recovery.signal"));
    assert_true(fs_exists(dirfd, "postgresql.auto.conf"));
}

static void a_standby_gets_its_own_signal(void **state)
{
    (void)state;
    in_directory(makes_a_standby);
}

static void names_files_of_the_original(int dirfd)
{
    static const char conf[] = "data_directory = '/orig'\nhba_file = '/orig/pg_hba.conf'\n"
                               "ident_file = '/etc/pg_ident.conf'\n";
    char orig[] = "/orig", copy[] = "/copy";
    struct root root = {.dir = copy};
    struct layout l = {.roots = &root, .n = 1, .original_dir = orig, .side_copy = true};
    AUTO(mem_free) char *path = path_in(dirfd, "postgresql.conf");
    AUTO(buf_free) struct buf now = BUF_INIT;
    struct example x;
    struct err err = {0};
    bool names_dir;

    set_up(&x);
    x.terms.layout = &l;
    OK(fs_replace(dirfd, "postgresql.conf", conf, strlen(conf), 0600, &err), &err);
    OK(recovery_write(dirfd, &x.terms, path, &names_dir, &err), &err);
    OK(fs_read_file(dirfd, "postgresql.auto.conf", 1 << 20, &now, &err), &err);
    assert_true(names_dir);
    assert_set(&now, "hba_file", "/copy/pg_hba.conf");
    assert_set(&now, "ident_file", NULL);
}

static void a_copy_does_not_use_the_originals_files(void **state)
{
    (void)state;
    in_directory(names_files_of_the_original);
}

static void a_tablespace_map_tells_the_new_places(void **state)
{
    struct root roots[] = {{.dir = (char[]){"/d"}},
                           {.dir = (char[]){"/d/pg_wal"}},
                           {.dir = (char[]){"/d/pgbr_config"}},
                           {.dir = (char[]){"/new/place"}, .oid = 16401}};
    struct layout l = {.roots = roots, .n = LENGTH(roots)};
    struct backup_info info = {0};
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct err err = {0};
    (void)state;

    OK(recovery_tablespace_map(&l, &info, 15, &out, &err), &err);
    assert_int_equal(out.len, 0);
    /* one without files was dropped while the backup ran, and "/old2" may be another one's */
    buf_adds(&info.tablespace_map, "16400 /old2\n16401 /old\n16402 /old2\n");
    OK(recovery_tablespace_map(&l, &info, 15, &out, &err), &err);
    assert_string_equal(buf_text(&out), "16401 /new/place\n");
    buf_free(&info.tablespace_map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_survives_shell_and_server),
        cmocka_unit_test(a_copy_is_guarded_and_what_is_in_place_is_not),
        cmocka_unit_test(a_copy_keeps_off_what_the_original_uses),
        cmocka_unit_test(a_copy_streams_nothing_and_takes_no_slot),
        cmocka_unit_test(log_files_stay_in_the_data_directory),
        cmocka_unit_test(a_path_with_a_line_break_is_refused),
        cmocka_unit_test(one_target_is_set_and_it_is_the_last),
        cmocka_unit_test(inclusive_timeline_and_action_are_always_told),
        cmocka_unit_test(a_copy_does_not_archive_unless_told),
        cmocka_unit_test(limits_are_raised_only_where_they_are_too_small),
        cmocka_unit_test(stale_settings_do_not_survive),
        cmocka_unit_test(included_configuration_counts),
        cmocka_unit_test(a_standby_gets_its_own_signal),
        cmocka_unit_test(a_copy_does_not_use_the_originals_files),
        cmocka_unit_test(a_tablespace_map_tells_the_new_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
