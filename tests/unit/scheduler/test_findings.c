/* What is said of a cluster, judged from what others have looked at: no server, no repository. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "catalog/drills.h"
#include "scheduler/status/findings_form.h"
#include "tests/lib/test.h"

#define NOW INT64_C(1795348800000000) /* 2026-11-22 12:00:00 UTC */
#define S INT64_C(1000000)
#define H (3600 * S)
#define D (24 * H)
#define SYSID UINT64_C(7300000000000000001)

struct scene {
    struct config *config;
    struct pubinfo backup;
    struct window window;
    struct hole holes[2];
    struct wal_gap gap;
    struct backup_mark mark;
    struct view view;
    struct findings_repo repo;
    struct server_state server;
    struct pg_wal_state pg_wal;
    struct catalog *catalog;
    char path[40];
    struct findings_request q;
    struct findings found;
};

static const char plain[] = "repos: {local: {path: /backup}}\nclusters: {main: {data: /data}}\n";

static void scene_begin(struct scene *s, const char *yaml)
{
    struct err err = {0};
    int fd;

    memset(s, 0, sizeof *s);
    OK(config_parse(yaml, strlen(yaml), "pgbr.yml", &s->config, &err), &err);
    s->backup = (struct pubinfo){
        .label = "20261122T100000Z-F-000001", .system_id = SYSID, .stop_us = NOW - 2 * H};
    s->window = (struct window){.system_id = SYSID,
                                .timeline = 1,
                                .open = true,
                                .start_us = NOW - 2 * H,
                                .end_us = NOW - 10 * S,
                                .end_lsn = 0x5000000,
                                .last_commit_us = NOW - 10 * S};
    memcpy(s->window.last_backup, s->backup.label, sizeof s->backup.label);
    s->view.backups = (struct backup_list){&s->backup, NULL, 1};
    s->view.windows = (struct windows){&s->window, 1, s->holes, 0};
    s->repo = (struct findings_repo){"local", true, &s->view, NULL};
    s->server = (struct server_state){.system_id = SYSID,
                                      .major = 15,
                                      .timeline = 1,
                                      .archives = true,
                                      .segment_size = 16 << 20,
                                      .wal_lsn = 0x5000028,
                                      .now_us = NOW,
                                      .asked_us = NOW,
                                      .archived = 7,
                                      .archived_us = NOW - 5 * S};
    s->pg_wal = (struct pg_wal_state){.free_bytes = UINT64_C(100) << 30,
                                      .total_bytes = UINT64_C(200) << 30};
    snprintf(s->path, sizeof s->path, "/tmp/pgbr-test-XXXXXX");
    fd = mkstemp(s->path);
    assert_true(fd >= 0);
    close(fd);
    OK(catalog_open(&s->catalog, s->path, &err), &err);
    s->q = (struct findings_request){.config = s->config,
                                     .cluster = &s->config->clusters[0],
                                     .repos = &s->repo,
                                     .n_repos = 1,
                                     .catalog = s->catalog,
                                     .server = &s->server,
                                     .pg_wal = &s->pg_wal,
                                     .now_us = NOW};
}

static void scene_end(struct scene *s)
{
    findings_free(&s->found);
    catalog_close(&s->catalog);
    config_free(&s->config);
    unlink(s->path);
}

/* The worst finding of a kind; NULL: nothing is said of it. */
static const struct finding *look(struct scene *s, const char *kind)
{
    findings_collect(&s->q, &s->found);
    for (size_t i = 0; i < s->found.n; i++)
        if (strcmp(s->found.items[i].kind, kind) == 0)
            return &s->found.items[i];
    return NULL;
}

static void said(struct scene *s, const char *kind, enum finding_level level, const char *text)
{
    const struct finding *f = look(s, kind);

    if (f == NULL)
        fail_msg("nothing is said of %s", kind);
    else if (f->level != level || strstr(f->text, text) == NULL)
        fail_msg("%s: %s %s; wanted: %s %s", kind, finding_level_name(f->level), f->text,
                 finding_level_name(level), text);
    else if (level != FINDING_OK && f->todo == NULL)
        fail_msg("%s: nothing is said of what to do", kind);
}

static void nothing_is_wrong_with_a_cluster_that_is_looked_after(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, plain);
    findings_collect(&s.q, &s.found);
    assert_int_equal(s.found.counts[FINDING_WARNING], 0);
    assert_int_equal(s.found.counts[FINDING_FAILED], 0);
    assert_true(s.found.counts[FINDING_OK] >= 6);
    said(&s, "windows", FINDING_OK, "up to the commit at 2026-11-22 11:59:50+00, 00:10 ago");
    said(&s, "archiver", FINDING_OK, "7 files, no failure");
    scene_end(&s);
}

