/* The command that starts what was restored: for clusters with and without their configuration. */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "restore/job.h"

/* What the command says, with the program's own path left out. */
static void command(struct layout *l, struct setting *settings, uint32_t n, struct buf *out)
{
    struct backup_info info = {.settings = settings, .n_settings = n};
    struct pubinfo pub = {.pg_version = 990000}; /* no such pg_ctl here */

    buf_clear(out);
    start_command(l, &pub, &info, false, out);
}

static char s_config[] = "config_file", s_hba[] = "hba_file", s_ident[] = "ident_file";

static void a_plain_cluster_needs_its_directory_only(void **state)
{
    char config[] = "/orig/postgresql.conf", data[] = "/copy", config_dir[] = "/copy/pgbr_config",
         orig[] = "/orig";
    struct root roots[] = {{.dir = data}, {.dir = data}, {.dir = config_dir}};
    struct layout l = {.roots = roots, .n = 3, .original_dir = orig, .side_copy = true};
    struct setting settings[] = {{s_config, config}};
    AUTO(buf_free) struct buf out = BUF_INIT;
    (void)state;

    command(&l, settings, 1, &out);
    assert_string_equal(buf_text(&out), "pg_ctl -D /copy start");
    strcpy(config, "/orig/other.conf_____");
    command(&l, settings, 1, &out);
    assert_string_equal(
        buf_text(&out),
        "pg_ctl -D /copy -o '-c config_file=/copy/other.conf_____ -c data_directory=/copy' start");
    command(&l, settings, 0, &out); /* nothing is known: assume the usual */
    assert_string_equal(buf_text(&out), "pg_ctl -D /copy start");
}

static void a_copy_is_started_with_its_own_configuration(void **state)
{
    char config[] = "/etc/postgresql/15/main/postgresql.conf",
         hba[] = "/etc/postgresql/15/main/pg_hba.conf", ident[] = "/orig/pg_ident.conf",
         data[] = "/copy", config_dir[] = "/copy/pgbr_config", orig[] = "/orig";
    struct root roots[] = {{.dir = data}, {.dir = data}, {.dir = config_dir}};
    struct layout l = {
        .roots = roots, .n = 3, .original_dir = orig, .side_copy = true, .has_config = true};
    struct setting settings[] = {{s_config, config}, {s_hba, hba}, {s_ident, ident}};
    AUTO(buf_free) struct buf out = BUF_INIT;
    (void)state;

    command(&l, settings, 3, &out);
    assert_string_equal(buf_text(&out),
                        "pg_ctl -D /copy -o '"
                        "-c config_file=/copy/pgbr_config/etc/postgresql/15/main/postgresql.conf "
                        "-c data_directory=/copy "
                        "-c hba_file=/copy/pgbr_config/etc/postgresql/15/main/pg_hba.conf "
                        "-c ident_file=/copy/pg_ident.conf -c external_pid_file=' start");
}

static void in_place_the_configuration_that_is_there_is_used(void **state)
{
    char dir[] = "/tmp/pgbr-test-XXXXXX", data[] = "/orig", config_dir[] = "/orig/pgbr_config";
    AUTO(mem_free) char *config = NULL;
    AUTO(mem_free) char *want = NULL;
    struct root roots[] = {{.dir = data}, {.dir = data}, {.dir = config_dir}};
    struct layout l = {.roots = roots, .n = 3, .original_dir = data, .has_config = true};
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct err err = {0};
    (void)state;

    assert_non_null(mkdtemp(dir));
    config = xasprintf("%s/postgresql.conf", dir);
    struct setting settings[] = {{s_config, config}};
    OK(fs_replace(AT_FDCWD, config, "x", 1, 0600, &err), &err);
    command(&l, settings, 1, &out);
    want =
        xasprintf("pg_ctl -D /orig -o '-c config_file=%s -c data_directory=/orig' start", config);
    assert_string_equal(buf_text(&out), want);
    OK(fs_remove_tree(AT_FDCWD, dir, false, &err), &err);
    command(&l, settings, 1, &out); /* it is gone: the backup's */
    assert_non_null(strstr(buf_text(&out), "-c config_file=/orig/pgbr_config/tmp/"));
}

static void odd_names_are_quoted_for_both_shells(void **state)
{
    char config[] = "/orig/postgresql.conf", data[] = "/co py/it's", orig[] = "/orig",
         elsewhere[] = "/a b";
    struct root roots[] = {{.dir = data}, {.dir = data}, {.dir = elsewhere}};
    struct layout l = {.roots = roots, .n = 3, .original_dir = orig, .side_copy = true};
    struct setting settings[] = {{s_config, config}};
    AUTO(buf_free) struct buf out = BUF_INIT;
    (void)state;

    command(&l, settings, 1, &out);
    assert_string_equal(buf_text(&out), "pg_ctl -D '/co py/it'\\''s' start");
}

/* What the shell takes apart, and then the shell of pg_ctl. */
static void what_a_drill_kept_is_started_wherever_it_is(void **state)
{
    AUTO(buf_free) struct buf out = BUF_INIT;
    (void)state;

    start_command_kept("/usr/bin", "/d/data", "/d/postgresql.conf", "/d", &out);
    assert_string_equal(buf_text(&out), "/usr/bin/pg_ctl -D /d/data -o '-c config_file="
                                        "/d/postgresql.conf -c unix_socket_directories=/d' start");
    buf_clear(&out);
    start_command_kept("/my bin", "/a b/data", "/a b/c", "/tmp/x", &out);
    assert_string_equal(buf_text(&out),
                        "'/my bin/pg_ctl' -D '/a b/data' -o '-c config_file='\\''/a b/c'\\'' -c "
                        "unix_socket_directories=/tmp/x' start");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_cluster_needs_its_directory_only),
        cmocka_unit_test(a_copy_is_started_with_its_own_configuration),
        cmocka_unit_test(in_place_the_configuration_that_is_there_is_used),
        cmocka_unit_test(odd_names_are_quoted_for_both_shells),
        cmocka_unit_test(what_a_drill_kept_is_started_wherever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
