#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "scheduler/jobs/jobs.h"

#define MINUTE INT64_C(60000000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define T0 (20000 * DAY)

static struct err err;
static char dir[] = "/tmp/pgbr-jobs.XXXXXX";

static struct config *configure(const char *jobs)
{
    AUTO(mem_free)
    char *text = xasprintf("state_dir: %s\n"
                           "repos: {local: {path: /r}}\n"
                           "clusters: {a: , b: }\n"
                           "jobs:\n%s",
                           dir, jobs);
    struct config *c = NULL;

    OK(config_parse(text, strlen(text), "test.yml", &c, &err), &err);
    return c;
}

static const char usual[] =
    "  nightly: {cluster: a, run: backup --type full, cron: '0 1 * * *', time_zone: UTC}\n"
    "  hourly: {cluster: a, run: backup --type incr, cron: '0 * * * *', time_zone: UTC}\n"
    "  other: {cluster: b, run: backup, cron: '0 1 * * *', time_zone: UTC, retries: 0}\n"
    "  tidy: {cluster: a, run: 'expire --repo \"local\"', cron: '@daily', time_zone: UTC}\n";

static void jobs_of_one_cluster_and_kind_are_a_group(void **state)
{
    AUTO(config_free) struct config *c = configure(usual);
    AUTO(job_set_free) struct job_set s = {0};
    (void)state;

    OK(job_set_open(&s, c, &err), &err);
    assert_int_equal(s.n, 4);
    assert_int_equal(s.plans[0].group, s.plans[1].group);
    assert_int_not_equal(s.plans[0].group, s.plans[2].group);
    assert_int_not_equal(s.plans[0].group, s.plans[3].group);
    assert_int_equal(s.jobs[3].conf->n_words, 3);
    assert_string_equal(s.jobs[3].conf->words[2], "local");
}

static void an_unknown_zone_is_told_with_its_job(void **state)
{
    AUTO(config_free)
    struct config *c =
        configure("  j: {cluster: a, run: check, cron: '@daily', time_zone: Mars/Olympus}\n");
    AUTO(job_set_free) struct job_set s = {0};
    (void)state;

    FAILS(job_set_open(&s, c, &err), &err, ERR_CONFIG);
    assert_non_null(strstr(err.msg, "\"test.yml\" line 5, column 3: job \"j\": unknown time zone"));
}

/* One job as the catalog has it, now at T0 + 5 h; returns its plan. */
static struct schedule_job recalled(struct catalog_job row, const char *jobs)
{
    AUTO(config_free) struct config *c = configure(jobs);
    AUTO(job_set_free) struct job_set s = {0};
    struct catalog_jobs rows = {.rows = &row, .n = 1};

    OK(job_set_open(&s, c, &err), &err);
    job_set_recall(&s, NULL, &rows, dir, T0 + 5 * HOUR, NULL);
    schedule_tick(&s.plans[2], T0 + 5 * HOUR, NULL);
    return s.plans[2];
}

static struct catalog_job row(void)
{
    return (struct catalog_job){.name = "other",
                                .cluster = "b",
                                .command = "backup",
                                .cron = "0 1 * * *",
                                .time_zone = "UTC",
                                .role = "any",
                                .due_us = T0 + HOUR,
                                .start_us = T0 + HOUR,
                                .end_us = T0 + HOUR + MINUTE};
}

static void what_the_catalog_knows_goes_on(void **state)
{
    struct catalog_job r = row();
    struct schedule_job j;
    (void)state;

    j = recalled(r, usual); /* it was done */
    assert_int_equal(j.state, SCHEDULE_IDLE);
    assert_int_equal(j.next_us, T0 + DAY + HOUR);

    r.due_us -= 3 * DAY; /* nobody was there for three days */
    j = recalled(r, usual);
    assert_int_equal(j.state, SCHEDULE_PENDING);
    assert_int_equal(j.due_us, T0 + HOUR);

    r = row();
    r.open = true;
    r.retry_us = T0 + 6 * HOUR; /* a retry */
    j = recalled(r, usual);
    assert_int_equal(j.state, SCHEDULE_PENDING);
    assert_int_equal(j.not_before_us, T0 + 6 * HOUR);
}

