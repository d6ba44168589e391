/* test_scan.c - what is listed of a data directory, and what is not. */
#include "tests/unit/backup/data_dir.h"

#include <sys/socket.h>
#include <sys/un.h>

struct scanned {
    struct data_dir dir;
    struct list_writer list;
    struct scan_found found;
    struct buf lines; /* "f data/x\n", "d data\n", "l data/y -> z\n" */
};

static int begin(void **state)
{
    struct scanned *s = xcalloc(1, sizeof *s);

    log_setup(LOG_TEXT, LOG_ERROR);
    s->list.fd = -1;
    data_begin(&s->dir);
    *state = s;
    return 0;
}

static int end(void **state)
{
    struct scanned *s = *state;

    list_free(&s->list);
    data_found_free(&s->found);
    buf_free(&s->lines);
    data_end(&s->dir);
    free(s);
    return 0;
}

static void read_list(struct scanned *s)
{
    AUTO(list_end) struct list_reader r = {.fd = -1};
    AUTO(buf_free) struct buf before = BUF_INIT;
    struct err err = {0};
    struct listed e;
    int more;

    list_begin(&r, &s->list);
    while ((more = list_next(&r, &e, &err)) == 1) {
        if (before.len != 0 && path_compare(buf_text(&before), e.path) >= 0)
            fail_msg("\"%s\" comes after \"%s\"", e.path, before.p);
        buf_clear(&before);
        buf_adds(&before, e.path);
        buf_addf(&s->lines, "%c %s%s%s\n",
                 e.type == ENTRY_FILE ? 'f' : (e.type == ENTRY_DIR ? 'd' : 'l'), e.path,
                 e.type == ENTRY_LINK ? " -> " : "", e.target);
    }
    OK(more, &err);
}

static void scan(struct scanned *s, unsigned major, char *const *outside, size_t n)
{
    struct err err = {0};

    OK(data_scan(&s->dir, major, outside, n, &s->list, &s->found, &err), &err);
    read_list(s);
}

static void assert_lists(struct scanned *s, const char *want)
{
    if (strcmp(buf_text(&s->lines), want) != 0)
        fail_msg("listed:\n%sexpected:\n%s", buf_text(&s->lines), want);
}

static bool lists(struct scanned *s, const char *line)
{
    AUTO(mem_free) char *whole = xasprintf("\n%s\n", line);
    AUTO(mem_free) char *all = xasprintf("\n%s", buf_text(&s->lines));

    return strstr(all, whole) != NULL;
}

static void the_smallest_cluster_is_listed_in_path_order(void **state)
{
    struct scanned *s = *state;

    data_text(&s->dir, "base/5/PG_VERSION", "15\n");
    data_text(&s->dir, "base/5.x", "");
    data_text(&s->dir, "base-x", "'-' sorts before '/' only in whole paths");
    scan(s, 15, NULL, 0);
    assert_lists(s, "d data\nf data/PG_VERSION\nd data/base\nd data/base/5\n"
                    "f data/base/5/PG_VERSION\nf data/base/5.x\nf data/base-x\nd data/global\n"
                    "f data/global/pg_control\nd data/pg_tblspc\nd data/pg_wal\n"
                    "d data/pg_wal/archive_status\n");
    assert_int_equal(s->list.files, 5);
    assert_int_equal(s->found.warnings, 0);
}

