/* status_read.c - reading the parts of a status: catalog, servers, repositories. See status.h. */
#include "scheduler/status/status_read.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "scheduler/status/policy.h"

enum {
    CONNECT_S = 3,
    RUNS_MAX = 500,
    DRILLS_MAX = 60,
    EVENTS_MAX = 20,
};

void status_read_ended(struct status_read *r, const struct err *why)
{
    r->tried_us = clock_now_us();
    free(r->failure);
    r->failure = why != NULL ? xstrdup(why->msg) : NULL;
    if (why == NULL)
        r->read_us = r->tried_us;
}

/* ---- the catalog ---- */

void status_history_free(struct status_history *h)
{
    catalog_backups_free(&h->backups);
    catalog_runs_free(&h->runs);
    catalog_drills_free(&h->drills);
    catalog_events_free(&h->events);
}

static int read_history(struct catalog *c, const char *cluster, struct status_history *h,
                        struct err *err)
{
    TRY(catalog_get_backups(c, NULL, cluster, false, &h->backups, err));
    TRY(catalog_get_last_runs(c, cluster, RUNS_MAX, &h->runs, err));
    TRY(catalog_get_drills(c, cluster, NULL, DRILLS_MAX, &h->drills, err));
    return catalog_get_events(c, cluster, 0, EVENTS_MAX, &h->events, err);
}

/* What was read of the catalog, new, to be exchanged for what was there. */
struct catalog_part {
    struct status_history *histories; /* of all clusters */
    struct job_set jobs;
    struct catalog_jobs job_rows;
};

static int read_part(struct status *s, struct catalog **c, struct catalog_part *part,
                     struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("%s/catalog.db", s->config->state_dir);

    TRY(fs_mkdirs(s->config->state_dir, 0700, err));
    TRY(catalog_open(c, path, err));
    for (size_t i = 0; i < s->n; i++)
        TRY(read_history(*c, s->clusters[i].conf->name, &part->histories[i], err));
    TRY(catalog_get_jobs(*c, &part->job_rows, err));
    TRY(job_set_open(&part->jobs, s->config, err));
    job_set_place(&part->jobs, &part->job_rows, clock_now_us());
    return 0;
}

static void exchange(struct status *s, struct catalog_part *part)
{
    struct job_set jobs = s->jobs;
    struct catalog_jobs job_rows = s->job_rows;

    for (size_t i = 0; i < s->n; i++) {
        struct status_history old = s->clusters[i].history;

        s->clusters[i].history = part->histories[i];
        part->histories[i] = old;
    }
    s->jobs = part->jobs;
    s->job_rows = part->job_rows;
    part->jobs = jobs;
    part->job_rows = job_rows;
}

static void part_free(struct catalog_part *part, size_t n)
{
    for (size_t i = 0; i < n; i++)
        status_history_free(&part->histories[i]);
    free(part->histories);
    job_set_free(&part->jobs);
    catalog_jobs_free(&part->job_rows);
}

void status_read_catalog(struct status *s, struct catalog **c)
{
    struct catalog_part part = {.histories = xcalloc(s->n, sizeof *part.histories)};
    struct err err = {0};
    int rc = read_part(s, c, &part, &err);

    if (rc != 0)
        log_debug("status: %s", err.msg);
    pthread_rwlock_wrlock(&s->lock);
    status_read_ended(&s->catalog, rc == 0 ? NULL : &err);
    if (rc == 0)
        exchange(s, &part);
    pthread_rwlock_unlock(&s->lock);
    part_free(&part, s->n);
    if (rc != 0)
        catalog_close(c);
}

/* ---- the server ---- */

static int ask_server(const struct cluster_config *conf, const struct stop *stop, int *version,
                      struct server_state *state, struct err *err)
{
    AUTO(pg_close) struct pg *pg = NULL;

    TRY(pg_connect(&pg, conf->connection, CONNECT_S, err));
    pg_set_stop(pg, stop);
    TRY(pg_query(pg, "SET statement_timeout = '5s'", PG_NONE, 0, NULL, err));
    *version = pg_version_num(pg);
    return server_state_ask(pg, state, err);
}

