/*
 * adopt.h - what an interrupted backup already stored is used again, by content.
 *
 * Sets without a manifest, of the same system id and timeline, younger than the resume window and
 * not fenced, are looked through: each pack is read whole once (its at-rest hash must hold), and
 * its CONTENTS go into a lookup file in the state directory. While files are copied, a chunk whose
 * path, first block and XXH3-128 are found there is referenced instead of stored. Size and time
 * stamps are never trusted. Lookups are safe from many threads.
 */
#ifndef PGBR_REPO_REUSE_ADOPT_H
#define PGBR_REPO_REUSE_ADOPT_H

#include "repo/manifest/manifest.h"

struct adoption;
/* Finds candidates (never `own`). With none, *a is an empty adoption that finds nothing. */
int adopt_open(struct adoption **a, struct repo *r, const struct set_identity *id, const char *own,
               struct err *err) MUST_CHECK;
void adopt_free(struct adoption **a);
size_t adopt_sets(const struct adoption *a);
const char *adopt_set(const struct adoption *a, size_t i);
uint64_t adopt_bytes(const struct adoption *a); /* raw bytes on offer */
/* Announces the sets to the manifest; after this adopt_find() gives SETTAB indexes. */
int adopt_register(struct adoption *a, struct manifest_writer *w, struct err *err) MUST_CHECK;
/* PAGES: path, first block and content; BUNDLE: path "" and block 0. True: stored already, at (set,
 * place). */
bool adopt_find(const struct adoption *a, const char *path, uint32_t first_block, uint32_t raw_len,
                const struct hash128 *hash, uint32_t *set, struct place *at);

#endif
