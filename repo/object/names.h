/*
 * names.h - the keys of objects (docs/format.md, "Keys") and set labels. Fixed-width hex keeps
 * listings in LSN order. Functions append to a buffer that is cleared first and return its text.
 */
#ifndef PGBR_REPO_OBJECT_NAMES_H
#define PGBR_REPO_OBJECT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { LABEL_SIZE = 25 }; /* "20260102T030405Z-F-0a1b2c" */
enum set_kind {
    SET_FULL = 'F',
    SET_DIFF = 'D',
    SET_INCR = 'I',
    SET_COMPACTION = 'C',
    SET_RESTORE = 'R',
    SET_GC = 'G'
};

/* A new label: UTC second, kind, 24 random bits. */
int label_make(char out[LABEL_SIZE + 1], enum set_kind kind, int64_t now_us,
               struct err *err) MUST_CHECK;
/* The same with bits that are given. */
int label_of(char out[LABEL_SIZE + 1], enum set_kind kind, int64_t time_us,
             uint32_t bits) MUST_CHECK; /* -1: no year of four digits */
bool label_valid(const char *label);    /* exactly the form above */
enum set_kind label_kind(const char *label);
int64_t label_time_us(const char *label); /* the second in it; informative */
bool cluster_name_valid(
    const char *name); /* [A-Za-z0-9_-]{1,63}, not "keys", "features" or "tmp" */

const char *name_descriptor(void);                                       /* pgbr-repo */
const char *name_feature(struct buf *b, uint32_t gen);                   /* features/<gen> */
const char *name_key_slot(struct buf *b, uint32_t slot);                 /* keys/<slot> */
const char *name_info(struct buf *b, const char *cluster, uint32_t gen); /* <cluster>/info/<gen> */
const char *name_manifest(struct buf *b, const char *cluster, const char *label);
const char *name_expired(struct buf *b, const char *cluster, const char *label);
const char *name_hold(struct buf *b, const char *cluster, const char *label);
const char *name_pack(struct buf *b, const char *cluster, const char *set,
                      uint32_t pack); /* data/<set>/<ppppp>/<pppppppp> */
const char *name_set(struct buf *b, const char *cluster, const char *set); /* data/<set>/ */
const char *name_lease(struct buf *b, const char *cluster, const char *set);
const char *name_fence_intent(struct buf *b, const char *cluster, const char *set);
const char *name_fence_final(struct buf *b, const char *cluster, const char *set);
const char *name_wal_root(struct buf *b, const char *cluster, uint64_t system_id,
                          unsigned major); /* wal/<sysid>-<major>/ */
/* A file of pg_wal: 24 hex digits [.partial] -> <tli>/<log>/<name>, .history -> history/, .backup
 * -> label/. ERR_USAGE for anything else. */
int name_wal(struct buf *b, const char *cluster, uint64_t system_id, unsigned major,
             const char *file, struct err *err) MUST_CHECK;
/* The label field of such an object: "<seg>@<sysid hex>", "<seg>.p@…", "<tli>.h@…", "<seg>.b@…". */
int label_wal(char out[49], uint64_t system_id, const char *file, struct err *err) MUST_CHECK;

/* A sum (wal_sum.h): of the segments of one timeline from start up to end. */
struct sum_name {
    uint32_t timeline;
    uint64_t start, end;
};
const char *name_sums(struct buf *b, const char *cluster, uint64_t system_id,
                      unsigned major); /* wal/<sysid>-<major>/sum/ */
const char *name_sum(struct buf *b, const char *cluster, uint64_t system_id, unsigned major,
                     const struct sum_name *n);
/* Its last component; false: not such a thing. */
bool sum_name_parse(const char *text, struct sum_name *n);
/* A key is that of a sum. */
bool name_is_sum(const char *key);
int sum_name_compare(const void *a, const void *b); /* by timeline, start, end */
void label_sum(char out[49], uint64_t system_id, const struct sum_name *n);

#endif
