/* manifest_build.h - a manifest that is being written, as manifest_write.c and manifest_commit.c
 * know it. Internal to repo/. */
#ifndef PGBR_REPO_MANIFEST_MANIFEST_BUILD_H
#define PGBR_REPO_MANIFEST_MANIFEST_BUILD_H

#include "repo/manifest/manifest_form.h"

/* A table chunk on its way. */
struct held {
    enum chunk_type type;
    uint32_t items, number; /* of the block or of the map chunk */
    struct buf raw;
};

struct manifest_writer {
    struct set *set;
    struct repo *repo;
    struct set_table sets;
    struct attributes attributes;
    struct filetab_writer table;
    struct buf block, last_path;
    struct buf maps; /* the MAP chunk that is being filled */
    struct file_index index;
    struct held *held;
    size_t n_held, held_bytes;
    struct packer *packer; /* not NULL: tables go into metadata packs */
};
/* Where block (FILETAB) or map chunk (MAP) number `number` lies. */
void manifest_note_place(struct manifest_writer *w, enum chunk_type type, uint32_t number,
                         struct table_place at);

#endif
