/*
 * changed.h - which blocks of which files changed over a range of WAL, merged from WAL indexes.
 *
 * For incremental backups: filled by one thread, then read by many. A file is one segment of 1 GiB
 * of a relation fork. What is told is never less than what changed: order within the range does not
 * matter, since everything at and behind the lowest limit block counts as changed anyway.
 *
 * Size: 16 KiB for a file with more than a few hundred changed blocks, less for others. So at most
 * 1/65536 of the size of the files that changed; a thousand million changed blocks that lie densely
 * take 125 MB. Memory: 256 MiB of that, and 64 MiB of the rest, which lies in a temporary file
 * (docs/decisions/0009 has what was measured).
 */
#ifndef PGBR_WAL_INDEX_CHANGED_H
#define PGBR_WAL_INDEX_CHANGED_H

#include "base/queue.h"
#include "postgres/relfile.h"
#include "postgres/timeline.h"
#include "repo/wal/wal_index.h"
#include "wal/index/bit_store.h"
#include "wal/index/prove.h"

enum { CHANGED_IN_MEMORY = 256 << 20, CHANGED_WINDOW = 64 << 20 };

struct changed;
/* dir: for the temporary file, where one is needed; NULL: everything is kept in memory. */
struct changed *changed_new(const char *dir);
struct changed *changed_new_within(const struct bit_store_room *room); /* other limits: for tests */
void changed_free(struct changed **c);
/* Adds the blocks and the databases that came or went. The index must have all its blocks. */
void changed_add(struct changed *c, const struct wal_index *ix);
/* No more is added: from here on any thread may ask. ERR_IO: the temporary file is of no use. */
int changed_finish(struct changed *c, struct err *err) MUST_CHECK;

/* What is known of one file. */
struct changed_file {
    bool all;             /* made, dropped or emptied in the range, or its database was */
    uint32_t from;        /* blocks of the file at and behind it are changed; UINT32_MAX: none */
    const uint32_t *some; /* ascending, n of them, or */
    uint32_t n;
    const uint64_t *bits; /* a bit for each block of the file; else NULL */
};
void changed_file(const struct changed *c, const struct rel_file *f, struct changed_file *out);
/* The first changed block at or behind the given one; UINT32_MAX: none. */
uint32_t changed_next(const struct changed_file *f, uint32_t block);
/* Blocks, files and databases that changed, for people. */
struct changed_sum {
    uint64_t blocks, files, databases;
    uint64_t in_file; /* bytes of the set that did not fit into memory */
};
struct changed_sum changed_sum(const struct changed *c);

/* ---- from the archive ---- */

struct changed_range {
    struct wal_place place;
    const struct history *history; /* of the timeline at the end */
    uint64_t from, to;    /* records that start in [from, to); both are starts of records */
    int data_fd;          /* the data directory, for WAL that is not archived yet */
    const char *temp_dir; /* for what does not fit into memory; NULL: it has to */
    uint64_t backup_lsn;  /* the range must hold the end record of the backup that started
                             here: proof that it is this history's; 0: there is none */
    const struct stop *stop;
};
/*
 * Reads the indexes of the range, sums of them where there are any, and of segments that are not
 * archived (yet) pg_wal. 0 and *out
 * NULL: the WAL cannot tell what changed; why is in *doubt (not an error: there are other ways). -1
 * is for what concerns more than that: interrupted, a store that does not answer.
 */
int changed_collect(const struct changed_range *range, struct changed **out, struct err *doubt,
                    struct err *err) MUST_CHECK;

#endif
