/* The catalog as a file, what it keeps, and how it fails. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "catalog/catalog.h"
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

static int empty_dir(void **state)
{
    struct err err = {0};
    (void)state;

    return fs_remove_tree(AT_FDCWD, dir, true, &err);
}

static int remove_dir(void **state)
{
    struct err err = {0};
    (void)state;

    return fs_remove_tree(AT_FDCWD, dir, false, &err);
}

static struct catalog *open_catalog(void)
{
    struct catalog *c = NULL;
    struct err err = {0};

    OK(catalog_open(&c, path, &err), &err);
    return c;
}

/* A statement on the file, past the catalog. */
static void sql(const char *text)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static struct catalog_backup example(void)
{
    return (struct catalog_backup){
        .repo = "local",
        .cluster = "pg-test",
        .label = "20260102T030405Z-F-0a1b2c",
        .type = "full",
        .pg_version = 150004,
        .system_id = UINT64_C(0xf123456789abcdef),
        .timeline = 0xffffffff,
        .start_lsn = UINT64_C(0x80000000ffffffff),
        .stop_lsn = UINT64_MAX,
        .start_us = INT64_C(1767323045000001),
        .stop_us = INT64_C(1767323050000002),
        .raw_bytes = UINT64_C(7600000000),
        .stored_bytes = 1200000000,
        .duration_us = 5000001,
        .files = 1204,
        .checksum_failures = 2,
        .instance = "pg-test-1",
        .host = "node'1; DROP TABLE backup --",
        .tool_version = "0.1.0",
        .hold = "until the audit",
        .manifest_bytes = 4096,
        .manifest_id = "00112233445566778899aabbccddeeff",
    };
}

static void a_backup_comes_back_as_it_was_recorded(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_backups_free) struct catalog_backups list = {0};
    struct catalog_backup in = example();
    const struct catalog_backup *out;
    struct err err = {0};
    (void)state;

    OK(catalog_put_backup(c, &in, &err), &err);
    OK(catalog_get_backups(c, "local", "pg-test", false, &list, &err), &err);
    assert_int_equal(list.n, 1);
    out = &list.rows[0];
    assert_string_equal(out->repo, in.repo);
    assert_string_equal(out->cluster, in.cluster);
    assert_string_equal(out->label, in.label);
    assert_string_equal(out->type, "full");
    assert_null(out->base_label);
    assert_string_equal(out->state, "complete");
    assert_int_equal(out->pg_version, 150004);
    assert_true(out->system_id == in.system_id);
    assert_true(out->timeline == in.timeline);
    assert_true(out->start_lsn == in.start_lsn);
    assert_true(out->stop_lsn == in.stop_lsn);
    assert_true(out->start_us == in.start_us);
    assert_true(out->stop_us == in.stop_us);
    assert_true(out->raw_bytes == in.raw_bytes);
    assert_true(out->stored_bytes == in.stored_bytes);
    assert_true(out->duration_us == in.duration_us);
    assert_true(out->files == in.files);
    assert_true(out->checksum_failures == in.checksum_failures);
    assert_string_equal(out->instance, in.instance);
    assert_string_equal(out->host, in.host);
    assert_string_equal(out->tool_version, in.tool_version);
    assert_string_equal(out->hold, in.hold);
    assert_true(out->manifest_bytes == in.manifest_bytes);
    assert_string_equal(out->manifest_id, in.manifest_id);
    assert_true(out->verified_us == 0 && out->gone_us == 0);
}

static void recording_again_replaces_all_but_the_verification(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_backups_free) struct catalog_backups list = {0};
    struct catalog_backup b = example();
    struct err err = {0};
    (void)state;

    OK(catalog_put_backup(c, &b, &err), &err);
    OK(catalog_backup_verified(c, b.repo, b.cluster, b.label, 77, 3, &err), &err);
    b.state = "expired";
    b.hold = NULL;
    b.stored_bytes = 5;
    OK(catalog_put_backup(c, &b, &err), &err);
    OK(catalog_get_backups(c, NULL, NULL, false, &list, &err), &err);
    assert_int_equal(list.n, 1);
    assert_string_equal(list.rows[0].state, "expired");
    assert_null(list.rows[0].hold);
    assert_true(list.rows[0].stored_bytes == 5);
    assert_true(list.rows[0].verified_us == 77);
    assert_true(list.rows[0].verify_problems == 3);
}

