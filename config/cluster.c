/* cluster.c - clusters: their keys, their defaults, and which of an inventory's members we are. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "config/fields.h"
#include "config/parts.h"

#define AT(member) offsetof(struct cluster_config, member)
#define TIMEOUT(key, at)                                              \
    {                                                                 \
        key, FIELD_MS, AT(at), 100, INT64_C(7) * 86400000, NULL, NULL \
    }

static const struct field cluster_fields[] = {
    {"data", FIELD_PATH, AT(data), 0, 0, NULL, NULL},
    {"port", FIELD_UNSIGNED, AT(port), 1, 65535, NULL, NULL},
    {"connection", FIELD_CONNINFO, AT(connection), 0, 0, NULL, NULL},
    {"primary", FIELD_CONNINFO, AT(primary), 0, 0, NULL, NULL},
    {"patroni", FIELD_TEXT, AT(patroni), 0, 0, NULL, NULL},
    {"patroni_ca_file", FIELD_PATH, AT(patroni_ca_file), 0, 0, NULL, NULL},
    {"instance", FIELD_TEXT, AT(instance), 0, 0, NULL, NULL},
    {"repos", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"repo", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"watch", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"drill", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"compress_level", FIELD_INT, AT(compress_level), -50, 22, NULL, NULL},
    {"workers", FIELD_UNSIGNED, AT(workers), 1, 64, NULL, NULL},
    {"rate_limit", FIELD_SIZE, AT(rate_limit), 0, INT64_MAX, NULL, NULL},
    {"full_interval", FIELD_MS, AT(full_interval_ms), 60 * 1000, INT64_C(3650) * 86400000, NULL,
     NULL},
    {"chain_max", FIELD_UNSIGNED, AT(chain_max), 0, 10000, NULL, NULL},
    TIMEOUT("archive_timeout", archive_timeout_ms),
    TIMEOUT("wal_wait_timeout", wal_wait_timeout_ms),
    TIMEOUT("archive_get_timeout", archive_get_timeout_ms),
    {"archive_push_ahead", FIELD_INT, AT(archive_push_ahead), 0, CONFIG_AHEAD_MAX, NULL, NULL},
    {"archive_get_ahead", FIELD_INT, AT(archive_get_ahead), 0, CONFIG_AHEAD_MAX, NULL, NULL},
};

/* CPUs this process may use; more workers than four only help where disks are very fast. */
static unsigned default_workers(void)
{
    cpu_set_t cpus;

    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return 4; /* more CPUs than the set has room for */
    return (unsigned)MIN_OF(CPU_COUNT(&cpus), 4);
}

static struct cluster_config *find(struct config *c, const char *name)
{
    for (size_t i = 0; i < c->n_clusters; i++)
        if (strcmp(c->clusters[i].name, name) == 0)
            return &c->clusters[i];
    return NULL;
}

struct cluster_config *cluster_add(struct config *c, const char *name, const struct node *at)
{
    struct cluster_config *cluster = find(c, name);

    if (cluster != NULL)
        return cluster;
    c->clusters = array_grow(c->clusters, c->n_clusters, sizeof *c->clusters);
    cluster = &c->clusters[c->n_clusters++];
    *cluster = (struct cluster_config){
        .name = xstrdup(name),
        .compress_level = 1,
        .workers = default_workers(),
        .full_interval_ms = INT64_C(7) * 86400000,
        .archive_timeout_ms = 60 * 1000,
        .wal_wait_timeout_ms = 10 * 60 * 1000,
        .archive_get_timeout_ms = 5 * 60 * 1000,
        .archive_push_ahead = CONFIG_UNSET,
        .archive_get_ahead = CONFIG_UNSET,
        .watch = c->watch,
        .place = place_of(at),
    };
    drill_config_init(&cluster->drill);
    return cluster;
}

static bool uses(const struct cluster_config *cluster, const char *repo)
{
    for (size_t i = 0; i < cluster->n_repos; i++)
        if (strcmp(cluster->repos[i], repo) == 0)
            return true;
    return false;
}

static void add_repo(struct cluster_config *cluster, const char *repo)
{
    cluster->repos = array_grow(cluster->repos, cluster->n_repos, sizeof *cluster->repos);
    cluster->repos[cluster->n_repos++] = xstrdup(repo);
}

