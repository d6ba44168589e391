/* verify.h - is the WAL that backups and recovery need there, without gaps? */
#ifndef PGBR_WAL_REACH_VERIFY_H
#define PGBR_WAL_REACH_VERIFY_H

#include "wal/reach/target.h"

struct wal_gap {
    uint64_t system_id;
    unsigned major;
    uint32_t timeline;
    uint64_t first_segno, last_segno; /* missing, inclusive */
    uint32_t segment_size;
    char label[LABEL_SIZE + 1]; /* the backup that cannot become consistent without it; "" : only
                                   recovery across the gap cannot */
};
/* Gaps between stretches of each timeline, and segments that the backups' own spans lack. *out is
 * the caller's to free(). */
int wal_find_gaps(struct repo *r, const struct backup_list *backups, struct wal_gap **out,
                  size_t *n, struct err *err) MUST_CHECK;
/* The same of one map and the backups of its identity, added to *gaps; not of WAL without any. */
int wal_map_gaps(const struct wal_map *m, const struct backup_list *backups, struct wal_gap **gaps,
                 size_t *n, struct err *err) MUST_CHECK;

#endif
