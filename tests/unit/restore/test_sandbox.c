/* A sandbox is removed when nobody owns it any more, and only then, and nothing else is. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "restore/sandbox.h"
#include "tests/lib/test.h"

struct place {
    char root[32], state[64], where[64];
};

static void begin(struct place *p)
{
    snprintf(p->root, sizeof p->root, "/tmp/pgbr-test-XXXXXX");
    assert_non_null(mkdtemp(p->root));
    snprintf(p->state, sizeof p->state, "%s/state", p->root);
    snprintf(p->where, sizeof p->where, "%s/drills", p->root);
}

static void finish(struct place *p)
{
    struct err err = {0};

    OK(fs_remove_tree(AT_FDCWD, p->root, false, &err), &err);
}

static void put(const char *dir, const char *name, const char *text)
{
    AUTO(mem_free) char *path = xasprintf("%s/%s", dir, name);
    struct err err = {0};

    OK(fs_replace(AT_FDCWD, path, text, strlen(text), 0600, &err), &err);
}

static void make(struct place *p, struct sandbox *s)
{
    struct err err = {0};

    OK(sandbox_make(s, p->state, p->where, "main", &err), &err);
    assert_int_equal(mkdir(s->data, 0700), 0);
    put(s->data, "PG_VERSION", "15\n");
}

static void a_sandbox_is_closed_to_others_and_goes_away(void **state)
{
    struct sandbox s = SANDBOX_INIT;
    AUTO(mem_free) char *dir = NULL, *note = NULL;
    struct err err = {0};
    struct place p;
    struct stat st;
    (void)state;

    begin(&p);
    make(&p, &s);
    assert_int_equal(stat(s.dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_string_equal(s.sockets, s.dir);
    dir = xstrdup(s.dir);
    note = xstrdup(s.note);
    assert_true(fs_exists(AT_FDCWD, note));
    OK(sandbox_remove(&s, &err), &err);
    assert_false(fs_exists(AT_FDCWD, dir));
    assert_false(fs_exists(AT_FDCWD, note));
    finish(&p);
}

static void one_that_is_owned_stays(void **state)
{
    struct sandbox s = SANDBOX_INIT;
    struct err err = {0};
    struct place p;
    unsigned cleared;
    (void)state;

    begin(&p);
    make(&p, &s);
    sandboxes_clear(p.state, p.where, &cleared);
    assert_int_equal(cleared, 0);
    assert_true(fs_exists(AT_FDCWD, s.data));
    OK(sandbox_remove(&s, &err), &err);
    finish(&p);
}

/* With another --dir its note leads to it. */
static void an_abandoned_one_is_removed_wherever_it_is(void **state)
{
    (void)state;
    for (int noted = 0; noted < 2; noted++) {
        struct sandbox s = SANDBOX_INIT;
        AUTO(mem_free) char *dir = NULL, *note = NULL;
        struct place p;
        unsigned cleared;

        begin(&p);
        make(&p, &s);
        dir = xstrdup(s.dir);
        note = xstrdup(s.note);
        sandbox_free(&s); /* as if killed */
        if (!noted)
            unlink(note);
        sandboxes_clear(p.state, noted ? NULL : p.where, &cleared);
        assert_int_equal(cleared, 1);
        assert_false(fs_exists(AT_FDCWD, dir));
        assert_false(fs_exists(AT_FDCWD, note));
        finish(&p);
    }
}

static void what_bears_no_mark_of_this_host_stays(void **state)
{
    struct sandbox s = SANDBOX_INIT;
    AUTO(mem_free) char *foreign = NULL, *plain = NULL, *link = NULL;
    struct place p;
    unsigned cleared;
    (void)state;

    begin(&p);
    make(&p, &s);
    foreign = xstrdup(s.dir);
    sandbox_free(&s);
    put(foreign, SANDBOX_MARK, "pgbr drill\nhost another-host\nprocess 1\n");
    plain = xasprintf("%s/pgbr-drill-plain", p.where);
    assert_int_equal(mkdir(plain, 0700), 0);
    put(plain, "file", "x");
    link = xasprintf("%s/pgbr-drill-linked", p.where);
    assert_int_equal(mkdir(link, 0700), 0);
    {
        AUTO(mem_free) char *mark = xasprintf("%s/" SANDBOX_MARK, link);
        assert_int_equal(symlink("/etc/passwd", mark), 0);
    }
    sandboxes_clear(p.state, p.where, &cleared);
    assert_int_equal(cleared, 0);
    assert_true(fs_exists(AT_FDCWD, foreign));
    assert_true(fs_exists(AT_FDCWD, plain));
    assert_true(fs_exists(AT_FDCWD, link));
    finish(&p);
}

static void a_kept_one_is_a_persons(void **state)
{
    struct sandbox s = SANDBOX_INIT;
    AUTO(mem_free) char *data = NULL;
    struct err err = {0};
    struct place p;
    unsigned cleared;
    (void)state;

    begin(&p);
    make(&p, &s);
    data = xstrdup(s.data);
    OK(sandbox_keep(&s, &err), &err);
    assert_false(fs_exists(AT_FDCWD, s.note));
    sandbox_free(&s);
    sandboxes_clear(p.state, p.where, &cleared);
    assert_int_equal(cleared, 0);
    assert_true(fs_exists(AT_FDCWD, data));
    finish(&p);
}

/* A list of sockets, or of hosts to connect to, would be taken apart there. */
static void a_name_with_a_comma_has_its_socket_elsewhere(void **state)
{
    static const char *const names[] = {"a,b", "a\"b"};
    (void)state;

    for (size_t i = 0; i < LENGTH(names); i++) {
        struct sandbox s = SANDBOX_INIT;
        AUTO(mem_free) char *where = NULL;
        AUTO(mem_free) char *sockets = NULL;
        struct err err = {0};
        struct place p;

        begin(&p);
        where = xasprintf("%s/%s", p.root, names[i]);
        OK(sandbox_make(&s, p.state, where, "main", &err), &err);
        assert_int_equal(strncmp(s.sockets, "/tmp/pgbr-drill-", 16), 0);
        sockets = xstrdup(s.sockets);
        OK(sandbox_remove(&s, &err), &err);
        assert_false(fs_exists(AT_FDCWD, sockets));
        finish(&p);
    }
}

/* The socket of one with a long name is elsewhere, and goes away with it. */
static void a_long_way_has_its_socket_elsewhere(void **state)
{
    struct sandbox s = SANDBOX_INIT;
    AUTO(mem_free) char *sockets = NULL;
    char where[160];
    struct err err = {0};
    struct place p;
    unsigned cleared;
    (void)state;

    begin(&p);
    snprintf(where, sizeof where, "%s/%0100d", p.root, 0);
    OK(sandbox_make(&s, p.state, where, "main", &err), &err);
    assert_true(strlen(s.sockets) < 60);
    sockets = xstrdup(s.sockets);
    sandbox_free(&s);
    sandboxes_clear(p.state, NULL, &cleared);
    assert_int_equal(cleared, 1);
    assert_false(fs_exists(AT_FDCWD, sockets));
    finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sandbox_is_closed_to_others_and_goes_away),
        cmocka_unit_test(one_that_is_owned_stays),
        cmocka_unit_test(an_abandoned_one_is_removed_wherever_it_is),
        cmocka_unit_test(what_bears_no_mark_of_this_host_stays),
        cmocka_unit_test(a_kept_one_is_a_persons),
        cmocka_unit_test(a_name_with_a_comma_has_its_socket_elsewhere),
        cmocka_unit_test(a_long_way_has_its_socket_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