static int read_repo(const struct config *c, struct cluster_config *cluster, const struct node *n,
                     struct err *err)
{
    const struct repo_config *repo;

    TRY(repo_reference(c, n, &repo, err));
    if (uses(cluster, repo->name))
        return fail_here(n, err, "repository \"%s\" is given twice for cluster \"%s\"", repo->name,
                         cluster->name);
    add_repo(cluster, repo->name);
    return 0;
}

/* "repos: [a, b]" or "repos: a"; "repo: a" is which of them comes first. */
static int read_repos(const struct config *c, struct cluster_config *cluster,
                      const struct node *map, struct err *err)
{
    const struct node *list = node_get(map, "repos"), *first = node_get(map, "repo");
    const struct repo_config *repo;

    if (list != NULL && list->kind != NODE_LIST)
        TRY(read_repo(c, cluster, list, err));
    if (list != NULL && list->kind == NODE_LIST && list->n == 0)
        return fail_here(list, err, "\"repos\" of cluster \"%s\" is empty", cluster->name);
    if (list != NULL && list->kind == NODE_LIST)
        for (const struct node_entry *e = list->first; e != NULL; e = e->next)
            TRY(read_repo(c, cluster, e->value, err));
    if (first == NULL)
        return 0;
    TRY(repo_reference(c, first, &repo, err));
    if (cluster->n_repos == 0)
        add_repo(cluster, repo->name);
    if (!uses(cluster, repo->name))
        return fail_here(first, err, "\"repo\" must be one of the \"repos\" of cluster \"%s\"",
                         cluster->name);
    mem_free(&cluster->default_repo);
    cluster->default_repo = xstrdup(repo->name);
    return 0;
}

static int cluster_read(struct config *c, const struct node_entry *e, struct err *err)
{
    const struct node *map = e->value;
    struct cluster_config *cluster;
    char where[96];

    TRY(want_name(e->key, "the name of a cluster", err));
    cluster = cluster_add(c, e->key->text, e->key);
    if (node_is_null(map)) /* "pg-test:" alone: everything at its default */
        return 0;
    snprintf(where, sizeof where, "cluster \"%s\"", cluster->name);
    TRY(fields_read(c, map, where, cluster_fields, LENGTH(cluster_fields), cluster, err));
    if (node_get(map, "watch") != NULL)
        TRY(watch_read(c, node_get(map, "watch"), where, &cluster->watch, err));
    if (cluster->compress_level == 0)
        return fail_here(node_get(map, "compress_level"), err,
                         "\"compress_level\" must be 1 to 22, or -1 to -50 for more speed");
    if (cluster->patroni != NULL && strncmp(cluster->patroni, "http://", 7) != 0 &&
        strncmp(cluster->patroni, "https://", 8) != 0)
        return fail_here(node_get(map, "patroni"), err,
                         "\"patroni\" is a URL: http://host:8008 or https://host:8008");
    cluster->given_data = cluster->data != NULL;
    cluster->given_port = cluster->port != 0;
    cluster->given_connection = cluster->connection != NULL;
    if (cluster->given_port && cluster->given_connection)
        return fail_here(node_get(map, "port"), err,
                         "cluster \"%s\" has both \"port\" and \"connection\": the port belongs "
                         "into the connection",
                         cluster->name);
    if (node_get(map, "drill") != NULL)
        TRY(drill_read(c, node_get(map, "drill"), cluster->name, &cluster->drill, err));
    return read_repos(c, cluster, map, err);
}

int clusters_read(struct config *c, const struct node *map, struct err *err)
{
    TRY(want_map(map, "the list of clusters", err));
    for (const struct node_entry *e = map->first; e != NULL; e = e->next)
        TRY(cluster_read(c, e, err));
    return 0;
}

/* Whichever member is the primary now: the roles of an inventory are those of the first day. */
static char *primary_of(const struct cluster_config *cluster)
{
    AUTO(buf_free) struct buf hosts = BUF_INIT;
    AUTO(buf_free) struct buf ports = BUF_INIT;

    if (cluster->n_members == 0)
        return NULL;
    for (size_t i = 0; i < cluster->n_members; i++) {
        buf_addf(&hosts, "%s%s", i == 0 ? "" : ",", cluster->members[i].host);
        buf_addf(&ports, "%s%u", i == 0 ? "" : ",", cluster->members[i].port);
    }
    return xasprintf("host=%s port=%s dbname=postgres target_session_attrs=read-write",
                     buf_text(&hosts), buf_text(&ports));
}

