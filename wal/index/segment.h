/*
 * segment.h - what is remembered of one archived segment while targets are looked for. Internal to
 * wal/.
 *
 * A note is a small extract of the WAL index, so that thousands can be kept: greatest times, xids,
 * restore points, and what proves that the next segment goes on where this one ends. It answers
 * "can the target's record be in here?"; the record itself is found by reading the segment
 * (wal/reach/scan.h).
 */
#ifndef PGBR_WAL_INDEX_SEGMENT_H
#define PGBR_WAL_INDEX_SEGMENT_H

#include "repo/repo.h"
#include "repo/wal/wal_index.h"

enum { SEGMENT_POINTS_MAX = 256 }; /* restore points kept of one segment */

struct segment_point {
    uint64_t lsn;
    int64_t time_us;
    char name[WAL_NAME_MAX + 1];
};

/* The record that goes on in the next segment. */
enum segment_tail {
    TAIL_PLAIN,    /* none, or one that no time, xid or name can stop at */
    TAIL_MATTERS,  /* ends a transaction, or is a restore point, or perhaps so */
    TAIL_NOT_SEEN, /* too long to be kept in the index: see segment_look_at_tail() */
};

struct segment_note {
    bool broken;     /* cannot be read or understood at all: why; nothing else is set */
    bool known;      /* the commits, aborts and restore points inside are all in this note */
    bool points_cut; /* there are more restore points */
    enum segment_tail tail;
    char *why;      /* broken or not known, or why the WAL stops inside; or NULL */
    uint32_t flags; /* of the index */
    unsigned major;
    uint64_t first_lsn, first_prev, last_lsn, last_prev, end_of_data; /* as in the index */
    uint32_t head_len, head_seen, tail_total, tail_seen;
    uint64_t whole_lsn; /* start of the last record that starts and ends inside; 0: none */
    uint64_t commits, aborts;
    struct wal_moment commit_max, commit_last, abort_max;
    bool has_xids;
    uint32_t xid_low, xid_high;
    uint32_t absent_xid;    /* was looked for and did not end here; 0: none */
    uint32_t absent_parent; /* but is a subtransaction of this one; 0: no */
    struct segment_point *points;
    uint32_t n_points;
    struct segment_note *crossing; /* the record that ends in this segment but began before it,
                                      where that matters; looked for by wal/reach/way.c */
};
void segment_note_free(struct segment_note **n);

/* Which file. */
struct segment_place {
    struct repo *repo;
    uint64_t system_id;
    unsigned major;
    uint32_t segment_size, timeline;
    uint64_t segno;
};

/* The segment itself. Whatever is this one file's fault (damaged, not there, another's) is told as
 * *why with *readable false; -1 is for what concerns more than that, such as a store that does not
 * answer. */
int segment_bytes(const struct segment_place *at, unsigned threads, struct buf *out, bool *readable,
                  struct err *why, struct err *err) MUST_CHECK;
/* Its index, without blocks: the stored one, or where that is missing, damaged or does not know all
 * commits and events, made from the segment. */
int segment_index(const struct segment_place *at, struct wal_index *ix, bool *readable,
                  struct err *why, struct err *err) MUST_CHECK;
int segment_load(const struct segment_place *at, struct segment_note **note,
                 struct err *err) MUST_CHECK;
/* Resolves TAIL_NOT_SEEN by reading the segment. */
int segment_look_at_tail(const struct segment_place *at, struct segment_note *note,
                         struct err *err) MUST_CHECK;
/* Where the last whole record ends, or the one that goes on in the next segment starts. */
uint64_t segment_end(const struct segment_place *at, const struct segment_note *note);
struct segment_note *segment_note_of(const struct wal_index *ix);
struct segment_note *segment_note_broken(const char *why);

#endif
