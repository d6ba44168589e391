/* test_setting.c - a setting as the server would find it, in files and on its command line. */
#include "postgres/setting.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/mem.h"
#include "tests/lib/test.h"

static int begin(void **state)
{
    char *dir = xstrdup("/tmp/pgbr-test-XXXXXX");

    assert_non_null(mkdtemp(dir));
    *state = dir;
    return 0;
}

static int end(void **state)
{
    struct err err = {0};

    OK(fs_remove_tree(AT_FDCWD, *state, false, &err), &err);
    free(*state);
    return 0;
}

static void write_file(const char *dir, const char *name, const char *text)
{
    AUTO(mem_free) char *path = xasprintf("%s/%s", dir, name);
    AUTO(mem_free) char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    struct err err = {0};

    OK(fs_mkdirs(parent, 0700, &err), &err);
    OK(fs_replace(AT_FDCWD, path, text, strlen(text), 0600, &err), &err);
}

/* want NULL: not set. */
static void expect(const char *dir, const char *want)
{
    AUTO(buf_free) struct buf value = BUF_INIT;
    struct err err = {0};
    bool set;

    OK(setting_find(dir, "recovery_target_timeline", &value, &set, &err), &err);
    assert_int_equal(set, want != NULL);
    if (want != NULL)
        assert_string_equal(buf_text(&value), want);
}

static void the_last_file_wins(void **state)
{
    const char *dir = *state;

    write_file(dir, "postgresql.conf", "port = 5432\n");
    expect(dir, NULL);
    write_file(dir, "postgresql.conf",
               "recovery_target_timeline = 3\nRecovery_Target_Timeline 4\n");
    expect(dir, "4");
    write_file(dir, "postgresql.auto.conf", "recovery_target_timeline = 'latest'\n");
    expect(dir, "latest");
}

static void includes_count_where_they_stand(void **state)
{
    const char *dir = *state;

    write_file(dir, "postgresql.conf",
               "recovery_target_timeline = 1\ninclude = 'a/one.conf'\n"
               "include_if_exists = 'none.conf'\n");
    write_file(dir, "a/one.conf", "include_dir 'd'\n");
    write_file(dir, "a/d/2.conf", "recovery_target_timeline = two\n");
    write_file(dir, "a/d/1.conf", "recovery_target_timeline = one\n");
    write_file(dir, "a/d/.3.conf", "recovery_target_timeline = hidden\n");
    write_file(dir, "a/d/4.txt", "recovery_target_timeline = text\n");
    expect(dir, "two");
    write_file(dir, "postgresql.conf", "include = 'a/one.conf'\nrecovery_target_timeline = 1\n");
    expect(dir, "1");
}

static void what_cannot_be_read_is_an_error(void **state)
{
    static const char *const confs[] = {"include 'none.conf'\n", "include_dir 'none'\n",
                                        "include 'postgresql.conf'\n"};
    const char *dir = *state;
    AUTO(buf_free) struct buf value = BUF_INIT;
    struct err err = {0};
    bool set;

    assert_int_equal(setting_find(dir, "port", &value, &set, &err), -1);
    for (size_t i = 0; i < LENGTH(confs); i++) {
        write_file(dir, "postgresql.conf", confs[i]);
        assert_int_equal(setting_find(dir, "port", &value, &set, &err), -1);
    }
}

static void the_command_line_has_the_last_word(void **state)
{
    static const struct {
        const char *options, *want;
    } cases[] = {
        {"/bin/postgres\n", "file"},
        {"/bin/postgres \"-p\" \"5432\" \"-c\" \"recovery_target_timeline=7\"\n", "7"},
        {"/bin/postgres \"-crecovery_target_timeline=8\"\n", "8"},
        {"/bin/postgres \"--recovery-target-timeline=current\" \"-k\" \"/tmp\"\n", "current"},
        {"/bin/postgres \"-c\" \"Recovery_Target_Timeline=9\"", "9"},
        {"/bin/postgres \"-c\" \"a=\"recovery_target_timeline=1\"\"\n", "file"},
        {"/bin/postgres \"-c\"", "file"},
        {"/bin/postgres \"-c\" \"recovery_target_timeline", "file"},
    };
    const char *dir = *state;

    write_file(dir, "postgresql.conf", "recovery_target_timeline = file\n");
    for (size_t i = 0; i < LENGTH(cases); i++) {
        write_file(dir, "postmaster.opts", cases[i].options);
        expect(dir, cases[i].want);
    }
}

static void the_configuration_may_be_elsewhere(void **state)
{
    const char *dir = *state;
    AUTO(mem_free) char *named = xasprintf("postgres \"-c\" \"config_file=%s/etc/x.conf\"\n", dir);
    AUTO(mem_free)
    char *both =
        xasprintf("postgres \"-D\" \"%s/etc\" \"--config-file=%s/etc/x.conf\"\n", dir, dir);
    AUTO(mem_free) char *folder = xasprintf("postgres \"-D\" \"%s/etc\"\n", dir);

    write_file(dir, "postgresql.conf", "recovery_target_timeline = inside\n");
    write_file(dir, "etc/postgresql.conf", "recovery_target_timeline = folder\n");
    write_file(dir, "etc/x.conf", "recovery_target_timeline = named\n");
    write_file(dir, "postmaster.opts", "postgres \"-D\" \"data\"\n");
    expect(dir, "inside");
    write_file(dir, "postmaster.opts", named);
    expect(dir, "named");
    write_file(dir, "postmaster.opts", both);
    expect(dir, "named");
    write_file(dir, "postmaster.opts", folder);
    expect(dir, "folder");
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(the_last_file_wins),
        IN_DIR(includes_count_where_they_stand),
        IN_DIR(what_cannot_be_read_is_an_error),
        IN_DIR(the_command_line_has_the_last_word),
        IN_DIR(the_configuration_may_be_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
