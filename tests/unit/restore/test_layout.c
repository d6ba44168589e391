/* Where the entries of a backup go, and that no path and no link leads out of there. */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "restore/layout.h"

struct example {
    char data[64];
    struct cluster_config cluster;
    struct restore_request q;
    struct pubinfo pub;
    struct backup_info info;
    struct tablespace_info spaces[3];
    struct setting settings[2];
};

static char ts_a[] = "/ts/a", ts_b[] = "/ts/b/", in_place[] = "",
            data_directory[] = "data_directory", orig[] = "/orig",
            name_key[] = "tablespace_name.16401", name_of[] = "fast disk",
            inside[] = "/orig/inside/a";

/* The backup was taken of /orig, with a tablespace in /ts/a, one in /ts/b and one in place. */
static void set_up(struct example *x)
{
    memset(x, 0, sizeof *x);
    x->q.cluster = &x->cluster;
    x->pub.pg_version = 150004;
    x->info.catalog_version = 202209061;
    x->spaces[0] = (struct tablespace_info){16400, ts_a};
    x->spaces[1] = (struct tablespace_info){16401, ts_b};
    x->spaces[2] = (struct tablespace_info){16402, in_place};
    x->settings[0] = (struct setting){data_directory, orig};
    x->settings[1] = (struct setting){name_key, name_of};
    x->info.tablespaces = x->spaces;
    x->info.n_tablespaces = 3;
    x->info.settings = x->settings;
    x->info.n_settings = 2;
}

static int plan(struct example *x, struct layout *l, const char *data, struct err *err)
{
    return layout_plan(l, &x->q, data, NULL, &x->pub, &x->info, err);
}

static void entries_go_to_their_roots(void **state)
{
    static const struct {
        const char *path;
        unsigned root;
        const char *rel;
    } cases[] = {
        {"data", ROOT_DATA, ""},
        {"data/base/5/1259", ROOT_DATA, "base/5/1259"},
        {"data/pg_wal", ROOT_DATA, "pg_wal"},
        {"data/pg_wal/archive_status", ROOT_WAL, "archive_status"},
        {"data/pg_walrus/x", ROOT_DATA, "pg_walrus/x"},
        {"data/pg_tblspc", ROOT_DATA, "pg_tblspc"},
        {"data/pg_tblspc/16400", ROOT_DATA, "pg_tblspc/16400"},
        {"data/pg_tblspc/16400/PG_15_202209061/5/1", ROOT_TABLESPACE, "PG_15_202209061/5/1"},
        {"data/pg_tblspc/16401/PG_15_202209061", ROOT_TABLESPACE + 1, "PG_15_202209061"},
        {"data/pg_tblspc/16402/PG_15_202209061", ROOT_DATA,
         "pg_tblspc/16402/PG_15_202209061"}, /* in place */
        {"data/pg_tblspc/016400/x", ROOT_DATA, "pg_tblspc/016400/x"},
        {"config", ROOT_CONFIG, ""},
        {"config/etc/postgresql/15/main/pg_hba.conf", ROOT_CONFIG,
         "etc/postgresql/15/main/pg_hba.conf"},
    };
    AUTO(layout_free) struct layout l = {0};
    struct example x;
    struct err err = {0};
    (void)state;

    set_up(&x);
    OK(plan(&x, &l, "/orig", &err), &err);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        unsigned root;
        const char *rel;
        OK(layout_place(&l, cases[i].path, &root, &rel, &err), &err);
        assert_int_equal(root, cases[i].root);
        assert_string_equal(rel, cases[i].rel);
    }
}

static void hostile_paths_are_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "x",
        "/etc/passwd",
        "data/",
        "data//x",
        "data/../x",
        "data/a/..",
        "data/./x",
        "data/x/",
        "datax/y",
        "config/../",
        "config/a//",
        "data/pg_wal/..",
        "data/pg_tblspc/16400/../../x",
    };
    char long_name[400];
    AUTO(layout_free) struct layout l = {0};
    struct example x;
    struct err err = {0};
    unsigned root;
    const char *rel;
    (void)state;

    set_up(&x);
    OK(plan(&x, &l, "/orig", &err), &err);
    for (size_t i = 0; i < LENGTH(cases); i++)
        FAILS(layout_place(&l, cases[i], &root, &rel, &err), &err, ERR_CORRUPT);
    snprintf(long_name, sizeof long_name, "data/%0300d", 1);
    FAILS(layout_place(&l, long_name, &root, &rel, &err), &err, ERR_CORRUPT);
}

