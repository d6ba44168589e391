/*
 * wal_reader.h - walking the bytes of WAL segments record by record, PostgreSQL 13 to 18.
 *
 * Everything here works on memory and trusts nothing in it: lengths, page headers, prev-links and
 * CRCs are checked before a record is handed out. A walk is fed one segment after the other (along
 * a timeline switch: the child's copy of the segment in which it forks) and joins the records that
 * cross pages and segments. A record inside one page is used where it lies, the others are
 * assembled in a buffer of the walk.
 *
 * Layout facts: src/include/access/xlog_internal.h (XLogPageHeaderData, XLogLongPageHeaderData),
 * xlogrecord.h (XLogRecord), and the checks of src/backend/access/transam/xlogreader.c. WAL pages
 * of 8 KiB only.
 *
 * An LSN is a byte position in the WAL. "End" of a record is PostgreSQL's EndRecPtr: rounded up to
 * 8 bytes; behind an XLOG_SWITCH the end of the segment. Where it falls on a page boundary, the
 * next record starts behind that page's header, 24 or 40 bytes later.
 */
#ifndef PGBR_POSTGRES_WAL_READER_H
#define PGBR_POSTGRES_WAL_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    WAL_PAGE = 8192,
    WAL_SHORT_HEADER = 24, /* of a page */
    WAL_LONG_HEADER = 40,  /* of a segment's first page */
    WAL_RECORD_HEADER = 24,
    WAL_FRAGMENT_MAX = 64 << 10, /* bytes kept of a record's continuation, see struct wal_walk */
    WAL_TIMELINES_MAX = 64,      /* changes of timeline in one walk */
};

/* xlp_info of a page. */
enum {
    WAL_PAGE_CONTRECORD = 0x1, /* begins with the rest of an earlier record */
    WAL_PAGE_LONG = 0x2,
    WAL_PAGE_REMOVABLE = 0x4, /* means nothing to a reader */
    WAL_PAGE_OVERWRITE = 0x8, /* the record continued here was lost in a crash and is abandoned */
};

/* The long header of a segment. */
struct wal_segment_header {
    unsigned major; /* 13 to 18; 0: a page magic that this program does not know */
    uint16_t magic, info;
    uint32_t tli;     /* of the first page; lower than the file's where the timeline forks inside */
    uint64_t start;   /* LSN of the first byte */
    uint32_t rem_len; /* bytes of the continued record from here on, if WAL_PAGE_CONTRECORD */
    uint64_t system_id;
    uint32_t segment_size, block_size;
};

enum { WAL_ANY = 0 }; /* in struct wal_expect: not checked */
struct wal_expect {
    uint64_t system_id; /* or WAL_ANY */
    uint64_t start;     /* LSN that the file name stands for; segment 0 never exists: WAL_ANY */
    uint32_t tli;       /* of the file name, or WAL_ANY */
};

/*
 * Reads and checks the long header against the size of the file and what its name promises. Takes
 * the first WAL_LONG_HEADER bytes of a file of file_size bytes, so that no more need be at hand.
 * ERR_FOREIGN: another system identifier. ERR_CORRUPT: no long header, wrong size, another position
 * or a later timeline than the name's. An unknown page magic is no error (major 0) as long as the
 * rest fits: such a segment can be kept but not understood.
 */
int wal_segment_check(const void *data, size_t len, uint64_t file_size,
                      const struct wal_expect *want, struct wal_segment_header *header,
                      struct err *err) MUST_CHECK;

struct wal_record {
    uint64_t lsn, end;    /* first byte; end as defined above */
    uint64_t prev;        /* LSN of the record before */
    const uint8_t *bytes; /* total_len bytes, header first; valid until the next call */
    uint32_t total_len;
    uint32_t xid;
    uint32_t tli; /* of the page in which it starts */
    uint8_t info; /* high four bits: the resource manager's opcode */
    uint8_t rmid;
};