static void a_run_without_an_end_is_judged_by_what_its_runner_left(void **state)
{
    struct catalog_job r = row();
    struct schedule_job j;
    (void)state;

    r.open = true; /* it ended well, and nobody was told */
    j = recalled(r, usual);
    assert_int_equal(j.state, SCHEDULE_IDLE);
    assert_false(j.memory.open);

    r.status = JOB_FAILED; /* no retries */
    j = recalled(r, usual);
    assert_int_equal(j.state, SCHEDULE_IDLE);

    r.end_us = T0; /* of the run before: this one died */
    j = recalled(r, usual);
    assert_int_equal(j.state, SCHEDULE_PENDING);
    assert_int_equal(j.due_us, T0 + HOUR);
    assert_int_equal(j.memory.failures, 1);
}

static void a_run_that_holds_its_lock_is_under_way(void **state)
{
    AUTO(mem_free) char *path = xasprintf("%s/b.backup.job.lock", dir);
    AUTO(lock_release) struct lock_file lock = LOCK_FILE_INIT;
    struct catalog_job r = row();
    struct schedule_job j;
    (void)state;

    OK(lock_take(&lock, path, &err), &err);
    r.open = true;
    r.end_us = 0;
    j = recalled(r, usual);
    assert_int_equal(j.state, SCHEDULE_RUNNING);
}

static void another_expression_owes_nothing_of_the_time_before(void **state)
{
    struct catalog_job r = row();
    struct schedule_job j;
    (void)state;

    r.cron = "0 2 * * *";
    r.due_us -= DAY;
    j = recalled(r, usual);
    assert_int_equal(j.state, SCHEDULE_IDLE);
    assert_int_equal(j.next_us, T0 + DAY + HOUR);

    r.open = true; /* but what was owed already is */
    r.retry_us = T0 + 2 * HOUR;
    j = recalled(r, usual);
    assert_int_equal(j.state, SCHEDULE_PENDING);
}

static void a_reload_keeps_what_runs_and_what_waits(void **state)
{
    AUTO(config_free) struct config *c = configure(usual);
    AUTO(config_free)
    struct config *c2 =
        configure("  nightly: {cluster: a, run: backup, cron: '0 1 * * *', time_zone: UTC}\n"
                  "  hourly: {cluster: a, run: backup, cron: '30 * * * *', time_zone: UTC}\n"
                  "  fresh: {cluster: b, run: check, cron: '* * * * *', time_zone: UTC}\n");
    AUTO(job_set_free) struct job_set s = {0}, s2 = {0};
    (void)state;

    OK(job_set_open(&s, c, &err), &err);
    job_set_recall(&s, NULL, NULL, dir, T0, NULL);
    for (size_t i = 0; i < s.n; i++)
        schedule_tick(&s.plans[i], T0 + HOUR, NULL);
    schedule_start(&s.plans[0]);
    s.jobs[0].pid = 4711;
    OK(job_set_open(&s2, c2, &err), &err);
    job_set_recall(&s2, &s, NULL, dir, T0 + HOUR + MINUTE, NULL);
    assert_int_equal(s2.plans[0].state, SCHEDULE_RUNNING);
    assert_int_equal(s2.jobs[0].pid, 4711);
    assert_int_equal(s2.plans[1].state, SCHEDULE_PENDING); /* behind the first of its group */
    assert_null(schedule_pick(s2.plans, s2.n, T0 + HOUR + MINUTE));
    assert_int_equal(s2.plans[2].state, SCHEDULE_IDLE);
    for (size_t i = 0; i < s2.n; i++)
        schedule_tick(&s2.plans[i], T0 + HOUR + MINUTE, NULL);
    assert_int_equal(s2.plans[2].next_us, T0 + HOUR + 2 * MINUTE);
    schedule_end(&s2.plans[0], SCHEDULE_DONE, T0 + HOUR + MINUTE, NULL);
    assert_ptr_equal(schedule_pick(s2.plans, s2.n, T0 + HOUR + MINUTE), &s2.plans[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_of_one_cluster_and_kind_are_a_group),
        cmocka_unit_test(an_unknown_zone_is_told_with_its_job),
        cmocka_unit_test(what_the_catalog_knows_goes_on),
        cmocka_unit_test(a_run_without_an_end_is_judged_by_what_its_runner_left),
        cmocka_unit_test(a_run_that_holds_its_lock_is_under_way),
        cmocka_unit_test(another_expression_owes_nothing_of_the_time_before),
        cmocka_unit_test(a_reload_keeps_what_runs_and_what_waits),
    };
    int rc;

    assert_non_null(mkdtemp(dir));
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)!fs_remove_tree(AT_FDCWD, dir, false, &err);
    return rc;
}