static void what_a_server_makes_anew_is_left_out_at_every_depth(void **state)
{
    static const char *const out[] = {
        "postmaster.pid",
        "postmaster.opts",
        "backup_label",
        "tablespace_map",
        "recovery.signal",
        "standby.signal",
        "backup_label.old",
        "current_logfiles",
        "pg_wal/000000010000000000000001",
        "pg_wal/archive_status/x.done",
        "pg_replslot/slot/state",
        "pg_notify/0000",
        "pg_stat_tmp/global.stat",
        "pg_subtrans/0000",
        "pg_wal.before-restore-20260101/000000010000000000000001",
        "global/pg_internal.init",
        "base/5/pg_internal.init.123",
        "base/pgsql_tmp/pgsql_tmp1.0",
        "base/5/t3_16384",
        "base/5/t3_16384_fsm.1",
    };
    struct scanned *s = *state;

    for (size_t i = 0; i < LENGTH(out); i++)
        data_text(&s->dir, out[i], "x");
    data_text(&s->dir, "base/5/1259", "kept");
    scan(s, 17, NULL, 0);
    for (size_t i = 0; i < LENGTH(out); i++) {
        AUTO(mem_free) char *line = xasprintf("f data/%s", out[i]);
        if (lists(s, line))
            fail_msg("\"%s\" is listed", out[i]);
    }
    assert_int_equal(s->list.files, 3);
    assert_true(lists(s, "f data/base/5/1259"));
    assert_true(lists(s, "d data/pg_replslot"));
    assert_false(lists(s, "d data/pg_replslot/slot"));
    assert_true(lists(s, "d data/pg_notify"));
    assert_true(lists(s, "d data/pg_wal/archive_status"));
    assert_true(lists(s, "d data/pg_wal/summaries"));
    assert_false(lists(s, "d data/base/pgsql_tmp"));
}

static void of_an_unlogged_relation_only_the_init_fork_is_listed(void **state)
{
    static const char *const files[] = {"16384",    "16384.1", "16384_fsm", "16384_init",
                                        "16384_vm", "16385",   "16385_fsm"};
    struct scanned *s = *state;

    for (size_t i = 0; i < LENGTH(files); i++) {
        AUTO(mem_free) char *name = xasprintf("base/5/%s", files[i]);
        AUTO(mem_free) char *other = xasprintf("base/6/%s", files[i]);

        data_text(&s->dir, name, "x");
        if (strcmp(files[i], "16384_init") != 0)
            data_text(&s->dir, other, "x"); /* there it is an ordinary one */
    }
    scan(s, 15, NULL, 0);
    assert_true(lists(s, "f data/base/5/16384_init"));
    assert_true(lists(s, "f data/base/5/16385"));
    assert_true(lists(s, "f data/base/5/16385_fsm"));
    for (size_t i = 0; i < 5; i++) {
        AUTO(mem_free) char *line = xasprintf("f data/base/5/%s", files[i]);
        AUTO(mem_free) char *other = xasprintf("f data/base/6/%s", files[i]);

        assert_int_equal(lists(s, line), i == 3);
        assert_int_equal(lists(s, other), i != 3);
    }
}

static void of_a_tablespace_the_link_and_this_versions_directory_are_listed(void **state)
{
    struct scanned *s = *state;
    AUTO(mem_free) char *location = xasprintf("%s/space", s->dir.top);
    AUTO(mem_free) char *link_line = xasprintf("l data/pg_tblspc/16400 -> %s", location);

    data_text(&s->dir, "../space/PG_15_202209061/5/16401", "x");
    data_text(&s->dir, "../space/PG_15_202209061/5/16402_init", "x");
    data_text(&s->dir, "../space/PG_15_202209061/5/16402", "unlogged");
    data_text(&s->dir, "../space/PG_15_202209061/pgsql_tmp/pgsql_tmp1.0", "x");
    data_text(&s->dir, "../space/PG_14_202107181/5/16401", "of the cluster before pg_upgrade");
    data_text(&s->dir, "../space/notes.txt", "of nobody");
    data_link(&s->dir, "pg_tblspc/16400", location);
    data_link(&s->dir, "pg_tblspc/16500", "/no/such/place"); /* being dropped */
    scan(s, 15, NULL, 0);
    assert_true(lists(s, link_line));
    assert_true(lists(s, "d data/pg_tblspc/16400/PG_15_202209061"));
    assert_true(lists(s, "f data/pg_tblspc/16400/PG_15_202209061/5/16401"));
    assert_true(lists(s, "f data/pg_tblspc/16400/PG_15_202209061/5/16402_init"));
    assert_int_equal(s->list.files, 4);
    assert_int_equal(s->found.n_tablespaces, 1);
    assert_int_equal(s->found.tablespaces[0].oid, 16400);
    assert_string_equal(s->found.tablespaces[0].location, location);
}

