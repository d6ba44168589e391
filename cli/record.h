/* record.h - what commands leave in the catalog. A catalog that cannot be used is logged and stops
 * nothing. */
#ifndef PGBR_CLI_RECORD_H
#define PGBR_CLI_RECORD_H

#include "catalog/catalog.h"
#include "cli/app.h"
#include "repo/manifest/manifest.h"

/* What the catalog says of a cluster's backups, or nothing where it cannot be used. */
void record_known(struct app *app, const char *cluster, struct catalog_backups *out);
void record_backup(struct app *app, struct repo *repo, const struct pubinfo *pub);

#endif
