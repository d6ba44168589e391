/* What a delta restore finds and removes beside the entries of a backup. */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "restore/delta.h"
#include "restore/site.h"

struct sandbox {
    char top[32];
    char *data, *space;
    struct cluster_config cluster;
    struct restore_request q;
    struct pubinfo pub;
    struct backup_info info;
    struct tablespace_info spaces[1];
    struct layout layout;
};

static int sandbox_make(void **state)
{
    struct sandbox *s = xcalloc(1, sizeof *s);
    struct err err = {0};

    strcpy(s->top, "/tmp/pgbr-test-XXXXXX");
    assert_non_null(mkdtemp(s->top));
    s->data = xasprintf("%s/data", s->top);
    s->space = xasprintf("%s/data/inside/space", s->top);
    s->cluster.data = s->data;
    s->q.cluster = &s->cluster;
    s->pub.pg_version = 150004;
    s->info.catalog_version = 202209061;
    s->spaces[0] = (struct tablespace_info){16400, s->space};
    s->info.tablespaces = s->spaces;
    s->info.n_tablespaces = 1;
    OK(layout_plan(&s->layout, &s->q, s->data, NULL, &s->pub, &s->info, &err), &err);
    OK(layout_open(&s->layout, &err), &err);
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
    free(s->space);
    free(s);
    return 0;
}

static char *full(const struct sandbox *s, const char *path)
{
    return xasprintf("%s/%s", s->data, path);
}
static void file(const struct sandbox *s, const char *path)
{
    AUTO(mem_free) char *name = full(s, path);
    AUTO(mem_free) char *dir = xstrdup(name);
    struct err err = {0};

    *strrchr(dir, '/') = '\0';
    OK(fs_mkdirs(dir, 0700, &err), &err);
    OK(fs_replace(AT_FDCWD, name, "x", 1, 0600, &err), &err);
}
static bool has(const struct sandbox *s, const char *path)
{
    AUTO(mem_free) char *name = full(s, path);
    return fs_exists(AT_FDCWD, name);
}

struct step {
    const char *path;
    enum entry_type type;
    enum found want;
};

static uint64_t go(struct sandbox *s, const struct step *steps, size_t n)
{
    AUTO(sweep_free) struct sweep *sweep = sweep_new(&s->layout);
    struct err err = {0};

    for (size_t i = 0; i < n; i++) {
        struct entry e = {.path = steps[i].path, .type = steps[i].type};
        enum found found;
        unsigned root;
        const char *rel;
        OK(layout_place(&s->layout, e.path, &root, &rel, &err), &err);
        OK(sweep_visit(sweep, &e, root, rel, &found, &err), &err);
        if (found != steps[i].want)
            fail_msg("\"%s\": found %d, not %d", e.path, (int)found, (int)steps[i].want);
    }
    OK(sweep_finish(sweep, &err), &err);
    return sweep_removed(sweep);
}

static void what_the_backup_lacks_is_removed(void **state)
{
    static const struct step steps[] = {
        {"data", ENTRY_DIR, FOUND_DIR},
        {"data/PG_VERSION", ENTRY_FILE, FOUND_FILE},
        {"data/base", ENTRY_DIR, FOUND_DIR},
        {"data/base/1", ENTRY_DIR, FOUND_DIR},
        {"data/base/1/10", ENTRY_FILE, FOUND_FILE},
        {"data/base/1/11", ENTRY_FILE, FOUND_NOTHING},
        {"data/base/5", ENTRY_DIR, FOUND_NOTHING}, /* not there, nor is anything in it */
        {"data/base/5/10", ENTRY_FILE, FOUND_NOTHING},
        {"data/base-x", ENTRY_FILE, FOUND_FILE}, /* sorts behind all that is in base/ */
        {"data/postgresql.conf", ENTRY_FILE, FOUND_FILE},
    };
    static const char *const stay[] = {"PG_VERSION", "base/1/10", "base-x", "postgresql.conf"};
    static const char *const extra[] = {"0first",     "base/0/1",  "base/1/09",      "base/1/2/3/4",
                                        "base/1/zzz", "base/9/10", "postgresql.con", "zlast"};
    struct sandbox *s = *state;

    for (size_t i = 0; i < LENGTH(stay); i++)
        file(s, stay[i]);
    for (size_t i = 0; i < LENGTH(extra); i++)
        file(s, extra[i]);
    assert_int_equal(go(s, steps, LENGTH(steps)), LENGTH(extra));
    for (size_t i = 0; i < LENGTH(stay); i++)
        assert_true(has(s, stay[i]));
    for (size_t i = 0; i < LENGTH(extra); i++)
        assert_false(has(s, extra[i]));
    assert_false(has(s, "base/0"));
    assert_false(has(s, "base/1/2"));
}

static void what_must_stay_stays(void **state)
{
    static const struct step steps[] = {{"data", ENTRY_DIR, FOUND_DIR},
                                        {"data/pg_wal", ENTRY_DIR, FOUND_NOTHING},
                                        {"data/pg_wal/archive_status", ENTRY_DIR, FOUND_NOTHING}};
    static const char *const stay[] = {"lost+found/x",
                                       "pg_wal/000000010000000000000001",
                                       WAL_ASIDE "20260101T000000Z/x",
                                       RESTORE_MARK,
                                       "backup_manifest",
                                       "inside/space/PG_13_202007201/5/1"};
    struct sandbox *s = *state;

    for (size_t i = 0; i < LENGTH(stay); i++)
        file(s, stay[i]);
    go(s, steps, LENGTH(steps));
    for (size_t i = 0; i < LENGTH(stay); i++)
        assert_true(has(s, stay[i]));
}