static void what_speaks_against_a_backup(void **state)
{
    static const struct {
        const char *what;
        int64_t full_us, incr_us, last_us; /* when each was verified; negative: with problems */
        const char *harm;                  /* of the last one */
    } table[] = {
        {"nothing was verified", 0, 0, 0, NULL},
        {"all are sound", 5, 5, 5, NULL},
        {"itself", 0, 0, -5, "last"},
        {"its base, after which it was not verified", 4, -5, 4, "incr"},
        {"its base, after which it was taken", 0, -5, 0, "incr"},
        {"its base, before it was found sound", 0, -5, 6, NULL},
        {"the root, with nothing in between", -5, 0, 0, "full"},
        {"the root, before what is in between was found sound", -5, 6, 0, NULL},
        {"the root, after what is in between was found sound", -5, 4, 0, "full"},
    };
    static const char *const labels[] = {"full", "incr", "last"};
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        AUTO(catalog_close) struct catalog *c = open_catalog();
        AUTO(catalog_backups_free) struct catalog_backups known = {0};
        const int64_t verified[] = {table[i].full_us, table[i].incr_us, table[i].last_us};
        const struct catalog_backup *harm;
        struct catalog_backup b = example();
        struct err err = {0};

        b.repo = table[i].what;
        for (size_t k = 0; k < LENGTH(labels); k++) {
            b.label = labels[k];
            b.base_label = k == 0 ? NULL : labels[k - 1];
            OK(catalog_put_backup(c, &b, &err), &err);
            if (verified[k] != 0)
                OK(catalog_backup_verified(c, b.repo, b.cluster, b.label, llabs(verified[k]),
                                           verified[k] < 0 ? 2 : 0, &err),
                   &err);
        }
        OK(catalog_get_backups(c, NULL, b.cluster, false, &known, &err), &err);
        harm = catalog_harm(&known, b.repo, "last");
        if ((harm == NULL) != (table[i].harm == NULL) ||
            (harm != NULL && strcmp(harm->label, table[i].harm) != 0))
            fail_msg("%s: %s", table[i].what, harm == NULL ? "nothing" : harm->label);
        assert_null(catalog_harm(&known, "another", "last"));
        assert_null(catalog_harm(&known, b.repo, "unheard of"));
    }
}

static void harm_is_told_with_its_time(void **state)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct catalog_backup b = {.label = "L", .verified_us = 1500000, .verify_problems = 1};
    (void)state;

    catalog_harm_text(&b, &text);
    b.verify_problems = 12;
    buf_adds(&text, "; ");
    catalog_harm_text(&b, &text);
    assert_string_equal(buf_text(&text),
                        "the verification at 1970-01-01 00:00:01+00 found 1 problem in backup L; "
                        "the verification at 1970-01-01 00:00:01+00 found 12 problems in backup L");
}

static void a_backup_that_is_gone_stays_as_history(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_backups_free) struct catalog_backups now = {0}, all = {0};
    struct catalog_backup b = example();
    struct err err = {0};
    (void)state;

    OK(catalog_put_backup(c, &b, &err), &err);
    OK(catalog_backup_gone(c, b.repo, b.cluster, b.label, &err), &err);
    OK(catalog_backup_gone(c, b.repo, b.cluster, "no such label", &err), &err);
    OK(catalog_get_backups(c, NULL, NULL, false, &now, &err), &err);
    OK(catalog_get_backups(c, NULL, NULL, true, &all, &err), &err);
    assert_int_equal(now.n, 0);
    assert_int_equal(all.n, 1);
    assert_string_equal(all.rows[0].state, "gone");
    assert_true(all.rows[0].gone_us > 0);
}

