/* version.h - the version of this program, as it stands in manifests, catalogs and "pgbr
 * --version". */
#ifndef PGBR_BASE_VERSION_H
#define PGBR_BASE_VERSION_H

#define PGBR_VERSION "0.1.0"

#endif
