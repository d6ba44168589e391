/*
 * version.h - what tells the PostgreSQL majors that pgbr serves apart.
 *
 * The numbers are fixed for the life of a release branch (pg_control.h: PG_CONTROL_VERSION,
 * catversion.h: CATALOG_VERSION_NO, xlog_internal.h: XLOG_PAGE_MAGIC); beta releases and forks of
 * PostgreSQL have others and are not served. A lookup that finds nothing returns NULL.
 */
#ifndef PGBR_POSTGRES_VERSION_H
#define PGBR_POSTGRES_VERSION_H

#include <stddef.h>
#include <stdint.h>

enum { PG_MAJOR_MIN = 13, PG_MAJOR_MAX = 18 };

struct pg_version {
    unsigned major;             /* 15; also the whole text of the file PG_VERSION */
    uint32_t control_version;   /* 13 to 16 share 1300 */
    uint32_t catalog_version;   /* 202209061 */
    uint16_t wal_magic;         /* xlp_magic of every WAL page */
    const char *tablespace_dir; /* "PG_15_202209061", below each tablespace location */
};

const struct pg_version *pg_version_by_major(unsigned major);
const struct pg_version *pg_version_by_control(uint32_t control_version, uint32_t catalog_version);
const struct pg_version *pg_version_by_magic(uint16_t wal_magic);
const struct pg_version *pg_version_by_dir(const char *tablespace_dir);
/* "13, 14, 15, 16, 17 and 18", for messages. */
const char *pg_versions_known(void);

#endif
