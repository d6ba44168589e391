/*
 * extent.h - where the pages of a file are: a complete map from page ranges to chunks
 * (docs/format.md, "MAP").
 *
 * Addresses are linear per set: ((pack << 12 | chunk) << k) + page with 2^k pages per chunk, so
 * that a run may go on from one chunk to the next of the same pack. Set 0 means zero pages, stored
 * nowhere. Maps of files are short (2.5 bytes per extent) and kept in encoded form; they are
 * walked, never expanded.
 */
#ifndef PGBR_REPO_PACK_EXTENT_H
#define PGBR_REPO_PACK_EXTENT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { SET_ZERO = 0, MAP_CHUNK_BITS = 12, MAP_PAGE_BITS = 6, MAP_PAGES = 1 << MAP_PAGE_BITS };

struct extent {
    uint32_t set;   /* index in the manifest's SETTAB; SET_ZERO: zero pages */
    uint32_t count; /* pages */
    uint64_t addr;  /* of the first page; meaningless for SET_ZERO */
};
static inline uint64_t extent_addr(uint32_t pack, uint32_t chunk, uint32_t page)
{
    return ((uint64_t)pack << MAP_CHUNK_BITS | chunk) << MAP_PAGE_BITS | page;
}
static inline uint32_t addr_pack(uint64_t addr)
{
    return (uint32_t)(addr >> (MAP_CHUNK_BITS + MAP_PAGE_BITS));
}
static inline uint32_t addr_chunk(uint64_t addr)
{
    return (uint32_t)(addr >> MAP_PAGE_BITS) & ((1u << MAP_CHUNK_BITS) - 1);
}
static inline uint32_t addr_page(uint64_t addr)
{
    return (uint32_t)addr & (MAP_PAGES - 1);
}

/* Builds a map; neighbouring extents are merged. The buffer holds only extents; map_finish() puts
 * the head (version, unit, length, count) in front. Reusable with map_reset(). */
struct map_builder {
    struct buf extents;
    struct extent last;  /* not yet encoded */
    uint64_t count;      /* extents encoded */
    uint64_t pages;      /* pages mapped so far */
    uint64_t *next_addr; /* per set: end of its previous extent */
    uint32_t n_sets;
};
void map_reset(struct map_builder *m);
void map_free(struct map_builder *m);
void map_add(struct map_builder *m, struct extent e);
/* Appends the whole encoded map to *out. unit: page size; length: the file's bytes (the last page
 * may be short). */
void map_finish(struct map_builder *m, uint32_t unit, uint64_t length, struct buf *out);

/* Walks an encoded map (hostile bytes). map_begin checks the head; map_next gives 1 and an extent,
 * which lies in one pack, 0 at the end (after checking that the pages add up to the length), -1
 * with ERR_CORRUPT. n_sets: sets known, others are refused. */
struct map_walk {
    struct cursor in;
    uint32_t unit;
    uint64_t length, pages_total, pages_seen, extents_left;
    uint32_t n_sets;
    uint64_t *next_addr; /* per set: end of its previous extent */
    uint64_t few[4];     /* what next_addr points to where that is enough: do not copy the struct */
};
int map_begin(struct map_walk *w, const void *map, size_t len, uint32_t n_sets,
              struct err *err) MUST_CHECK;
int map_next(struct map_walk *w, struct extent *e, struct err *err) MUST_CHECK;
void map_end(struct map_walk *w);

#endif
