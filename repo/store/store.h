/*
 * store.h - a flat set of named objects, wherever they live.
 *
 * Everything pgbr keeps is an object in a store, written once and never changed (leases alone are
 * replaced). Any call may be repeated: none leaves half an object behind. Many threads may share
 * one store; a writer belongs to one thread. Keys are made of [A-Za-z0-9._@-] and '/', never begin
 * or end with '/', hold no "." or ".." component and are at most 255 bytes; anything else is
 * refused.
 *
 * After commit an object is whole and visible. It is durable after commit on object stores; on
 * POSIX after a commit with STORE_DURABLE, or after store_sync() for those committed with
 * STORE_LAZY.
 */
#ifndef PGBR_REPO_STORE_STORE_H
#define PGBR_REPO_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum store_mode { STORE_CREATE_ONLY, STORE_REPLACE };
enum store_commit_mode { STORE_DURABLE, STORE_LAZY };
enum store_depth {
    STORE_DEEP,
    STORE_SHALLOW
}; /* shallow: what lies deeper is named once, with a final '/' */

struct store;        /* made by a driver's open function: store_posix_open(), store_s3_open(),
                        store_mem_new(), store_fault_new() */
struct store_writer; /* one object on its way */

struct store_entry {
    const char *key;     /* valid during the callback */
    uint64_t size;       /* 0 for a "directory" of a shallow listing */
    int64_t modified_us; /* the store's clock */
    bool is_prefix;      /* key ends in '/', more lies below */
};
/* Returns 0 to go on, anything else stops the listing (and store_list returns it, err as the
 * callback set it). */
typedef int store_entry_fn(void *ctx, const struct store_entry *entry, struct err *err);

/* What a store proved able to do. */
struct store_traits {
    bool exact_create_only;  /* two creators of one key: exactly one wins */
    bool listing_consistent; /* a fresh key is listed at once */
    bool may_delete;         /* these rights include deleting; backups do without */
    bool verifies_uploads;   /* what was damaged on its way is refused by checksum */
    unsigned grace_s;        /* advised time between tombstone and deletion */
    char kind[16];           /* "posix", "nfs", "mem", "s3" */
};

/* What was found out by trying, which costs requests, and is true of the store for a while. */
enum store_proof { STORE_UNPROVED, STORE_PROVED, STORE_REFUTED };
struct store_proofs {
    int64_t proved_us;             /* this host's clock; 0: nothing was found out */
    uint8_t create_only, checksum; /* enum store_proof */
};
/* Tells a store that was just opened what another process found out. */
void store_recall(struct store *s, const struct store_proofs *p);
/* What this one knows, found out or told. Drivers that need no proof have none. */
struct store_proofs store_known(struct store *s);

/* Starts an object. Nothing is visible before commit. */
int store_create(struct store *s, const char *key, enum store_mode mode, struct store_writer **w,
                 struct err *err) MUST_CHECK;
int store_write(struct store_writer *w, const void *data, size_t len, struct err *err) MUST_CHECK;
/* Makes it visible under its key. Create-only and the key exists: ERR_EXISTS, and what is there
 * stays. Ends the writer in every case. */
int store_commit(struct store_writer **w, enum store_commit_mode mode, struct err *err) MUST_CHECK;
void store_abandon(struct store_writer **w);
/* All of it in one call; durable on return. */
int store_put(struct store *s, const char *key, enum store_mode mode, const void *data, size_t len,
              struct err *err) MUST_CHECK;

/* Reads up to len bytes at offset into dst. *got < len only where the object ends. *size (may be
 * NULL) is set to the object's whole size. ERR_NOT_FOUND when there is none. With dst, offset and
 * len multiples of 4096 a local driver can leave the page cache alone. */
int store_get(struct store *s, const char *key, uint64_t offset, size_t len, void *dst, size_t *got,
              uint64_t *size, struct err *err) MUST_CHECK;
/* The last len bytes (or all, if it is shorter). */
int store_tail(struct store *s, const char *key, size_t len, void *dst, size_t *got, uint64_t *size,
               struct err *err) MUST_CHECK;
/* Appends the whole object to *out, untouched on failure; larger than max: ERR_CORRUPT. */
int store_read(struct store *s, const char *key, size_t max, struct buf *out,
               struct err *err) MUST_CHECK;
int store_stat(struct store *s, const char *key, struct store_entry *entry,
               struct err *err) MUST_CHECK; /* entry->key = key */

/* Calls fn for every object whose key begins with prefix ("" or ending in '/'), in byte order of
 * the keys. *now_us (may be NULL): the store's clock, taken when the listing began. A prefix that
 * does not exist is empty. */
int store_list(struct store *s, const char *prefix, enum store_depth depth, store_entry_fn *fn,
               void *ctx, int64_t *now_us, struct err *err) MUST_CHECK;

/* Deletes n keys; one that does not exist is fine. */
int store_delete(struct store *s, const char *const *keys, size_t n, struct err *err) MUST_CHECK;
/* All lazily committed objects of this store handle are durable on return. */
int store_sync(struct store *s, struct err *err) MUST_CHECK;
/* The existing object is durable on return, whoever wrote it (POSIX: file and directories fsynced;
 * S3: nothing). */
int store_confirm(struct store *s, const char *key, struct err *err) MUST_CHECK;
/* The store's present time (POSIX: mtime of a probe file just written; S3: Date header). */
int store_now(struct store *s, int64_t *now_us, struct err *err) MUST_CHECK;
int store_probe(struct store *s, struct store_traits *traits, struct err *err) MUST_CHECK;
/* Whether each call costs a round trip over a network, so that it pays to have several under way.
 * Asks nobody. */
bool store_is_remote(struct store *s);
/* For messages: "/pg/backup", "s3://bucket/path". */
const char *store_where(const struct store *s);
void store_close(struct store **s);

/* ---- drivers ---- */

struct store_ops; /* see store_driver.h: what a driver provides */

/* A directory. Created (with parents, mode 0700) when create is true, else it must exist:
 * ERR_NOT_FOUND. */
int store_posix_open(struct store **s, const char *path, bool create, struct err *err) MUST_CHECK;
/* Everything in memory, for tests; closing forgets it unless it was opened with store_mem_share()
 * of another. */
struct store *store_mem_new(void);
struct store *store_mem_share(struct store *mem);
/* Around another store (not owned): the nth call (from 0; every public call above counts one) fails
 * with ERR_UNREACHABLE before it did anything, or, for every second kind of fault, after it took
 * effect (a lost reply). */
enum store_fault_kind { FAULT_BEFORE, FAULT_AFTER, FAULT_FOREVER };
struct store *store_fault_new(struct store *inner, long nth, enum store_fault_kind kind);
long store_fault_calls(const struct store *s); /* calls seen so far */

#endif