/* Data directory, port and connection as a member of the inventory has them. */
static void follow_member(struct cluster_config *cluster, const struct cluster_member *m)
{
    if (!cluster->given_data && m != NULL) {
        mem_free(&cluster->data);
        cluster->data = xstrdup(m->data);
    }
    if (!cluster->given_port)
        cluster->port = m != NULL ? m->port : 5432;
    if (!cluster->given_connection) {
        secret_free(&cluster->connection);
        cluster->connection = xasprintf("port=%u dbname=postgres", cluster->port);
    }
}

bool cluster_config_be(struct cluster_config *cluster, const char *host_or_instance)
{
    for (size_t i = 0; i < cluster->n_members; i++) {
        const struct cluster_member *m = &cluster->members[i];

        if (strcmp(m->host, host_or_instance) != 0 && strcmp(m->instance, host_or_instance) != 0)
            continue;
        mem_free(&cluster->instance);
        mem_free(&cluster->role);
        cluster->instance = xstrdup(m->instance);
        cluster->role = xstrdup(m->role);
        follow_member(cluster, m);
        return true;
    }
    return false;
}

static bool is_inside(const char *path, const char *directory)
{
    size_t n = strlen(directory);

    while (n > 1 && directory[n - 1] == '/')
        n--;
    return strncmp(path, directory, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int check_repos(const struct config *c, const struct cluster_config *cluster,
                       struct err *err)
{
    const struct node here = {.line = cluster->place.line, .column = cluster->place.column};
    bool required = false;

    for (size_t i = 0; i < cluster->n_repos; i++) {
        const struct repo_config *r = repo_find(c, cluster->repos[i]);

        required |= !r->optional;
        if (r->type == CONFIG_REPO_POSIX && cluster->data != NULL &&
            is_inside(r->path, cluster->data))
            return fail_here(&here, err,
                             "repository \"%s\" lies in the data directory of cluster \"%s\"",
                             r->name, cluster->name);
    }
    if (!required)
        return fail_here(&here, err,
                         "all repositories of cluster \"%s\" are optional, so its WAL would count "
                         "as archived when it is nowhere",
                         cluster->name);
    return 0;
}

static int finish(const struct config *c, struct cluster_config *cluster, struct err *err)
{
    if (cluster->n_repos == 0)
        add_repo(cluster, c->default_repo);
    if (cluster->default_repo == NULL)
        cluster->default_repo =
            xstrdup(uses(cluster, c->default_repo) ? c->default_repo : cluster->repos[0]);
    if (cluster->primary == NULL)
        cluster->primary = primary_of(cluster);
    follow_member(cluster, cluster->n_members != 0 ? &cluster->members[0] : NULL);
    if (cluster->instance != NULL) { /* which member was said in so many words */
        AUTO(mem_free) char *said = xstrdup(cluster->instance);
        cluster_config_be(cluster, said);
    }
    return check_repos(c, cluster, err);
}

int clusters_finish(struct config *c, struct err *err)
{
    for (size_t i = 0; i < c->n_clusters; i++)
        TRY(finish(c, &c->clusters[i], err));
    return 0;
}

static void free_member(struct cluster_member *m)
{
    free(m->host);
    free(m->role);
    free(m->instance);
    free(m->data);
}

void cluster_config_free(struct cluster_config *c)
{
    free(c->name);
    free(c->instance);
    free(c->role);
    free(c->data);
    secret_free(&c->connection);
    secret_free(&c->primary);
    free(c->patroni);
    free(c->patroni_ca_file);
    for (size_t i = 0; i < c->n_repos; i++)
        free(c->repos[i]);
    free(c->repos);
    free(c->default_repo);
    for (size_t i = 0; i < c->n_members; i++)
        free_member(&c->members[i]);
    free(c->members);
    drill_config_free(&c->drill);
    *c = (struct cluster_config){0};
}