static void of_a_tablespace_only_this_versions_directory_is_touched(void **state)
{
    static const struct step steps[] = {
        {"data", ENTRY_DIR, FOUND_DIR},
        {"data/pg_tblspc", ENTRY_DIR, FOUND_DIR},
        {"data/pg_tblspc/16400", ENTRY_LINK, FOUND_LINK},
        {"data/pg_tblspc/16400/PG_15_202209061", ENTRY_DIR, FOUND_DIR},
        {"data/pg_tblspc/16400/PG_15_202209061/5", ENTRY_DIR, FOUND_DIR},
        {"data/pg_tblspc/16400/PG_15_202209061/5/1", ENTRY_FILE, FOUND_FILE},
        {"data/pg_twophase", ENTRY_DIR, FOUND_NOTHING},
    };
    struct sandbox *s = *state;
    AUTO(mem_free) char *link = full(s, "pg_tblspc/16400");
    AUTO(mem_free) char *stale = full(s, "pg_tblspc/16999");

    file(s, "inside/space/PG_15_202209061/5/1");
    file(s, "inside/space/PG_15_202209061/5/2");
    file(s, "inside/space/PG_15_202209061/7/1");
    file(s, "inside/space/PG_13_202007201/5/1");
    file(s, "inside/space/README");
    file(s, "elsewhere/precious");
    file(s, "pg_tblspc/x");
    assert_int_equal(symlink(s->space, link), 0);
    assert_int_equal(symlink("../elsewhere", stale), 0);
    /* 5/2, 7, pg_tblspc/x, the stale link, and elsewhere, which lies in the data directory */
    assert_int_equal(go(s, steps, LENGTH(steps)), 5);
    assert_true(has(s, "inside/space/PG_15_202209061/5/1"));
    assert_false(has(s, "inside/space/PG_15_202209061/5/2"));
    assert_false(has(s, "inside/space/PG_15_202209061/7"));
    assert_true(has(s, "inside/space/PG_13_202007201/5/1"));
    assert_true(has(s, "inside/space/README"));
}

static void something_of_another_type_is_removed_and_links_are_not_followed(void **state)
{
    static const struct step steps[] = {
        {"data", ENTRY_DIR, FOUND_DIR},        {"data/a", ENTRY_FILE, FOUND_NOTHING},
        {"data/b", ENTRY_DIR, FOUND_NOTHING},  {"data/b/x", ENTRY_FILE, FOUND_NOTHING},
        {"data/c", ENTRY_LINK, FOUND_NOTHING}, {"data/d", ENTRY_DIR, FOUND_NOTHING},
    };
    struct sandbox *s = *state;
    AUTO(mem_free) char *outside = xasprintf("%s/outside", s->top);
    AUTO(mem_free) char *precious = xasprintf("%s/outside/precious", s->top);
    AUTO(mem_free) char *b = full(s, "b");
    AUTO(mem_free) char *fifo = full(s, "d");
    struct err err = {0};

    OK(fs_mkdirs(outside, 0700, &err), &err);
    OK(fs_replace(AT_FDCWD, precious, "x", 1, 0600, &err), &err);
    file(s, "a/deep/er");
    assert_int_equal(symlink(outside, b), 0);
    file(s, "c");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    go(s, steps, LENGTH(steps));
    assert_true(fs_exists(AT_FDCWD, precious));
    assert_false(has(s, "a"));
    assert_false(has(s, "b"));
    assert_false(has(s, "c"));
    assert_false(has(s, "d"));
}

static void configuration_is_swept_too(void **state)
{
    static const struct step steps[] = {
        {"config/etc", ENTRY_DIR, FOUND_DIR},
        {"config/etc/a.conf", ENTRY_FILE, FOUND_FILE},
        {"data", ENTRY_DIR, FOUND_DIR},
        {"data/PG_VERSION", ENTRY_FILE, FOUND_FILE},
    };
    struct sandbox *s = *state;
    struct err err = {0};

    file(s, CONFIG_DIR "/etc/a.conf");
    file(s, CONFIG_DIR "/etc/stale.conf");
    file(s, CONFIG_DIR "/usr/x");
    file(s, "PG_VERSION");
    s->layout.has_config = true;
    OK(layout_open(&s->layout, &err), &err);
    assert_int_equal(go(s, steps, LENGTH(steps)), 2);
    assert_true(has(s, CONFIG_DIR "/etc/a.conf"));
    assert_false(has(s, CONFIG_DIR "/etc/stale.conf"));
    assert_false(has(s, CONFIG_DIR "/usr"));
}

#define IN_SANDBOX(test) cmocka_unit_test_setup_teardown(test, sandbox_make, sandbox_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SANDBOX(what_the_backup_lacks_is_removed),
        IN_SANDBOX(what_must_stay_stays),
        IN_SANDBOX(of_a_tablespace_only_this_versions_directory_is_touched),
        IN_SANDBOX(something_of_another_type_is_removed_and_links_are_not_followed),
        IN_SANDBOX(configuration_is_swept_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
