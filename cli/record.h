/* record.h - what commands leave in the catalog. A catalog that cannot be used is logged and stops
 * nothing. */
#ifndef PGBR_CLI_RECORD_H
#define PGBR_CLI_RECORD_H

#include "cli/app.h"
#include "repo/manifest/manifest.h"

void record_backup(struct app *app, struct repo *repo, const struct pubinfo *pub);

#endif