static void backups_are_listed_by_cluster_repository_and_time(void **state)
{
    static const struct {
        const char *cluster, *repo, *label;
        int64_t start_us;
    } rows[] = {{"b", "x", "L5", 1},
                {"a", "y", "L3", 1},
                {"a", "x", "L2", 9},
                {"a", "x", "L1", 8},
                {"a", "y", "L4", 1}};
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_backups_free) struct catalog_backups list = {0};
    AUTO(catalog_backups_free) struct catalog_backups some = {0};
    struct err err = {0};
    (void)state;

    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct catalog_backup b = example();
        b.cluster = rows[i].cluster;
        b.repo = rows[i].repo;
        b.label = rows[i].label;
        b.start_us = rows[i].start_us;
        OK(catalog_put_backup(c, &b, &err), &err);
    }
    OK(catalog_get_backups(c, NULL, NULL, false, &list, &err), &err);
    assert_int_equal(list.n, LENGTH(rows));
    for (size_t i = 0; i < list.n; i++) {
        char label[] = "L1";
        label[1] = (char)('1' + i);
        assert_string_equal(list.rows[i].label, label);
    }
    OK(catalog_get_backups(c, "y", "a", false, &some, &err), &err);
    assert_int_equal(some.n, 2);
}

static void archived_wal_is_replaced_and_gaps_keep_their_first_time(void **state)
{
    const struct catalog_wal_range first[] = {
        {.system_id = 7,
         .pg_major = 15,
         .timeline = 1,
         .start_lsn = 0x1000000,
         .end_lsn = 0x3000000,
         .segments = 2,
         .stored_bytes = 10,
         .first_commit_us = 1,
         .last_commit_us = 2,
         .incomplete = 1},
        {.system_id = 7,
         .pg_major = 15,
         .timeline = 1,
         .start_lsn = 0x5000000,
         .end_lsn = 0x6000000,
         .segments = 1},
    };
    const struct catalog_gap gap[] = {
        {.system_id = 7,
         .timeline = 1,
         .start_lsn = 0x3000000,
         .end_lsn = 0x5000000,
         .segments = 2,
         .noticed_us = 100},
        {.system_id = 7,
         .timeline = 1,
         .start_lsn = 0x8000000,
         .end_lsn = 0x9000000,
         .segments = 1,
         .noticed_us = 200},
    };
    const struct catalog_gap smaller[] = {
        {.system_id = 7,
         .timeline = 1,
         .start_lsn = 0x4000000,
         .end_lsn = 0x5000000,
         .segments = 1,
         .noticed_us = 300},
        {.system_id = 7,
         .timeline = 2,
         .start_lsn = 0x8000000,
         .end_lsn = 0x9000000,
         .segments = 1,
         .noticed_us = 400},
    };
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_wal_free) struct catalog_wal before = {0}, after = {0}, other = {0};
    struct err err = {0};
    (void)state;

    OK(catalog_put_wal(c, "r", "c", first, 2, gap, 2, &err), &err);
    OK(catalog_put_wal(c, "other", "c", first, 1, NULL, 0, &err), &err);
    OK(catalog_get_wal(c, "r", "c", &before, &err), &err);
    assert_int_equal(before.n_ranges, 2);
    assert_string_equal(before.ranges[0].repo, "r");
    assert_string_equal(before.ranges[0].cluster, "c");
    assert_true(before.ranges[0].system_id == 7 && before.ranges[0].pg_major == 15 &&
                before.ranges[0].timeline == 1 && before.ranges[0].start_lsn == 0x1000000 &&
                before.ranges[0].end_lsn == 0x3000000 && before.ranges[0].segments == 2 &&
                before.ranges[0].stored_bytes == 10 && before.ranges[0].first_commit_us == 1 &&
                before.ranges[0].last_commit_us == 2 && before.ranges[0].incomplete == 1);
    assert_int_equal(before.n_gaps, 2);
    assert_true(before.gaps[0].noticed_us == 100 && before.gaps[0].segments == 2);

    OK(catalog_put_wal(c, "r", "c", &first[1], 1, smaller, 2, &err), &err);
    OK(catalog_get_wal(c, "r", "c", &after, &err), &err);
    assert_int_equal(after.n_ranges, 1);
    assert_true(after.ranges[0].start_lsn == 0x5000000);
    assert_int_equal(after.n_gaps, 2);
    assert_true(after.gaps[0].start_lsn == 0x4000000 && after.gaps[0].noticed_us == 100);
    assert_true(after.gaps[1].timeline == 2 && after.gaps[1].noticed_us == 400);
    OK(catalog_get_wal(c, "other", NULL, &other, &err), &err);
    assert_int_equal(other.n_ranges, 1);
}