static void a_copy_elsewhere_needs_a_place_for_each_tablespace(void **state)
{
    struct tablespace_move moves[] = {{"16400", "/new/a"}, {"fast disk", "/new/b/"}};
    AUTO(layout_free) struct layout refused = {0};
    AUTO(layout_free) struct layout l = {0};
    struct example x;
    struct err err = {0};
    (void)state;

    set_up(&x);
    FAILS(plan(&x, &refused, "/copy", &err), &err, ERR_USAGE);
    assert_non_null(strstr(err.msg, "--tablespace-map 16400=DIR (was in \"/ts/a\")"));
    assert_non_null(strstr(err.msg, "--tablespace-map 16401=DIR (was in \"/ts/b/\")"));
    assert_null(strstr(err.msg, "16402"));
    x.q.moves = moves;
    x.q.n_moves = 2;
    OK(plan(&x, &l, "/copy", &err), &err);
    assert_true(l.side_copy);
    assert_string_equal(l.roots[ROOT_TABLESPACE].dir, "/new/a");
    assert_string_equal(l.roots[ROOT_TABLESPACE + 1].dir, "/new/b");
}

static void moves_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        struct tablespace_move moves[2];
        size_t n;
        const char *says;
    } cases[] = {
        {{{"17000", "/x"}}, 1, "no tablespace \"17000\"; it has 16400 in \"/ts/a\""},
        {{{"16402", "/x"}}, 1, "no tablespace \"16402\""}, /* in place: it cannot move */
        {{{"16400", "rel"}}, 1, "give an absolute directory"},
        {{{"16400", "/"}}, 1, "give an absolute directory"},
        {{{"/ts/a/", "/x"}, {"/ts/b", "/x/"}}, 2, "taken by another part"},
        {{{"16400", "/orig"}}, 1, "taken by another part"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(layout_free) struct layout l = {0};
        struct example x;
        struct err err = {0};
        set_up(&x);
        x.q.moves = cases[i].moves;
        x.q.n_moves = cases[i].n;
        FAILS(plan(&x, &l, "/orig", &err), &err, ERR_USAGE);
        assert_non_null(strstr(err.msg, cases[i].says));
    }
}

static void an_unknown_release_is_refused(void **state)
{
    AUTO(layout_free) struct layout l = {0};
    struct example x;
    struct err err = {0};
    (void)state;

    set_up(&x);
    x.info.catalog_version++; /* a beta */
    FAILS(plan(&x, &l, "/orig", &err), &err, ERR_UNSUPPORTED);
}

static void roots_and_what_is_above_them_are_protected(void **state)
{
    AUTO(layout_free) struct layout l = {0};
    struct example x;
    struct err err = {0};
    (void)state;

    set_up(&x);
    x.spaces[0].location = inside;
    OK(plan(&x, &l, "/orig", &err), &err);
    assert_true(layout_protects(&l, "/orig/inside"));
    assert_true(layout_protects(&l, "/orig/inside/a"));
    assert_true(layout_protects(&l, "/orig/pg_wal"));
    assert_false(layout_protects(&l, "/orig/inside/a/b"));
    assert_false(layout_protects(&l, "/orig/ins"));
    assert_false(layout_protects(&l, "/orig/pgbr_config")); /* the backup has none */
    l.has_config = true;
    assert_true(layout_protects(&l, "/orig/pgbr_config"));
}

static void links_are_not_followed(void **state)
{
    char dir[] = "/tmp/pgbr-test-XXXXXX";
    AUTO(dir_cache_free) struct dir_cache cache = DIR_CACHE_INIT;
    AUTO(layout_free) struct layout l = {0};
    struct example x;
    struct err err = {0};
    const char *name;
    int fd;
    (void)state;

    assert_non_null(mkdtemp(dir));
    set_up(&x);
    x.info.n_tablespaces = 0;
    OK(plan(&x, &l, dir, &err), &err);
    OK(layout_open(&l, &err), &err);
    assert_int_equal(mkdirat(l.roots[ROOT_DATA].fd, "base", 0700), 0);
    assert_int_equal(mkdirat(l.roots[ROOT_DATA].fd, "base/5", 0700), 0);
    assert_int_equal(symlinkat("/etc", l.roots[ROOT_DATA].fd, "base/link"), 0);
    assert_int_equal(symlinkat("base", l.roots[ROOT_DATA].fd, "alias"), 0);
    OK(dir_cache_parent(&cache, &l, ROOT_DATA, "base/5/1", &fd, &name, &err), &err);
    assert_string_equal(name, "1");
    OK(dir_cache_parent(&cache, &l, ROOT_DATA, "top", &fd, &name, &err), &err);
    assert_string_equal(name, "top");
    assert_int_equal(dir_cache_parent(&cache, &l, ROOT_DATA, "base/link/x", &fd, &name, &err), -1);
    assert_int_equal(dir_cache_parent(&cache, &l, ROOT_DATA, "alias/5/x", &fd, &name, &err), -1);
    FAILS(dir_cache_parent(&cache, &l, ROOT_DATA, "base/6/x", &fd, &name, &err), &err,
          ERR_NOT_FOUND);
    OK(fs_remove_tree(AT_FDCWD, dir, false, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_go_to_their_roots),
        cmocka_unit_test(hostile_paths_are_refused),
        cmocka_unit_test(a_copy_elsewhere_needs_a_place_for_each_tablespace),
        cmocka_unit_test(moves_that_make_no_sense_are_refused),
        cmocka_unit_test(an_unknown_release_is_refused),
        cmocka_unit_test(roots_and_what_is_above_them_are_protected),
        cmocka_unit_test(links_are_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
