/*
 * verify.h - reading everything back and saying exactly what is damaged.
 *
 * At rest: every object is read whole and compared with the hash in its trailer, which needs no
 * key, and must be what its name says. Deep: every chunk is also authenticated, decrypted and
 * decompressed. Then each backup is checked for completeness: all packs that its manifest names are
 * there, with the right size. What is damaged is traced to the files and pages that would suffer,
 * as far as the key allows. Whether WAL is without gaps is asked in wal/.
 */
#ifndef PGBR_REPO_VERIFY_VERIFY_H
#define PGBR_REPO_VERIFY_VERIFY_H

#include "base/progress.h"
#include "base/queue.h"
#include "repo/manifest/manifest.h"

struct verify_request {
    struct repo *repo;
    const char *label; /* one backup with what it needs, WAL included; NULL: everything of the
                          cluster */
    bool deep;         /* needs the key of an encrypted repository */
    unsigned workers;
    const struct stop *stop;
    struct progress *progress; /* never NULL */
};
/* Part of a file that a damaged or missing object takes along. */
struct harm {
    char label[LABEL_SIZE + 1];   /* of the backup */
    char *path;                   /* "": all of the backup */
    uint32_t first_block, blocks; /* 0, 0: the whole file */
};
struct damage {
    char *object; /* key */
    char *why;
    struct harm *harms;
    size_t n_harms;
    bool spare; /* nothing is lost with it: a sum of WAL indexes (wal_sum.h) */
};
struct verify_made {
    uint64_t objects, bytes; /* read */
    uint64_t chunks;         /* decoded, deep only */
    size_t backups;          /* checked for completeness */
    struct damage *damages;
    size_t n_damages;
};
/* 0 also when damage was found: look at made->n_damages, sorted by object, each once. -1:
 * verification itself could not go on (ERR_NOT_FOUND: no backup of that label). */
int verify_run(const struct verify_request *q, struct verify_made *made,
               struct err *err) MUST_CHECK;
/* One more that was found elsewhere, unless that object is known as damaged. */
void verify_made_add(struct verify_made *m, const char *object, const char *why);
void verify_made_free(struct verify_made *m);

#endif
