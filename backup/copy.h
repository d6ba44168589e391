/*
 * copy.h - reading the listed files and storing their chunks, with several workers.
 *
 * One thread reads the list and makes tasks: runs of small files, parts of large ones. What the
 * base of an incremental holds unchanged needs no task, only a result. Each worker
 * reads, checks pages, compresses, encrypts and appends to a pack of its own. What became of each
 * file goes into the results. The calling thread looks after the session with the server meanwhile.
 */
#ifndef PGBR_BACKUP_COPY_H
#define PGBR_BACKUP_COPY_H

#include <stdatomic.h>

#include "backup/crosscheck.h"
#include "backup/increment.h"
#include "backup/suspect.h"
#include "base/progress.h"
#include "repo/pack/pack.h"
#include "repo/reuse/adopt.h"

enum {
    BUNDLE_SIZE = 512 << 10, /* raw bytes of a bundle */
    PART_SIZE = 64 << 20,    /* of a large file: one task */
};

struct copy_request {
    int data_fd;
    const char *data_dir;
    struct set *set;
    const struct adoption *adoption;
    const struct list_writer *list;
    struct results *results;
    const struct increment *increment; /* NULL: everything is read */
    bool check_pages;                  /* data checksums are on */
    uint64_t start_lsn;
    unsigned workers;
    uint64_t rate_limit;
    struct stop *stop;
    struct progress *progress; /* never NULL */
    /* Called about once a second by the calling thread: the session is alive; how far WAL goes. */
    int (*tend)(void *ctx, uint64_t *insert_lsn, struct err *err);
    void *tend_ctx;
};
struct copy_made {
    struct suspects *suspects; /* per worker */
    struct samples samples;    /* with an increment: where to look whether it is right */
    struct packer *packer;     /* still open: takes pg_control, then packer_finish() */
    unsigned workers;
    atomic_uint_fast64_t vanished, adopted_bytes, read_bytes;
    atomic_uint bad_packs; /* of the base, of which nothing was used: logged */
    atomic_bool base_bad;  /* it failed, or may have, because something of the base is damaged */
};
int copy_run(const struct copy_request *q, struct copy_made *made, struct err *err) MUST_CHECK;
void copy_made_free(struct copy_made *made);

/* Stores one small piece of memory as a file of its own bundle: pg_control. */
int copy_bytes(const struct copy_request *q, struct packer *packer, const char *path,
               uint64_t number, int64_t mtime_s, const void *data, size_t len,
               struct err *err) MUST_CHECK;

#endif
