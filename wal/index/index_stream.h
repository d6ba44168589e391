/*
 * index_stream.h - stored indexes and sums, asked for side by side and handed out in order.
 * Internal to wal/.
 *
 * Over a network each costs two round trips or more; one after the other, those of a busy day would
 * take minutes. A failure concerns its item only. Of what was read ahead no more is held than
 * INDEX_STREAM_BYTES, and one more item for each thread.
 */
#ifndef PGBR_WAL_INDEX_INDEX_STREAM_H
#define PGBR_WAL_INDEX_INDEX_STREAM_H

#include "base/buf.h"
#include "base/err.h"

enum {
    INDEX_STREAM_THREADS = 8,
    INDEX_STREAM_WINDOW = 32, /* items kept ahead */
    INDEX_STREAM_BYTES = 32 << 20,
};

/* Reads item number i into *out (replaced). Called by any thread. */
typedef int index_stream_fn(void *ctx, size_t i, struct buf *out, struct err *err);
struct index_stream;
/* Items [0, n), at least one. */
int index_stream_new(struct index_stream **s, index_stream_fn *read, void *ctx, size_t n,
                     struct err *err) MUST_CHECK;
/* The next one. Ask for no more than there are. */
int index_stream_next(struct index_stream *s, struct buf *out, struct err *err) MUST_CHECK;
void index_stream_free(struct index_stream **s);

#endif
