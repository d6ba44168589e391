/*
 * contents_form.h - building the CONTENTS of a pack while its chunks are written. Internal to
 * repo/.
 */
#ifndef PGBR_REPO_PACK_CONTENTS_FORM_H
#define PGBR_REPO_PACK_CONTENTS_FORM_H

#include "repo/pack/pack.h"

/* A writer ends the pack at half of what a reader takes: one more bundle always fits. */
enum {
    CONTENTS_PATHS_MAX = 2 * CHUNK_DATA_SIZE, /* a bundle may be of files of one byte */
    CONTENTS_TEXT_MAX = 64 << 20,             /* bytes of all paths, written out */
};

struct contents_builder {
    struct buf paths, chunks;
    struct buf last_path; /* the one added last: the next is stored as a difference to it */
    int64_t last_mtime_s;
    uint32_t n_paths, n_chunks;
    size_t text; /* bytes of all paths */
};
void contents_builder_reset(struct contents_builder *b);
void contents_builder_free(struct contents_builder *b);
void contents_add(struct contents_builder *b, enum chunk_type type, uint32_t raw_len,
                  const struct hash128 *hash, const struct chunk_note *note);
/* Whether the pack should end. */
bool contents_full(const struct contents_builder *b);
void contents_finish(const struct contents_builder *b, const struct set_identity *id,
                     struct buf *out);

#endif