static void an_in_place_tablespace_is_a_directory_without_a_location(void **state)
{
    struct scanned *s = *state;

    data_text(&s->dir, "pg_tblspc/16400/PG_17_202406281/5/16401", "x");
    scan(s, 17, NULL, 0);
    assert_true(lists(s, "d data/pg_tblspc/16400"));
    assert_true(lists(s, "f data/pg_tblspc/16400/PG_17_202406281/5/16401"));
    assert_int_equal(s->found.n_tablespaces, 1);
    assert_string_equal(s->found.tablespaces[0].location, "");
}

static void a_tablespace_inside_the_data_directory_is_listed_once(void **state)
{
    struct scanned *s = *state;
    AUTO(mem_free) char *location = data_path(&s->dir, "my/space");

    data_text(&s->dir, "my/space/PG_15_202209061/5/16401", "x");
    data_text(&s->dir, "my/other", "x");
    data_link(&s->dir, "pg_tblspc/16400", location);
    scan(s, 15, NULL, 0);
    assert_true(lists(s, "f data/my/other"));
    assert_true(lists(s, "f data/pg_tblspc/16400/PG_15_202209061/5/16401"));
    assert_false(lists(s, "f data/my/space/PG_15_202209061/5/16401"));
}

static void a_stray_link_in_pg_tblspc_hides_nothing(void **state)
{
    struct scanned *s = *state;

    data_text(&s->dir, "base/5/1259", "x");
    data_link(&s->dir, "pg_tblspc/mine", "../base");
    scan(s, 15, NULL, 0);
    assert_true(lists(s, "f data/base/5/1259"));
    assert_true(lists(s, "l data/pg_tblspc/mine -> ../base"));
    assert_int_equal(s->found.n_tablespaces, 0);
    assert_int_equal(s->found.warnings, 1);
}

static void foreign_links_are_kept_as_links_and_told(void **state)
{
    struct scanned *s = *state;

    data_text(&s->dir, "../elsewhere/1", "x");
    data_mkdir(&s->dir, "base");
    data_link(&s->dir, "base/7", "../../elsewhere");
    data_link(&s->dir, "server.key", "/etc/ssl/private/server.key");
    scan(s, 15, NULL, 0);
    assert_true(lists(s, "l data/base/7 -> ../../elsewhere"));
    assert_true(lists(s, "l data/server.key -> /etc/ssl/private/server.key"));
    assert_false(lists(s, "f data/base/7/1"));
    assert_int_equal(s->found.warnings, 2);
}

/* Or pg_wal would be restored onto the disk of the original. */
static void a_linked_pg_wal_becomes_a_directory(void **state)
{
    struct scanned *s = *state;

    data_text(&s->dir, "../wal/000000010000000000000001", "x");
    data_remove(&s->dir, "pg_wal");
    data_link(&s->dir, "pg_wal", "../wal");
    scan(s, 15, NULL, 0);
    assert_true(lists(s, "d data/pg_wal"));
    assert_true(lists(s, "d data/pg_wal/archive_status"));
    assert_false(lists(s, "d data/pg_wal/summaries")); /* from 17 on */
    assert_false(lists(s, "f data/pg_wal/000000010000000000000001"));
    assert_int_equal(s->found.warnings, 0);
}

