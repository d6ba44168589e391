/*
 * pack.h - packs: objects of about 32 MiB that hold the chunks of a backup.
 *
 * A set is what one writer session stores: its label names a directory of packs that no other
 * session ever writes. Each worker has a packer and so a pack of its own; only the pack number is
 * shared. A pack describes itself: its CONTENTS names paths, blocks and XXH3-128 of every chunk,
 * for adoption after a crash, for delta restores and for salvage.
 */
#ifndef PGBR_REPO_PACK_PACK_H
#define PGBR_REPO_PACK_PACK_H

#include <stdint.h>

#include "base/hash.h"
#include "repo/object/object.h"
#include "repo/pack/extent.h"
#include "repo/repo.h"

struct pack_info {
    uint32_t number;
    uint32_t chunks;
    uint64_t size; /* of the object */
};

/* ---- writing ---- */

struct set_identity {
    uint64_t system_id;
    uint32_t major, timeline;
};
struct set;
int set_new(struct set **s, struct repo *r, const char *label, const struct set_identity *id,
            struct err *err) MUST_CHECK;
void set_free(struct set **s);
const char *set_label(const struct set *s);
struct repo *set_repo(const struct set *s);
uint64_t set_stored_bytes(const struct set *s); /* of finished packs; any thread */
/* Finished data and metadata packs in ascending order of number; stable once all packers are
 * closed. */
const struct pack_info *set_packs(const struct set *s, size_t *n);
/* Step 4 of the backup protocol: lists the set in the store and compares names and sizes with what
 * was written. */
int set_check_listing(struct set *s, struct err *err) MUST_CHECK;

struct block_run {
    uint32_t first, count; /* blocks within the file */
};
struct bundle_part {
    const char *path;
    uint32_t offset, length; /* within the raw chunk */
};
/* What CONTENTS says about a chunk. PAGES: path and runs; BUNDLE: parts. */
struct chunk_note {
    const char *path;
    uint64_t file_size;
    int64_t mtime_s;
    const struct block_run *runs;
    unsigned n_runs;
    const struct bundle_part *parts;
    unsigned n_parts;
};
struct place {
    uint32_t pack, chunk;
};
struct packer; /* belongs to one thread; on a remote store it sends a pack while the next one fills
                */
int packer_new(struct packer **p, struct set *s, enum object_kind kind,
               struct err *err) MUST_CHECK; /* OBJECT_PACK or OBJECT_META_PACK */
/* Stores one chunk, in the open pack or a new one, and says where. hash (may be NULL): XXH3-128 of
 * raw where known. May also fail because an earlier pack could not be sent. */
int packer_add(struct packer *p, enum chunk_type type, uint32_t items, const void *raw, size_t len,
               const struct chunk_note *note, const struct hash128 *hash, struct place *at,
               struct err *err) MUST_CHECK;
/* Finishes the open pack, if any: all are committed, STORE_LAZY. */
int packer_finish(struct packer *p, struct err *err) MUST_CHECK;
void packer_free(struct packer **p); /* abandons an open pack; one on its way is waited for */

/* ---- reading ---- */

/* Reads chunks of packs by (set, pack, chunk), with the directory of a few packs cached and 1 MiB
 * read-ahead. One per worker. Memory about 2 MiB; widened, less than 200 KiB a set. */
struct pack_reader;
int pack_reader_new(struct pack_reader **r, struct repo *repo, struct err *err) MUST_CHECK;
/* Chunks will be wanted of so many sets in turn. */
void pack_reader_widen(struct pack_reader *r, size_t sets);
void pack_reader_free(struct pack_reader **r);
/* Decodes into dst (cap >= raw length; pages chunks at most CHUNK_DATA_SIZE, bundles 512 KiB).
 * Errors name the object and the chunk. */
int pack_read_chunk(struct pack_reader *r, const char *set, uint32_t pack, uint32_t chunk,
                    enum chunk_type type, void *dst, size_t cap, size_t *raw_len, uint32_t *items,
                    struct err *err) MUST_CHECK;

/* Whether all of these packs (ascending) of a set are listed, with their sizes. */
int packs_there(struct repo *r, const char *set, const struct pack_info *packs, size_t n,
                bool *there, struct err *err) MUST_CHECK;

/* CONTENTS of a pack, decoded (hostile bytes). */
struct contents_chunk {
    enum chunk_type type;
    struct hash128 hash;
    uint32_t raw_len;
    uint32_t path;                /* index in paths; PAGES */
    uint32_t first_run, n_runs;   /* PAGES: in runs */
    uint32_t first_part, n_parts; /* BUNDLE: in parts (path index, offset, length) */
};
struct contents {
    struct set_identity id;
    char **paths;
    uint64_t *sizes; /* file size when read */
    int64_t *mtimes;
    uint32_t n_paths;
    struct contents_chunk *chunks; /* one per data chunk, in order */
    uint32_t n_chunks;
    struct block_run *runs;
    uint32_t n_runs;
    struct contents_part {
        uint32_t path, offset, length;
    } * parts;
    uint32_t n_parts;
};
int contents_parse(const void *bytes, size_t len, struct contents *c, struct err *err) MUST_CHECK;
void contents_free(struct contents *c);
int pack_read_contents(struct pack_reader *r, const char *set, uint32_t pack, struct contents *c,
                       struct err *err) MUST_CHECK;

#endif
