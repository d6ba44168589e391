#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "catalog/jobs.h"

static struct err err;
static char dir[] = "/tmp/pgbr-catalog.XXXXXX";

static struct catalog *fresh(const char *name)
{
    AUTO(mem_free) char *path = xasprintf("%s/%s.db", dir, name);
    struct catalog *c = NULL;

    OK(catalog_open(&c, path, &err), &err);
    return c;
}

static struct catalog_job sample(void)
{
    return (struct catalog_job){.name = "nightly",
                                .cluster = "a",
                                .command = "backup --type full",
                                .cron = "0 1 * * *",
                                .time_zone = "UTC",
                                .role = "primary",
                                .due_us = 1,
                                .open = true,
                                .retry_us = 2,
                                .failures = 3,
                                .start_us = 4};
}

static void a_job_is_kept_and_changed(void **state)
{
    AUTO(catalog_close) struct catalog *c = fresh("kept");
    AUTO(catalog_jobs_free) struct catalog_jobs jobs = {0};
    struct catalog_job in = sample();
    (void)state;

    OK(catalog_put_job(c, &in, &err), &err);
    OK(catalog_get_jobs(c, &jobs, &err), &err);
    assert_int_equal(jobs.n, 1);
    assert_string_equal(jobs.rows[0].name, in.name);
    assert_string_equal(jobs.rows[0].cluster, in.cluster);
    assert_string_equal(jobs.rows[0].command, in.command);
    assert_string_equal(jobs.rows[0].cron, in.cron);
    assert_string_equal(jobs.rows[0].time_zone, in.time_zone);
    assert_string_equal(jobs.rows[0].role, in.role);
    assert_int_equal(jobs.rows[0].due_us, 1);
    assert_true(jobs.rows[0].open);
    assert_int_equal(jobs.rows[0].retry_us, 2);
    assert_int_equal(jobs.rows[0].failures, 3);
    assert_int_equal(jobs.rows[0].start_us, 4);
    assert_int_equal(jobs.rows[0].status, -1);
    assert_null(jobs.rows[0].note);
    catalog_jobs_free(&jobs);
    OK(catalog_forget_job(c, "nightly", &err), &err);
    OK(catalog_get_jobs(c, &jobs, &err), &err);
    assert_int_equal(jobs.n, 0);
}

static void the_end_that_a_runner_leaves_is_not_overwritten(void **state)
{
    AUTO(catalog_close) struct catalog *c = fresh("ended");
    AUTO(catalog_jobs_free) struct catalog_jobs jobs = {0};
    struct catalog_job in = sample();
    (void)state;

    OK(catalog_job_ended(c, "nightly", 5, 1, "nobody is there", &err), &err); /* not known: fine */
    OK(catalog_put_job(c, &in, &err), &err);
    OK(catalog_job_ended(c, "nightly", 5, 3, "a reason", &err), &err);
    in.open = false;
    in.time_zone = NULL;
    OK(catalog_put_job(c, &in, &err), &err);
    OK(catalog_get_jobs(c, &jobs, &err), &err);
    assert_false(jobs.rows[0].open);
    assert_null(jobs.rows[0].time_zone);
    assert_int_equal(jobs.rows[0].end_us, 5);
    assert_int_equal(jobs.rows[0].status, 3);
    assert_string_equal(jobs.rows[0].note, "a reason");
}

static void the_runs_of_one_job_are_found(void **state)
{
    AUTO(catalog_close) struct catalog *c = fresh("runs");
    AUTO(catalog_runs_free) struct catalog_runs runs = {0};
    (void)state;

    for (int i = 1; i <= 3; i++) {
        struct catalog_run run = {.job = i == 2 ? "other" : "nightly",
                                  .command = "backup",
                                  .cluster = "a",
                                  .started_us = i};
        int64_t id;

        OK(catalog_run_begin(c, &run, &id, &err), &err);
    }
    OK(catalog_get_job_runs(c, "nightly", 10, &runs, &err), &err);
    assert_int_equal(runs.n, 2);
    assert_int_equal(runs.rows[0].started_us, 3);
    assert_int_equal(runs.rows[1].started_us, 1);
}

static void a_run_of(struct catalog *c, const char *job, int64_t us, int status)
{
    struct catalog_run run = {
        .job = job, .command = "backup", .cluster = "a", .started_us = us, .exit_status = status};

    OK(catalog_run_begin(c, &run, &run.id, &err), &err);
    run.finished_us = us + 1;
    if (status >= 0)
        OK(catalog_run_finish(c, &run, &err), &err);
}

static void a_frequent_job_does_not_hide_the_others(void **state)
{
    AUTO(catalog_close) struct catalog *c = fresh("last");
    AUTO(catalog_runs_free) struct catalog_runs runs = {0};
    static const int64_t expected[] = {40, 39, 6, 5, 3};
    (void)state;

    a_run_of(c, "nightly", 1, 0);
    a_run_of(c, "nightly", 3, 3);
    a_run_of(c, "nightly", 4, 1);
    a_run_of(c, "nightly", 5, 1);
    a_run_of(c, NULL, 6, 0);
    for (int i = 7; i <= 40; i++)
        a_run_of(c, "often", i, i == 40 ? -1 : 0);
    OK(catalog_get_last_runs(c, "a", 2, &runs, &err), &err);
    assert_int_equal(runs.n, LENGTH(expected));
    for (size_t i = 0; i < runs.n; i++)
        assert_int_equal(runs.rows[i].started_us, expected[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_kept_and_changed),
        cmocka_unit_test(the_end_that_a_runner_leaves_is_not_overwritten),
        cmocka_unit_test(the_runs_of_one_job_are_found),
        cmocka_unit_test(a_frequent_job_does_not_hide_the_others),
    };
    int rc;

    assert_non_null(mkdtemp(dir));
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)!fs_remove_tree(AT_FDCWD, dir, false, &err);
    return rc;
}
