/* cmd_scheduler.c - pgbr scheduler run|list|next|job - jobs that run by the clock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/job_words.h"
#include "cli/show_jobs.h"
#include "scheduler/runner.h"
#include "scheduler/scheduler.h"

struct wanted {
    bool once, json;
    unsigned count;
    const char *due, *failures;
};

enum { COUNT = 10, COUNT_MAX = 1000 };

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    switch (code) {
    case 'o':
        w->once = true;
        return 0;
    case 'n':
        return parse_count(value, "--count", COUNT_MAX, &w->count, err);
    case 'd':
        w->due = value;
        return 0;
    case 'f':
        w->failures = value;
        return 0;
    default:
        w->json = true;
        return 0;
    }
}

/* ---- run ---- */

static int run_daemon(struct app *app, const struct wanted *w, struct err *err)
{
    struct scheduler_terms terms = {.program = app->program,
                                    .config_path = app->config_absolute,
                                    .once = w->once,
                                    .quiet = app->quiet,
                                    .check = job_words_check};
    bool failed = false;

    TRY(scheduler_run(&terms, &app->config, &failed, err));
    if (failed && w->once)
        app->status = EXIT_FAILED;
    app->event.recorded = w->once; /* perhaps */
    return 0;
}

/* ---- job ---- */

static int read_number(const char *text, const char *what, int64_t *out, struct err *err)
{
    char *end;

    *out = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || *out < 0)
        return err_set(err, ERR_USAGE, "%s \"%.40s\" is not a number", what, text);
    return 0;
}

static int find_job(const struct app *app, const char *name, const struct job_config **job,
                    struct err *err)
{
    AUTO(buf_free) struct buf known = BUF_INIT;

    for (size_t i = 0; i < app->config->n_jobs; i++) {
        *job = &app->config->jobs[i];
        if (strcmp((*job)->name, name) == 0)
            return 0;
        buf_addf(&known, "%s\"%s\"", i == 0 ? "" : ", ", (*job)->name);
    }
    return err_set(err, ERR_USAGE, "there is no job \"%.64s\"; there is %s", name,
                   app->config->n_jobs == 0 ? "none" : buf_text(&known));
}

static int run_job(struct app *app, const char *name, const struct wanted *w, struct err *err)
{
    AUTO(mem_free) char *catalog_path = app_catalog_path(app);
    struct sched_clock clock;
    struct run_order o = {.config = app->config,
                          .program = app->program,
                          .config_path = app->config_absolute,
                          .catalog_path = catalog_path,
                          .clock = &clock,
                          .recorded = w->due != NULL};
    struct run_result result;
    int64_t failures = 0;

    TRY(sched_clock_open(&clock, err));
    TRY(find_job(app, name, &o.job, err));
    TRY(config_cluster(app->config, o.job->cluster, &o.cluster, err));
    app_at_work(o.cluster);
    o.due_us = sched_now_us(&clock);
    if (w->due != NULL)
        TRY(read_number(w->due, "--due", &o.due_us, err));
    if (w->failures != NULL)
        TRY(read_number(w->failures, "--failures", &failures, err));
    o.failures = (unsigned)MIN_OF(failures, 1000);
    runner_run(&o, &result);
    app->status = result.status;
    app->event.recorded = true; /* perhaps: where nobody else tells people, this process does */
    return 0;
}

/* ---- the command ---- */

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    struct wanted wanted = {.count = COUNT};
    const struct cluster_config *clusters;
    struct arguments args;
    size_t n;

    TRY(app_arguments(app, argc, argv, &args, on_option, &wanted, err));
    TRY(app_clusters(app, NULL, &clusters, &n, err)); /* becomes the right user */
    log_identity(NULL, NULL);
    if (strcmp(args.words[0], "job") == 0) {
        if (args.n != 2)
            return err_set(err, ERR_USAGE, "scheduler job NAME: which job?");
        return run_job(app, args.words[1], &wanted, err);
    }
    if (args.n != 1)
        return err_set(err, ERR_USAGE, "\"scheduler %.20s\" takes no further word", args.words[0]);
    TRY(job_words_check(app->config, err));
    if (strcmp(args.words[0], "run") == 0)
        return run_daemon(app, &wanted, err);
    if (strcmp(args.words[0], "list") == 0)
        return show_jobs(app, wanted.json, err);
    if (strcmp(args.words[0], "next") == 0)
        return show_next(app, wanted.count, wanted.json, err);
    return err_set(err, ERR_USAGE, "scheduler \"%.40s\" is unknown; it is run, list, next or job",
                   args.words[0]);
}

static const struct option_row options[] = {
    {'o', "once", NULL, "run: start what is due, wait for it, and end"},
    {'n', "count", "N", "next: show so many starts (10)"},
    {'j', "json", NULL, "list, next: show it as JSON"},
    {'d', "due", "US", "job: the time it is for; given by the scheduler"},
    {'f', "failures", "N", "job: how often it failed before; given by the scheduler"},
    {0},
};
const struct command command_scheduler = {
    .name = "scheduler",
    .run = run,
    .words = "run|list|next|job [JOB]",
    .min_words = 1,
    .max_words = 2,
    .summary = "run jobs by the clock, show them and when they run",
    .options = options,
};
