/*
 * spill.h - what the scan found and what the workers made of it, in unlinked temporary files of the
 * state directory, so that memory does not grow with the number of files.
 *
 * The list is written once, in path order, and then read front to back by any number of readers.
 * Results are records of a fixed size, addressed by the number of the file in the list.
 */
#ifndef PGBR_BACKUP_SPILL_H
#define PGBR_BACKUP_SPILL_H

#include <pthread.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "repo/manifest/manifest.h"

enum { SMALL_FILE = 64 << 10 }; /* below: bundled */

/* ---- the list of what is to be copied ---- */

struct listed {
    uint64_t number;    /* position in the list, from 0 */
    const char *path;   /* with tree; valid until the next call */
    const char *target; /* links; else "" */
    enum entry_type type;
    uint32_t mode, uid, gid;
    uint64_t size; /* when it was listed */
    int64_t mtime_s;
};
struct list_writer {
    int fd;
    struct buf buffer;
    uint64_t written;
    uint64_t count, files, bytes; /* entries; files among them; their bytes */
};
int list_create(struct list_writer *w, const char *dir, struct err *err) MUST_CHECK;
int list_add(struct list_writer *w, const struct listed *e, struct err *err) MUST_CHECK;
int list_flush(struct list_writer *w, struct err *err) MUST_CHECK;
void list_free(struct list_writer *w);

struct list_reader {
    int fd; /* borrowed from the writer */
    uint64_t offset, number;
    struct buf buffer;
    size_t at;
    struct buf path, target;
};
void list_begin(struct list_reader *r, const struct list_writer *w);
int list_next(struct list_reader *r, struct listed *e,
              struct err *err) MUST_CHECK; /* 1, 0 at the end, -1 */
void list_end(struct list_reader *r);

/* ---- what became of each file ---- */

enum file_fate { FATE_NONE, FATE_VANISHED, FATE_EMPTY, FATE_BUNDLE, FATE_MAP };
struct file_result {
    enum file_fate fate;
    uint64_t size;
    int64_t mtime_s;
    uint32_t crc32c;
    bool crc_unknown; /* not all of it was read */
    uint32_t set;     /* FATE_BUNDLE: 1 is our own, else as adopt_find() gave it */
    uint32_t pack, chunk, offset;
    uint64_t map_at; /* FATE_MAP: where the encoded map lies in the spilled maps */
    uint32_t map_len;
};
struct results {
    int fd, map_fd;
    pthread_mutex_t lock; /* of map_end */
    uint64_t map_end;
    struct buf read_ahead; /* of results_get(), which one thread calls in ascending order */
    uint64_t read_first;
};
int results_create(struct results *r, const char *dir, struct err *err) MUST_CHECK;
/* Any thread; each number once. n results of consecutive numbers, at most RESULTS_BATCH. */
enum { RESULTS_BATCH = 512 };
int results_put(struct results *r, uint64_t first, const struct file_result *f, size_t n,
                struct err *err) MUST_CHECK;
/* Results that one thread has in nearly ascending order: written in streaks of consecutive numbers.
 */
struct result_streak {
    struct results *results;
    uint64_t first;
    size_t n;
    struct file_result items[RESULTS_BATCH];
};
int streak_add(struct result_streak *s, uint64_t number, const struct file_result *f,
               struct err *err) MUST_CHECK;
int streak_flush(struct result_streak *s, struct err *err) MUST_CHECK;
int results_put_map(struct results *r, const void *map, size_t len, uint64_t *at,
                    struct err *err) MUST_CHECK;
int results_get(struct results *r, uint64_t number, struct file_result *f,
                struct err *err) MUST_CHECK;
int results_get_map(struct results *r, const struct file_result *f, struct buf *map,
                    struct err *err) MUST_CHECK;
void results_free(struct results *r);

#endif
