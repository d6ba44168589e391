/*
 * wal_make.h - WAL for tests, written record by record into segments as PostgreSQL 13 to 18 would:
 * page headers, records across pages and segments, prev-links, CRCs. No server needed.
 *
 *     AUTO(wal_make_free) struct wal_make m;
 *     wal_make_init(&m, 15, 7000000000000000001, 1, 1 << 20, 3);
 *     wal_make_commit(&m, 700, time_us);
 *     wal_make_switch(&m);
 *     seg = wal_make_segment(&m, 0);      the first one, 0x00000001 00000000 00000003
 *
 * Calls that add a record return its LSN; m.end is then behind it, as PostgreSQL counts.
 */
#ifndef PGBR_TESTS_LIB_WAL_MAKE_H
#define PGBR_TESTS_LIB_WAL_MAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "postgres/wal_record.h"

struct wal_make {
    unsigned major;
    uint64_t system_id;
    uint32_t tli; /* of the pages begun from now on */
    uint32_t segment_size;
    uint64_t start; /* LSN of the first byte */
    uint64_t last;  /* LSN of the last record, which the next one names; the caller may change it */
    uint64_t end;   /* where the last record ended */
    uint16_t flags; /* added to the header of the next page, once */
    struct buf bytes;
};

void wal_make_init(struct wal_make *m, unsigned major, uint64_t system_id, uint32_t tli,
                   uint32_t segment_size, uint64_t first_segno);
void wal_make_free(struct wal_make *m);

/* Segments begun so far. */
size_t wal_make_count(const struct wal_make *m);
/* segment_size bytes, zeros (anew with each call) behind what was written; belongs to m and is
 * valid until the next record. The index is from 0. */
uint8_t *wal_make_segment(struct wal_make *m, size_t index);
uint64_t wal_make_segno(const struct wal_make *m, size_t index);

struct wal_make_block {
    struct wal_locator rel;
    uint8_t fork;
    uint32_t block;
    uint16_t image_len, data_len; /* 0: none. Images: uncompressed, with a hole if below 8192 */
    bool same_rel;                /* leave the locator out */
};
/* Any record. main may be NULL with main_len 0. */
uint64_t wal_make_record(struct wal_make *m, uint8_t rmid, uint8_t info, uint32_t xid,
                         const struct wal_make_block *blocks, size_t n_blocks, const void *main,
                         size_t main_len);
/* Any bytes behind the record header; the CRC is made to fit. */
uint64_t wal_make_raw(struct wal_make *m, uint8_t rmid, uint8_t info, uint32_t xid,
                      const void *body, size_t len);

uint64_t wal_make_commit(struct wal_make *m, uint32_t xid, int64_t time_us);
uint64_t wal_make_abort(struct wal_make *m, uint32_t xid, int64_t time_us);
/* Drops a relation as well. */
uint64_t wal_make_commit_drop(struct wal_make *m, uint32_t xid, int64_t time_us,
                              struct wal_locator rel);
uint64_t wal_make_restore_point(struct wal_make *m, const char *name, int64_t time_us);
uint64_t wal_make_checkpoint(struct wal_make *m, bool shutdown, int64_t time_us);
uint64_t wal_make_end_of_recovery(struct wal_make *m, uint32_t prev_tli, int64_t time_us);
uint64_t wal_make_create(struct wal_make *m, struct wal_locator rel, uint8_t fork);
uint64_t wal_make_truncate(struct wal_make *m, struct wal_locator rel, uint32_t blocks);
/* A heap record that changes one block. */
uint64_t wal_make_change(struct wal_make *m, struct wal_locator rel, uint32_t block);
uint64_t wal_make_switch(struct wal_make *m);
/* A record without meaning of this total length, at least 27 (282 to 284 become 281). */
uint64_t wal_make_noise(struct wal_make *m, size_t total_len);
/* Such records until at most room + 128 bytes, and about room, are left in the present segment. */
void wal_make_fill(struct wal_make *m, size_t room);

/* Writes the CRC of the record at p anew, after a test changed it. Within one page only. */
void wal_make_seal(uint8_t *p);

#endif
