/*
 * write.h - what a worker of a restore does with a task: fetch chunks, write files.
 *
 * A writer belongs to one thread; it keeps its pack reader, buffers and the last decoded chunks
 * from task to task and allocates nothing per chunk. In delta mode it reads what is there first
 * and fetches only what differs.
 */
#ifndef PGBR_RESTORE_WRITE_H
#define PGBR_RESTORE_WRITE_H

#include <pthread.h>

#include "base/progress.h"
#include "base/queue.h"
#include "restore/layout.h"
#include "restore/task.h"

struct write_terms { /* shared by all writers; all borrowed */
    struct repo *repo;
    const struct manifest *manifest;
    const struct layout *layout;
    const struct stop *stop;
    struct progress *progress; /* may be NULL */
    pthread_mutex_t *parsing;  /* see chunks_new() */
};
struct write_count {
    uint64_t fetched, kept; /* bytes of files: written, or found there already */
};

struct writer;
int writer_new(struct writer **w, const struct write_terms *terms, struct err *err) MUST_CHECK;
void writer_free(struct writer **w);
/* Errors name the file. */
int writer_do(struct writer *w, const struct task *t, struct err *err) MUST_CHECK;
const struct write_count *writer_count(const struct writer *w);

#endif
