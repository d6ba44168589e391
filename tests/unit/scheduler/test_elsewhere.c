#include "tests/lib/test.h"

#include <stdlib.h>
#include <utime.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/open.h"
#include "scheduler/elsewhere.h"

#define US INT64_C(1000000)

static void all_hosts_mean_the_same_lease(void **state)
{
    char a[LABEL_SIZE + 1], b[LABEL_SIZE + 1];
    const int64_t due = INT64_C(1795950000000000);
    (void)state;

    elsewhere_label(a, "backup", "nightly", due, 0);
    elsewhere_label(b, "backup", "nightly", due, 0);
    assert_string_equal(a, b);
    assert_true(label_valid(a));
    assert_int_equal(label_kind(a), SET_RESTORE);
    assert_int_equal(label_time_us(a), due);
    elsewhere_label(b, "backup", "nightly", due, 1); /* a second attempt */
    assert_string_not_equal(a, b);
    assert_memory_equal(a, b, LABEL_SIZE - 4); /* of the same kind */
    elsewhere_label(b, "backup", "weekly", due, 0);
    assert_string_not_equal(a, b);
    elsewhere_label(b, "verify", "nightly", due, 0);
    assert_memory_not_equal(a + LABEL_SIZE - 6, b + LABEL_SIZE - 6, 2);
    elsewhere_label(b, "backup", "nightly", due + 60000000, 0);
    assert_string_not_equal(a, b);
}

/* Does a backup of that kind, begun so many seconds after the due time, serve? now: 1000 s after.
 */
static bool serves(enum set_kind kind, int began_s, char **words, size_t n)
{
    const int64_t due = INT64_C(1795950000) * US;
    char label[LABEL_SIZE + 1];

    assert_int_equal(label_of(label, kind, due + began_s * US, 0x123456), 0);
    return elsewhere_serves(label, words, n, due + 700000, due + 1000 * US);
}

static void a_backup_serves_a_job_that_would_take_no_more(void **state)
{
    static const struct {
        const char *words[4];
        bool full, diff, incr;
    } table[] = {
        {{"backup"}, true, true, true},
        {{"backup", "--type", "auto"}, true, true, true},
        {{"backup", "--type=incr"}, true, true, true},
        {{"backup", "--type", "diff"}, true, true, false},
        {{"backup", "--type", "full"}, true, false, false},
        {{"backup", "--type=full"}, true, false, false},
        {{"backup", "--ty", "full"}, true, false, false}, /* as getopt_long() takes it */
        {{"backup", "--t=diff"}, true, true, false},
        {{"backup", "--type=auto", "--type=full"}, true, false, false},
        {{"backup", "--typed", "full"}, true, true, true}, /* another option */
        {{"verify", "--deep"}, false, false, false},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        char *words[4];
        size_t n = 0;

        for (; n < 4 && table[i].words[n] != NULL; n++)
            words[n] = (char *)(uintptr_t)table[i].words[n];
        assert_int_equal(serves(SET_FULL, 10, words, n), table[i].full);
        assert_int_equal(serves(SET_DIFF, 10, words, n), table[i].diff);
        assert_int_equal(serves(SET_INCR, 10, words, n), table[i].incr);
        assert_false(serves(SET_RESTORE, 10, words, n));
    }
}

/* A clock that was a month ahead, and is right again, has left a backup of next month. It must not
 * stand for every backup until then. */
static void a_backup_serves_from_its_due_time_to_now(void **state)
{
    char *words[] = {(char[]){"backup"}};
    (void)state;

    assert_false(serves(SET_FULL, -1, words, 1));
    assert_true(serves(SET_FULL, 0, words, 1));
    assert_true(serves(SET_FULL, 1000, words, 1));
    assert_true(serves(SET_FULL, 1030, words, 1)); /* another host's clock is half a minute ahead */
    assert_false(serves(SET_FULL, 1000 + 3600, words, 1));
    assert_false(serves(SET_FULL, 30 * 86400, words, 1));
}

/* ---- two hosts and a repository ---- */

enum { HOSTS = 2 };
struct world {
    char top[32];
    struct config *configs[HOSTS]; /* with a state directory each, so two hosts for each other */
    struct sched_clock clock;
    int64_t due_us;
};

static void configure(struct world *w, unsigned host)
{
    AUTO(mem_free)
    char *text = xasprintf("state_dir: %s/state%u\n"
                           "repos: {local: {path: %s/repo}}\n"
                           "clusters: {main: {data: %s/data}}\n"
                           "jobs: {tidy: {run: verify, cron: '@daily'}}\n",
                           w->top, host, w->top, w->top);
    AUTO(mem_free) char *state = xasprintf("%s/state%u", w->top, host);
    struct err err = {0};

    OK(config_parse(text, strlen(text), "test", &w->configs[host], &err), &err);
    OK(fs_mkdirs(state, 0700, &err), &err);
}

