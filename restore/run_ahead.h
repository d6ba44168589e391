/*
 * run_ahead.h - what the extents of a file want next, and of which chunk.
 *
 * In a chain of backups most pages of a file lie where the full backup put them, in the order of
 * the file, with single pages of later backups between them.
 */
#ifndef PGBR_RESTORE_RUN_AHEAD_H
#define PGBR_RESTORE_RUN_AHEAD_H

#include <stdbool.h>

#include "repo/pack/extent.h"

struct chunk_at {
    uint32_t set, pack, chunk;
};
static inline bool same_chunk(struct chunk_at a, struct chunk_at b)
{
    return a.set == b.set && a.pack == b.pack && a.chunk == b.chunk;
}

struct run_ahead {
    struct extent now;         /* what is left of the extent under way; not of zeros */
    const struct extent *next; /* the n extents behind it */
    uint32_t n;
};
/* True, and the chunk, if one would lie in its own order with its first page at the page that is
 * wanted now, and most of its pages, the last ones among them, are wanted there. A chunk of which
 * less is wanted here is likely to be wanted elsewhere too. */
bool run_ahead_chunk(const struct run_ahead *a, struct chunk_at *at);

#endif
