/* test_stray.c - which links of a backup a copy does without. */
#include "restore/stray.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "tests/lib/test.h"

enum { COPY = 1, SANDBOX = 2, IN_PLACE = 4 };

static void links_to_elsewhere_are_left_out(void **state)
{
    static const struct {
        const char *rel, *target; /* %: the top directory */
        unsigned left_out;
    } table[] = {
        {"log", "%/elsewhere", COPY | SANDBOX},
        {"base/5", "%/elsewhere", COPY | SANDBOX},
        {"base/5/1259", "%/elsewhere/file", COPY | SANDBOX},
        {"pg_tblspc/16400", "%/elsewhere", COPY | SANDBOX}, /* of no tablespace of the backup */
        {"pg_tblspc/16400", "%/not/there", COPY | SANDBOX},
        {"log", "../elsewhere", COPY | SANDBOX},
        {"log", "%/through", COPY | SANDBOX}, /* a link to elsewhere */
        {"base/5", "../../elsewhere", COPY | SANDBOX},
        {"postgresql.conf", "%/elsewhere/file", 0},
        {"pg_hba.conf", "../elsewhere/file", 0},
        {"log", "%/data/base", 0},
        {"base/6", "5", 0},
        {"up", "..", COPY | SANDBOX},
        {"log", "%/not/there", SANDBOX},
    };
    char top[] = "/tmp/pgbr-stray.XXXXXX";
    AUTO(mem_free) char *data = NULL, *link = NULL, *file = NULL, *elsewhere = NULL, *base = NULL;
    struct root root = {0};
    struct layout l = {.roots = &root, .n = 1};
    struct err err = {0};
    (void)state;

    assert_non_null(mkdtemp(top));
    root.dir = data = xasprintf("%s/data", top);
    base = xasprintf("%s/base/5", data);
    link = xasprintf("%s/through", top);
    file = xasprintf("%s/elsewhere/file", top);
    elsewhere = xasprintf("%s/elsewhere", top);
    OK(fs_mkdirs(elsewhere, 0700, &err), &err);
    OK(fs_mkdirs(base, 0700, &err), &err);
    OK(fs_replace(AT_FDCWD, file, "x", 1, 0600, &err), &err);
    assert_int_equal(symlink(elsewhere, link), 0);
    for (size_t i = 0; i < LENGTH(table); i++) {
        bool of_top = table[i].target[0] == '%';
        AUTO(mem_free)
        char *target = xasprintf("%s%s", of_top ? top : "", table[i].target + of_top);

        for (unsigned kind = COPY; kind <= IN_PLACE; kind <<= 1) {
            l.side_copy = kind != IN_PLACE;
            l.sandbox = kind == SANDBOX;
            if (stray_link(&l, ROOT_DATA, table[i].rel, target) !=
                ((table[i].left_out & kind) != 0))
                fail_msg("\"%s\" to \"%s\", kind %u", table[i].rel, target, kind);
        }
    }
    OK(fs_remove_tree(AT_FDCWD, top, false, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(links_to_elsewhere_are_left_out)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
