/* What ran and what will run: jobs and commands by hand, from runs and the configuration; and what
 * would be lost with the server. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "scheduler/status/forecast.h"
#include "scheduler/status/plan.h"
#include "tests/lib/status_fixture.h"
#include "tests/lib/test.h"

static struct plan_task *task_of(struct plan_task *tasks, size_t n, const char *job)
{
    for (size_t i = 0; i < n; i++)
        if (tasks[i].job != NULL && strcmp(tasks[i].job, job) == 0)
            return &tasks[i];
    fail_msg("no task %s", job);
    return NULL;
}

static void jobs_stand_in_the_order_of_the_configuration_before_what_people_ran(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(mem_free) struct plan_task *tasks = NULL;
    size_t n = plan_tasks(s, fixture_cluster(s, "pg-main"), FIXTURE_NOW, &tasks);
    (void)state;

    assert_int_equal(n, 3);
    assert_string_equal(tasks[0].job, "nightly");
    assert_string_equal(tasks[0].command, "backup");
    assert_string_equal(tasks[1].job, "rehearsal");
    assert_null(tasks[2].job);
    assert_string_equal(tasks[2].command, "verify");
    assert_true(tasks[0].next_us > FIXTURE_NOW && tasks[2].next_us == 0);
}

static void the_last_run_the_last_end_and_the_last_success_are_told_apart(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(mem_free) struct plan_task *tasks = NULL;
    struct status_cluster *c = fixture_cluster(s, "pg-shop");
    struct catalog_runs *runs = &c->history.runs;
    struct plan_task *t;
    size_t n;
    (void)state;

    runs->rows = xrealloc(runs->rows, (runs->n + 1) * sizeof *runs->rows);
    memmove(runs->rows + 1, runs->rows, runs->n++ * sizeof *runs->rows);
    runs->rows[0] = (struct catalog_run){
        .job = "shop", .command = "backup", .started_us = FIXTURE_NOW - 5000000, .exit_status = -1};
    n = plan_tasks(s, c, FIXTURE_NOW, &tasks);
    t = task_of(tasks, n, "shop");
    assert_ptr_equal(t->last, &runs->rows[0]);
    assert_ptr_equal(t->running, &runs->rows[0]);
    assert_ptr_equal(t->ended, &runs->rows[1]);
    assert_int_equal(t->ended->exit_status, 1);
    assert_ptr_equal(t->success, &runs->rows[2]);
}

/* One that died without a word is not running once another one has begun. */
static void an_older_run_without_an_end_does_not_run(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(mem_free) struct plan_task *tasks = NULL;
    struct status_cluster *c = fixture_cluster(s, "pg-shop");
    size_t n;
    (void)state;

    c->history.runs.rows[1].finished_us = 0;
    n = plan_tasks(s, c, FIXTURE_NOW, &tasks);
    assert_null(task_of(tasks, n, "shop")->running);
    assert_null(task_of(tasks, n, "shop")->success);
}

static void a_process_that_is_gone_does_not_run(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(mem_free) struct plan_task *tasks = NULL, *again = NULL;
    struct status_cluster *c = fixture_cluster(s, "pg-shop");
    struct catalog_run *run = &c->history.runs.rows[0];
    size_t n;
    (void)state;

    run->finished_us = 0;
    run->host = "elsewhere"; /* nothing is known of its processes */
    run->pid = INT32_MAX;
    n = plan_tasks(s, c, FIXTURE_NOW, &tasks);
    assert_ptr_equal(task_of(tasks, n, "shop")->running, run);
    run->host = s->host;
    n = plan_tasks(s, c, FIXTURE_NOW, &again);
    assert_null(task_of(again, n, "shop")->running);
    assert_ptr_equal(task_of(again, n, "shop")->died, run);
}

static void a_job_that_is_no_longer_configured_is_still_told(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(mem_free) struct plan_task *tasks = NULL;
    struct status_cluster *c = fixture_cluster(s, "pg-shop");
    struct plan_task *t;
    size_t n;
    (void)state;

    c->history.runs.rows[0].job = "former";
    n = plan_tasks(s, c, FIXTURE_NOW, &tasks);
    t = task_of(tasks, n, "former");
    assert_null(t->conf);
    assert_int_equal(t->next_us, 0);
    assert_non_null(task_of(tasks, n, "shop")->conf);
}

static void loss_is_counted_from_the_last_moment_that_can_be_had_back(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    struct status_cluster *good = fixture_cluster(s, "pg-main"),
                          *bad = fixture_cluster(s, "pg-shop");
    struct status_repo *r = &good->repos[0];
    int64_t us;
    (void)state;

    assert_true(forecast_rpo(good, r, FIXTURE_NOW, &us) && us == 41000000);
    assert_true(forecast_rpo(bad, &bad->repos[0], FIXTURE_NOW, &us) && us == 3 * FIXTURE_DAY);
    good->server.state.wal_lsn = r->view.windows.items[0].end_lsn; /* nothing was written since */
    assert_true(forecast_rpo(good, r, FIXTURE_NOW, &us) && us == 0);
    good->server.read.failure = xstrdup("gone"); /* and that is not known any more */
    assert_true(forecast_rpo(good, r, FIXTURE_NOW, &us) && us == 41000000);
    windows_free(&r->view.windows);
    assert_false(forecast_rpo(good, r, FIXTURE_NOW, &us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_stand_in_the_order_of_the_configuration_before_what_people_ran),
        cmocka_unit_test(the_last_run_the_last_end_and_the_last_success_are_told_apart),
        cmocka_unit_test(an_older_run_without_an_end_does_not_run),
        cmocka_unit_test(a_process_that_is_gone_does_not_run),
        cmocka_unit_test(a_job_that_is_no_longer_configured_is_still_told),
        cmocka_unit_test(loss_is_counted_from_the_last_moment_that_can_be_had_back),
    };

    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
