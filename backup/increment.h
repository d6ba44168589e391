/*
 * increment.h - what an incremental backup knows beforehand: what its base holds of each file, and
 * which blocks changed since.
 *
 * The list of files and the file table of the base are in the same order, so one goes along the
 * other. A file is one of three things: unchanged, and then it is never opened; changed in some
 * blocks, and then those are read; or read whole, because the WAL cannot vouch for it (maps of
 * visibility and free space, everything that is no relation, what is new), and then compared with
 * what the base has. Used by one thread, but
 * for what an increment points to.
 */
#ifndef PGBR_BACKUP_INCREMENT_H
#define PGBR_BACKUP_INCREMENT_H

#include "backup/spill.h"
#include "repo/manifest/manifest.h"
#include "wal/index/changed.h"

struct increment {
    struct manifest *base;
    uint32_t *sets;  /* for each set of the base its index in the SETTAB of this backup */
    uint32_t n_sets; /* all those indexes are below */
    char (*labels)[LABEL_SIZE + 1]; /* of the sets by their index here; "": not of the base */
    struct changed *changed;        /* NULL: the WAL cannot tell, everything is read and compared */
};
void increment_free(struct increment *inc);
/* Makes the base's sets known to the manifest that is being built. */
int increment_register(struct increment *inc, struct manifest_writer *w,
                       struct err *err) MUST_CHECK;

/* ---- file by file ---- */

enum file_plan {
    PLAN_WHOLE,   /* read all of it */
    PLAN_COMPARE, /* the same, but the base may hold it: its map is in map */
    PLAN_SAME,    /* as in the base: result says where it lies, the map is in map */
    PLAN_PAGES,   /* changed says which blocks, the base's map is in map */
};
struct increment_walk {
    const struct increment *inc;
    struct entry_walk *entries;
    struct entry entry; /* of the base, the next one not before the last file asked for */
    bool at_end, started;
    /* of the last file asked for */
    struct changed_file changed;
    struct file_result result;
    struct buf map; /* encoded, with the sets of this backup */
    struct map_builder builder;
};
int increment_walk_begin(struct increment_walk *w, const struct increment *inc,
                         struct err *err) MUST_CHECK;
/* Files in path order. */
int increment_plan(struct increment_walk *w, const struct listed *l, enum file_plan *plan,
                   struct err *err) MUST_CHECK;
void increment_walk_end(struct increment_walk *w);

#endif
