/*
 * backup.h - taking a backup of a running cluster.
 *
 * backup_run() is the whole story: prove that archiving works, announce the set, put the server
 * into backup mode, copy, prove that the WAL has arrived, commit. Until the commit nothing is
 * visible; an interrupted attempt leaves a set that the next one uses again.
 */
#ifndef PGBR_BACKUP_BACKUP_H
#define PGBR_BACKUP_BACKUP_H

#include "base/progress.h"
#include "base/queue.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "repo/manifest/manifest.h"

enum { BACKUP_AUTO = 'A' }; /* as type: incremental where that can be, else full */
struct backup_request {
    int type; /* enum backup_type, or BACKUP_AUTO */
    const struct cluster_config *cluster;
    const char *state_dir;
    struct repo *repo; /* open with its key */
    const struct catalog_backups
        *known;           /* of this cluster: what verifications found; may be NULL */
    bool slow_checkpoint; /* spread the checkpoint instead of asking for an immediate one */
    unsigned workers;
    uint64_t rate_limit; /* bytes read a second; 0: none */
    struct stop *stop;
    struct progress *progress; /* may be NULL */
};
struct backup_made {
    struct pubinfo pub;
    uint64_t adopted_bytes;  /* raw bytes found stored by an interrupted attempt */
    uint64_t vanished;       /* files that were dropped while they were copied */
    struct backup_info info; /* among others: the damaged pages */
    unsigned warnings;       /* things a person should look at; each was logged */
    char *alarm; /* what the cross-check of an incremental found before this full backup was
                    taken instead; NULL: nothing */
};
void backup_made_free(struct backup_made *m);

/* Takes a backup: of the type asked for, or, where nothing fits as a base, a full one. On return 0
 * it is committed and was not fenced. page errors are no failure: see made->pub. */
int backup_run(const struct backup_request *q, struct backup_made *made,
               struct err *err) MUST_CHECK;

#endif
