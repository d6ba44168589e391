/*
 * pigsty.c - clusters out of a Pigsty inventory.
 *
 * An inventory is Ansible's: groups with "hosts" and "vars", at the top of the file or under
 * all.children. pg_cluster, pg_seq and pg_role identify an instance; pg_data and pg_port say where
 * it lives; a host's own value goes before its group's. Everything else in there is for others and
 * is not looked at. Exception: pgbackrest_method chooses the repository, so ignoring it would put
 * backups where nobody looks for them.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/fields.h"
#include "config/parts.h"
#include "config/units.h"

struct group {
    const struct node *vars; /* NULL: none */
    const struct node *host; /* vars of one host; NULL: none */
};

bool inventory_is_group(const struct node *n)
{
    const struct node *hosts = node_get(n, "hosts"), *vars = node_get(n, "vars");

    return (hosts != NULL && hosts->kind == NODE_MAP) || (vars != NULL && vars->kind == NODE_MAP);
}

static const struct node *value_of(const struct group *g, const char *key)
{
    const struct node *n = node_get(g->host, key);

    return n != NULL ? n : node_get(g->vars, key);
}

/* 0, and *out unchanged, when the key is not there. */
static int number_of(const struct group *g, const char *key, int64_t min, int64_t max,
                     unsigned *out, struct err *err)
{
    const struct node *n = value_of(g, key);
    int64_t value;

    if (n == NULL)
        return 0;
    TRY(want_text(n, key, err));
    if (units_number(n->text, &value, err) != 0)
        return fail_here(n, err, "\"%s\": %s", key, err->msg);
    if (value < min || value > max)
        return fail_here(n, err, "\"%s\" must be %lld to %lld", key, (long long)min,
                         (long long)max);
    *out = (unsigned)value;
    return 0;
}

static int data_of(const struct group *g, const char **out, struct err *err)
{
    const struct node *n = value_of(g, "pg_data");

    *out = "/pg/data";
    if (n == NULL)
        return 0;
    TRY(want_text(n, "\"pg_data\"", err));
    if (n->text[0] != '/')
        return fail_here(n, err, "\"pg_data\" must be an absolute path");
    *out = n->text;
    return 0;
}

static int choose_repo(struct config *c, const struct group *g, struct cluster_config *cluster,
                       struct err *err)
{
    const struct node *method = value_of(g, "pgbackrest_method");
    const struct node *own = value_of(g, "pgbackrest_repo");
    const struct repo_config *repo;

    if (own != NULL)
        return fail_here(own, err,
                         "\"pgbackrest_repo\" of a single cluster cannot be used: give its "
                         "repositories a name of their own at the top of the file");
    if (method == NULL || cluster->n_repos != 0)
        return 0;
    TRY(repo_reference(c, method, &repo, err));
    cluster->repos = array_grow(cluster->repos, 0, sizeof *cluster->repos);
    cluster->repos[cluster->n_repos++] = xstrdup(repo->name);
    return 0;
}

/* The name goes into conninfo strings as it is. */
static int check_host(const struct node *host, struct err *err)
{
    TRY(want_text(host, "the address of a host", err));
    if (strspn(host->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-") !=
        strlen(host->text))
        return fail_here(host, err, "a host must be an address or a name");
    return 0;
}

static int add_member(struct cluster_config *cluster, const struct node *host,
                      const struct group *g, struct err *err)
{
    const struct node *role = value_of(g, "pg_role");
    struct cluster_member m = {.port = 5432};
    const char *data;

    TRY(check_host(host, err));
    TRY(number_of(g, "pg_seq", 0, INT32_MAX, &m.seq, err));
    TRY(number_of(g, "pg_port", 1, 65535, &m.port, err));
    TRY(data_of(g, &data, err));
    if (role != NULL)
        TRY(want_text(role, "\"pg_role\"", err));
    for (size_t i = 0; i < cluster->n_members; i++)
        if (cluster->members[i].seq == m.seq)
            return fail_here(host, err, "cluster \"%s\" has two members with pg_seq %u",
                             cluster->name, m.seq);
    m.host = xstrdup(host->text);
    m.role = role != NULL ? xstrdup(role->text) : NULL;
    m.data = xstrdup(data);
    m.instance = xasprintf("%s-%u", cluster->name, m.seq);
    cluster->members = array_grow(cluster->members, cluster->n_members, sizeof m);
    cluster->members[cluster->n_members++] = m;
    return 0;
}

static int read_host(struct config *c, const struct node *host, const struct group *g,
                     struct err *err)
{
    const struct node *name = value_of(g, "pg_cluster");
    struct cluster_config *cluster;

    if (name == NULL)
        return 0;
    TRY(want_name(name, "the name of a cluster (pg_cluster)", err));
    cluster = cluster_add(c, name->text, name);
    TRY(choose_repo(c, g, cluster, err));
    return add_member(cluster, host, g, err);
}

int inventory_read(struct config *c, const struct node *group, struct err *err)
{
    const struct node *hosts = node_get(group, "hosts");
    struct group g = {.vars = node_get(group, "vars")};

    if (hosts == NULL || hosts->kind != NODE_MAP)
        return 0;
    for (const struct node_entry *e = hosts->first; e != NULL; e = e->next) {
        g.host = e->value->kind == NODE_MAP ? e->value : NULL;
        TRY(read_host(c, e->key, &g, err));
    }
    return 0;
}