static void sockets_are_left_out_and_pipes_are_told(void **state)
{
    struct scanned *s = *state;
    AUTO(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    snprintf(at.sun_path, sizeof at.sun_path, "%s/.s.PGSQL.5432", s->dir.path);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(mkfifoat(s->dir.fd, "pipe", 0600), 0);
    scan(s, 15, NULL, 0);
    assert_int_equal(s->list.files, 2);
    assert_int_equal(s->found.warnings, 1);
}

static void configuration_outside_is_a_tree_of_its_own(void **state)
{
    struct scanned *s = *state;
    AUTO(mem_free) char *conf = xasprintf("%s/etc/15/postgresql.conf", s->dir.top);
    AUTO(mem_free) char *hba = xasprintf("%s/etc/15/pg_hba.conf", s->dir.top);
    AUTO(mem_free) char *more = xasprintf("%s/etc/15.d/a.conf", s->dir.top);
    AUTO(mem_free) char *gone = xasprintf("%s/etc/gone.conf", s->dir.top);
    AUTO(mem_free) char *dir = xstrndup(more, strlen(more) - strlen("/a.conf"));
    AUTO(mem_free) char *none = xasprintf("%s/etc/none.d", s->dir.top);
    char *outside[] = {more, conf, gone, none, hba, dir, conf};
    AUTO(mem_free)
    char *want = xasprintf(
        "d config/tmp\nd config%s\nd config%s/etc\nd config%s/etc/15\nf config%s\nf config%s\n"
        "d config%s/etc/15.d\nf config%s\nd config%s\nd data\n",
        s->dir.top, s->dir.top, s->dir.top, hba, conf, s->dir.top, more, none);

    data_text(&s->dir, "../etc/15/postgresql.conf", "port = 1\n");
    data_text(&s->dir, "../etc/15/pg_hba.conf", "# none\n");
    data_text(&s->dir, "../etc/15.d/a.conf", "# none\n");
    assert_int_equal(mkdir(none, 0700), 0); /* the server wants to find it, empty or not */
    scan(s, 15, outside, LENGTH(outside));
    assert_int_equal(strncmp(buf_text(&s->lines), want, strlen(want)), 0);
    assert_int_equal(s->found.warnings, 1); /* the one that is not there */
}

static void what_is_no_data_directory_is_refused(void **state)
{
    struct scanned *s = *state;
    struct err err = {0};

    data_remove(&s->dir, "pg_tblspc");
    FAILS(data_scan(&s->dir, 15, NULL, 0, &s->list, &s->found, &err), &err, ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "pg_tblspc"));
}

static void a_walk_can_be_stopped(void **state)
{
    struct scanned *s = *state;
    struct err err = {0};
    struct stop stop = {.signal = 15};
    struct scan_request q = {.data_fd = s->dir.fd,
                             .data_dir = s->dir.path,
                             .version = pg_version_by_major(15),
                             .stop = &stop};

    OK(list_create(&s->list, s->dir.top, &err), &err);
    FAILS(scan_files(&q, &s->list, &s->found, &err), &err, ERR_INTERRUPTED);
}

/* Another thread makes and drops relations all the time: names that were read are gone when they
 * are looked at. */
static void *come_and_go(void *arg)
{
    struct scanned *s = arg;

    for (int i = 0; i < 300; i++) {
        char name[40];

        snprintf(name, sizeof name, "base/%d/1259", i % 10 + 1);
        data_text(&s->dir, name, "x");
        snprintf(name, sizeof name, "base/%d", (i + 5) % 10 + 1);
        data_remove(&s->dir, name);
    }
    return NULL;
}

static void what_vanishes_during_the_walk_is_left_out(void **state)
{
    struct scanned *s = *state;
    pthread_t other;

    data_mkdir(&s->dir, "base");
    assert_int_equal(pthread_create(&other, NULL, come_and_go, s), 0);
    for (int i = 0; i < 100; i++) {
        scan(s, 15, NULL, 0);
        assert_true(lists(s, "f data/PG_VERSION"));
        assert_true(lists(s, "d data/pg_wal"));
        list_free(&s->list);
        buf_clear(&s->lines);
    }
    assert_int_equal(pthread_join(other, NULL), 0);
}

#define ON_A_CLUSTER(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_CLUSTER(the_smallest_cluster_is_listed_in_path_order),
        ON_A_CLUSTER(what_a_server_makes_anew_is_left_out_at_every_depth),
        ON_A_CLUSTER(of_an_unlogged_relation_only_the_init_fork_is_listed),
        ON_A_CLUSTER(of_a_tablespace_the_link_and_this_versions_directory_are_listed),
        ON_A_CLUSTER(an_in_place_tablespace_is_a_directory_without_a_location),
        ON_A_CLUSTER(a_tablespace_inside_the_data_directory_is_listed_once),
        ON_A_CLUSTER(a_stray_link_in_pg_tblspc_hides_nothing),
        ON_A_CLUSTER(foreign_links_are_kept_as_links_and_told),
        ON_A_CLUSTER(a_linked_pg_wal_becomes_a_directory),
        ON_A_CLUSTER(sockets_are_left_out_and_pipes_are_told),
        ON_A_CLUSTER(configuration_outside_is_a_tree_of_its_own),
        ON_A_CLUSTER(what_is_no_data_directory_is_refused),
        ON_A_CLUSTER(a_walk_can_be_stopped),
        ON_A_CLUSTER(what_vanishes_during_the_walk_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