static void clusters_and_repositories_are_replaced_by_name(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_clusters_free) struct catalog_clusters clusters = {0};
    AUTO(catalog_repositories_free) struct catalog_repositories repos = {0}, some = {0};
    struct catalog_cluster cluster = {.name = "a", .system_id = 1, .pg_version = 15, .seen_us = 1};
    struct catalog_repository repo = {.name = "r",
                                      .cluster = "a",
                                      .type = "posix",
                                      .location = "/x",
                                      .repo_id = "00",
                                      .cipher = "none"};
    struct err err = {0};
    (void)state;

    OK(catalog_put_cluster(c, &cluster, &err), &err);
    cluster.system_id = UINT64_MAX;
    cluster.data = "/pg/data";
    OK(catalog_put_cluster(c, &cluster, &err), &err);
    OK(catalog_get_clusters(c, &clusters, &err), &err);
    assert_int_equal(clusters.n, 1);
    assert_true(clusters.rows[0].system_id == UINT64_MAX);
    assert_string_equal(clusters.rows[0].data, "/pg/data");
    assert_null(clusters.rows[0].host);

    OK(catalog_put_repository(c, &repo, &err), &err);
    repo.cluster = "b";
    OK(catalog_put_repository(c, &repo, &err), &err);
    repo.location = "/y";
    OK(catalog_put_repository(c, &repo, &err), &err);
    OK(catalog_get_repositories(c, NULL, &repos, &err), &err);
    OK(catalog_get_repositories(c, "b", &some, &err), &err);
    assert_int_equal(repos.n, 2);
    assert_int_equal(some.n, 1);
    assert_string_equal(some.rows[0].location, "/y");
    assert_true(some.rows[0].seen_us > 0);
}

static void forgetting_touches_one_repository_of_one_cluster(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_backups_free) struct catalog_backups list = {0};
    AUTO(catalog_wal_free) struct catalog_wal wal = {0};
    const struct catalog_wal_range range = {.timeline = 1};
    const struct catalog_gap gap = {.timeline = 1};
    struct catalog_backup b = example();
    struct err err = {0};
    (void)state;

    for (int i = 0; i < 2; i++) {
        b.cluster = i == 0 ? "a" : "b";
        OK(catalog_put_backup(c, &b, &err), &err);
        OK(catalog_put_wal(c, b.repo, b.cluster, &range, 1, &gap, 1, &err), &err);
    }
    OK(catalog_forget(c, b.repo, "a", &err), &err);
    OK(catalog_get_backups(c, NULL, NULL, true, &list, &err), &err);
    OK(catalog_get_wal(c, NULL, NULL, &wal, &err), &err);
    assert_int_equal(list.n, 1);
    assert_string_equal(list.rows[0].cluster, "b");
    assert_int_equal(wal.n_ranges, 1);
    assert_int_equal(wal.n_gaps, 1);
}

