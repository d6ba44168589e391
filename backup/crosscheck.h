/*
 * crosscheck.h - whether what the WAL called unchanged is unchanged: samples, of constant cost.
 *
 * A few runs of adjacent pages (64 of 16, fewer in a small cluster), at random places of all that
 * an incremental leaves to its base. A page whose LSN lies between the two backups' starts was
 * changed by a record that the index does not know. With data checksums, where even hint bits are
 * logged, a page must also be, byte for byte, what the base holds, if that and all it builds on
 * were copied from the same primary: so the page that was hit is compared, and those of its run
 * that lie in the same chunk, the only one that is read for a run. Either is an alarm: something is
 * wrong with the index, the archive or the disk, and no incremental is to be trusted.
 */
#ifndef PGBR_BACKUP_CROSSCHECK_H
#define PGBR_BACKUP_CROSSCHECK_H

#include "backup/increment.h"
#include "base/queue.h"

enum { CROSSCHECK_RUNS = 64, CROSSCHECK_PAGES = 16 };

struct sample {
    char *path;        /* relative to the data directory */
    uint32_t block, n; /* pages [block, block + n) of the file */
    uint32_t hit;      /* page of the run: the one that chance chose */
    uint32_t first;    /* block of its relation fork with which the file begins */
    uint8_t *map;      /* of the base; NULL: it is in a bundle */
    size_t map_len;
    struct changed_file changed;
};
/* Places in the list of files, in ascending order, and what was found there. */
struct samples {
    uint64_t at[CROSSCHECK_RUNS], end; /* bytes; end: of the files passed so far */
    size_t next, wanted;
    struct sample items[CROSSCHECK_RUNS];
    size_t n;
};
/* bytes: of all files in the list. */
void samples_begin(struct samples *s, uint64_t bytes);
/* The next file of the list; w: what is known of it, NULL where it is read whole. */
void samples_pass(struct samples *s, const struct listed *l, const struct increment_walk *w);
void samples_free(struct samples *s);

struct crosscheck_terms {
    struct repo *repo;
    const struct increment *increment;
    int data_fd;
    uint64_t base_start, start; /* LSNs of the two backups' starts */
    bool by_content;
    const struct stop *stop;
};
/* *alarm: empty, or what was found. *read: bytes of files that were read. */
int crosscheck(const struct samples *s, const struct crosscheck_terms *t, struct buf *alarm,
               uint64_t *read, struct err *err) MUST_CHECK;

#endif
