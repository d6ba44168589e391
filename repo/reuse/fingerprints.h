/*
 * fingerprints.h - what the chunks of packs hash to, from their CONTENTS, without the chunks.
 *
 * For comparing what is in a directory with what is stored. The fingerprints of a few packs are
 * kept. One per thread.
 */
#ifndef PGBR_REPO_REUSE_FINGERPRINTS_H
#define PGBR_REPO_REUSE_FINGERPRINTS_H

#include <pthread.h>

#include "repo/pack/pack.h"

struct fingerprints;
/* parsing: shared by all threads, so that only one of them at a time takes a CONTENTS apart, which
 * may need tens of megabytes. reader is the caller's, and outlives this. */
struct fingerprints *fingerprints_new(struct pack_reader *reader, pthread_mutex_t *parsing);
void fingerprints_free(struct fingerprints **f);
/* XXH3-128 and length of a chunk's raw bytes. set is the number of the set `label` for the caller.
 */
int fingerprints_get(struct fingerprints *f, uint32_t set, const char *label, struct place at,
                     struct hash128 *hash, uint32_t *raw_len, struct err *err) MUST_CHECK;

#endif