static void a_transaction_is_all_or_nothing(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_backups_free) struct catalog_backups undone = {0}, done = {0};
    const struct catalog_wal_range range = {.timeline = 1};
    struct catalog_backup b = example();
    struct err err = {0};
    (void)state;

    OK(catalog_begin(c, &err), &err);
    OK(catalog_put_backup(c, &b, &err), &err);
    OK(catalog_put_wal(c, "r", "c", &range, 1, NULL, 0, &err), &err);
    catalog_rollback(c);
    catalog_rollback(c);
    OK(catalog_get_backups(c, NULL, NULL, true, &undone, &err), &err);
    assert_int_equal(undone.n, 0);

    OK(catalog_begin(c, &err), &err);
    OK(catalog_forget(c, b.repo, b.cluster, &err), &err);
    OK(catalog_put_backup(c, &b, &err), &err);
    OK(catalog_commit(c, &err), &err);
    catalog_close(&c);
    c = open_catalog();
    OK(catalog_get_backups(c, NULL, NULL, true, &done, &err), &err);
    assert_int_equal(done.n, 1);
}

static void closing_rolls_an_open_transaction_back(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_backups_free) struct catalog_backups list = {0};
    struct catalog_backup b = example();
    struct err err = {0};
    (void)state;

    OK(catalog_begin(c, &err), &err);
    OK(catalog_put_backup(c, &b, &err), &err);
    catalog_close(&c);
    c = open_catalog();
    OK(catalog_get_backups(c, NULL, NULL, true, &list, &err), &err);
    assert_int_equal(list.n, 0);
}

static void events_come_back_newest_first(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_events_free) struct catalog_events all = {0}, last = {0}, since = {0}, other = {0};
    struct catalog_event e = {.level = "warning",
                              .kind = "wal gap",
                              .cluster = "a",
                              .repo = "r",
                              .text = "2 segments missing",
                              .json = "{\"segments\":2}"};
    struct err err = {0};
    (void)state;

    for (int i = 1; i <= 3; i++) {
        e.time_us = i;
        OK(catalog_put_event(c, &e, &err), &err);
    }
    OK(catalog_get_events(c, "a", 0, SIZE_MAX, &all, &err), &err);
    OK(catalog_get_events(c, NULL, 0, 1, &last, &err), &err);
    OK(catalog_get_events(c, NULL, 2, 10, &since, &err), &err);
    OK(catalog_get_events(c, "b", 0, 10, &other, &err), &err);
    assert_int_equal(all.n, 3);
    assert_true(all.rows[0].time_us == 3 && all.rows[2].time_us == 1);
    assert_string_equal(all.rows[0].text, "2 segments missing");
    assert_string_equal(all.rows[0].json, "{\"segments\":2}");
    assert_string_equal(all.rows[0].kind, "wal gap");
    assert_string_equal(all.rows[0].level, "warning");
    assert_string_equal(all.rows[0].repo, "r");
    assert_int_equal(last.n, 1);
    assert_int_equal(since.n, 2);
    assert_int_equal(other.n, 0);
}

static int64_t count(const char *query)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    int64_t n;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, query, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return n;
}

/* Enough of them that old ones are looked for. */
static void happen(struct catalog *c, unsigned n)
{
    const struct catalog_event e = {
        .level = "info", .kind = "backup", .cluster = "a", .text = "done"};
    struct catalog_run r = {.command = "backup", .cluster = "a"};
    struct err err = {0};

    for (unsigned i = 0; i < n; i++) {
        OK(catalog_put_event(c, &e, &err), &err);
        OK(catalog_run_begin(c, &r, &r.id, &err), &err);
        OK(catalog_run_finish(c, &r, &err), &err);
    }
}

