/* cmd_init.c - pgbr init [CLUSTER] - create what is missing, say what to set. */
#include <fcntl.h>
#include <stdio.h>

#include "base/crash.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/app.h"
#include "postgres/conf.h"
#include "postgres/conn.h"
#include "postgres/control.h"
#include "postgres/server.h"
#include "postgres/version.h"

static int on_option(void *ctx, int option, const char *value, struct err *err)
{
    (void)option, (void)value, (void)err;
    *(bool *)ctx = true;
    return 0;
}

static int identity_of_directory(const char *path, struct identity *id, struct err *err)
{
    AUTO(fd_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct pg_control control;

    if (fd < 0)
        return err_sys(err, "data directory \"%s\"", path);
    if (control_read(fd, CONTROL_PATH, NULL, &control, err) != 0)
        return err_context(err, "data directory \"%s\"", path);
    *id = (struct identity){control.system_id, control.version->major};
    return 0;
}

/* Whose cluster it is: asked from its control file, or from the server where that is out of reach.
 */
static int identify(const struct cluster_config *cluster, struct identity *id, struct err *err)
{
    AUTO(pg_close) struct pg *pg = NULL;

    if (cluster->data != NULL)
        return identity_of_directory(cluster->data, id, err);
    TRY(pg_connect(&pg, cluster->connection, 10, err));
    id->major = pg_major(pg);
    return pg_system_id(pg, &id->system_id, err);
}

/* The first identity is accepted as a matter of course, any other only when asked. */
static int accept(struct repo *repo, const struct identity *id, bool accept_new, struct err *err)
{
    size_t n;
    const struct identity *known = repo_identities(repo, &n);

    if (repo_knows(repo, id->system_id, id->major))
        return 0;
    if (n != 0 && !accept_new)
        return err_set(
            err, ERR_FOREIGN,
            "repository \"%s\" holds cluster \"%s\" with system identifier %llu (PostgreSQL "
            "%u), the data directory has %llu (PostgreSQL %u); if it is a successor "
            "(pg_upgrade, new initdb), add --accept-new-system-id",
            repo_name(repo), repo_cluster(repo), (unsigned long long)known[n - 1].system_id,
            known[n - 1].major, (unsigned long long)id->system_id, id->major);
    return repo_accept(repo, id->system_id, id->major, err);
}

static int init_repos(struct app *app, const struct cluster_config *cluster,
                      const struct identity *id, bool accept_new, struct err *err)
{
    for (size_t i = 0; i < cluster->n_repos; i++) {
        AUTO(repo_close) struct repo *repo = NULL;
        bool created = false;

        TRY(config_init_repo(app->config, cluster, cluster->repos[i], &repo, &created, err));
        TRY(accept(repo, id, accept_new, err));
        crash_point("init-accepted");
        printf("repository \"%s\" (%s, %s) %s\n", repo_name(repo), store_where(repo_store(repo)),
               repo_encrypted(repo) ? "encrypted" : "not encrypted",
               created ? "created" : "is ready");
        if (created && repo_encrypted(repo))
            printf("  keep a copy of its passphrase or key file far from this host: without it "
                   "nothing here can be read\n");
    }
    return 0;
}

static void record(struct app *app, const struct cluster_config *cluster, const struct identity *id)
{
    AUTO(catalog_close) struct catalog *c = app_catalog(app);
    struct catalog_cluster row = {.name = cluster->name,
                                  .system_id = id->system_id,
                                  .pg_version = id->major,
                                  .data = cluster->data,
                                  .instance = cluster->instance};
    struct err err = {0};

    if (c != NULL && catalog_put_cluster(c, &row, &err) != 0)
        log_warning("not recorded in the catalog: %s", err.msg);
}

static void say_what_to_set(const struct app *app, const struct cluster_config *cluster)
{
    AUTO(buf_free) struct buf command = BUF_INIT;
    AUTO(buf_free) struct buf line = BUF_INIT;

    app_archive_command(app, cluster->name, &command);
    conf_set(&line, "archive_command", buf_text(&command));
    printf("\nset in postgresql.conf (archive_mode needs a restart):\n"
           "  archive_mode = on\n"
           "  %s"
           "then \"pgbr check %s\" tells whether all is well\n",
           buf_text(&line), cluster->name);
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    const struct cluster_config *cluster;
    bool accept_new = false;
    struct arguments args;
    struct identity id;

    app->creates = true;
    TRY(app_arguments(app, argc, argv, &args, on_option, &accept_new, err));
    TRY(app_cluster(app, args.n == 1 ? args.words[0] : NULL, &cluster, err));
    TRY(identify(cluster, &id, err));
    TRY(init_repos(app, cluster, &id, accept_new, err));
    record(app, cluster, &id);
    say_what_to_set(app, cluster);
    return 0;
}

static const struct option_row options[] = {
    {'a', "accept-new-system-id", NULL,
     "the cluster under this name has become another one (pg_upgrade, a new initdb)"},
    {0},
};
const struct command command_init = {
    .name = "init",
    .run = run,
    .words = "[CLUSTER]",
    .max_words = 1,
    .summary = "create the repositories of a cluster, show the archive_command to set",
    .options = options,
};
