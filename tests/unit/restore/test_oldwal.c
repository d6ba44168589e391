/* The pg_wal that was there: what of it belongs into the archive, and that nothing of it is lost.
 */
#include "tests/lib/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "restore/oldwal.h"

enum { SYSTEM = 4711, SEGMENT = 1 << 20 };

struct sandbox {
    char top[32];
    char *data;
    int fd;
    struct root roots[3];
    struct layout layout;
    struct site site;
    struct open_repos no_repos; /* so every file counts as held by none */
    struct pubinfo pub;
    struct buf notes;
    unsigned warnings;
    struct oldwal_terms terms;
};

static int sandbox_make(void **state)
{
    struct sandbox *s = xcalloc(1, sizeof *s);
    struct err err = {0};

    strcpy(s->top, "/tmp/pgbr-test-XXXXXX");
    assert_non_null(mkdtemp(s->top));
    s->data = xasprintf("%s/data", s->top);
    OK(fs_mkdirs(s->data, 0700, &err), &err);
    s->fd = open(s->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->roots[ROOT_DATA].dir = s->data;
    s->roots[ROOT_WAL].dir = xasprintf("%s/pg_wal", s->data);
    s->roots[ROOT_CONFIG].dir = s->data;
    s->layout = (struct layout){.roots = s->roots, .n = 3};
    s->site = (struct site){.state = SITE_CLUSTER, .knows_id = true, .system_id = SYSTEM};
    s->pub =
        (struct pubinfo){.system_id = SYSTEM, .pg_version = 150004, .wal_segment_size = SEGMENT};
    s->terms = (struct oldwal_terms){.layout = &s->layout,
                                     .site = &s->site,
                                     .repos = &s->no_repos,
                                     .pub = &s->pub,
                                     .notes = &s->notes,
                                     .warnings = &s->warnings};
    *state = s;
    return 0;
}

static int sandbox_remove(void **state)
{
    struct sandbox *s = *state;
    struct err err = {0};

    close(s->fd);
    OK(fs_remove_tree(AT_FDCWD, s->top, false, &err), &err);
    free(s->roots[ROOT_WAL].dir);
    free(s->data);
    buf_free(&s->notes);
    free(s);
    return 0;
}

static void put(const struct sandbox *s, const char *path, const void *data, size_t len)
{
    AUTO(mem_free) char *full = xasprintf("%s/%s", s->data, path);
    AUTO(mem_free) char *dir = xstrdup(full);
    struct err err = {0};

    *strrchr(dir, '/') = '\0';
    OK(fs_mkdirs(dir, 0700, &err), &err);
    OK(fs_replace(AT_FDCWD, full, data, len, 0600, &err), &err);
}

/* A segment file of that number whose first page says that it is segment `says` of `system`. */
static void segment(const struct sandbox *s, uint64_t segno, const char *suffix, uint64_t says,
                    uint64_t system)
{
    AUTO(mem_free) uint8_t *bytes = xcalloc(1, SEGMENT);
    AUTO(mem_free) char *path = NULL;
    char name[WAL_SEGMENT_NAME];

    put_u16(bytes, 0xD110);
    put_u16(bytes + 2, 0x2);
    put_u32(bytes + 4, 1);
    put_u64(bytes + 8, says * SEGMENT);
    put_u64(bytes + 24, system);
    put_u32(bytes + 32, SEGMENT);
    put_u32(bytes + 36, 8192);
    path = xasprintf("pg_wal/%s%s", wal_segment_name(1, segno, SEGMENT, name), suffix);
    put(s, path, bytes, SEGMENT);
}

static void status(const struct sandbox *s, const char *name)
{
    AUTO(mem_free) char *path = xasprintf("pg_wal/archive_status/%s", name);
    put(s, path, "", 0);
}

static unsigned count(struct sandbox *s, const char *want_last)
{
    struct err err = {0};
    char last[64];
    unsigned files;

    OK(oldwal_count(&s->terms, &files, last, sizeof last, &err), &err);
    assert_string_equal(last, want_last);
    return files;
}

/* 2 to 5 are written, 5 is the present one; 6 and 7 are recycled files with old content. */
static void make_wal(struct sandbox *s)
{
    for (uint64_t n = 2; n <= 5; n++)
        segment(s, n, "", n, SYSTEM);
    segment(s, 6, "", 1, SYSTEM);
    segment(s, 7, "", 0, SYSTEM);
    put(s, "pg_wal/00000002.history", "", 0);
    put(s, "pg_wal/xlogtemp.123", "x", 1);
    put(s, "pg_wal/archive_status/x", "", 0);
}

static void complete_segments_are_worth_keeping_others_not(void **state)
{
    struct sandbox *s = *state;

    make_wal(s);
    status(s, "000000010000000000000002.done");
    assert_int_equal(count(s, "000000010000000000000004"), 3); /* 2, 3 and 4: 5 is not complete */
    status(s, "000000010000000000000005.ready");
    assert_int_equal(count(s, "000000010000000000000005"), 4);
    status(s, "000000010000000000000006.ready"); /* whatever that says, it is not segment 6 */
    assert_int_equal(count(s, "000000010000000000000005"), 4);
    segment(s, 5, ".partial", 5, SYSTEM);
    assert_int_equal(count(s, "000000010000000000000005"), 4);
    status(s, "000000010000000000000005.partial.ready");
    status(s, "00000002.history.done");
    assert_int_equal(count(s, "00000002.history"), 6);
}

static void segments_of_another_system_are_not_ours(void **state)
{
    struct sandbox *s = *state;

    segment(s, 2, "", 2, SYSTEM + 1);
    segment(s, 3, "", 3, SYSTEM + 1);
    status(s, "000000010000000000000002.ready");
    assert_int_equal(count(s, ""), 0);
    make_wal(s);
    s->site.system_id++;
    assert_int_equal(count(s, ""), 0);
}

static void a_copys_wal_never_goes_to_the_archive(void **state)
{
    struct sandbox *s = *state;

    make_wal(s);
    status(s, "000000010000000000000002.ready");
    s->layout.side_copy = true;
    assert_int_equal(count(s, ""), 0);
}

static void a_server_that_did_not_archive_left_nothing_for_the_archive(void **state)
{
    struct sandbox *s = *state;
    struct err err = {0};

    make_wal(s);
    OK(fs_remove_tree(s->fd, "pg_wal/archive_status", true, &err), &err);
    assert_int_equal(count(s, ""), 0);
}

/* ---- aside ---- */

/* The one name in the directory that begins so; NULL: none. */
static char *find(const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);
    char *found = NULL;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0) {
            assert_null(found);
            found = xasprintf("%s/%s", dir, e->d_name);
        }
    closedir(d);
    return found;
}