static void what_is_wrong_comes_first(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, plain);
    s.backup.stop_us = NOW - 20 * D;
    s.server.failed_us = NOW;
    findings_collect(&s.q, &s.found);
    assert_int_equal(s.found.items[0].level, FINDING_FAILED);
    assert_int_equal(s.found.items[1].level, FINDING_WARNING);
    assert_int_equal(s.found.items[s.found.n - 1].level, FINDING_OK);
    assert_int_equal(s.found.counts[FINDING_FAILED], 1);
    assert_int_equal(s.found.counts[FINDING_WARNING], 1);
    scene_end(&s);
}

static void an_old_backup_is_a_warning(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, plain); /* full_interval is 7 days */
    s.backup.stop_us = NOW - 8 * D;
    said(&s, "backups", FINDING_OK, "1, the newest");
    s.backup.stop_us = NOW - 8 * D - S;
    said(&s, "backups", FINDING_WARNING, "is 8 d 00:00 old; it may be 8 d 00:00");
    s.backup.stop_us = NOW + 30 * D; /* a clock was a month ahead */
    said(&s, "backups", FINDING_WARNING, "which is still to come");
    s.view.backups.n = 0;
    said(&s, "backups", FINDING_WARNING, "there is none");
    scene_end(&s);
}

static void a_backup_that_cannot_be_restored_does_not_count(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, plain);
    s.holes[0] = (struct hole){.kind = HOLE_BACKUP};
    memcpy(s.holes[0].backup, s.backup.label, sizeof s.backup.label);
    s.view.windows.n_holes = 1;
    said(&s, "backups", FINDING_WARNING, "there is none");
    scene_end(&s);
}

static void how_old_a_backup_may_be_follows_the_jobs(void **state)
{
    static const struct {
        const char *yaml;
        int64_t age;
    } cases[] = {
        {"", 8 * D},
        {"jobs: {a: {run: backup, cron: '0 1 * * *', time_zone: UTC}}\n", 36 * H},
        {"jobs: {a: {run: backup --type incr, cron: '0 * * * *', time_zone: UTC}}\n", 2 * H},
        {"jobs: {a: {run: backup --type full, cron: '0 1 * * 0', time_zone: UTC},"
         " b: {run: backup --type incr, cron: '0 1 * * 1-6', time_zone: UTC}}\n",
         36 * H},
        {"jobs: {a: {run: backup, cron: '0 1 * * 1-5', time_zone: UTC}}\n", 108 * H},
        {"jobs: {a: {run: verify, cron: '0 1 * * *', time_zone: UTC}}\n", 8 * D},
        {"watch: {backup_max_age: 26 h}\n"
         "jobs: {a: {run: backup, cron: '0 1 * * *', time_zone: UTC}}\n",
         26 * H},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf yaml = BUF_INIT;
        struct scene s;

        buf_addf(&yaml, "%s%s", plain, cases[i].yaml);
        scene_begin(&s, buf_text(&yaml));
        assert_int_equal(findings_backup_age_us(s.config, s.q.cluster, NOW), cases[i].age);
        scene_end(&s);
    }
}

static void what_a_cluster_says_counts_before_what_the_file_says(void **state)
{
    static const char yaml[] = "repos: {local: {path: /backup}}\n"
                               "watch: {backup_max_age: 26 h, hold_notice: 1 d}\n"
                               "clusters: {main: {watch: {backup_max_age: 3 h}}}\n";
    struct scene s;
    (void)state;

    scene_begin(&s, yaml);
    assert_int_equal(s.q.cluster->watch.backup_max_age_ms, 3 * 3600000);
    assert_int_equal(s.q.cluster->watch.hold_notice_ms, 24 * 3600000);
    assert_int_equal(s.q.cluster->watch.disk_notice_ms, 24 * 3600000);
    scene_end(&s);
}

