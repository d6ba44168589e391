/* Drills in the catalog: added, replaced, read back in order. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "catalog/drills.h"
#include "tests/lib/test.h"

static char dir[] = "/tmp/pgbr-test-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/catalog.db", dir);
    return 0;
}

static int remove_dir(void **state)
{
    struct err err = {0};
    (void)state;

    return fs_remove_tree(AT_FDCWD, dir, false, &err);
}

static void a_drill_is_kept_whole_and_can_be_replaced(void **state)
{
    AUTO(catalog_close) struct catalog *c = NULL;
    AUTO(catalog_drills_free) struct catalog_drills all = {0}, other = {0};
    struct catalog_drill d = {.cluster = "a", .repo = "r", .target = "latest", .started_us = 5};
    struct catalog_drill e = {.cluster = "b", .repo = "r", .started_us = 9, .outcome = "failed"};
    struct err err = {0};
    (void)state;

    OK(catalog_open(&c, path, &err), &err);
    OK(catalog_put_drill(c, &d, &err), &err);
    OK(catalog_put_drill(c, &e, &err), &err);
    assert_true(d.id != 0 && e.id != 0 && d.id != e.id);
    d.label = "L";
    d.restored_us = 6;
    d.recovered_us = 7;
    d.checked_us = 8;
    d.finished_us = 9;
    d.restored_bytes = UINT64_C(1) << 40;
    d.replayed_bytes = 3;
    d.reached_us = 4;
    d.outcome = "passed";
    d.report = "{}";
    OK(catalog_put_drill(c, &d, &err), &err);
    OK(catalog_get_drills(c, NULL, NULL, 10, &all, &err), &err);
    assert_int_equal(all.n, 2);
    assert_string_equal(all.rows[0].cluster, "b");
    assert_true(all.rows[1].id == d.id && all.rows[1].run == 0);
    assert_string_equal(all.rows[1].label, "L");
    assert_string_equal(all.rows[1].target, "latest");
    assert_true(all.rows[1].started_us == 5 && all.rows[1].restored_us == 6 &&
                all.rows[1].recovered_us == 7 && all.rows[1].checked_us == 8 &&
                all.rows[1].finished_us == 9 && all.rows[1].reached_us == 4);
    assert_true(all.rows[1].restored_bytes == UINT64_C(1) << 40 && all.rows[1].replayed_bytes == 3);
    assert_string_equal(all.rows[1].outcome, "passed");
    assert_string_equal(all.rows[1].report, "{}");
    OK(catalog_get_drills(c, "a", "r", 10, &other, &err), &err);
    assert_int_equal(other.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drill_is_kept_whole_and_can_be_replaced),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
