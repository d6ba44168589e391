/*
 * task.h - what the main thread of a restore hands to its workers: a run of files, or a part of a
 * large one.
 *
 * A task owns all it names, in a few blocks of memory whatever the number of files. Directories and
 * links are made before a task that needs them is handed over.
 */
#ifndef PGBR_RESTORE_TASK_H
#define PGBR_RESTORE_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "repo/pack/extent.h"
#include "restore/late_crc.h"

enum item_kind { ITEM_EMPTY, ITEM_BUNDLE, ITEM_PAGES };

struct item {
    enum item_kind kind;
    bool exists;   /* delta: a regular file of that name is there, to be compared */
    bool made;     /* it has just been made, empty */
    uint32_t path; /* in task.text: relative to the root */
    unsigned root;
    mode_t mode;
    uid_t uid; /* -1: leave it alone */
    gid_t gid;
    uint64_t size;                     /* of the whole file */
    uint32_t set, pack, chunk, offset; /* ITEM_BUNDLE */
    uint32_t first_extent, n_extents;  /* ITEM_PAGES: in task.extents */
    uint64_t from, len;                /* ITEM_PAGES: the bytes of the file this item covers */
    bool part;            /* ITEM_PAGES: one of several; the file is there and has its size */
    uint64_t old_size;    /* part: bytes it had before, to be compared */
    struct late_crc *crc; /* wants to know that of what is written; or NULL */
    uint32_t number;      /* of the part in it */
};
struct task {
    struct item *items;
    size_t n, cap;
    struct extent *extents;
    size_t n_extents, cap_extents;
    struct buf text;
    uint64_t bytes;
};

struct task *task_new(void);
void task_free(struct task **t);
void task_drop(void *task);                              /* the same, for queues */
struct item *task_add(struct task *t, const char *path); /* a zeroed item; valid until the next */
void task_add_extent(struct task *t, struct item *i, struct extent e);
static inline const char *task_path(const struct task *t, const struct item *i)
{
    return t->text.p + i->path;
}

#endif