static void a_gap_is_told_with_its_segments_and_since_when(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, plain);
    s.gap = (struct wal_gap){.system_id = SYSID,
                             .major = 15,
                             .timeline = 1,
                             .first_segno = 5,
                             .last_segno = 6,
                             .segment_size = 16 << 20};
    s.view.gaps = &s.gap;
    s.view.n_gaps = 1;
    s.holes[0] = (struct hole){.kind = HOLE_MISSING,
                               .system_id = SYSID,
                               .timeline = 1,
                               .first_segno = 5,
                               .last_segno = 6,
                               .segment_size = 16 << 20,
                               .noticed_us = NOW - H};
    s.view.windows.n_holes = 1;
    said(&s, "WAL", FINDING_WARNING,
         "000000010000000000000005 to 000000010000000000000006, 2 segments, are missing, noticed "
         "2026-11-22 11:00:00+00");
    snprintf(s.gap.label, sizeof s.gap.label, "%s", s.backup.label);
    said(&s, "WAL", FINDING_FAILED, "without which backup 20261122T100000Z-F-000001 cannot be");
    s.view.n_gaps = 0;
    s.holes[0].kind = HOLE_DAMAGED;
    snprintf(s.holes[0].why, sizeof s.holes[0].why, "damaged at 0/5000100");
    said(&s, "WAL", FINDING_WARNING, "no moment can be recovered: damaged at 0/5000100");
    s.holes[0].expired = true;
    said(&s, "WAL", FINDING_OK, "without a gap");
    scene_end(&s);
}

static void commits_that_no_repository_has_are_a_warning_when_they_are_old(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, plain);
    s.window.last_commit_us = NOW - 2 * H;
    said(&s, "windows", FINDING_OK, "all can be recovered"); /* nothing was written since */
    s.server.wal_lsn = 0x5800000;
    said(&s, "windows", FINDING_WARNING, "8.4 MB of WAL, with commits up to 2:00:00 old");
    s.server.last_commit_us = NOW - 2 * H;
    said(&s, "windows", FINDING_OK, "all can be recovered"); /* nothing was committed */
    s.server.timeline = 2;
    said(&s, "windows", FINDING_WARNING, "the server is on timeline 2");
    s.window.open = false;
    said(&s, "windows", FINDING_WARNING, "the latest state cannot be recovered");
    scene_end(&s);
}

static void an_archiver_that_fails_is_told(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, plain);
    s.server.failed = 3;
    s.server.failed_us = NOW - 10 * S;
    said(&s, "archiver", FINDING_OK, "3 failures"); /* it worked again since */
    s.server.failed_us = NOW - S;
    snprintf(s.server.failed_wal, sizeof s.server.failed_wal, "000000010000000000000007");
    said(&s, "archiver", FINDING_FAILED, "it fails, 3 times so far");
    s.q.archiving_proved = true;
    said(&s, "archiver", FINDING_OK, "3 failures");
    scene_end(&s);
}

static void a_clock_that_is_wrong_is_told(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, plain);
    s.server.now_us = NOW - 5 * S;
    said(&s, "clock", FINDING_OK, "agrees");
    s.server.now_us = NOW - 6 * S;
    said(&s, "clock", FINDING_WARNING, "6.0 s behind this host's");
    scene_end(&s);
}

static void wal_that_waits_is_told_with_the_time_left(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, plain);
    s.pg_wal.waiting = 100;
    s.pg_wal.oldest_us = NOW - 1000 * S;
    s.pg_wal.finished = 125; /* 125 of 16 MiB in 2000 s: 1 MiB a second */
    s.pg_wal.finished_since_us = NOW - 2000 * S;
    said(&s, "WAL to archive", FINDING_WARNING, "the disk is full in 1 d 04:26");
    s.pg_wal.free_bytes = UINT64_C(10) << 30;
    said(&s, "WAL to archive", FINDING_FAILED, "the disk is full in 2:50:40");
    s.pg_wal.free_bytes = UINT64_C(9) << 30;
    said(&s, "disk of pg_wal", FINDING_WARNING, "9.7 GB of 215 GB free");
    s.pg_wal.waiting = 3;
    said(&s, "WAL to archive", FINDING_OK, "3 files wait");
    s.pg_wal.free_bytes = 1 << 20;
    said(&s, "disk of pg_wal", FINDING_FAILED, "1.0 MB");
    scene_end(&s);
}

static void the_forecast_of_a_full_disk_is_what_the_rate_says(void **state)
{
    struct pg_wal_state w = {.finished = 10, .finished_since_us = NOW - 10 * S, .free_bytes = 5000};
    (void)state;

    assert_int_equal(pg_wal_forecast(&w, 100, NOW), 50);
    assert_int_equal(pg_wal_forecast(&w, 100, NOW - 10 * S), 0); /* no rate yet */
    assert_int_equal(pg_wal_forecast(&w, 100, NOW - 20 * S), 0); /* the clock went back */
    w.finished = 0;
    assert_int_equal(pg_wal_forecast(&w, 100, NOW), 0);
    w = (struct pg_wal_state){.finished = 10, .finished_since_us = NOW - 10 * S};
    assert_int_equal(pg_wal_forecast(&w, 100, NOW), 0); /* it is full */
}

