/*
 * index.h - making the WAL index of a segment, and following the indexes of a range.
 *
 * wal_index_build() reads a segment once, by itself. wal_chain goes along the indexes of
 * consecutive segments, proves that they continue each other without a gap (positions and
 * prev-links), and finishes the records that cross from one into the next.
 */
#ifndef PGBR_WAL_INDEX_INDEX_H
#define PGBR_WAL_INDEX_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "postgres/wal_reader.h"
#include "repo/wal/wal_index.h"

/*
 * Fills *ix, which must be initialised. Fails only where wal_segment_check() does: a segment that
 * cannot be understood gives an index that says so (flags, reason). tli of want: of the file's
 * name.
 */
int wal_index_build(const void *segment, size_t len, const struct wal_expect *want,
                    struct wal_index *ix, struct err *err) MUST_CHECK;

enum wal_crossing {
    WAL_CROSSING_NONE,     /* no record crosses into this segment, or it goes on beyond it, or it
                              was abandoned after a crash */
    WAL_CROSSING_DONE,     /* the record is in *crossing */
    WAL_CROSSING_NOT_KEPT, /* its pieces were too long to be kept: read the segments */
    WAL_CROSSING_NO_START, /* it started before the first index of the chain */
};

struct wal_chain {
    uint64_t end;  /* LSN at which the next segment must start; 0: any (nothing added yet) */
    uint64_t last; /* last record that starts before end, 0: not known */
    /* The rest is its own. */
    uint64_t system_id;
    unsigned major;
    uint64_t carry_lsn;
    uint32_t carry_total, carry_seen, carry_tli; /* record under way; total 0: none */
    bool carry_kept;
    struct buf carry;
    bool orphan; /* inside a record that began before the chain */
    enum { WAL_CHAIN_OPEN, WAL_CHAIN_ENDED, WAL_CHAIN_BROKEN } closed;
};

void wal_chain_init(struct wal_chain *c);
void wal_chain_free(struct wal_chain *c);

/*
 * Takes the next index (summary or whole). What crosses into it from before is put into *crossing,
 * an index of that one record, which comes before everything in ix. ERR_NOT_FOUND: a gap, the
 * segment does not follow the last one, or WAL ended inside that. ERR_FOREIGN. ERR_CORRUPT: it
 * follows by its position, but its records do not continue those before (another timeline's, a
 * break in the WAL, damage).
 */
int wal_chain_add(struct wal_chain *c, const struct wal_index *ix, enum wal_crossing *what,
                  struct wal_index *crossing, struct err *err) MUST_CHECK;

#endif
