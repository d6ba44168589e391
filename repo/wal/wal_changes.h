/*
 * wal_changes.h - which blocks of which relation forks changed over a range of WAL.
 *
 * Changes are told in the order of the WAL. Besides changed blocks there is a limit block per fork:
 * what the fork held at and behind it before is void (created, truncated or dropped since), so it
 * must not be taken from an older backup. Setting a limit forgets the changed blocks at and behind
 * it; those told later count again. This is the rule of PostgreSQL's own WAL summaries
 * (src/common/blkreftable.c).
 *
 * Telling is cheap (an append); sorting happens when the result is asked for. Memory grows with the
 * number of distinct blocks.
 */
#ifndef PGBR_REPO_WAL_WAL_CHANGES_H
#define PGBR_REPO_WAL_WAL_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "postgres/wal_record.h"

/* What happened to a relation as a whole; bits. Stored in repositories. */
enum { WAL_REL_CREATED = 0x10, WAL_REL_DROPPED = 0x20, WAL_REL_TRUNCATED = 0x40 };

struct wal_run {
    uint32_t first, count; /* blocks first to first + count - 1 */
};

/* One fork's changes. */
struct wal_fork_changes {
    struct wal_locator rel;
    uint8_t fork;
    uint8_t what;           /* WAL_REL_ bits, on the fork they were told for */
    uint32_t limit;         /* WAL_NO_BLOCK: none */
    const uint32_t *blocks; /* ascending, each once; valid until the next call that adds */
    uint32_t n_blocks;
};

struct wal_changes;
struct wal_changes *wal_changes_new(void);
void wal_changes_free(struct wal_changes **c);

/* Blocks at or above WAL_NO_BLOCK do not exist and are ignored. */
void wal_changes_block(struct wal_changes *c, const struct wal_locator *rel, uint8_t fork,
                       uint32_t block);
void wal_changes_run(struct wal_changes *c, const struct wal_locator *rel, uint8_t fork,
                     struct wal_run run);
/* what: WAL_REL_ bits to note along with it. */
void wal_changes_limit(struct wal_changes *c, const struct wal_locator *rel, uint8_t fork,
                       uint32_t limit, uint8_t what);
/* Dropped: limit 0 on all forks; WAL_REL_DROPPED is noted on the main fork, and others of which
 * nothing else is known are not listed for it. */
void wal_changes_drop(struct wal_changes *c, const struct wal_locator *rel);

/* Sorts everything; then wal_changes_at() gives the forks in order of (spc, db, rel, fork). */
size_t wal_changes_sort(struct wal_changes *c);
void wal_changes_at(const struct wal_changes *c, size_t i, struct wal_fork_changes *f);

/* One fork, at any time; false if nothing was told of it. */
bool wal_changes_find(struct wal_changes *c, const struct wal_locator *rel, uint8_t fork,
                      struct wal_fork_changes *f);

#endif