static int world_begin(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    AUTO(repo_close) struct repo *r = NULL;
    struct err err = {0};
    bool created;

    log_setup(LOG_TEXT, LOG_ERROR);
    strcpy(w->top, "/tmp/pgbr-elsewhere-XXXXXX");
    assert_non_null(mkdtemp(w->top));
    for (unsigned host = 0; host < HOSTS; host++)
        configure(w, host);
    OK(config_init_repo(w->configs[0], &w->configs[0]->clusters[0], "local", &r, &created, &err),
       &err);
    OK(repo_accept(r, 4711, 15, &err), &err);
    OK(sched_clock_open(&w->clock, &err), &err);
    w->due_us = sched_now_us(&w->clock) / US * US;
    *state = w;
    return 0;
}

static int world_end(void **state)
{
    struct world *w = *state;
    AUTO(mem_free) char *command = xasprintf("rm -rf '%s'", w->top);

    for (unsigned host = 0; host < HOSTS; host++)
        config_free(&w->configs[host]);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

static enum elsewhere_state look(struct world *w, unsigned host, unsigned failures,
                                 struct elsewhere *e)
{
    const struct run_order o = {.config = w->configs[host],
                                .job = &w->configs[host]->jobs[0],
                                .cluster = &w->configs[host]->clusters[0],
                                .clock = &w->clock,
                                .due_us = w->due_us,
                                .failures = failures};
    struct err err = {0};

    OK(elsewhere_look(e, &o, true, &err), &err);
    return e->state;
}

static void what_was_done_on_one_host_need_not_be_done_on_another(void **state)
{
    struct world *w = *state;
    struct elsewhere here, there;

    assert_int_equal(look(w, 0, 0, &here), ELSEWHERE_NOT);
    assert_int_equal(look(w, 1, 0, &there), ELSEWHERE_RUNNING);
    elsewhere_end(&there);
    elsewhere_done(&here);
    elsewhere_end(&here);
    assert_int_equal(look(w, 1, 0, &there), ELSEWHERE_DONE);
    elsewhere_end(&there);
    /* nor here, where its end could not be recorded */
    assert_int_equal(look(w, 0, 0, &here), ELSEWHERE_DONE);
    elsewhere_end(&here);
    /* also for one that has failed before it could ask */
    assert_int_equal(look(w, 1, 2, &there), ELSEWHERE_DONE);
    elsewhere_end(&there);
}

static void what_failed_on_one_host_is_left_to_the_other(void **state)
{
    struct world *w = *state;
    struct elsewhere here, there;

    assert_int_equal(look(w, 0, 0, &here), ELSEWHERE_NOT);
    elsewhere_end(&here);
    assert_int_equal(look(w, 1, 0, &there), ELSEWHERE_NOT);
    assert_int_equal(look(w, 0, 1, &here), ELSEWHERE_RUNNING); /* its own second try waits */
    elsewhere_end(&here);
    elsewhere_done(&there);
    elsewhere_end(&there);
    assert_int_equal(look(w, 0, 1, &here), ELSEWHERE_DONE);
    elsewhere_end(&here);
}

static int make_old(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct world *w = ctx;
    AUTO(mem_free) char *path = xasprintf("%s/repo/%s", w->top, entry->key);
    const struct utimbuf then = {(time_t)(w->due_us / US - 86400),
                                 (time_t)(w->due_us / US - 86400)};

    (void)err;
    assert_int_equal(utime(path, &then), 0);
    return 0;
}

static void what_was_done_with_a_wrong_clock_is_done_at_its_time(void **state)
{
    struct world *w = *state;
    AUTO(repo_close) struct repo *r = NULL;
    struct elsewhere here, there;
    struct err err = {0};

    assert_int_equal(look(w, 0, 0, &here), ELSEWHERE_NOT);
    elsewhere_done(&here);
    elsewhere_end(&here);
    OK(config_open_repo(w->configs[0], &w->configs[0]->clusters[0], NULL, REPO_OPEN_QUICK, &r,
                        &err),
       &err);
    OK(store_list(repo_store(r), "main/lease/", STORE_DEEP, make_old, w, NULL, &err), &err);
    assert_int_equal(look(w, 1, 0, &there), ELSEWHERE_NOT);
    elsewhere_end(&there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_hosts_mean_the_same_lease),
        cmocka_unit_test(a_backup_serves_a_job_that_would_take_no_more),
        cmocka_unit_test(a_backup_serves_from_its_due_time_to_now),
        cmocka_unit_test_setup_teardown(what_was_done_on_one_host_need_not_be_done_on_another,
                                        world_begin, world_end),
        cmocka_unit_test_setup_teardown(what_failed_on_one_host_is_left_to_the_other, world_begin,
                                        world_end),
        cmocka_unit_test_setup_teardown(what_was_done_with_a_wrong_clock_is_done_at_its_time,
                                        world_begin, world_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
