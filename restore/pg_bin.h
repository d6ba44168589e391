/*
 * pg_bin.h - PostgreSQL's programs of one major version on this host.
 *
 * A data directory can only be started by the major version that made it.
 */
#ifndef PGBR_RESTORE_PG_BIN_H
#define PGBR_RESTORE_PG_BIN_H

#include "base/err.h"

/* The folder with "postgres" of that major: told (which must be right), else where Debian's and
 * PostgreSQL's own packages put it, else the PATH. Caller frees *dir. ERR_CONFIG: told and wrong;
 * ERR_NOT_FOUND: there is none; the message names what was looked at. */
int pg_bin_find(const char *told, unsigned major, char **dir, struct err *err) MUST_CHECK;

#endif
