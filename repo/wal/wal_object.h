/*
 * wal_object.h - archived WAL files as objects: segments with their WAL index, history files,
 * backup labels.
 *
 * Create-only. An identical re-push succeeds only when the object that is there is whole and
 * durable; different content under the same name is a conflict and never overwritten; an object
 * without a valid trailer is nobody's and is replaced. Works for one (system identifier, major) at
 * a time.
 */
#ifndef PGBR_REPO_WAL_WAL_OBJECT_H
#define PGBR_REPO_WAL_WAL_OBJECT_H

#include "repo/repo.h"

struct wal_source {
    uint64_t system_id;
    unsigned major;
    const char *file; /* "000000010000000000000007", "....partial", "00000002.history",
                         "<seg>.<offset>.backup" */
    const void *raw;
    size_t raw_len;
    const void *index; /* encoded WAL index; NULL: none */
    size_t index_len;
};
enum wal_put { WAL_STORED, WAL_WAS_THERE, WAL_REPLACED_BROKEN };
/* On return 0 the file is durable in this repository. ERR_CONFLICT: other content is stored under
 * this name; the message names the file, both tags and when the stored one was written. threads: 1
 * or more compressing threads. */
int wal_object_put(struct repo *r, const struct wal_source *src, unsigned threads,
                   enum wal_put *done, struct err *err) MUST_CHECK;

/* The raw bytes into *out (replaced). max_len: refuse more. ERR_NOT_FOUND only when the store says
 * so. */
int wal_object_get(struct repo *r, uint64_t system_id, unsigned major, const char *file,
                   size_t max_len, unsigned threads, struct buf *out, struct err *err) MUST_CHECK;
/* The raw bytes of a segment (or .partial) into an open, empty file, which is not synced. path: for
 * messages. *len: bytes written. On failure the file's content is undefined. */
int wal_object_extract(struct repo *r, uint64_t system_id, unsigned major, const char *file,
                       size_t max_len, unsigned threads, int fd, const char *path, uint64_t *len,
                       struct err *err) MUST_CHECK;
/* What tells one stored segment from another: content tag, and bytes stored. */
struct wal_stored {
    uint8_t tag[16];
    uint64_t size;
};
/* Only the encoded WAL index; *stored may be NULL. ERR_NOT_FOUND: no such segment, or it carries
 * none (message tells). */
int wal_object_index(struct repo *r, uint64_t system_id, unsigned major, const char *file,
                     struct buf *out, struct wal_stored *stored, struct err *err) MUST_CHECK;
/* Whether a whole object (valid trailer) exists. */
int wal_object_exists(struct repo *r, uint64_t system_id, unsigned major, const char *file,
                      bool *whole, struct err *err) MUST_CHECK;

struct wal_entry {
    const char *file; /* valid during the callback */
    uint64_t size;    /* stored */
    int64_t modified_us;
};
/* All segments (and .partial) of one timeline with log number >= from_log, or all timelines with
 * timeline 0, in name order. */
int wal_objects_list(struct repo *r, uint64_t system_id, unsigned major, uint32_t timeline,
                     uint32_t from_log,
                     int (*fn)(void *ctx, const struct wal_entry *e, struct err *err), void *ctx,
                     struct err *err) MUST_CHECK;
/* The same of one timeline and log: one listing. */
int wal_log_list(struct repo *r, uint64_t system_id, unsigned major, uint32_t timeline,
                 uint32_t log, int (*fn)(void *ctx, const struct wal_entry *e, struct err *err),
                 void *ctx, struct err *err) MUST_CHECK;
/* Names of the stored .history files. */
int wal_histories_list(struct repo *r, uint64_t system_id, unsigned major,
                       int (*fn)(void *ctx, const struct wal_entry *e, struct err *err), void *ctx,
                       struct err *err) MUST_CHECK;

#endif
