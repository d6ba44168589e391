/*
 * page.h - pages of 8 KiB: header fields, data checksums, and what a hot copy may conclude.
 *
 * Source: bufpage.h (header), checksum_impl.h (algorithm, data_checksum_version 1, the same in 13
 * to 18). The checksum runs at memory speed, with AVX2 or without, as the processor allows. Pages
 * need no alignment. Pure functions, any thread.
 */
#ifndef PGBR_POSTGRES_PAGE_H
#define PGBR_POSTGRES_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    PG_PAGE_SIZE = 8192,      /* the only BLCKSZ served */
    PAGE_HEADER = 24,         /* SizeOfPageHeaderData */
    PG_RELSEG_PAGES = 131072, /* pages in a full segment file (1 GiB) */
};

/* pd_lsn: two 32-bit halves, high one first. End + 1 of the record that last changed the page. */
static inline uint64_t page_lsn(const void *page)
{
    return (uint64_t)get_u32(page) << 32 | get_u32((const uint8_t *)page + 4);
}
static inline uint16_t page_stored_checksum(const void *page)
{
    return get_u16((const uint8_t *)page + 8);
}
static inline uint16_t page_upper(const void *page)
{
    return get_u16((const uint8_t *)page + 14);
}

/* The checksum PostgreSQL would store (1 to 65535). blkno counts from the start of the relation
 * fork: segment number * PG_RELSEG_PAGES + page in the segment file. */
uint16_t page_checksum(const void *page, uint32_t blkno);

bool page_is_zero(const void *page);

enum page_verdict {
    PAGE_OK,          /* checksum fits */
    PAGE_NEW,         /* all zero: never written */
    PAGE_FRESH,       /* LSN >= start of the backup: may be torn, replay rewrites it whole */
    PAGE_BAD,         /* checksum does not fit */
    PAGE_BAD_NEW,     /* pd_upper says new, but the page is not zero */
    PAGE_IMPLAUSIBLE, /* LSN lies beyond everything the server has written */
};

/*
 * Judges one page of a relation file of a cluster with data checksums. start_lsn: of the backup (0
 * and UINT64_MAX check every page). insert_lsn: the server's insert position, on a standby its
 * replay position. A verdict from PAGE_BAD on is a suspicion: the page may be half-written just
 * now, or insert_lsn may be old. Read it again (and ask for the position again) before it is called
 * damage.
 */
enum page_verdict page_check(const void *page, uint32_t blkno, uint64_t start_lsn,
                             uint64_t insert_lsn);

/* "checksum mismatch", for messages and reports. */
const char *page_verdict_name(enum page_verdict verdict);

#endif
