/*
 * manifest_form.h - the parts of a manifest as bytes: what the writing and the reading half share.
 * Internal to repo/. Everything that parses is a pure function of hostile bytes. Forms:
 * docs/format.md, "Manifest".
 */
#ifndef PGBR_REPO_MANIFEST_MANIFEST_FORM_H
#define PGBR_REPO_MANIFEST_MANIFEST_FORM_H

#include "repo/manifest/manifest.h"

/* Order of chunks in a manifest; FILETAB, FILEIDX and MAP chunks follow. */
enum { AT_PUBINFO = 0, AT_SETTAB = 1, AT_PACKTAB = 2, AT_INFO = 3, AT_TABLES = 4 };
enum {
    FILETAB_ENTRIES = 4096,    /* per block at most */
    FILETAB_BYTES = 512 << 10, /* a block is closed beyond */
    FILETAB_MAX = 4 << 20,     /* a reader takes no more */
    MAP_INLINE = 96,           /* longer encoded maps go into MAP chunks */
    MAP_CHUNK_BYTES = 256 << 10,
    MAP_CHUNK_MAX = CHUNK_RAW_MAX,
    ENTRY_PATH_MAX = 4096, /* of a link's target, too */
    OWNER_NAME_MAX = 256,
    SETTAB_MAX = 1 << 16,    /* sets */
    TABLES_INLINE = 8 << 20, /* beyond, file table and maps go into metadata packs */
};

void pubinfo_write(const struct pubinfo *p, struct buf *out);

/* ---- sets and packs ---- */

struct set_packs { /* of one set; index 0 of a table stands for zero pages and is empty */
    char label[LABEL_SIZE + 1];
    struct pack_info *packs; /* ascending */
    size_t n;
    uint8_t **live; /* NULL, or per pack: bitmap of live chunks, or NULL: all are */
};
struct set_table {
    struct set_packs *sets;
    uint32_t n;
};
void set_table_free(struct set_table *t);
void settab_write(const struct set_table *t, struct buf *out);
void packtab_write(const struct set_table *t, struct buf *out);
int settab_parse(const void *bytes, size_t len, struct set_table *t, struct err *err) MUST_CHECK;
/* Which chunks are live is 512 bytes a pack, and only who expires packs wants to know. */
enum live_wanted { LIVE_CHECKED, LIVE_KEPT };
int packtab_parse(const void *bytes, size_t len, struct set_table *t, enum live_wanted live,
                  struct err *err) MUST_CHECK;

/* ---- private facts ---- */

/* Mode and owners, shared by many entries. */
struct attribute {
    uint32_t mode;
    char *user, *group;
};
struct attributes {
    struct attribute *items;
    uint32_t n, last; /* last: found most recently */
};
void attributes_free(struct attributes *a);
uint32_t attributes_index(struct attributes *a, uint32_t mode, const char *user, const char *group);
void backup_info_write(const struct backup_info *i, const struct attributes *a, struct buf *out);
int backup_info_parse(const void *bytes, size_t len, struct backup_info *i, struct attributes *a,
                      struct err *err) MUST_CHECK;

/* ---- the file table ---- */

struct map_ref { /* where a long map lies: in MAP chunk number `map` of FILEIDX's list */
    uint32_t map, offset, len;
};
struct filetab_writer {
    struct buf rows;
    struct buf last_path, first_path;
    int64_t last_mtime_s;
    uint32_t n;
};
/* ERR_FAILED for what a reader would refuse: such an entry must not get into a manifest. */
int filetab_check(const struct entry *e, struct err *err) MUST_CHECK;
void filetab_reset(struct filetab_writer *w);
void filetab_free(struct filetab_writer *w);
/* ref NULL: the map, if there is one, goes inline. */
void filetab_add(struct filetab_writer *w, const struct entry *e, uint32_t attribute,
                 const struct map_ref *ref);
void filetab_finish(const struct filetab_writer *w, struct buf *out);

struct filetab_reader {
    struct cursor in;
    uint32_t left;
    struct buf path, target;
    int64_t mtime_s;
};
/* limits: what entries may refer to. */
struct filetab_limits {
    const struct attributes *attributes;
    uint32_t sets, maps;
};
int filetab_begin(struct filetab_reader *r, const void *bytes, size_t len,
                  struct err *err) MUST_CHECK;
/* 1, 0, -1. Sets ref->len to 0 unless the map lies elsewhere; e->path is valid until the next call.
 */
int filetab_next(struct filetab_reader *r, const struct filetab_limits *limits, struct entry *e,
                 struct map_ref *ref, struct err *err) MUST_CHECK;
void filetab_end(struct filetab_reader *r);

/* ---- the index of the file table ---- */

struct table_place { /* set 0: a chunk of the manifest itself (pack 0) */
    uint32_t set, pack, chunk;
};
struct table_block {
    char *first_path;
    struct table_place at;
    uint32_t entries;
};
struct file_index {
    struct table_block *blocks;
    uint32_t n_blocks;
    struct table_place *maps;
    uint32_t n_maps;
};
void file_index_write(const struct file_index *x, struct buf *out);
int file_index_parse(const void *bytes, size_t len, uint32_t sets, struct file_index *x,
                     struct err *err) MUST_CHECK;
void file_index_free(struct file_index *x);

/* What needs no key: both are the caller's to free, also on failure, and begin as zeros. Errors as
 * manifest_open(); whether the set was fenced is not looked for. */
int manifest_public(struct repo *r, const char *label, struct pubinfo *pub, struct set_table *sets,
                    struct err *err) MUST_CHECK;
/* The first n chunks of a manifest, decoded from its front without directory (so without a key in
 * the no-key way). ERR_NOT_FOUND: no such backup. */
int manifest_front(struct repo *r, const char *label, unsigned n, struct buf *chunks,
                   uint64_t *size, struct err *err) MUST_CHECK;

#endif
