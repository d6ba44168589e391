/* cmd_init.c - pgbr init [CLUSTER] [--accept-new-system-id] - create what is missing, say what to
 * set. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/app.h"
#include "postgres/conn.h"
#include "postgres/control.h"
#include "postgres/server.h"
#include "postgres/version.h"

#include <fcntl.h>

#include "base/fs.h"

static const char usage[] = "init [CLUSTER] [--accept-new-system-id]";

static int on_option(void *ctx, int option, const char *value, struct err *err)
{
    (void)option, (void)value, (void)err;
    *(bool *)ctx = true;
    return 0;
}

/* Whose cluster it is: asked from its control file, or from the server where that is out of reach.
 */
static int identify(const struct cluster_config *cluster, struct identity *id, struct err *err)
{
    AUTO(pg_close) struct pg *pg = NULL;
    AUTO(fd_close) int fd = -1;
    struct pg_control control;

    if (cluster->data != NULL) {
        fd = open(cluster->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && control_read(fd, CONTROL_PATH, NULL, &control, err) == 0) {
            *id = (struct identity){control.system_id, control.version->major};
            return 0;
        }
        if (fd >= 0)
            return err_context(err, "data directory \"%s\"", cluster->data);
        return err_sys(err, "data directory \"%s\"", cluster->data);
    }
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
        printf("repository \"%s\" (%s, %s) %s\n", repo_name(repo), store_where(repo_store(repo)),
               repo_encrypted(repo) ? "encrypted" : "not encrypted",
               created ? "created" : "is ready");
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

int cmd_init(struct app *app, int argc, char **argv, struct err *err)
{
    static const struct option options[] = {{"accept-new-system-id", no_argument, NULL, 'a'},
                                            {NULL, 0, NULL, 0}};
    const struct cluster_config *cluster;
    bool accept_new = false;
    struct arguments args;
    struct identity id;

    TRY(app_arguments(argc, argv, options, 1, &args, on_option, &accept_new, usage, err));
    TRY(app_cluster(app, args.n == 1 ? args.words[0] : NULL, &cluster, err));
    TRY(identify(cluster, &id, err));
    TRY(init_repos(app, cluster, &id, accept_new, err));
    record(app, cluster, &id);
    printf("\nset in postgresql.conf (archive_mode needs a restart):\n"
           "  archive_mode = on\n"
           "  archive_command = '\"%s\" -c \"%s\" archive-push %s \"%%p\"'\n"
           "then \"pgbr check %s\" tells whether all is well\n",
           app->program, app->config_absolute, cluster->name, cluster->name);
    return 0;
}
