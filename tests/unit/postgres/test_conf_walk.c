/* test_conf_walk.c - which files a server reads, in which order, and what of them cannot be read.
 */
#include "postgres/conf_walk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "tests/lib/test.h"

struct etc {
    char top[32];
    struct buf seen; /* names below top, in one line */
    unsigned troubles;
    struct err last;
};

static int begin(void **state)
{
    struct etc *e = xcalloc(1, sizeof *e);

    strcpy(e->top, "/tmp/pgbr-walk.XXXXXX");
    assert_non_null(mkdtemp(e->top));
    *state = e;
    return 0;
}

static int end(void **state)
{
    struct etc *e = *state;
    struct err err = {0};

    OK(fs_remove_tree(AT_FDCWD, e->top, false, &err), &err);
    buf_free(&e->seen);
    free(e);
    return 0;
}

/* %s in the text is the top directory. */
static void put(struct etc *e, const char *name, const char *text)
{
    AUTO(mem_free) char *path = xasprintf("%s/%s", e->top, name);
    AUTO(mem_free) char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    AUTO(buf_free) struct buf whole = BUF_INIT;
    struct err err = {0};

    for (const char *p = text; *p != '\0'; p++)
        if (*p == '%')
            buf_adds(&whole, e->top);
        else
            buf_addc(&whole, *p);
    OK(fs_mkdirs(parent, 0700, &err), &err);
    OK(fs_replace(AT_FDCWD, path, buf_text(&whole), whole.len, 0600, &err), &err);
}

static void see(void *ctx, const char *path)
{
    struct etc *e = ctx;

    assert_int_equal(strncmp(path, e->top, strlen(e->top)), 0);
    buf_addf(&e->seen, "%s%s", e->seen.len == 0 ? "" : " ", path + strlen(e->top) + 1);
}

static void hear(void *ctx, const struct err *why)
{
    struct etc *e = ctx;

    e->troubles++;
    e->last = *why;
}

/* hba: the major version, or 0. */
static void expect(struct etc *e, unsigned hba, const char *want, unsigned troubles)
{
    const struct conf_walk w = {.ctx = e, .file = see, .trouble = hear};
    AUTO(mem_free) char *path = xasprintf("%s/main", e->top);
    struct err err = {0};

    buf_clear(&e->seen);
    e->troubles = 0;
    if (hba != 0)
        OK(conf_walk_hba(&w, hba, path, &err), &err);
    else
        OK(conf_walk(&w, path, true, &err), &err);
    assert_string_equal(buf_text(&e->seen), want);
    assert_int_equal(e->troubles, troubles);
}

static void files_without_a_setting_are_seen(void **state)
{
    struct etc *e = *state;

    put(e, "main", "include 'sub/only.conf'\ninclude_dir = 'none.d'\ninclude_dir 'conf.d'\n");
    put(e, "sub/only.conf", "# nothing but\nInclude '../other/./deep.conf' # this\n");
    put(e, "other/deep.conf", "include_if_exists = absent\ninclude_if_exists '%/empty.conf'\n");
    put(e, "empty.conf", "");
    put(e, "none.d/.hidden.conf", "include nowhere\n");
    put(e, "none.d/README", "include nowhere\n");
    put(e, "conf.d/b.conf", "port = 1\n");
    put(e, "conf.d/a.conf", "port = 2\n");
    put(e, "conf.d/dir.conf/x.conf", "include nowhere\n");
    expect(
        e, 0,
        "main sub/only.conf other/deep.conf empty.conf none.d conf.d conf.d/a.conf conf.d/b.conf",
        0);
}

static void rules_include_files_from_16_on_and_lists_of_names_always(void **state)
{
    static const char lists[] = "main admins more dbs";
    struct etc *e = *state;

    put(e, "main",
        "# include nothing.conf @nothing\n"
        "local  all  @admins,bob  trust # @nothing\n"
        "local \"@nothing\",@\"dbs\" all trust\n"
        "include \"rules.conf\"\n"
        "include_dir hba.d\n"
        "include_if_exists absent\n");
    put(e, "admins", "alice,\n@more\n");
    put(e, "more", "carol @@\n");
    put(e, "dbs", "shop");
    put(e, "rules.conf", "include_if_exists deep\n");
    put(e, "deep", "# no rule\n");
    put(e, "hba.d/x.conf", "# no rule\n");
    put(e, "@", "dave\n");
    expect(e, 15, "main admins more @ dbs", 0);
    put(e, "more", "carol\n");
    expect(e, 13, lists, 0);
    expect(e, 16, "main admins more dbs rules.conf deep hba.d hba.d/x.conf", 0);
}

static void what_cannot_be_read_is_told_and_passed(void **state)
{
    struct etc *e = *state;
    AUTO(mem_free) char *pipe = xasprintf("%s/pipe", e->top);

    put(e, "main",
        "include gone\ninclude_dir gone.d\ninclude pipe\ninclude '/dev/zero'\n"
        "include conf.d\ninclude last\n");
    put(e, "last", "");
    put(e, "conf.d/x", "");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    expect(e, 0, "main last", 5);
    put(e, "main", "local all @gone trust\ninclude_dir gone.d\n");
    expect(e, 16, "main", 2);
    put(e, "main", "\0binary");
    expect(e, 0, "main", 0);
}

/* However files include each other, the walk ends. */
static void loops_end(void **state)
{
    struct etc *e = *state;
    const struct conf_walk w = {.ctx = e, .trouble = hear}, strict = {.ctx = e};
    AUTO(mem_free) char *path = xasprintf("%s/main", e->top);
    struct err err = {0};

    put(e, "main", "include main\ninclude main\ninclude main\ninclude main\n");
    OK(conf_walk(&w, path, true, &err), &err);
    assert_true(e->troubles > 0);
    assert_non_null(strstr(e->last.msg, "is included too"));
    FAILS(conf_walk(&strict, path, true, &err), &err, ERR_FAILED);
    put(e, "main", "local all @main,@main,@main,@main trust\n");
    OK(conf_walk_hba(&w, 15, path, &err), &err);
}

#define IN_ETC(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ETC(files_without_a_setting_are_seen),
        IN_ETC(rules_include_files_from_16_on_and_lists_of_names_always),
        IN_ETC(what_cannot_be_read_is_told_and_passed),
        IN_ETC(loops_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
