/* cmd_drill.c - pgbr drill [CLUSTER] - rehearse a restore, and prove that it works. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/fs.h"
#include "base/log.h"
#include "catalog/drills.h"
#include "cli/run_record.h"
#include "cli/show_drill.h"
#include "cli/target_options.h"
#include "restore/drill.h"

enum { PAST_MAX = 100 };

struct wanted {
    struct drill_request q;
    const char *html;
    bool json, told_target, random, no_amcheck, has_seed;
};

static int set_seed(struct wanted *w, const char *value, struct err *err)
{
    char *end;
    unsigned long long n = strtoull(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end != '\0' || n > UINT32_MAX)
        return err_set(err, ERR_USAGE, "--seed is a number from 0 to %u, not \"%.100s\"",
                       UINT32_MAX, value);
    w->q.seed = n;
    w->has_seed = true;
    return 0;
}

static int set_target(struct wanted *w, int code, const char *value, struct err *err)
{
    w->told_target |= code != 'L' && code != 'e';
    if (code != 'T' || strcmp(value, "random") != 0)
        return target_option(&w->q.target, code, value, err);
    w->random = true;
    return 0;
}

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    switch (code) {
    case 'r':
        w->q.repo = value;
        return 0;
    case 's':
        w->q.set = value;
        return 0;
    case 'd':
        w->q.dir = value;
        return value[0] == '/' ? 0 : err_set(err, ERR_USAGE, "--dir takes an absolute path");
    case 'b':
        w->q.pg_bin = value;
        return value[0] == '/' ? 0 : err_set(err, ERR_USAGE, "--pg-bin takes an absolute path");
    case 'k':
        w->q.keep = true;
        return 0;
    case 'H':
        w->html = value;
        return 0;
    case 'a':
        w->no_amcheck = true;
        return 0;
    case 'S':
        return set_seed(w, value, err);
    case 'w':
        return parse_count(value, "--workers", THREADS_MAX, &w->q.workers, err);
    case 'j':
        w->json = true;
        return 0;
    default:
        return set_target(w, code, value, err);
    }
}

/* What the configuration says holds where the command line says nothing. */
static int complete(struct wanted *w, struct err *err)
{
    const struct drill_config *c = &w->q.cluster->drill;
    uint32_t seed = 0;

    TRY(target_options_check(&w->q.target, err));
    if (w->random && w->q.target.kind != TARGET_LATEST)
        return err_set(err, ERR_USAGE, "--target random goes with no other target");
    if (!w->told_target && c->target == CONFIG_DRILL_RANDOM)
        w->random = true;
    if (w->random && w->q.target.line != LINE_LATEST)
        return err_set(err, ERR_USAGE, "--target random chooses the timeline, too");
    w->q.moment = w->random ? DRILL_AT_RANDOM : DRILL_AT_TARGET;
    w->q.amcheck = w->no_amcheck ? CONFIG_AMCHECK_OFF : c->amcheck;
    if (w->q.workers == 0)
        w->q.workers = w->q.cluster->workers;
    if (!w->has_seed)
        TRY(crypt_random(&seed, sizeof seed, err));
    if (!w->has_seed)
        w->q.seed = seed;
    return 0;
}

/* ---- the catalog ---- */

/* A row from the beginning on, so that one who was killed is known to have tried. */
static void record(struct catalog *c, struct catalog_drill *row)
{
    struct err err = {0};

    if (c != NULL && catalog_put_drill(c, row, &err) != 0)
        log_warning("this drill is not recorded: %s", err.msg);
}

static void complete_row(struct catalog_drill *row, const struct drill_made *m, const char *report)
{
    row->repo = m->repo != NULL ? m->repo : row->repo;
    row->label = m->label;
    row->target = m->target;
    row->started_us = m->started_us;
    row->restored_us = m->ended_us[DRILL_RESTORE];
    row->recovered_us = m->ended_us[DRILL_REPLAY];
    row->checked_us = m->ended_us[DRILL_CHECKS];
    row->finished_us = m->ended_us[DRILL_CLEANUP];
    row->restored_bytes = m->restored_bytes;
    row->replayed_bytes = m->replayed_bytes;
    row->reached_us = m->reached_us;
    row->outcome = drill_outcome_name(m->outcome);
    row->report = report;
}

/* What people hear of who do not watch. */
static void tell(struct app *app, const struct drill_made *m, const char *why)
{
    const char *label = m->label != NULL ? m->label : "(none)";

    if (m->outcome == DRILL_FAILED)
        event_tell(app, LOG_ERROR, m->repo, "the drill of backup %s has failed: %s", label, why);
    else if (m->outcome == DRILL_STOPPED)
        event_tell(app, LOG_WARNING, m->repo, "the drill of backup %s was stopped", label);
    else
        event_tell(app, m->warnings != 0 ? LOG_WARNING : LOG_INFO, m->repo,
                   "the drill of backup %s has passed%s: back after %.1f s", label,
                   m->warnings != 0 ? ", with warnings" : "", (double)drill_rto_us(m) / 1e6);
}

