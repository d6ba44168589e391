/* open.h - repositories as the configuration names them: from a name to an open struct repo. */
#ifndef PGBR_CONFIG_OPEN_H
#define PGBR_CONFIG_OPEN_H

#include "config/config.h"
#include "repo/repo.h"

/* Opens the repository `name` (NULL: the cluster's default) for the cluster. Errors begin with the
 * repository's name. */
int config_open_repo(const struct config *c, const struct cluster_config *cluster, const char *name,
                     enum repo_open_mode mode, struct repo **r, struct err *err) MUST_CHECK;
/* Creates what is missing, see repo_init(). */
int config_init_repo(const struct config *c, const struct cluster_config *cluster, const char *name,
                     struct repo **r, bool *created, struct err *err) MUST_CHECK;

/* What opens the key slots of an encrypted repository here; fills in the secrets of r, which *out
 * borrows. ERR_KEY: none is given. */
int config_key_secret(struct repo_config *r, struct key_secret *out, struct err *err) MUST_CHECK;

/* All repositories of a cluster, in the configuration's order. One that cannot be opened has repo
 * NULL and why set. */
struct open_repo {
    char *name;
    bool required; /* not `optional`: WAL counts as archived only when it is here */
    struct repo *repo;
    struct err why;
};
struct open_repos {
    struct open_repo *items;
    size_t n;
};
/* only: just the repository of that name (NULL: all). Fails for an unknown name only. */
int config_open_repos(const struct config *c, const struct cluster_config *cluster,
                      const char *only, enum repo_open_mode mode, struct open_repos *out,
                      struct err *err) MUST_CHECK;
void open_repos_close(struct open_repos *repos);

#endif
