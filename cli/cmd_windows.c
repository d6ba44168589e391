/*
 * cmd_windows.c - pgbr windows [CLUSTER] - the moments one can go back to, what lies between them,
 * and how things stand now; or, with --at, the answer for one moment.
 *
 * The answer for a moment is that of "restore --plan", found by the same function.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/app.h"
#include "cli/show_windows.h"
#include "scheduler/status/policy.h"

enum { SERVER_WAIT_S = 3 };

struct run {
    struct app *app;
    const char *repo;
    bool json, at, reached, known;
    int64_t at_us;
    struct buf text;
    struct json j;
    struct catalog *catalog; /* NULL: cannot be used */
    /* of the present cluster */
    const struct cluster_config *cluster;
    struct server_state server;
    bool asked;
    struct err why; /* not asked */
    size_t moments; /* windows in all repositories that were looked at */
};

static void run_free(struct run *r)
{
    buf_free(&r->text);
    catalog_close(&r->catalog);
}

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct run *r = ctx;

    if (code == 'r')
        r->repo = value;
    else if (code == 'j')
        r->json = true;
    else {
        r->at = true;
        return clock_parse(value, NULL, &r->at_us, err);
    }
    return 0;
}

/* ---- one moment ---- */

static int answer(struct run *r, const struct view *v, const char *name, struct err *err)
{
    AUTO(restore_plan_free) struct restore_plan plan = {0};
    const struct restore_request q = {
        .config = r->app->config,
        .cluster = r->cluster,
        .repo = name,
        .program = r->app->program,
        .target = {.kind = TARGET_TIME, .time_us = r->at_us},
        .known = &v->known,
        .stop = &r->app->stop,
    };
    struct err why = {0};
    bool reached = restore_choose(&q, &plan, &why) == 0;

    if (!reached && why.code == ERR_INTERRUPTED) {
        *err = why;
        return -1;
    }
    r->reached |= reached;
    if (r->json)
        moment_json(&r->j, v, reached ? &plan : NULL, why.msg);
    else
        moment_text(&r->text, v, reached ? &plan : NULL, why.msg);
    return 0;
}

static bool is_aside(const struct window *w, int64_t us)
{
    return w->aside && us >= w->start_us && us < w->end_us;
}

/* A timeline that was left has a state of that moment, too. */
static void mention_aside(struct run *r, const struct view *v)
{
    const struct windows *w = &v->windows;

    for (size_t i = 0; i < w->n && !r->json; i++)
        if (is_aside(&w->items[i], r->at_us))
            buf_addf(&r->text,
                     "    --target-timeline %u leads to another state of that moment, on a "
                     "timeline that was left\n",
                     w->items[i].timeline);
    if (!r->json)
        return;
    json_open(&r->j, "other_timelines", '[');
    for (size_t i = 0; i < w->n; i++)
        if (is_aside(&w->items[i], r->at_us))
            json_uint(&r->j, NULL, w->items[i].timeline);
    json_close(&r->j, ']');
}

/* ---- all of it ---- */

/* Holes that retention made, or that lie before everything, are as things should be; so is that
 * another cluster has begun, if that can be had back. */
static bool is_trouble(const struct hole *h)
{
    return !h->expired && h->kind != HOLE_BEFORE && (h->kind != HOLE_CLUSTER || h->to_us == 0);
}

static void show(struct run *r, const struct view *v)
{
    struct standing s = {.view = v,
                         .server = r->asked ? &r->server : NULL,
                         .why = r->why.msg,
                         .now_us = clock_now_us()};

    if (v->sealed || v->broken != 0)
        r->app->status = EXIT_WARNINGS;
    r->moments += v->windows.n;
    for (size_t i = 0; i < v->windows.n_holes; i++)
        if (is_trouble(&v->windows.holes[i]))
            r->app->status = EXIT_WARNINGS;
    if (r->json) {
        windows_json(&r->j, v);
        standing_json(&r->j, &s);
        return;
    }
    if (v->backups.n == 0)
        buf_adds(&r->text, "    no backups: there is no moment to go back to\n");
    windows_text(&r->text, v);
    standing_text(&r->text, &s);
}

