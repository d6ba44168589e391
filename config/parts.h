/* parts.h - the readers of the parts of a file, called by load.c in the order of dependence. */
#ifndef PGBR_CONFIG_PARTS_H
#define PGBR_CONFIG_PARTS_H

#include "config/config.h"
#include "config/yaml.h"

/* "repos" or "pgbackrest_repo": a map of names to repositories. */
int repos_read(struct config *c, const struct node *map, struct err *err) MUST_CHECK;
const struct repo_config *repo_find(const struct config *c, const char *name);
/* The node must name a known repository. */
int repo_reference(const struct config *c, const struct node *n, const struct repo_config **out,
                   struct err *err) MUST_CHECK;
/* A copy with "${pg_cluster}" replaced. */
void repo_copy(struct repo_config *out, const struct repo_config *from, const char *cluster);

/* "clusters": a map of names to clusters; those of an inventory may be there already. */
int clusters_read(struct config *c, const struct node *map, struct err *err) MUST_CHECK;
/* The cluster of that name, made with its defaults when there is none yet. */
struct cluster_config *cluster_add(struct config *c, const char *name, const struct node *at);
/* What depends on the whole file: repositories, data directory, connections. */
int clusters_finish(struct config *c, struct err *err) MUST_CHECK;
void cluster_config_free(struct cluster_config *c);

/* "watch", of all clusters or one; what is not given stays as it is. */
extern const struct watch_config watch_defaults;
int watch_read(struct config *c, const struct node *map, const char *where,
               struct watch_config *out, struct err *err) MUST_CHECK;

/* "drill" of a cluster. */
int drill_read(struct config *c, const struct node *map, const char *cluster,
               struct drill_config *out, struct err *err) MUST_CHECK;
void drill_config_init(struct drill_config *d);
void drill_config_free(struct drill_config *d);

/* "jobs": after the clusters. */
int jobs_read(struct config *c, const struct node *map, struct err *err) MUST_CHECK;
void job_config_free(struct job_config *job);
/* "scheduler". */
int scheduler_read(struct config *c, const struct node *map, struct err *err) MUST_CHECK;
void scheduler_defaults(struct scheduler_config *s);

/* "notify": after the clusters. */
int notify_read(struct config *c, const struct node *map, struct err *err) MUST_CHECK;
/* "http": where the scheduler serves its status; NULL: nothing is said, the defaults hold. */
int http_read(struct config *c, const struct node *map, struct err *err) MUST_CHECK;

/* Is it a group of an inventory: a map with "hosts" or "vars"? */
bool inventory_is_group(const struct node *n);
/* Its clusters and their members; a group without pg_cluster is somebody else's. */
int inventory_read(struct config *c, const struct node *group, struct err *err) MUST_CHECK;

#endif