enum wal_step {
    WAL_RECORD,  /* *rec is a whole, checked record */
    WAL_MORE,    /* the segment is used up (or none was fed yet): feed the next one */
    WAL_STOPPED, /* no valid WAL behind walk->end; walk->stop says why. For good */
};

/* Why a walk stopped. Whether that is the end of what was ever written or damage, only the caller
 * can know; wal_stop_is_end() tells which look like an end. */
enum wal_stop {
    WAL_STOP_NONE,
    WAL_STOP_ZEROS,      /* zeros where a record should start, or instead of a page header */
    WAL_STOP_OLD_PAGE,   /* a page of an earlier position: a recycled file */
    WAL_STOP_PAGE,       /* page header with another magic, flags or system */
    WAL_STOP_TIMELINE,   /* timeline that goes back, or is later than the file's */
    WAL_STOP_CONTRECORD, /* a continuation that does not fit the record, or is missing */
    WAL_STOP_LENGTH,     /* impossible record length */
    WAL_STOP_PREV,       /* does not follow the record before it */
    WAL_STOP_CRC,
};
const char *wal_stop_text(enum wal_stop stop); /* "CRC mismatch", ... */
bool wal_stop_is_end(enum wal_stop stop);      /* zeros or a recycled page */

struct wal_timeline {
    uint32_t tli;
    uint64_t start; /* LSN of the first page that bears it */
};

/*
 * A walk. The caller may read the fields of the first part after any step.
 *
 * head: what stands at the start of the first segment and belongs to a record that began before it.
 * head_len is its announced length (it may be longer than the segment), head_seen how much of it
 * was passed, head the first WAL_FRAGMENT_MAX bytes of that.
 * part: the record that is not finished yet; after WAL_MORE its bytes so far.
 */
struct wal_walk {
    uint64_t last;      /* LSN of the last whole record, 0: none yet */
    uint64_t end;       /* behind the last whole record, or where the first one starts */
    uint64_t abandoned; /* LSN of the last record lost in a crash (0: its start was not seen) */
    unsigned abandons;  /* how many of them */
    enum wal_stop stop;
    uint64_t stop_lsn; /* the record or page that did not fit */
    uint64_t data_end; /* like end, but behind XLOG_SWITCH itself, not behind its segment */
    bool switched;     /* the segment ended with XLOG_SWITCH */
    struct wal_segment_header segment; /* fed last */
    struct wal_timeline timelines[WAL_TIMELINES_MAX];
    unsigned n_timelines;

    uint32_t head_len, head_seen;
    struct buf head;

    uint64_t part_lsn;   /* valid if part_total is not 0 */
    uint32_t part_total; /* announced length */
    struct buf part;

    /* The rest is the reader's own. */
    const uint8_t *data;
    size_t len, off;
    uint32_t tli, tli_max, part_tli;
    bool fresh; /* no page was read yet */
};

void wal_walk_init(struct wal_walk *w);
void wal_walk_free(struct wal_walk *w);

/*
 * Gives the walk its next segment; data is used until the next feed and stays the caller's. tli is
 * that of the file's name (WAL_ANY: unknown). Fails, and leaves the walk as it was, if the segment
 * does not follow the last one (ERR_NOT_FOUND: a gap), is of another system (ERR_FOREIGN) or
 * another version, size or page size (ERR_CORRUPT, ERR_UNSUPPORTED), or the last one is not used
 * up. len may be less than the segment size: the walk then ends where the bytes end.
 */
int wal_walk_feed(struct wal_walk *w, const void *data, size_t len, uint32_t tli,
                  struct err *err) MUST_CHECK;

/* The next record, in order of LSN. */
enum wal_step wal_walk_next(struct wal_walk *w, struct wal_record *rec);

/* Checks the CRC, prev-link and lengths of a record that was assembled elsewhere and fills *rec
 * (prev and xid from its header; end is left 0). prev 0: not checked. */
enum wal_stop wal_record_check(const uint8_t *bytes, size_t len, uint64_t lsn, uint64_t prev,
                               struct wal_record *rec);

#endif
