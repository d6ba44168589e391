/*
 * worker.h - what one copying thread does with its tasks. Internal to backup/: see copy.h for the
 * whole.
 */
#ifndef PGBR_BACKUP_WORKER_H
#define PGBR_BACKUP_WORKER_H

#include "backup/copy.h"

/* Shared by all workers of a copy. */
struct copy {
    const struct copy_request *q;
    struct copy_made *made;
    struct queue *tasks;
    struct rate *rate;
    struct packer **packers;
    atomic_uint_fast64_t insert_lsn; /* as last asked; pages beyond are suspects, settled later */
};

/* A large file on its way; freed by whoever finishes the last part. */
struct part {
    struct extent *extents;
    size_t n, cap;
    uint64_t length;
    uint32_t crc;
};
struct large {
    char *path;
    uint64_t number;
    int64_t mtime_s;
    unsigned n_parts;
    atomic_uint parts_left;
    atomic_bool vanished;
    struct part parts[];
};
struct large *large_new(const char *path, uint64_t number, int64_t mtime_s, uint64_t size);
/* One part is done or given up; true: it was the last one, and the caller now owns the file. */
bool large_done(struct large *l);
void large_free(struct large *l);

/* A task: one part of a large file, or a run of small ones (packed: number, mtime, size, path). */
struct task {
    struct large *large;
    unsigned part;
    struct buf run;
    size_t files;
};
void copy_task_drop(void *task);

struct worker;
struct worker *worker_new(struct copy *c, unsigned index);
void worker_free(struct worker **w);
int worker_do(struct worker *w, struct task *t, struct err *err) MUST_CHECK;

#endif
