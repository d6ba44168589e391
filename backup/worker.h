/*
 * worker.h - what one copying thread does with its tasks: reads files, checks their pages, stores
 * chunks, notes the results. Nothing allocates or locks per chunk. Internal to backup/: see copy.h
 * for the whole.
 *
 * tasks.c makes the tasks; large.c copies parts of large files, pages.c those of which the base has
 * pages, compare.c looks for what was read in the base, small.c copies runs of small files;
 * worker.c has what they need.
 */
#ifndef PGBR_BACKUP_WORKER_H
#define PGBR_BACKUP_WORKER_H

#include "backup/copy.h"
#include "base/read_ahead.h"
#include "postgres/page.h"

/* Shared by all workers of a copy. */
struct copy {
    const struct copy_request *q;
    struct copy_made *made;
    struct queue *tasks;
    struct rate *rate;
    struct packer **packers;
    atomic_uint_fast64_t insert_lsn; /* as last asked; pages beyond are suspects, settled later */
    pthread_mutex_t parsing;         /* see fingerprints_new() */
    struct bad_packs {
        pthread_mutex_t lock; /* of the rest */
        struct bad_pack {
            uint32_t set, pack;
        } * items;
        size_t n;
    } bad; /* of the base */
};
/* -1; noted, if the error is the fault of what the base has stored. */
int copy_blame_base(struct copy *c, const struct err *err);

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
    /* where the base has pages of it */
    struct changed_file changed;
    uint8_t *map; /* of the base, with the sets of this backup; NULL: it has none */
    size_t map_len;
    bool
        picked; /* only what changed is read; else everything, and compared with the map's chunks */
    uint32_t base_pages, n_sets; /* sets that the map may name */
    uint64_t size;               /* as listed */
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
/* The thread that makes them: until the list is used up, or nobody takes any more. */
int copy_make_tasks(struct copy *c, struct err *err) MUST_CHECK;

/* ---- one worker ---- */

enum { SLICE = CHUNK_DATA_SIZE, SLICE_PAGES = SLICE / PG_PAGE_SIZE };

struct small { /* a file in the bundle that is being filled */
    uint64_t number;
    int64_t mtime_s;
    uint32_t crc;
};
struct worker {
    struct copy *c;
    struct packer *packer;
    struct suspects *suspects;
    uint8_t *buffer; /* FS_IO_SIZE, aligned */
    uint8_t *next;   /* the same, for what is read ahead */
    struct read_ahead *ahead;
    uint8_t *compact; /* SLICE: the non-zero pages of a slice */
    struct map_builder map;
    struct buf map_bytes;
    /* the bundle being filled */
    uint8_t *bundle; /* BUNDLE_SIZE: flushed while there is room for a small file */
    size_t bundle_used;
    struct bundle_part *parts;
    struct small *smalls;
    size_t n_parts;
    struct result_streak streak; /* of the present run */
    struct page_picker *picker;  /* for parts of which only some pages are read; and */
    struct comparer *comparer;   /* those that are compared; made when needed */
};
struct worker *worker_new(struct copy *c, unsigned index);
void worker_free(struct worker **w);
int worker_do(struct worker *w, struct task *t, struct err *err) MUST_CHECK;

/* Where the pages of a file lie: behind what the part has so far. */
void part_add(struct part *p, struct extent e);

/* The pages of a part that changed; the others stay where the base has them. */
struct page_picker;
void page_picker_free(struct page_picker **p);
int pages_part(struct worker *w, struct large *l, unsigned index, struct err *err) MUST_CHECK;

/* A slice of a large file without its zero pages. */
struct slice {
    struct block_run runs[SLICE_PAGES]; /* of non-zero pages, by block of the file */
    unsigned n_runs;
    uint32_t pages;      /* non-zero ones */
    const uint8_t *data; /* they, side by side */
    size_t len;
};
/* Whether the base has exactly this slice as one chunk; then where. */
struct comparer;
void comparer_free(struct comparer **c);
int compare_slice(struct worker *w, const struct large *l, const struct slice *s, uint32_t block,
                  uint32_t blocks, uint32_t *set, struct place *at, bool *same,
                  struct err *err) MUST_CHECK;

/* Parts of what it does: one part of a large file, *last: all are done now; a run of small ones. */
int large_part(struct worker *w, struct large *l, unsigned index, bool *last,
               struct err *err) MUST_CHECK;
int small_run(struct worker *w, const struct task *t, struct err *err) MUST_CHECK;

/* Where a listed path lies: relative to the data directory, or absolute. */
const char *worker_locate(const struct worker *w, const char *path, int *dirfd);
/* Notes that the file is gone; an error where no server starts without it. */
int worker_vanished(struct worker *w, const char *path, uint64_t number,
                    struct err *err) MUST_CHECK;
void worker_progress(struct worker *w, uint64_t bytes, uint64_t files);
void worker_count_read(struct worker *w, uint64_t bytes); /* of the cluster's files */

/* What page checks need to know of a file; checks: it is a relation file of a cluster with data
 * checksums. */
struct paged {
    const char *path; /* relative to the data directory */
    bool checks;
    uint32_t first_block; /* of the file within its relation fork */
};

struct paged worker_paged(const struct worker *w, const char *path);
/* Notes suspicions. block: of data in the file. */
void worker_check_pages(struct worker *w, const struct paged *p, const uint8_t *data, size_t len,
                        uint32_t block);
/* Stores a chunk, or finds it stored by an interrupted attempt. block: its first one. */
int worker_store(struct worker *w, enum chunk_type type, const char *path, uint32_t block,
                 uint32_t items, const void *raw, size_t len, const struct chunk_note *note,
                 uint32_t *set, struct place *at, struct err *err) MUST_CHECK;

#endif
