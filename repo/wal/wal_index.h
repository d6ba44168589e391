/*
 * wal_index.h - what one archived WAL segment says: struct and stored bytes, and joining the
 * indexes of consecutive segments.
 *
 * An index is a function of its segment's bytes alone. A record that crosses into the next segment
 * is in neither index; its pieces are kept (tail of the one, head of the next), so that a reader of
 * both can finish it: struct wal_chain. Counts, times, xids, events and blocks are those of the
 * records lying wholly inside.
 *
 * What the segment could not tell is flagged, never guessed. A reader that needs blocks falls back
 * to reading files whole where !wal_index_has_blocks(), one that needs times or events reads the
 * segment where !wal_index_has_history().
 *
 * Stored form: docs/format.md, "WAL index" (wal_index_write.c, wal_index_read.c). Parsing is pure,
 * allocates no more than a small multiple of the bytes given, and refuses whatever does not add up
 * (ERR_CORRUPT) or needs a newer reader (ERR_UNSUPPORTED).
 */
#ifndef PGBR_REPO_WAL_WAL_INDEX_H
#define PGBR_REPO_WAL_WAL_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "postgres/wal_reader.h"
#include "postgres/wal_record.h"
#include "repo/wal/wal_changes.h"

/* Flags; stored. */
enum {
    WAL_INDEX_SWITCH = 1 << 0,    /* ends with XLOG_SWITCH: nothing but zeros behind end_of_data */
    WAL_INDEX_ENDS = 1 << 1,      /* the WAL ends inside: zeros or a recycled tail behind it */
    WAL_INDEX_STOPPED = 1 << 2,   /* damage, or an unknown page format, at end_of_data: what follows
                                     is not known */
    WAL_INDEX_NO_BLOCKS = 1 << 3, /* a record's effect on relation files is not known */
    WAL_INDEX_NO_HISTORY = 1 << 4,   /* a record of transactions or events was not understood, or
                                        there were more than are kept */
    WAL_INDEX_MINIMAL = 1 << 5,      /* wal_level is or becomes minimal: files change unlogged */
    WAL_INDEX_HEAD_OMITTED = 1 << 6, /* longer than WAL_FRAGMENT_MAX: read the segment */
    WAL_INDEX_TAIL_OMITTED = 1 << 7,
    WAL_INDEX_HEAD_ABANDONED = 1 << 8, /* the record continued here was lost in a crash and
                                          overwritten: it never happened */
};

enum {
    WAL_INDEX_EVENTS_MAX = 65536,
    WAL_INDEX_REASON_MAX = 200,
};

struct wal_moment {
    int64_t time_us; /* of the commit or abort, Unix microseconds */
    uint64_t lsn;    /* where its record starts */
    uint32_t xid;
};

/* One relation's forks: bits of forks say which are listed. */
struct wal_index_rel {
    struct wal_locator rel;
    uint8_t what;  /* WAL_REL_ bits; DROPPED: limit 0 on all forks, listed or not */
    uint8_t forks; /* bit 1 << fork */
    struct wal_index_fork {
        uint32_t limit;             /* WAL_NO_BLOCK: none */
        uint32_t first_run, n_runs; /* in runs[] of the index: ascending, not touching */
    } fork[WAL_FORKS];
};

struct wal_index {
    /* The segment. */
    unsigned major; /* 0: the page magic is not known, nothing but this part is set */
    uint16_t magic;
    uint64_t system_id, start;  /* LSN of its first byte */
    uint32_t segment_size, tli; /* tli: of the file's name */
    uint32_t further;           /* segments behind the first that it tells of too: 0, but in a sum
                                   (repo/wal/wal_sum.h) */
    uint32_t flags;
    uint64_t end_of_data; /* valid WAL ends here: the end of the segment; with SWITCH that of the
                             switch record; with ENDS or STOPPED where the first record that is not
                             there would start */
    char reason[WAL_INDEX_REASON_MAX + 1]; /* for people: why a flag of doubt is set, or "" */
    struct wal_timeline timelines[WAL_TIMELINES_MAX];
    unsigned n_timelines; /* timelines seen in page headers, ascending */