static int entries(const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);
    int n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    closedir(d);
    return n;
}

static bool has(const char *dir, const char *name)
{
    AUTO(mem_free) char *path = xasprintf("%s/%s", dir, name);
    return fs_exists(AT_FDCWD, path);
}

static void old_wal_is_set_aside_and_a_new_one_made(void **state)
{
    struct sandbox *s = *state;
    AUTO(mem_free) char *aside = NULL;
    struct err err = {0};

    make_wal(s);
    OK(oldwal_set_aside(&s->terms, s->fd, &err), &err);
    OK(oldwal_make_new(&s->layout, s->fd, &err), &err);
    aside = find(s->data, WAL_ASIDE);
    assert_non_null(aside);
    assert_true(has(aside, "000000010000000000000005"));
    assert_true(has(aside, "archive_status"));
    assert_true(has(s->data, "pg_wal/archive_status"));
    assert_false(has(s->data, "pg_wal/000000010000000000000005"));
    assert_non_null(strstr(buf_text(&s->notes), aside));
    OK(oldwal_set_aside(&s->terms, s->fd, &err), &err); /* the new one has nothing worth it */
    free(find(s->data, WAL_ASIDE));                     /* still only one */
}

/* Names are made of the second: enough of them in one second, whenever it begins. */
static void several_restores_in_one_second_each_keep_their_wal(void **state)
{
    struct sandbox *s = *state;
    struct err err = {0};

    for (int i = 0; i < 20; i++) {
        put(s, "pg_wal/000000010000000000000005", "x", 1);
        OK(oldwal_set_aside(&s->terms, s->fd, &err), &err);
        assert_false(has(s->data, "pg_wal/000000010000000000000005"));
        OK(oldwal_make_new(&s->layout, s->fd, &err), &err);
    }
    assert_int_equal(entries(s->data, WAL_ASIDE), 20);
}

static void behind_a_link_it_is_set_aside_beside_where_it_is(void **state)
{
    struct sandbox *s = *state;
    AUTO(mem_free) char *disk = xasprintf("%s/disk", s->top);
    AUTO(mem_free) char *wal = xasprintf("%s/disk/wal", s->top);
    AUTO(mem_free) char *link = xasprintf("%s/pg_wal", s->data);
    AUTO(mem_free) char *aside = NULL;
    struct err err = {0};
    char target[128];

    OK(fs_mkdirs(wal, 0700, &err), &err);
    assert_int_equal(symlink(wal, link), 0);
    make_wal(s);
    s->site.wal_link = wal;
    s->layout.wal_apart = true;
    free(s->roots[ROOT_WAL].dir);
    s->roots[ROOT_WAL].dir = xstrdup(wal);
    OK(oldwal_set_aside(&s->terms, s->fd, &err), &err);
    OK(oldwal_make_new(&s->layout, s->fd, &err), &err);
    aside = find(disk, "wal.before-restore-");
    assert_non_null(aside);
    assert_true(has(aside, "000000010000000000000005"));
    assert_true(has(wal, "archive_status"));
    assert_false(has(wal, "000000010000000000000005"));
    assert_int_equal(readlink(link, target, sizeof target), strlen(wal));
}

static void wal_can_move_to_another_place(void **state)
{
    struct sandbox *s = *state;
    AUTO(mem_free) char *wal = xasprintf("%s/disk/wal", s->top);
    struct err err = {0};

    OK(oldwal_make_new(&s->layout, s->fd, &err), &err); /* a plain one, as after a broken attempt */
    s->layout.wal_apart = true;
    free(s->roots[ROOT_WAL].dir);
    s->roots[ROOT_WAL].dir = xstrdup(wal);
    OK(oldwal_make_new(&s->layout, s->fd, &err), &err);
    OK(oldwal_make_new(&s->layout, s->fd, &err), &err);
    assert_true(has(wal, "archive_status"));
    assert_true(has(s->data, "pg_wal/archive_status"));
}

#define IN_SANDBOX(test) cmocka_unit_test_setup_teardown(test, sandbox_make, sandbox_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SANDBOX(complete_segments_are_worth_keeping_others_not),
        IN_SANDBOX(segments_of_another_system_are_not_ours),
        IN_SANDBOX(a_copys_wal_never_goes_to_the_archive),
        IN_SANDBOX(a_server_that_did_not_archive_left_nothing_for_the_archive),
        IN_SANDBOX(old_wal_is_set_aside_and_a_new_one_made),
        IN_SANDBOX(several_restores_in_one_second_each_keep_their_wal),
        IN_SANDBOX(behind_a_link_it_is_set_aside_beside_where_it_is),
        IN_SANDBOX(wal_can_move_to_another_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
