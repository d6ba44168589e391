/* manifest_open.h - an open manifest, as manifest_read.c and entry_walk.c know it. Internal to
 * repo/. */
#ifndef PGBR_REPO_MANIFEST_MANIFEST_OPEN_H
#define PGBR_REPO_MANIFEST_MANIFEST_OPEN_H

#include "repo/manifest/manifest_form.h"

struct manifest {
    struct repo *repo;
    struct pubinfo pub;
    struct backup_info info;
    struct attributes attributes;
    struct set_table sets;
    struct file_index index;
    bool has_tables; /* false: opened without the key */
};
/* The object itself, with a coder of its own for the caller's thread. */
int manifest_object(struct manifest *m, struct coder **coder, struct object_reader **object,
                    struct err *err) MUST_CHECK;

#endif
