/*
 * chunks.h - decoded chunks, a few kept: the pages of one chunk are often wanted by several extents
 * of a file, and the files of a bundle by their order.
 *
 * One per worker. For a delta restore it also knows what a chunk's content hashes to, without
 * fetching it.
 */
#ifndef PGBR_RESTORE_CHUNKS_H
#define PGBR_RESTORE_CHUNKS_H

#include <pthread.h>

#include "repo/manifest/manifest.h"
#include "restore/run_ahead.h"

struct chunks;
/* parsing: shared by all workers, so that only one of them at a time takes a CONTENTS apart, which
 * may need tens of megabytes. */
int chunks_new(struct chunks **c, struct repo *r, const struct manifest *m,
               pthread_mutex_t *parsing, struct err *err) MUST_CHECK;
void chunks_free(struct chunks **c);

/* The decoded chunk, valid until the next call. */
int chunks_get(struct chunks *c, enum chunk_type type, struct chunk_at at, const uint8_t **data,
               size_t *len, struct err *err) MUST_CHECK;
/* Straight into dst, not kept. */
int chunks_read(struct chunks *c, struct chunk_at at, void *dst, size_t cap, size_t *len,
                struct err *err) MUST_CHECK;

/* XXH3-128 and length of a chunk's raw bytes from the CONTENTS of its pack. */
int chunks_hash(struct chunks *c, struct chunk_at at, struct hash128 *hash, uint32_t *raw_len,
                struct err *err) MUST_CHECK;

#endif