static void little_space_is_a_warning_and_too_little_a_failure(void **state)
{
    static const struct {
        uint64_t free, total, need;
        enum finding_level is;
    } cases[] = {
        {1000, 10000, 100, FINDING_OK},
        {999, 10000, 100, FINDING_WARNING},
        {100, 10000, 100, FINDING_WARNING},
        {99, 10000, 100, FINDING_FAILED},
        {1000, 20001, 100, FINDING_OK},
        {1000, 20020, 100, FINDING_WARNING},
        {0, 0, 0, FINDING_OK},
        {0, UINT64_MAX, 1, FINDING_FAILED},
        {UINT64_MAX, UINT64_MAX, 1, FINDING_OK},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++)
        assert_int_equal(findings_space(cases[i].free, cases[i].total, cases[i].need), cases[i].is);
}

static void a_hold_that_ends_is_told_in_time(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, plain);
    s.mark = (struct backup_mark){.held = true};
    memcpy(s.mark.label, s.backup.label, sizeof s.mark.label);
    s.view.marks = &s.mark;
    s.view.n_marks = 1;
    assert_null(look(&s, "hold")); /* without an end */
    s.mark.held_until_us = NOW + 3 * D;
    assert_null(look(&s, "hold"));
    s.mark.held_until_us = NOW + 3 * D - S;
    said(&s, "hold", FINDING_WARNING, "ends 2026-11-25 11:59:59+00");
    s.mark.held_until_us = NOW;
    said(&s, "hold", FINDING_WARNING, "has ended");
    scene_end(&s);
}

static void drill(struct scene *s, int64_t us, const char *outcome)
{
    struct catalog_drill row = {.cluster = "main",
                                .repo = "local",
                                .started_us = us,
                                .finished_us = us + S,
                                .outcome = outcome};
    struct err err = {0};

    OK(catalog_put_drill(s->catalog, &row, &err), &err);
}

static void drills_that_failed_or_are_old_are_told(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, plain);
    assert_null(look(&s, "drill")); /* nobody asked for any */
    drill(&s, NOW - 9 * D, "passed");
    said(&s, "drill", FINDING_OK, "the last one passed");
    drill(&s, NOW - 2 * D, "failed");
    said(&s, "drill", FINDING_WARNING, "the last one, at 2026-11-20 12:00:00+00, failed");
    drill(&s, NOW - D, "stopped");
    said(&s, "drill", FINDING_WARNING, "the last one, at 2026-11-20 12:00:00+00, failed");
    drill(&s, NOW - H, "passed");
    said(&s, "drill", FINDING_OK, "the last one passed");
    scene_end(&s);
    scene_begin(&s, "repos: {local: {path: /backup}}\nwatch: {drill_max_age: 8 d}\n"
                    "clusters: {main: {}}\n");
    said(&s, "drill", FINDING_WARNING, "none has passed yet");
    drill(&s, NOW - 9 * D, "passed");
    said(&s, "drill", FINDING_WARNING, "the last one that passed was at 2026-11-13");
    drill(&s, NOW + 300 * D, "passed"); /* a clock was ahead */
    said(&s, "drill", FINDING_WARNING, "the last one that passed was at 2026-11-13");
    scene_end(&s);
}

static void what_a_verification_found_is_told(void **state)
{
    struct catalog_backup row = {
        .repo = "local", .cluster = "main", .label = "20261122T100000Z-F-000001", .type = "full"};
    struct err err = {0};
    struct scene s;
    (void)state;

    scene_begin(&s, plain);
    OK(catalog_put_backup(s.catalog, &row, &err), &err);
    assert_null(look(&s, "verify"));
    OK(catalog_backup_verified(s.catalog, "local", "main", row.label, NOW - H, 0, &err), &err);
    said(&s, "verify", FINDING_OK, "without a problem");
    OK(catalog_backup_verified(s.catalog, "local", "main", row.label, NOW - H, 2, &err), &err);
    said(&s, "verify", FINDING_WARNING, "found 2 problems in backup 20261122T100000Z-F-000001");
    scene_end(&s);
}

static void run_of_job(struct scene *s, const char *job, int64_t us, int status,
                       const char *message)
{
    struct catalog_run row = {.job = job, .command = "backup", .cluster = "main", .started_us = us};
    struct err err = {0};

    OK(catalog_run_begin(s->catalog, &row, &row.id, &err), &err);
    row.exit_status = status;
    row.finished_us = us + S;
    row.message = message;
    if (status >= 0)
        OK(catalog_run_finish(s->catalog, &row, &err), &err);
}