static void what_happened_long_ago_is_forgotten(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    (void)state;

    sql("INSERT INTO event (time_us, level, kind, cluster, text) VALUES"
        " (1, 'error', 'backup', 'a', 'old'), (1, 'error', 'backup', 'a', 'told'),"
        " (1, 'error', 'alarm', 'a', 'the last alarm'), (1, 'error', 'backup', 'b', 'of another');"
        "INSERT INTO delivery (event, receiver, state, created_us) VALUES (2, 'ops', 'pending', 1);"
        "INSERT INTO job_run (job, command, cluster, started_us, finished_us) VALUES"
        " (NULL, 'backup', 'a', 1, 2), (NULL, 'drill', 'a', 1, 2), (NULL, 'drill', 'a', 1, 2),"
        " ('full', 'backup', 'a', 1, 2);"
        "INSERT INTO drill (run, cluster, repository, started_us) VALUES (2, 'a', 'r', 1)");
    happen(c, 64);
    assert_int_equal(count("SELECT count(*) FROM event WHERE text = 'old'"), 0);
    assert_int_equal(count("SELECT count(*) FROM event WHERE time_us = 1"), 3);
    assert_int_equal(count("SELECT count(*) FROM job_run WHERE id = 1"), 0);
    assert_int_equal(count("SELECT count(*) FROM job_run WHERE started_us = 1"), 3);
    assert_int_equal(count("SELECT count(*) FROM event"), 64 + 3);
    assert_int_equal(count("SELECT count(*) FROM job_run"), 64 + 3);
}

static void what_happens_too_often_is_forgotten_sooner(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    (void)state;

    sql("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100500)"
        " INSERT INTO event (time_us, level, kind, cluster, text)"
        " SELECT strftime('%s', 'now') * 1000000, 'info', 'backup', 'a', 'done' FROM n;"
        "INSERT INTO job_run (id, command, cluster, started_us)"
        " SELECT id, 'backup', 'a', time_us FROM event");
    happen(c, 64);
    assert_in_range(count("SELECT count(*) FROM event"), 100000, 100063);
    assert_in_range(count("SELECT count(*) FROM job_run"), 100000, 100063);
    assert_int_equal(count("SELECT max(id) FROM event"), 100564);
}

static void a_run_shows_its_progress_and_its_end(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_runs_free) struct catalog_runs running = {0}, none = {0}, all = {0};
    struct catalog_run r = {.command = "backup",
                            .cluster = "a",
                            .repo = "r",
                            .job = "nightly",
                            .instance = "a-1",
                            .host = "h"};
    struct err err = {0};
    (void)state;

    OK(catalog_run_begin(c, &r, &r.id, &err), &err);
    r.bytes_done = 10;
    r.bytes_total = 20;
    r.files_done = 1;
    r.files_total = 2;
    r.bytes_stored = 5;
    OK(catalog_run_progress(c, &r, &err), &err);
    OK(catalog_get_runs(c, "a", true, 10, &running, &err), &err);
    assert_int_equal(running.n, 1);
    assert_true(running.rows[0].id == r.id);
    assert_true(running.rows[0].pid == getpid());
    assert_true(running.rows[0].started_us > 0 && running.rows[0].finished_us == 0);
    assert_int_equal(running.rows[0].exit_status, -1);
    assert_true(running.rows[0].bytes_done == 10 && running.rows[0].bytes_total == 20 &&
                running.rows[0].files_done == 1 && running.rows[0].files_total == 2 &&
                running.rows[0].bytes_stored == 5 && running.rows[0].progress_us > 0);
    r.exit_status = 3;
    r.label = "L1";
    r.message = "2 pages with a wrong checksum";
    OK(catalog_run_finish(c, &r, &err), &err);
    OK(catalog_get_runs(c, "a", true, 10, &none, &err), &err);
    OK(catalog_get_runs(c, NULL, false, 10, &all, &err), &err);
    assert_int_equal(none.n, 0);
    assert_int_equal(all.n, 1);
    assert_string_equal(all.rows[0].job, "nightly");
    assert_string_equal(all.rows[0].command, "backup");
    assert_string_equal(all.rows[0].label, "L1");
    assert_string_equal(all.rows[0].message, r.message);
    assert_int_equal(all.rows[0].exit_status, 3);
    assert_true(all.rows[0].finished_us >= all.rows[0].started_us);
}

