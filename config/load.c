/*
 * load.c - from the tree of a file to struct config: the order in which its parts are read.
 *
 * Repositories first, since clusters name them, then inventories and clusters, then jobs, which
 * name clusters; so every reference is checked where it stands, with its line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/fields.h"
#include "config/parts.h"
#include "config/suggest.h"
#include "config/units.h"

#define AT(member) offsetof(struct config, member)

static const struct choice formats[] = {{"text", LOG_TEXT}, {"json", LOG_JSON}, {NULL, 0}};
static const struct choice levels[] = {{"error", LOG_ERROR},
                                       {"warning", LOG_WARNING},
                                       {"info", LOG_INFO},
                                       {"debug", LOG_DEBUG},
                                       {NULL, 0}};

static const struct field log_fields[] = {
    {"format", FIELD_CHOICE, AT(log_format), 0, 0, formats, NULL},
    {"level", FIELD_CHOICE, AT(log_level), 0, 0, levels, NULL},
};

static const struct field top_fields[] = {
    {"state_dir", FIELD_PATH, AT(state_dir), 0, 0, NULL, NULL},
    {"user", FIELD_TEXT, AT(user), 0, 0, NULL, NULL},
    {"log", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"repos", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"pgbackrest_repo", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"repo", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"pgbackrest_method", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"clusters", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"jobs", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"http", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"scheduler", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"watch", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"notify", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"all", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
};

static bool is_top_key(const char *key)
{
    for (size_t i = 0; i < LENGTH(top_fields); i++)
        if (strcmp(top_fields[i].key, key) == 0)
            return true;
    return false;
}

/* Keys of the top, without the groups of an inventory that may stand beside them. */
static int read_top(struct config *c, const struct node *root, struct err *err)
{
    struct node own = {.kind = NODE_MAP, .line = root->line, .column = root->column};

    for (const struct node_entry *e = root->first; e != NULL; e = e->next) {
        struct node_entry one = {.key = e->key, .value = e->value};

        if (!is_top_key(e->key->text) && inventory_is_group(e->value))
            continue;
        own.first = &one;
        TRY(fields_read(c, &own, "the file", top_fields, LENGTH(top_fields), c, err));
    }
    return 0;
}

/* A key by its own name or Pigsty's, at the top or among the variables of all hosts. */
static int find_either(const struct node *root, const char *key, const char *alias,
                       const struct node **out, struct err *err)
{
    const struct node *a = node_get(root, key), *b = node_get(root, alias);

    if (a != NULL && b != NULL)
        return fail_here(b, err, "\"%s\" is another name for \"%s\": keep one", alias, key);
    *out = a != NULL ? a : b;
    if (*out == NULL)
        *out = node_get(node_get(node_get(root, "all"), "vars"), alias);
    return 0;
}

static int read_repos(struct config *c, const struct node *root, struct err *err)
{
    const struct node *repos = NULL, *chosen = NULL;
    const struct repo_config *repo;

    TRY(find_either(root, "repos", "pgbackrest_repo", &repos, err));
    TRY(find_either(root, "repo", "pgbackrest_method", &chosen, err));
    if (repos == NULL)
        return fail_here(NULL, err, "has no repository (key \"repos\")");
    TRY(repos_read(c, repos, err));
    if (c->n_repos == 0)
        return fail_here(repos, err, "the list of repositories is empty");
    repo = repo_find(c, "local"); /* Pigsty's default for pgbackrest_method */
    if (chosen != NULL)
        TRY(repo_reference(c, chosen, &repo, err));
    c->default_repo = xstrdup(repo != NULL ? repo->name : c->repos[0].name);
    return 0;
}

static int read_inventories(struct config *c, const struct node *root, struct err *err)
{
    const struct node *children = node_get(node_get(root, "all"), "children");

    for (const struct node_entry *e = root->first; e != NULL; e = e->next)
        if (!is_top_key(e->key->text))
            TRY(inventory_read(c, e->value, err));
    if (children != NULL && children->kind == NODE_MAP)
        for (const struct node_entry *e = children->first; e != NULL; e = e->next)
            TRY(inventory_read(c, e->value, err));
    return 0;
}

static int read_root(struct config *c, const struct node *root, struct err *err)
{
    const struct node *log = node_get(root, "log"), *clusters = node_get(root, "clusters"),
                      *jobs = node_get(root, "jobs"), *scheduler = node_get(root, "scheduler"),
                      *notify = node_get(root, "notify");

    TRY(want_map(root, "the file", err));
    TRY(read_top(c, root, err));
    if (log != NULL)
        TRY(fields_read(c, log, "\"log\"", log_fields, LENGTH(log_fields), c, err));
    TRY(read_repos(c, root, err));
    if (node_get(root, "watch") != NULL) /* before the clusters, which begin with it */
        TRY(watch_read(c, node_get(root, "watch"), "\"watch\"", &c->watch, err));
    if (clusters != NULL) /* before the inventories: what is said here counts */
        TRY(clusters_read(c, clusters, err));
    TRY(read_inventories(c, root, err));
    TRY(clusters_finish(c, err));
    TRY(http_read(c, node_get(root, "http"), err));
    if (scheduler != NULL)
        TRY(scheduler_read(c, scheduler, err));
    if (jobs != NULL)
        TRY(jobs_read(c, jobs, err));
    return notify != NULL ? notify_read(c, notify, err) : 0;
}

int config_parse(const char *text, size_t len, const char *name, struct config **out,
                 struct err *err)
{
    AUTO(document_free) struct document *doc = NULL;
    AUTO(config_free) struct config *c = xcalloc(1, sizeof *c);
    char shown[80];

    c->path = xstrdup(name);
    c->state_dir = xstrdup("/var/lib/pgbr");
    c->log_level = LOG_INFO;
    scheduler_defaults(&c->scheduler);
    c->watch = watch_defaults;
    if (document_read(text, len, &doc, err) != 0 || read_root(c, document_root(doc), err) != 0)
        return err_set(err, err->code, "\"%s\" %s", units_printable(name, shown), err->msg);
    *out = TAKE(c);
    return 0;
}
