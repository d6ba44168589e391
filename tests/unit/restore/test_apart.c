/* test_apart.c - whatever is asked for, a copy gets no place that is the original's. */
#include "restore/apart.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "tests/lib/test.h"

enum { OURS = 42 };

/* "orig" with its WAL in "wal" and a tablespace in "space" (pg_tblspc/16500), all below top. */
struct ground {
    char top[32];
    char original[64], data[64];
    struct cluster_config cluster;
    struct restore_request q;
    struct pubinfo pub;
    struct setting settings[1];
    struct tablespace_info space;
    struct backup_info info;
};

static void directory(const struct ground *g, const char *name)
{
    AUTO(mem_free) char *path = xasprintf("%s/%s", g->top, name);
    struct err err = {0};

    OK(fs_mkdirs(path, 0700, &err), &err);
}

static void link_to(const struct ground *g, const char *target, const char *name)
{
    AUTO(mem_free) char *from = xasprintf("%s/%s", g->top, target);
    AUTO(mem_free) char *path = xasprintf("%s/%s", g->top, name);

    assert_int_equal(symlink(from, path), 0);
}

static void file(const struct ground *g, const char *name)
{
    AUTO(mem_free) char *path = xasprintf("%s/%s", g->top, name);
    struct err err = {0};

    OK(fs_replace(AT_FDCWD, path, "15\n", 3, 0600, &err), &err);
}

static int begin(void **state)
{
    static char key[] = "data_directory", place[] = "/nowhere/space";
    struct ground *g = xcalloc(1, sizeof *g);

    strcpy(g->top, "/tmp/pgbr-apart-XXXXXX");
    assert_non_null(mkdtemp(g->top));
    snprintf(g->original, sizeof g->original, "%s/orig", g->top);
    snprintf(g->data, sizeof g->data, "%s/copy", g->top);
    directory(g, "orig/pg_tblspc");
    directory(g, "wal");
    directory(g, "space/PG_15_202209061/5");
    directory(g, "mine");
    file(g, "orig/PG_VERSION");
    link_to(g, "wal", "orig/pg_wal");
    link_to(g, "space", "orig/pg_tblspc/16500");
    link_to(g, "space", "other_way");
    g->q.cluster = &g->cluster;
    g->pub = (struct pubinfo){.pg_version = 150004, .system_id = OURS};
    g->settings[0] = (struct setting){key, g->original};
    g->space = (struct tablespace_info){16400, place};
    g->info = (struct backup_info){.catalog_version = 202209061,
                                   .settings = g->settings,
                                   .n_settings = 1,
                                   .tablespaces = &g->space,
                                   .n_tablespaces = 1};
    *state = g;
    return 0;
}

static int end(void **state)
{
    struct ground *g = *state;
    struct err err = {0};

    OK(fs_remove_tree(AT_FDCWD, g->top, false, &err), &err);
    free(g);
    return 0;
}

static int judge(struct ground *g, const char *data, const char *wal, const char *space,
                 struct err *err)
{
    AUTO(mem_free) char *d = xasprintf("%s/%s", g->top, data);
    AUTO(mem_free) char *w = wal == NULL ? NULL : xasprintf("%s/%s", g->top, wal);
    AUTO(mem_free) char *s = xasprintf("%s/%s", g->top, space);
    const struct tablespace_move move = {"16400", s};
    AUTO(layout_free) struct layout l = {0};
    AUTO(site_free) struct site site = {0};

    g->q.moves = &move;
    g->q.n_moves = 1;
    g->q.force = true;
    TRY(site_look(d, &site, err));
    TRY(layout_plan(&l, &g->q, d, wal == NULL ? site.wal_link : w, &g->pub, &g->info, err));
    return site_check(&site, &g->q, &l, OURS, err);
}

static void no_place_is_the_originals(void **state)
{
    static const struct {
        const char *data, *wal, *space;
        enum err_code code;
        const char *says;
    } table[] = {
        {"copy", NULL, "mine", ERR_NONE, NULL},
        {"orig-2", "wal-2", "space-2", ERR_NONE, NULL},
        {"orig/copy", NULL, "mine", ERR_USAGE, "--data-dir"},
        {"orig/a/b/c", NULL, "mine", ERR_USAGE, "--data-dir"},
        {"wal/copy", NULL, "mine", ERR_USAGE, "--data-dir"},
        {"space/PG_15_202209061/copy", NULL, "mine", ERR_USAGE, "--data-dir"},
        {"space/copy", NULL, "mine", ERR_NONE, NULL}, /* beside the version's directory */
        {"copy", "orig/wal", "mine", ERR_USAGE, "--wal-dir"},
        {"copy", "wal", "mine", ERR_USAGE, "--wal-dir"},
        {"copy", "wal/deeper", "mine", ERR_USAGE, "--wal-dir"},
        {"copy", NULL, "orig/space", ERR_USAGE, "--tablespace-map"},
        {"copy", NULL, "space", ERR_EXISTS, "has its tablespace 16500"},
        {"copy", NULL, "other_way", ERR_EXISTS, "has its tablespace 16500"},
        {"copy", NULL, "orig/pg_tblspc/16500", ERR_EXISTS, "has its tablespace 16500"},
    };
    struct ground *g = *state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        struct err err = {0};

        if (judge(g, table[i].data, table[i].wal, table[i].space, &err) != 0 &&
            table[i].code == ERR_NONE)
            fail_msg("row %zu: %s", i, err.msg);
        if (err.code != table[i].code ||
            (table[i].says != NULL && strstr(err.msg, table[i].says) == NULL))
            fail_msg("row %zu: code %d, \"%s\"", i, err.code, err.msg);
    }
}

/* As "cp -a" makes it: the links lead where the original's lead. */
static void a_copy_with_the_originals_links_is_refused(void **state)
{
    struct ground *g = *state;
    struct err err = {0};

    directory(g, "copy/pg_tblspc");
    file(g, "copy/PG_VERSION");
    link_to(g, "wal", "copy/pg_wal");
    FAILS(judge(g, "copy", NULL, "mine", &err), &err, ERR_EXISTS);
    FAILS(judge(g, "copy", "wal-2", "mine", &err), &err, ERR_EXISTS);
    assert_non_null(strstr(err.msg, "remove that link first"));
}

/* On another host nothing is in the way, nor where something else is in the original's place. */
static void where_the_original_is_not_all_is_free(void **state)
{
    struct ground *g = *state;
    AUTO(mem_free) char *version = xasprintf("%s/PG_VERSION", g->original);
    struct err err = {0};

    assert_int_equal(unlink(version), 0);
    OK(judge(g, "orig/copy", NULL, "space", &err), &err);
}

static void the_directory_of_configuration_is_no_link(void **state)
{
    struct ground *g = *state;
    AUTO(layout_free) struct layout l = {0};
    AUTO(mem_free) char *mine = xasprintf("%s/mine", g->top);
    const struct tablespace_move move = {"16400", mine};
    struct err err = {0};

    g->q.moves = &move;
    g->q.n_moves = 1;
    directory(g, "copy");
    link_to(g, "orig", "copy/" CONFIG_DIR);
    OK(layout_plan(&l, &g->q, g->data, NULL, &g->pub, &g->info, &err), &err);
    l.has_config = true;
    if (layout_open(&l, &err) == 0)
        fail_msg("it was opened");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_place_is_the_originals, begin, end),
        cmocka_unit_test_setup_teardown(a_copy_with_the_originals_links_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(where_the_original_is_not_all_is_free, begin, end),
        cmocka_unit_test_setup_teardown(the_directory_of_configuration_is_no_link, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