static void the_file_is_for_its_owner_only(void **state)
{
    AUTO(catalog_close) struct catalog *c = NULL;
    mode_t old = umask(0);
    struct err err = {0};
    struct stat st;
    (void)state;

    OK(catalog_open(&c, path, &err), &err);
    umask(old);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_missing_directory_is_said(void **state)
{
    struct catalog *c = NULL;
    struct err err = {0};
    (void)state;

    FAILS(catalog_open(&c, "/nowhere/catalog.db", &err), &err, ERR_NOT_FOUND);
    assert_string_equal(err.msg, "catalog \"/nowhere/catalog.db\": No such file or directory");
}

static void a_newer_catalog_is_left_alone(void **state)
{
    struct catalog *c = open_catalog();
    AUTO(buf_free) struct buf before = BUF_INIT;
    AUTO(buf_free) struct buf after = BUF_INIT;
    struct err err = {0};
    (void)state;

    catalog_close(&c);
    sql("PRAGMA user_version = 99");
    OK(fs_read_file(AT_FDCWD, path, 1 << 20, &before, &err), &err);
    FAILS(catalog_open(&c, path, &err), &err, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "was made by a newer pgbr (version 99, this one knows "));
    OK(fs_read_file(AT_FDCWD, path, 1 << 20, &after, &err), &err);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.p, after.p, before.len);
}

static void somebody_elses_database_is_refused(void **state)
{
    struct catalog *c = NULL;
    struct err err = {0};
    (void)state;

    sql("CREATE TABLE orders (id integer)");
    FAILS(catalog_open(&c, path, &err), &err, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "is a database of another program"));
}

static void overwrite(size_t at, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, (off_t)at), len);
    close(fd);
}

static void fill(unsigned backups)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    struct err err = {0};

    OK(catalog_begin(c, &err), &err);
    for (unsigned i = 0; i < backups; i++) {
        AUTO(mem_free) char *label = xasprintf("L%06u", i);
        struct catalog_backup b = example();
        b.label = label;
        OK(catalog_put_backup(c, &b, &err), &err);
    }
    OK(catalog_commit(c, &err), &err);
}

/* What can be asked of a damaged file: all fails in the same way, or still answers. */
static int use(struct err *err)
{
    AUTO(catalog_close) struct catalog *c = NULL;
    AUTO(catalog_backups_free) struct catalog_backups list = {0};

    TRY(catalog_open(&c, path, err));
    TRY(catalog_get_backups(c, NULL, NULL, true, &list, err));
    return catalog_check(c, err);
}

static void damage_is_called_damage_with_the_way_out(void **state)
{
    static const char zeros[4096];
    static const struct {
        const char *name;
        size_t at, len;
        const char *bytes;
        size_t keep; /* cut the file to this; 0: do not */
    } table[] = {
        {"header", 0, 16, "no sqlite file..", 0},
        {"schema page", 100, 3996, zeros, 0},
        {"rows", 40960, 4096, zeros, 0},
        {"cut", 0, 0, "", 20480},
        {"short", 0, 0, "", 50},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        struct err err = {0};

        assert_int_equal(empty_dir(NULL), 0);
        fill(200);
        overwrite(table[i].at, table[i].bytes, table[i].len);
        if (table[i].keep != 0)
            assert_int_equal(truncate(path, (off_t)table[i].keep), 0);
        if (use(&err) == 0)
            fail_msg("%s: not noticed", table[i].name);
        assert_int_equal(err.code, ERR_CORRUPT);
        if (strstr(err.msg, "pgbr catalog rebuild") == NULL)
            fail_msg("%s: %s", table[i].name, err.msg);
    }
}

static void a_damaged_catalog_is_set_aside_and_made_anew(void **state)
{
    AUTO(mem_free) char *moved = NULL;
    AUTO(mem_free) char *again = NULL;
    AUTO(mem_free) char *none = NULL;
    struct err err = {0};
    (void)state;

    fill(1);
    overwrite(0, "garbage", 7);
    OK(catalog_replace(path, &moved, &err), &err);
    assert_non_null(strstr(moved, "catalog.db.broken-20"));
    assert_true(fs_exists(AT_FDCWD, moved));
    OK(use(&err), &err);
    OK(catalog_replace(path, &again, &err), &err);
    assert_string_not_equal(moved, again);
    assert_true(fs_exists(AT_FDCWD, again));
    assert_int_equal(empty_dir(NULL), 0);
    OK(catalog_replace(path, &none, &err), &err);
    assert_null(none);
    OK(use(&err), &err);
}

