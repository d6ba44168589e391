/*
 * index_stream.h - the stored indexes of consecutive segments, asked for side by side and handed
 * out in order. Internal to wal/.
 *
 * Over a network each index costs two round trips; one after the other, those of a busy day would
 * take minutes. A failure concerns its segment only.
 */
#ifndef PGBR_WAL_INDEX_STREAM_H
#define PGBR_WAL_INDEX_STREAM_H

#include "wal/segment.h"

enum { INDEX_STREAM_THREADS = 8, INDEX_STREAM_WINDOW = 32 /* indexes kept ahead */ };

struct index_stream;
/* Segments [first, last], at least one; place says where one is: called by any thread. */
int index_stream_new(struct index_stream **s, struct segment_place (*place)(void *ctx, uint64_t),
                     void *ctx, uint64_t first, uint64_t last, struct err *err) MUST_CHECK;
/* The next one's encoded index, as wal_object_index() gives it. Ask for no more than there are. */
int index_stream_next(struct index_stream *s, struct buf *out, struct err *err) MUST_CHECK;
void index_stream_free(struct index_stream **s);

#endif
