/*
 * bit_store.h - very many bitmaps of one size, of which only so many take memory. Internal to wal/.
 *
 * Beyond a limit, further ones lie in a temporary file that is mapped: they are used like the
 * others, and every now and then all their pages are given back to the system, which has them in
 * the file. Whoever is about to use such a bitmap says so. Where there is no room for the file they
 * take memory after all.
 */
#ifndef PGBR_WAL_INDEX_BIT_STORE_H
#define PGBR_WAL_INDEX_BIT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct bit_store_room {
    const char *dir;  /* an existing directory for the file; NULL: all is kept in memory */
    size_t in_memory; /* bytes of bitmaps that are not in the file */
    size_t window;    /* bytes of those in the file that may be mapped at a time */
};

struct bit_store;
/* size: of a bitmap, a multiple of 4 KiB. */
struct bit_store *bit_store_new(size_t size, const struct bit_store_room *room);
void bit_store_free(struct bit_store **s);
/* A new one, all zeros, at this address until the store is freed. One thread. */
uint64_t *bit_store_add(struct bit_store *s, bool *in_file);
/* One in the file is about to be used. Any thread. Returns the number of times that all were given
 * back: while it stays the same, one that was used need not be told of again. */
uint32_t bit_store_use(struct bit_store *s);
uint32_t bit_store_turn(const struct bit_store *s);
/* What was written is in the file, or it is told that it is not. */
int bit_store_sync(struct bit_store *s, struct err *err) MUST_CHECK;
size_t bit_store_in_file(const struct bit_store *s); /* bytes */

#endif