static int one_repo(struct run *r, const char *name, struct err *err)
{
    AUTO(repo_config_free) struct repo_config conf = {0};
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(view_free) struct view view = {0};

    TRY(config_repo(r->app->config, r->cluster, name, &conf, err));
    TRY(view_open(r->app->config, r->cluster, name, &repo, err));
    TRY(view_load(&view, repo, r->app->config->state_dir, r->catalog, &r->app->stop, err));
    policy_judge(&conf, &view);
    view_remember(&view, repo, r->catalog);
    if (!r->at) {
        show(r, &view);
        return 0;
    }
    TRY(answer(r, &view, name, err));
    mention_aside(r, &view);
    return 0;
}

/* Returns whether it could be read. */
static bool repo_of(struct run *r, const char *name, struct err *err)
{
    struct err why = {0};
    bool good;

    if (r->json) {
        json_open(&r->j, NULL, '{');
        json_text(&r->j, "name", name);
    } else {
        buf_addf(&r->text, "  repository \"%s\"\n", name);
    }
    good = one_repo(r, name, &why) == 0;
    if (!good) {
        *err = why;
        if (r->json)
            json_text(&r->j, "error", why.msg);
        else
            buf_addf(&r->text, "    %s\n", why.msg);
    }
    if (r->json)
        json_close(&r->j, '}');
    return good;
}

/* What it wrote last is of interest; that it does not run is no error here. */
static void ask_server(struct run *r)
{
    AUTO(pg_close) struct pg *pg = NULL;

    err_clear(&r->why);
    r->asked = pg_connect(&pg, r->cluster->connection, SERVER_WAIT_S, &r->why) == 0 &&
               server_state_ask(pg, &r->server, &r->why) == 0;
}

static int one_cluster(struct run *r, struct err *err)
{
    int rc = 0;

    app_at_work(r->cluster);
    r->moments = 0;
    if (!r->at)
        ask_server(r);
    if (r->json) {
        json_open(&r->j, NULL, '{');
        json_text(&r->j, "name", r->cluster->name);
        json_open(&r->j, "repositories", '[');
    } else {
        buf_addf(&r->text, "cluster \"%s\"\n", r->cluster->name);
    }
    for (size_t i = 0; i < r->cluster->n_repos; i++) {
        if (r->repo != NULL && strcmp(r->repo, r->cluster->repos[i]) != 0)
            continue;
        r->known = true;
        if (!repo_of(r, r->cluster->repos[i], err))
            rc = -1;
    }
    if (!r->at && r->moments == 0)
        r->app->status = EXIT_WARNINGS;
    if (r->json) {
        json_close(&r->j, ']');
        json_close(&r->j, '}');
    }
    return rc;
}

static int all_clusters(struct run *r, const struct cluster_config *clusters, size_t n,
                        struct err *err)
{
    char when[40];
    int rc = 0;

    json_begin(&r->j, &r->text, true);
    if (r->json)
        json_open(&r->j, NULL, '{');
    if (r->json && r->at)
        json_time(&r->j, "at", r->at_us);
    else if (r->at)
        buf_addf(&r->text, "at %s\n", clock_format_utc(r->at_us, when));
    if (r->json)
        json_open(&r->j, "clusters", '[');
    for (size_t i = 0; i < n; i++) {
        r->cluster = &clusters[i];
        if (one_cluster(r, err) != 0)
            rc = -1;
    }
    if (r->json) {
        json_close(&r->j, ']');
        json_close(&r->j, '}');
    }
    return rc;
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    AUTO(run_free) struct run r = {.app = app};
    const struct cluster_config *clusters;
    struct arguments args;
    size_t n;
    int rc;

    TRY(app_arguments(app, argc, argv, &args, on_option, &r, err));
    TRY(app_clusters(app, args.n == 1 ? args.words[0] : NULL, &clusters, &n, err));
    TRY(app_catch_signals(app, err));
    r.catalog = app_catalog(app);
    rc = all_clusters(&r, clusters, n, err);
    if (!r.known)
        return err_set(err, ERR_USAGE, "no cluster here has a repository \"%.100s\"", r.repo);
    fputs(buf_text(&r.text), stdout);
    if (r.at && !r.reached)
        app->status = EXIT_FAILED;
    return rc;
}

static const struct option_row options[] = {
    {'t', "at", "TIME", "only whether this moment can be reached, and how"},
    {'r', "repo", "NAME", "this repository only; otherwise all"},
    {'j', "json", NULL, "show everything as one JSON document"},
    {0},
};
const struct command command_windows = {
    .name = "windows",
    .run = run,
    .words = "[CLUSTER]",
    .max_words = 1,
    .summary = "tell the moments one can go back to, and what lies between them",
    .options = options,
};
