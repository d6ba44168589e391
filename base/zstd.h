/*
 * zstd.h - compression contexts that are made once per worker. One-shot frames with the content
 * size in the frame header; a window above 16 MiB is refused when reading.
 */
#ifndef PGBR_BASE_ZSTD_H
#define PGBR_BASE_ZSTD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct squeezer; /* compressor and decompressor; each half is made at first use */
struct squeezer *squeezer_new(int level); /* zstd level -7 to 22 */
void squeezer_free(struct squeezer **z);
size_t squeezer_bound(size_t len);
/* Compresses; *out_len is set. Returns -1 only on a failure of the library. */
int squeezer_pack(struct squeezer *z, const void *data, size_t len, void *out, size_t cap,
                  size_t *out_len, struct err *err) MUST_CHECK;
/* Decompresses a frame whose content is exactly raw_len bytes (checked before anything is written):
 * else ERR_CORRUPT. */
int squeezer_unpack(struct squeezer *z, const void *data, size_t len, void *out, size_t raw_len,
                    struct err *err) MUST_CHECK;

#endif