void status_read_server(struct status *s, struct status_cluster *c, const struct stop *stop)
{
    struct server_state state = {0};
    struct pg_wal_state wal = {0};
    struct err why = {0}, wal_why = {0};
    int version = 0, rc, wal_rc = 0;

    rc = ask_server(c->conf, stop, &version, &state, &why);
    if (c->conf->data != NULL)
        wal_rc = pg_wal_look(c->conf->data, &wal, &wal_why);
    if (stop_wanted(stop))
        return;
    pthread_rwlock_wrlock(&s->lock);
    status_read_ended(&c->server.read, rc == 0 ? NULL : &why);
    if (rc == 0) {
        c->server.state = state;
        c->server.version_num = version;
    }
    if (c->conf->data != NULL)
        status_read_ended(&c->server.wal_read, wal_rc == 0 ? NULL : &wal_why);
    if (c->conf->data != NULL && wal_rc == 0)
        c->server.wal = wal;
    pthread_rwlock_unlock(&s->lock);
}

/* ---- a repository ---- */

static void look_at_space(struct status_repo *new, const struct repo_config *conf)
{
    struct statvfs fs;

    if (conf->type != CONFIG_REPO_POSIX || statvfs(conf->path, &fs) != 0)
        return;
    new->has_space = true;
    new->free_bytes = (uint64_t)fs.f_bavail *fs.f_frsize;
    new->disk_bytes = (uint64_t)fs.f_blocks *fs.f_frsize;
}

static int read_repo(const struct config *config, const struct cluster_config *cluster,
                     struct catalog *catalog, const struct stop *stop, struct status_repo *new,
                     struct err *err)
{
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(repo_config_free) struct repo_config conf = {0};

    TRY(config_repo(config, cluster, new->name, &conf, err));
    TRY(view_open(config, cluster, new->name, &repo, err));
    TRY(view_load(&new->view, repo, config->state_dir, catalog, stop, err));
    policy_judge(&conf, &new->view);
    new->location = xstrdup(store_where(repo_store(repo)));
    new->encrypted = repo_encrypted(repo);
    look_at_space(new, &conf);
    return 0;
}

void status_read_repo(struct status *s, struct status_cluster *c, struct status_repo *r,
                      struct catalog *catalog, const struct stop *stop)
{
    struct status_repo new = {.name = r->name, .required = r->required};
    struct err err = {0};
    int rc = read_repo(s->config, c->conf, catalog, stop, &new, &err);

    if (!stop_wanted(stop)) {
        pthread_rwlock_wrlock(&s->lock);
        status_read_ended(&r->read, rc == 0 ? NULL : &err);
        if (rc == 0) {
            struct status_repo old = *r;

            new.read = r->read;
            *r = new;
            new = old;
        }
        pthread_rwlock_unlock(&s->lock);
    }
    view_free(&new.view);
    free(new.location);
}

/* ---- judging ---- */

void status_judge(struct status *s, struct status_cluster *c, struct catalog *catalog)
{
    AUTO(mem_free) struct findings_repo *repos = xcalloc(c->n_repos, sizeof *repos);
    struct findings new = {0}, old;
    size_t n = 0;

    for (size_t i = 0; i < c->n_repos; i++) {
        const struct status_repo *r = &c->repos[i];

        if (r->read.tried_us != 0)
            repos[n++] = (struct findings_repo){.name = r->name,
                                                .required = r->required,
                                                .view = r->read.failure == NULL ? &r->view : NULL,
                                                .why = r->read.failure};
    }
    findings_collect(
        &(struct findings_request){
            .config = s->config,
            .cluster = c->conf,
            .repos = repos,
            .n_repos = n,
            .catalog = catalog,
            .server = c->server.read.read_us != 0 && c->server.read.failure == NULL
                          ? &c->server.state
                          : NULL,
            .server_why = c->server.read.failure,
            .pg_wal = c->server.wal_read.read_us != 0 && c->server.wal_read.failure == NULL
                          ? &c->server.wal
                          : NULL,
            .now_us = clock_now_us(),
        },
        &new);
    pthread_rwlock_wrlock(&s->lock);
    old = c->findings;
    c->findings = new;
    c->judged_us = clock_now_us();
    pthread_rwlock_unlock(&s->lock);
    findings_free(&old);
}

/* ---- all of it ---- */

int status_refresh(struct status *s, unsigned parts, const struct stop *stop, struct err *err)
{
    AUTO(catalog_close) struct catalog *catalog = NULL;

    status_read_catalog(s, &catalog); /* always: judging needs it, and it costs nearly nothing */
    for (size_t i = 0; i < s->n; i++) {
        struct status_cluster *c = &s->clusters[i];

        if ((parts & STATUS_SERVERS) != 0)
            status_read_server(s, c, stop);
        TRY(stop_check(stop, err));
        for (size_t k = 0; (parts & STATUS_REPOSITORIES) != 0 && k < c->n_repos; k++) {
            status_read_repo(s, c, &c->repos[k], catalog, stop);
            TRY(stop_check(stop, err));
        }
        status_judge(s, c, catalog);
    }
    return 0;
}