static void run_of(struct scene *s, int64_t us, int status, const char *message)
{
    run_of_job(s, "nightly", us, status, message);
}

/* A job of every minute has more runs in a day than anybody reads. */
static void a_job_that_runs_often_hides_no_other(void **state)
{
    struct scene s;
    struct err err = {0};
    (void)state;

    scene_begin(&s, "repos: {local: {path: /backup}}\nclusters: {main: {}}\n"
                    "jobs: {nightly: {run: backup, cron: '0 1 * * *', time_zone: UTC},"
                    " often: {run: check, cron: '* * * * *', time_zone: UTC}}\n");
    run_of(&s, NOW - 20 * H, 1, "no server");
    OK(catalog_begin(s.catalog, &err), &err);
    for (unsigned i = 0; i < 1200; i++)
        run_of_job(&s, "often", NOW - 20 * H + (i + 1) * 60 * S, 0, NULL);
    OK(catalog_commit(s.catalog, &err), &err);
    said(&s, "job", FINDING_WARNING, "\"nightly\" failed");
    scene_end(&s);
}

static void a_job_that_failed_last_time_is_told(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, "repos: {local: {path: /backup}}\nclusters: {main: {}}\n"
                    "jobs: {nightly: {run: backup, cron: '0 1 * * *', time_zone: UTC}}\n");
    assert_null(look(&s, "job")); /* it never ran */
    run_of(&s, NOW - 5 * H, 0, NULL);
    said(&s, "job", FINDING_OK, "\"nightly\" succeeded");
    run_of(&s, NOW + 30 * D, 0, NULL); /* the clock was a month ahead */
    run_of(&s, NOW - 4 * H, 1, "no server");
    said(&s, "job", FINDING_WARNING, "\"nightly\" failed at 2026-11-22 08:00:00+00 (status 1): no");
    run_of(&s, NOW - 3 * H, 76, NULL); /* it was not to be done here */
    said(&s, "job", FINDING_WARNING, "failed at 2026-11-22 08:00:00+00");
    run_of(&s, NOW - 2 * H, 3, "a gap");
    said(&s, "job", FINDING_WARNING, "ended with warnings");
    run_of(&s, NOW - 1 * H, 0, NULL);
    run_of(&s, NOW - S, -1, NULL); /* runs now */
    said(&s, "job", FINDING_OK, "succeeded at 2026-11-22 11:00:00+00");
    scene_end(&s);
}

static void a_repository_that_cannot_be_read_is_a_failure_if_it_is_required(void **state)
{
    struct scene s;
    (void)state;

    scene_begin(&s, plain);
    s.repo = (struct findings_repo){"local", true, NULL, "no such directory"};
    said(&s, "repository", FINDING_FAILED, "no such directory");
    s.repo.required = false;
    said(&s, "repository", FINDING_WARNING, "no such directory");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_wrong_with_a_cluster_that_is_looked_after),
        cmocka_unit_test(what_is_wrong_comes_first),
        cmocka_unit_test(an_old_backup_is_a_warning),
        cmocka_unit_test(a_backup_that_cannot_be_restored_does_not_count),
        cmocka_unit_test(how_old_a_backup_may_be_follows_the_jobs),
        cmocka_unit_test(what_a_cluster_says_counts_before_what_the_file_says),
        cmocka_unit_test(a_gap_is_told_with_its_segments_and_since_when),
        cmocka_unit_test(commits_that_no_repository_has_are_a_warning_when_they_are_old),
        cmocka_unit_test(an_archiver_that_fails_is_told),
        cmocka_unit_test(a_clock_that_is_wrong_is_told),
        cmocka_unit_test(wal_that_waits_is_told_with_the_time_left),
        cmocka_unit_test(the_forecast_of_a_full_disk_is_what_the_rate_says),
        cmocka_unit_test(little_space_is_a_warning_and_too_little_a_failure),
        cmocka_unit_test(a_hold_that_ends_is_told_in_time),
        cmocka_unit_test(drills_that_failed_or_are_old_are_told),
        cmocka_unit_test(what_a_verification_found_is_told),
        cmocka_unit_test(a_job_that_failed_last_time_is_told),
        cmocka_unit_test(a_job_that_runs_often_hides_no_other),
        cmocka_unit_test(a_repository_that_cannot_be_read_is_a_failure_if_it_is_required),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
