/* outside.h - configuration outside the data directory that the server's views do not name. */
#ifndef PGBR_BACKUP_OUTSIDE_H
#define PGBR_BACKUP_OUTSIDE_H

#include "postgres/facts.h"

/* Adds to the list of the facts what the configuration files of this host include: files, and
 * directories. Returns how many could not be read, each warned of. */
unsigned outside_find(struct pg_facts *f);

#endif
