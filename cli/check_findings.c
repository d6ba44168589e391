/*
 * check_findings.c - what repositories hold, what the archiver says of itself, what waits in
 * pg_wal, and what the catalog remembers: looked at here, judged by scheduler/status/findings.h as
 * for the status page.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/check.h"
#include "scheduler/status/findings.h"
#include "scheduler/status/policy.h"

struct looked {
    struct findings_repo *repos;
    struct view *views;
    struct err *why;
    size_t n;
    struct server_state server;
    struct pg_wal_state pg_wal;
};

static void looked_free(struct looked *l)
{
    for (size_t i = 0; i < l->n; i++)
        view_free(&l->views[i]);
    free(l->repos);
    free(l->views);
    free(l->why);
}

static int look_into(struct check *k, const struct open_repo *o, struct catalog *c, struct view *v,
                     struct err *err)
{
    AUTO(repo_config_free) struct repo_config conf = {0};

    TRY(config_repo(k->app->config, k->cluster, o->name, &conf, err));
    TRY(view_load(v, o->repo, k->app->config->state_dir, c, &k->app->stop, err));
    policy_judge(&conf, v);
    view_remember(v, o->repo, c);
    if (conf.type == CONFIG_REPO_POSIX)
        check_room(k, o->name, conf.path, &v->backups);
    return 0;
}

/* Those that could not be opened were told of. */
static void look_at_repos(struct check *k, struct catalog *c, struct looked *l)
{
    l->repos = xcalloc(k->repos.n, sizeof *l->repos);
    l->views = xcalloc(k->repos.n, sizeof *l->views);
    l->why = xcalloc(k->repos.n, sizeof *l->why);
    for (size_t i = 0; i < k->repos.n && !stop_wanted(&k->app->stop); i++) {
        const struct open_repo *o = &k->repos.items[i];
        struct findings_repo *r = &l->repos[l->n];

        if (o->repo == NULL)
            continue;
        *r = (struct findings_repo){.name = o->name, .required = o->required};
        if (look_into(k, o, c, &l->views[l->n], &l->why[l->n]) == 0)
            r->view = &l->views[l->n];
        else
            r->why = l->why[l->n].msg;
        l->n++;
    }
}

static bool ask_server(struct check *k, struct looked *l)
{
    struct pg *pg = k->primary != NULL ? k->primary : k->pg;
    struct err err = {0};

    if (pg == NULL)
        return false; /* that was told */
    if (server_state_ask(pg, &l->server, &err) == 0)
        return true;
    check_say(k, CHECK_WARNING, "archiver", NULL, NULL, "%s", err.msg);
    return false;
}

static bool look_at_pg_wal(struct check *k, struct looked *l)
{
    const char *data = k->has_facts ? k->facts.data_directory : k->cluster->data;
    struct err err = {0};

    if (data == NULL)
        return false;
    if (pg_wal_look(data, &l->pg_wal, &err) == 0)
        return true;
    check_say(k, CHECK_WARNING, "WAL to archive", NULL, NULL, "%s", err.msg);
    return false;
}

static void say(struct check *k, const struct findings *f)
{
    static const enum check_state states[FINDING_LEVELS] = {CHECK_OK, CHECK_WARNING, CHECK_FAILED};

    for (size_t i = 0; i < f->n; i++)
        check_say(k, states[f->items[i].level], f->items[i].kind, f->items[i].repo,
                  f->items[i].todo, "%s", f->items[i].text);
}

void check_findings(struct check *k)
{
    AUTO(catalog_close) struct catalog *catalog = app_catalog(k->app);
    AUTO(looked_free) struct looked l = {0};
    AUTO(findings_free) struct findings found = {0};
    struct findings_request q = {
        .config = k->app->config,
        .cluster = k->cluster,
        .catalog = catalog,
        .archiving_proved = k->proved,
        .now_us = clock_now_us(),
    };

    look_at_repos(k, catalog, &l);
    q.repos = l.repos;
    q.n_repos = l.n;
    if (ask_server(k, &l))
        q.server = &l.server;
    if (look_at_pg_wal(k, &l))
        q.pg_wal = &l.pg_wal;
    if (stop_wanted(&k->app->stop))
        return;
    findings_collect(&q, &found);
    say(k, &found);
}
