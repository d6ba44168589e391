/*
 * adopt_index.h - a lookup from content to place for adopt.c, as large as it has to be.
 *
 * Entries are added by many threads, then adopt_index_build() is called once, then any thread may
 * look up. What is small stays in memory; the rest lies in files without a name in a directory of
 * the caller's and costs one read of 4 KiB each time. Whatever goes wrong with the files (no
 * space), entries are lost and nothing else: it is all an optimisation.
 */
#ifndef PGBR_REPO_REUSE_ADOPT_INDEX_H
#define PGBR_REPO_REUSE_ADOPT_INDEX_H

#include <stdbool.h>

#include "base/hash.h"

struct adopt_entry {
    uint64_t key;        /* evenly spread over 64 bits */
    struct hash128 hash; /* compared as well */
    uint64_t value;
};

enum { ADOPT_IN_MEMORY = 128 << 10, ADOPT_WITHOUT_FILES = 512 << 10 };

struct adopt_index;
/* dir (copied): for the files; created when missing. NULL: there are none, and entries beyond
 * `without_files` are dropped. in_memory: entries kept in memory at most before files are used.
 * Entries take 64 bytes each once built. */
struct adopt_index *adopt_index_new(const char *dir, size_t in_memory, size_t without_files);
void adopt_index_free(struct adopt_index **ix);
/* True: all of them were taken, false: none. */
bool adopt_index_add(struct adopt_index *ix, const struct adopt_entry *entries, size_t n);
void adopt_index_build(struct adopt_index *ix);
/* Of several entries with this key and hash, one. */
bool adopt_index_find(const struct adopt_index *ix, uint64_t key, const struct hash128 *hash,
                      uint64_t *value);

#endif