/* ---- the page ---- */

static int write_page(const struct drill_made *m, const char *cluster, struct catalog *c,
                      const char *path, struct err *err)
{
    AUTO(catalog_drills_free) struct catalog_drills past = {0};
    AUTO(buf_free) struct buf page = BUF_INIT;
    struct err why = {0};

    if (c != NULL && catalog_get_drills(c, cluster, NULL, PAST_MAX, &past, &why) != 0)
        log_warning("the page does not show earlier drills: %s", why.msg);
    drill_page(m, cluster, &past, &page);
    return fs_replace(AT_FDCWD, path, page.p, page.len, 0644, err);
}

/* ---- doing ---- */

static void judge(struct app *app, const struct drill_made *m, const char *why)
{
    if (m->outcome == DRILL_FAILED)
        log_error("the drill has failed: %s", why);
    if (m->outcome == DRILL_STOPPED)
        log_error("the drill was stopped");
    if (m->outcome != DRILL_PASSED)
        app->status = EXIT_FAILED;
    else if (m->warnings != 0)
        app->status = EXIT_WARNINGS;
}

/* *failure: what the run is told to have ended with. */
static int show(struct app *app, const struct wanted *w, const struct drill_made *m,
                struct catalog *c, struct catalog_drill *row, struct err *failure, struct err *err)
{
    AUTO(buf_free) struct buf report = BUF_INIT, text = BUF_INIT, why = BUF_INIT;

    drill_json(m, row->cluster, &report);
    drill_text(m, row->cluster, &text);
    drill_why(m, &why);
    complete_row(row, m, buf_text(&report));
    record(c, row);
    tell(app, m, buf_text(&why));
    if (m->outcome != DRILL_PASSED)
        err_set(failure, ERR_FAILED, "%s",
                m->outcome == DRILL_FAILED ? buf_text(&why) : "it was stopped");
    judge(app, m, buf_text(&why));
    fputs(buf_text(w->json ? &report : &text), stdout);
    return w->html != NULL ? write_page(m, row->cluster, c, w->html, err) : 0;
}

static int drill(struct app *app, struct wanted *w, struct err *err)
{
    AUTO(drill_made_free) struct drill_made made = {0};
    struct catalog_drill row = {.cluster = w->q.cluster->name,
                                .repo = w->q.repo != NULL ? w->q.repo : w->q.cluster->default_repo};
    struct progress progress = {.mode = app_progress(app)};
    struct err failure = {0};
    struct run_record run;
    int rc;

    w->q.progress = &progress;
    run_record_begin(&run, app, w->q.cluster, row.repo, &progress);
    row.run = run.row.id;
    record(run.catalog, &row);
    rc = drill_run(&w->q, &made, err);
    if (rc != 0) { /* a wrong command line or configuration: nothing was rehearsed */
        row.outcome = "stopped";
        row.finished_us = clock_now_us();
        record(run.catalog, &row);
    }
    if (rc == 0)
        rc = show(app, w, &made, run.catalog, &row, &failure, err);
    if (rc == 0 && failure.code != ERR_NONE)
        run_record_end(&run, app, -1, made.label, &failure);
    else
        run_record_end(&run, app, rc, made.label, err);
    return rc;
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    struct wanted w = {.q = {.stop = &app->stop, .program = app->program}};
    struct arguments args;

    TRY(app_arguments(app, argc, argv, &args, on_option, &w, err));
    TRY(app_cluster(app, args.n == 1 ? args.words[0] : NULL, &w.q.cluster, err));
    TRY(complete(&w, err));
    TRY(app_catch_signals(app, err));
    w.q.config = app->config;
    return drill(app, &w, err);
}

static const struct option_row options[] = {
    {'T', "target", "latest|random|immediate",
     "the end of all WAL, a moment by chance, or the end of the backup"},
    TARGET_OPTIONS,
    {'S', "seed", "N", "of --target random: the same number chooses the same moment"},
    {'s', "set", "LABEL", "rehearse this backup instead of the newest that fits"},
    {'r', "repo", "NAME", "from this repository; otherwise the default one, then the others"},
    {'d', "dir", "DIR", "where the sandbox is made"},
    {'b', "pg-bin", "DIR", "PostgreSQL's programs of the right version"},
    {'a', "no-amcheck", NULL, "do not check tables and indexes by amcheck"},
    {'k', "keep", NULL, "leave the sandbox, stopped, for a look"},
    {'H', "html", "FILE", "write the report as a page, with the trend of earlier drills"},
    {'w', "workers", "N", "threads that fetch and write"},
    {'j', "json", NULL, "show the result as JSON"},
    {0},
};
const struct command command_drill = {
    .name = "drill",
    .run = run,
    .words = "[CLUSTER]",
    .max_words = 1,
    .summary = "rehearse a restore in a sandbox, check and measure it",
    .event = KIND_DRILL,
    .options = options,
};
