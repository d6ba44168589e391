/* schema.h - the tables of the catalog and how they came to be. */
#ifndef PGBR_CATALOG_SCHEMA_H
#define PGBR_CATALOG_SCHEMA_H

#include "catalog/sql.h"

enum { SCHEMA_APPLICATION_ID = 0x70676272 }; /* "pgbr" in the file's header, see file(1) */

/* Refuses what is no catalog of pgbr, or one of a newer version, before anything is written. */
int schema_check(struct catalog *c, struct err *err) MUST_CHECK;

/* Runs the migrations that are missing, in one transaction. */
int schema_migrate(struct catalog *c, struct err *err) MUST_CHECK;

#endif
