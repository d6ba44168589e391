/*
 * object.h - the one container of everything stored: a 128-byte clear header, framed chunks, a
 * directory and a 64-byte trailer with a hash of all bytes, so that damage is found without any
 * key.
 *
 * Written front to back in one pass; read through its tail (trailer and directory) or sequentially.
 * Leases, tombstones, fences and holds (kinds 9 and 10) are always plain and trusted for their
 * presence only.
 */
#ifndef PGBR_REPO_OBJECT_OBJECT_H
#define PGBR_REPO_OBJECT_OBJECT_H

#include <stdint.h>

#include "repo/object/chunk.h"
#include "repo/store/store.h"

enum object_kind {
    OBJECT_PACK = 1,
    OBJECT_META_PACK = 2,
    OBJECT_MANIFEST = 3,
    OBJECT_WAL = 4,
    OBJECT_WAL_OTHER = 5,
    OBJECT_WAL_SUMMARY = 6,
    OBJECT_RELOC = 7,
    OBJECT_INFO = 8, /* <cluster>/info/<gen>: accepted system identifiers */
    OBJECT_LEASE = 9,
    OBJECT_MARK = 10, /* tombstone, fence, hold */
    OBJECT_KEY_SLOT = 11,
    OBJECT_DESCRIPTOR = 12,
};
enum {
    OBJECT_HEADER = 128,
    OBJECT_TRAILER = 64,
    OBJECT_LABEL = 48,
    OBJECT_CHUNKS_MAX = 4096,
    OBJECT_TAIL_READ = 32 << 10
};

struct object_head {
    enum object_kind kind;
    uint8_t suite;         /* default suite of its private chunks */
    uint8_t object_id[16]; /* random: identifies this write after a lost reply */
    uint8_t tag[16];       /* content tag, WAL kinds only */
    uint32_t pack;         /* pack number, packs only */
    char label[OBJECT_LABEL + 1];
    uint8_t repo_id[8]; /* first half of the repository id */
    int64_t created_us; /* writer's clock, informative */
};
/* Pure: 128 bytes to struct, with CRC, magic, version and flag checks. ERR_CORRUPT,
 * ERR_UNSUPPORTED. */
int object_head_parse(const void *bytes, struct object_head *head, struct err *err) MUST_CHECK;
void object_head_format(const struct object_head *head, uint8_t bytes[OBJECT_HEADER]);

/* ---- writing ---- */

struct object_writer;
/* head: kind, label, pack, tag, repo_id are the caller's; object_id, suite and time are filled in
 * (and readable after). The coder is borrowed and carries key, label and level. */
int object_create(struct object_writer **w, struct store *store, const char *key,
                  enum store_mode mode, struct object_head *head, struct coder *coder,
                  struct err *err) MUST_CHECK;
/* Appends one chunk. logical pack number: the head's pack for packs, PACK_NONE in manifests, 0
 * elsewhere. *index (may be NULL): its number, counted from 0. */
int object_add(struct object_writer *w, enum chunk_type type, enum chunk_privacy privacy,
               uint32_t items, const void *raw, size_t len, uint32_t *index,
               struct err *err) MUST_CHECK;
/* Appends a chunk that was encoded elsewhere (in another thread) for exactly this place: logical
 * pack number of this object, index = object_chunk_count(). Anything else is ERR_FAILED. */
int object_add_stored(struct object_writer *w, enum chunk_type type, uint32_t items,
                      const void *stored, size_t stored_len, struct err *err) MUST_CHECK;
uint64_t object_size(const struct object_writer *w); /* bytes so far, DIR and trailer not yet */
uint32_t object_chunk_count(const struct object_writer *w);
/* Writes DIR and trailer: nothing can be added any more, and the coder is needed no longer, so that
 * another thread can commit. */
int object_seal(struct object_writer *w, struct err *err) MUST_CHECK;
/* Seals it unless it is, commits. *size (may be NULL): the object's size. ERR_EXISTS as
 * store_commit(). */
int object_commit(struct object_writer **w, enum store_commit_mode mode, uint64_t *size,
                  struct err *err) MUST_CHECK;
void object_abandon(struct object_writer **w);
/* One small object with a single TEXT-like chunk, durable. */
int object_put_small(struct store *store, const char *key, enum store_mode mode,
                     struct object_head *head, struct coder *coder, enum chunk_type type,
                     enum chunk_privacy privacy, const void *raw, size_t len,
                     struct err *err) MUST_CHECK;

/* ---- reading ---- */

struct object_chunk {
    enum chunk_type type;
    uint32_t items;
    uint64_t offset;     /* of the chunk header in the object */
    uint32_t stored_len; /* header and body */
};
struct object_reader;
/* Reads the header and the tail; checks trailer, directory, kind, label and repository id (8 bytes;
 * NULL: not checked). The coder is borrowed; its label must be the object's. Errors name the key.
 * ERR_NOT_FOUND, ERR_CORRUPT, ERR_FOREIGN. Of an encrypted object and without a key, only the
 * public chunks in front are there (their items are known when they are read). */
int object_open(struct object_reader **r, struct store *store, const char *key,
                enum object_kind kind, const uint8_t repo_id[8], struct coder *coder,
                struct err *err) MUST_CHECK;
void object_close(struct object_reader **r);
/* Reads ahead no more than this; 1 MiB unless told. */
void object_limit_ahead(struct object_reader *r, size_t bytes);
const struct object_head *object_head(const struct object_reader *r);
uint64_t object_total_size(const struct object_reader *r);
uint32_t object_chunks(const struct object_reader *r);
const struct object_chunk *object_chunk(const struct object_reader *r, uint32_t index);
/* Decodes chunk number index into *out (replaced), reading ahead where chunks are read in order. */
int object_read(struct object_reader *r, uint32_t index, struct buf *out, uint32_t *items,
                struct err *err) MUST_CHECK;
/* The same into memory of the caller, for hot paths: cap must hold the raw bytes. */
int object_read_into(struct object_reader *r, uint32_t index, void *dst, size_t cap,
                     size_t *raw_len, uint32_t *items, struct err *err) MUST_CHECK;
/* The only chunk of a small object, which must be of that type, into *out (replaced). */
int object_get_small(struct store *store, const char *key, enum object_kind kind,
                     const uint8_t repo_id[8], struct coder *coder, enum chunk_type type,
                     struct buf *out, struct err *err) MUST_CHECK;
/* First chunk of a type: its index, or -1. */
int object_find(const struct object_reader *r, enum chunk_type type);

/* Reads the whole object and compares it with the hash in its trailer: needs no key. buffer:
 * FS_ALIGN-aligned memory of FS_IO_SIZE bytes. ERR_CORRUPT says what is wrong (size, trailer,
 * hash). size and head may be NULL. */
int object_verify_at_rest(struct store *store, const char *key, void *buffer, uint64_t *size,
                          struct object_head *head, struct err *err) MUST_CHECK;
/* Whether it ends without a trailer: cut off, or never finished. ERR_NOT_FOUND. */
int object_is_torn(struct store *store, const char *key, bool *torn, struct err *err) MUST_CHECK;

#endif