    /* Records that start here; the last one may end in the next segment. 0: none. The _prev are the
     * records before these two; 0: not in this segment's bytes. */
    uint64_t first_lsn, first_prev, last_lsn, last_prev;

    uint64_t records, images; /* records inside, and full page images in them */
    uint64_t commits, aborts, prepares;
    struct wal_moment commit_min, commit_max, commit_first, commit_last; /* if commits > 0 */
    struct wal_moment abort_min, abort_max;                              /* if aborts > 0 */
    bool has_xids;
    uint32_t xid_low, xid_high; /* finished ones, subtransactions and prepared included; compared
                                   modulo 2^32 as PostgreSQL does */

    struct wal_event *events; /* in order of LSN */
    uint32_t n_events;

    /* Pieces of records that cross the ends. */
    uint32_t head_len;   /* bytes the first page announces (may exceed the segment); 0: none, or
                            abandoned */
    uint32_t head_seen;  /* how many of them are in this segment */
    struct buf head;     /* those bytes, unless omitted */
    uint32_t tail_total; /* length of the record at last_lsn if it does not end here; 0: it does */
    uint32_t tail_seen;
    struct buf tail;

    /* Blocks; empty where only the summary was read. */
    struct wal_index_rel *rels; /* in order of (spc, db, rel) */
    uint32_t n_rels;
    struct wal_run *runs;
    uint32_t n_runs;
};

void wal_index_init(struct wal_index *ix);
void wal_index_free(struct wal_index *ix);

/* Behind the last byte of WAL that it tells of. */
static inline uint64_t wal_index_end(const struct wal_index *ix)
{
    return ix->start + ((uint64_t)ix->further + 1) * ix->segment_size;
}

/* All of the blocks up to end_of_data are in the index. */
static inline bool wal_index_has_blocks(const struct wal_index *ix)
{
    return ix->major != 0 && !(ix->flags & (WAL_INDEX_STOPPED | WAL_INDEX_NO_BLOCKS));
}
/* All commits, aborts and events up to end_of_data are in the index. */
static inline bool wal_index_has_history(const struct wal_index *ix)
{
    return ix->major != 0 && !(ix->flags & (WAL_INDEX_STOPPED | WAL_INDEX_NO_HISTORY));
}

/* Appends the stored form. */
void wal_index_write(const struct wal_index *ix, struct buf *out);

enum wal_index_part {
    WAL_INDEX_ALL,
    WAL_INDEX_SUMMARY, /* all but rels and runs: cheap, whatever the segment did */
};
/* Fills *ix, which must be initialised; on failure it is empty. */
int wal_index_read(const void *data, size_t len, enum wal_index_part part, struct wal_index *ix,
                   struct err *err) MUST_CHECK;
/* The same of a sum, in which the index of that many more segments is merged. */
int wal_index_read_sum(const void *data, size_t len, enum wal_index_part part, uint32_t further,
                       struct wal_index *ix, struct err *err) MUST_CHECK;

/* Takes over the blocks of c (sorted by this call), replacing those of ix. */
void wal_index_set_blocks(struct wal_index *ix, struct wal_changes *c);
/* Tells c everything the index knows of blocks, as later than all that c was told before. */
void wal_index_add_blocks(const struct wal_index *ix, struct wal_changes *c);
/* The relation, or NULL. */
const struct wal_index_rel *wal_index_rel(const struct wal_index *ix,
                                          const struct wal_locator *rel);

/* Takes counts, transactions and events over from an index that is later than all of ix. */
void wal_index_add_summary(struct wal_index *ix, const struct wal_index *later);
/* Takes a commit or abort, an event, a finished xid into the summary. */
void wal_index_add_xact(struct wal_index *ix, uint64_t lsn, const struct wal_xact *x);
void wal_index_add_event(struct wal_index *ix, const struct wal_event *e);
/* Sets a flag of doubt; the first reason is kept. */
void wal_index_doubt(struct wal_index *ix, uint32_t flag, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
