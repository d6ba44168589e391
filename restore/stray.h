/*
 * stray.h - links of a backup that would lead a copy into what is the original's.
 *
 * A link in the data directory that is no tablespace's and not pg_wal is backed up as a link: what
 * it leads to is not in the backup. Made again beside the original it would lead to the same files,
 * and the server would write into them.
 */
#ifndef PGBR_RESTORE_STRAY_H
#define PGBR_RESTORE_STRAY_H

#include "restore/layout.h"

/*
 * Is the link (root, rel) to be left out? In a copy those that lead to something that exists
 * outside of its root; but single files on the top level are the configuration's, which a server
 * reads and does not write. In a sandbox also those that lead nowhere. Never is one a tablespace's:
 * the backup's own do not get here. In place none is left out.
 */
bool stray_link(const struct layout *l, unsigned root, const char *rel, const char *target);

#endif
