/*
 * contents_form.h - building the CONTENTS of a pack while its chunks are written. Internal to
 * repo/.
 */
#ifndef PGBR_REPO_CONTENTS_FORM_H
#define PGBR_REPO_CONTENTS_FORM_H

#include "repo/pack.h"

struct contents_builder {
    struct buf paths, chunks;
    struct buf last_path; /* the one added last: the next is stored as a difference to it */
    int64_t last_mtime_s;
    uint32_t n_paths, n_chunks;
};
void contents_builder_reset(struct contents_builder *b);
void contents_builder_free(struct contents_builder *b);
void contents_add(struct contents_builder *b, enum chunk_type type, uint32_t raw_len,
                  const struct hash128 *hash, const struct chunk_note *note);
size_t contents_size(const struct contents_builder *b);
void contents_finish(const struct contents_builder *b, const struct set_identity *id,
                     struct buf *out);

#endif