static void progress_never_waits_for_another_writer(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_close) struct catalog *other = open_catalog();
    struct catalog_run r = {.command = "backup"};
    struct err err = {0};
    int64_t begin;
    (void)state;

    OK(catalog_run_begin(c, &r, &r.id, &err), &err);
    OK(catalog_begin(other, &err), &err);
    begin = clock_monotonic_us();
    FAILS(catalog_run_progress(c, &r, &err), &err, ERR_BUSY);
    assert_true(clock_monotonic_us() - begin < 1000000);
    assert_non_null(strstr(err.msg, "another pgbr process is writing to it"));
    catalog_rollback(other);
    OK(catalog_run_progress(c, &r, &err), &err);
}

static void reading_goes_on_while_another_writes(void **state)
{
    AUTO(catalog_close) struct catalog *c = open_catalog();
    AUTO(catalog_close) struct catalog *writer = open_catalog();
    AUTO(catalog_backups_free) struct catalog_backups list = {0};
    struct catalog_backup b = example();
    struct err err = {0};
    (void)state;

    OK(catalog_begin(writer, &err), &err);
    OK(catalog_put_backup(writer, &b, &err), &err);
    OK(catalog_get_backups(c, NULL, NULL, true, &list, &err), &err);
    assert_int_equal(list.n, 0);
    catalog_rollback(writer);
}

enum { WRITERS = 4, ROWS = 25 };

/* In a process of its own, as in real life. */
static int write_events(void)
{
    AUTO(catalog_close) struct catalog *c = NULL;
    struct catalog_event e = {.level = "info", .kind = "test", .text = "x"};
    struct err err = {0};

    TRY(catalog_open(&c, path, &err));
    for (int i = 0; i < ROWS; i++)
        TRY(catalog_put_event(c, &e, &err));
    return 0;
}

static void many_may_make_and_write_one_catalog(void **state)
{
    AUTO(catalog_close) struct catalog *c = NULL;
    AUTO(catalog_events_free) struct catalog_events list = {0};
    pid_t children[WRITERS];
    struct err err = {0};
    int status;
    (void)state;

    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            _exit(write_events() == 0 ? 0 : 1);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    c = open_catalog();
    OK(catalog_get_events(c, NULL, 0, SIZE_MAX, &list, &err), &err);
    assert_int_equal(list.n, WRITERS * ROWS);
}

#define TEST(name) cmocka_unit_test_setup(name, empty_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_backup_comes_back_as_it_was_recorded),
        TEST(recording_again_replaces_all_but_the_verification),
        TEST(what_speaks_against_a_backup),
        TEST(harm_is_told_with_its_time),
        TEST(a_backup_that_is_gone_stays_as_history),
        TEST(backups_are_listed_by_cluster_repository_and_time),
        TEST(archived_wal_is_replaced_and_gaps_keep_their_first_time),
        TEST(clusters_and_repositories_are_replaced_by_name),
        TEST(forgetting_touches_one_repository_of_one_cluster),
        TEST(a_transaction_is_all_or_nothing),
        TEST(closing_rolls_an_open_transaction_back),
        TEST(events_come_back_newest_first),
        TEST(what_happened_long_ago_is_forgotten),
        TEST(what_happens_too_often_is_forgotten_sooner),
        TEST(a_run_shows_its_progress_and_its_end),
        TEST(the_file_is_for_its_owner_only),
        TEST(a_missing_directory_is_said),
        TEST(a_newer_catalog_is_left_alone),
        TEST(somebody_elses_database_is_refused),
        TEST(damage_is_called_damage_with_the_way_out),
        TEST(a_damaged_catalog_is_set_aside_and_made_anew),
        TEST(progress_never_waits_for_another_writer),
        TEST(reading_goes_on_while_another_writes),
        TEST(many_may_make_and_write_one_catalog),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
