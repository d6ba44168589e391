/* upkeep.h - what commands do for later ones when their own work is done. */
#ifndef PGBR_CLI_UPKEEP_H
#define PGBR_CLI_UPKEEP_H

#include "cli/app.h"
#include "repo/expire/expire.h"
#include "repo/repo.h"

/* Sums up the indexes of the WAL that the next incremental or differential will read
 * (wal/index/sums.h). Takes a minute at most, as good as nothing where nothing is to be done; what
 * fails is a warning. known: an expiry of this repository that has just ended tells which backups
 * there are; NULL: the repository is asked. */
void upkeep_sums(struct app *app, struct repo *r, const struct expire_made *known);

#endif
