/*
 * chunk.h - the unit of compression, encryption and addressing: up to 512 KiB of pages, one WAL
 * MiB, one table of a manifest.
 *
 * Stored form: a 24-byte header and a body (docs/format.md, "Chunk"). Suite 0: clear, XXH3-128.
 * Suite 1: AES-256-CBC then HMAC-SHA-256. Suite 2: clear with HMAC-SHA-256, for what must be
 * readable without the key but not alterable. The set label and the logical address (pack, index)
 * are bound into MAC or hash, so a chunk cannot be moved, swapped or replayed. A coder belongs to
 * one thread; nothing is allocated per chunk.
 */
#ifndef PGBR_REPO_OBJECT_CHUNK_H
#define PGBR_REPO_OBJECT_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "repo/object/key.h"

enum chunk_type {
    CHUNK_PAGES = 1,
    CHUNK_BUNDLE = 2,
    CHUNK_WAL = 3,
    CHUNK_WALSUM = 4, /* the WAL index of a segment */
    CHUNK_INFO = 5,
    CHUNK_FILETAB = 6,
    CHUNK_FILEIDX = 7,
    CHUNK_MAP = 8,
    CHUNK_SETTAB = 9,
    CHUNK_PACKTAB = 10,
    CHUNK_CONTENTS = 11,
    CHUNK_DIR = 12,
    CHUNK_RELOC = 13,
    CHUNK_TEXT = 14, /* history files, backup labels, leases, descriptors: small bodies */
    CHUNK_PAGEHASH = 15,
    CHUNK_PUBINFO = 16,
};
enum chunk_suite { SUITE_PLAIN = 0, SUITE_SEALED = 1, SUITE_SIGNED = 2 };
/* Public: readable without the key. In an encrypted repository private chunks are SUITE_SEALED,
 * public ones SUITE_SIGNED; in a plain repository both are SUITE_PLAIN. */
enum chunk_privacy { CHUNK_PRIVATE, CHUNK_PUBLIC };

enum {
    CHUNK_HEADER = 24,
    CHUNK_INNER = 16, /* raw hash, raw length, items: before the payload */
    CHUNK_RAW_MAX = 16 << 20,
    CHUNK_BODY_MAX = CHUNK_RAW_MAX + CHUNK_RAW_MAX / 8 + 4096,
    CHUNK_DATA_SIZE = 512 << 10, /* raw bytes of a PAGES chunk at most, with 8 KiB pages */
};
#define PACK_NONE UINT32_MAX /* logical pack number of chunks inside a manifest */

struct chunk_head {
    enum chunk_type type;
    uint8_t codec; /* 0 stored, 1 zstd */
    enum chunk_suite suite;
    uint32_t pack, index;
    uint32_t body_len;
};
/* Checks magic, CRC and limits of the 24 bytes. ERR_CORRUPT. */
int chunk_head_parse(const void *bytes, struct chunk_head *head, struct err *err) MUST_CHECK;

struct coder; /* zstd and cipher contexts, scratch memory, keys of one label */

/* key NULL: a plain repository, or reading without the key (then decoding a SEALED chunk is ERR_KEY
 * and a SIGNED one is checked by its inner XXH3-64 only). The level is zstd's; codec 0 is chosen
 * where zstd gains nothing. */
int coder_new(struct coder **c, const struct repo_key *key, const char *label, int level,
              struct err *err) MUST_CHECK;
/* Another set's label, same contexts (restore reads several sets). */
int coder_relabel(struct coder *c, const char *label, struct err *err) MUST_CHECK;
void coder_free(struct coder **c);
const char *coder_label(const struct coder *c);
bool coder_has_key(const struct coder *c);
/* While set, chunks are SUITE_PLAIN whatever the key, and must be when read: for object.c and the
 * kinds of objects that always are. */
void coder_set_plain(struct coder *c, bool plain);
/* From now on refuses to encode, with this code and reason (borrowed), but what always is plain:
 * for an encrypted repository opened without its key, or one of a newer version. */
void coder_set_read_only(struct coder *c, enum err_code code, const char *why);

/* Room that a chunk of raw_len may need when stored, header included. */
size_t chunk_bound(size_t raw_len);
/* Encodes raw into out (chunk_bound(raw_len) bytes). items: pages, entries; for people and limits.
 */
int chunk_encode(struct coder *c, enum chunk_type type, enum chunk_privacy privacy, uint32_t pack,
                 uint32_t index, uint32_t items, const void *raw, size_t raw_len, void *out,
                 size_t *stored_len, struct err *err) MUST_CHECK;
/*
 * Decodes the stored bytes of a chunk (header included) into out (cap bytes), after checking
 * header, address (pack and index must be as given), MAC or hash, and lengths. A wrong key or an
 * altered chunk is ERR_CORRUPT; suite 0 where a key is configured is ERR_CORRUPT too (no
 * downgrade), unless the kind is one that is always plain (see object.h).
 */
int chunk_decode(struct coder *c, enum chunk_type type, uint32_t pack, uint32_t index,
                 const void *stored, size_t stored_len, void *out, size_t cap, size_t *raw_len,
                 uint32_t *items, struct err *err) MUST_CHECK;
/* The same into a buffer (replaced). max_raw: refused above. */
int chunk_decode_buf(struct coder *c, enum chunk_type type, uint32_t pack, uint32_t index,
                     const void *stored, size_t stored_len, size_t max_raw, struct buf *out,
                     uint32_t *items, struct err *err) MUST_CHECK;
/* Checks a stored chunk without decoding: MAC (or XXH3-128) only. */
int chunk_check(struct coder *c, enum chunk_type type, uint32_t pack, uint32_t index,
                const void *stored, size_t stored_len, struct err *err) MUST_CHECK;

#endif
