/*
 * expire.h - applies retention: hides backups that go, then deletes them, the packs that nothing
 * needs any more, WAL that leads no backup on, and what dead writers left (docs/format.md,
 * "Deleting").
 *
 * Safe beside backups, restores, pushes and other expirers on any host, and against a crash at any
 * point: each step may be repeated, and the next run goes on where one was cut short. Works with
 * and without the key. Where anything is uncertain - a manifest that cannot be read, a young lease
 * that cannot be read, a feature of a newer version - nothing is deleted.
 */
#ifndef PGBR_REPO_EXPIRE_EXPIRE_H
#define PGBR_REPO_EXPIRE_EXPIRE_H

#include "base/queue.h"
#include "repo/expire/retention.h"

struct expire_request {
    struct repo *repo;
    struct retention_policy policy;
    const char *label; /* this backup goes, whatever the policy says; the others stay. NULL: none */
    int64_t grace_us;  /* from tombstone to deletion; < 0: what the store advises */
    bool dry_run;      /* only tells */
    /* Whether a backup is known to be damaged, see retention.h; NULL: nothing is known. */
    bool (*is_harmed)(const void *ctx, const char *label);
    const void *harm_ctx;
    const struct stop *stop;
};

enum expire_state {
    EXPIRE_STAYS,
    EXPIRE_HELD,
    EXPIRE_HIDDEN, /* has its tombstone, and is deleted by a later run: until tells when */
    EXPIRE_GONE    /* deleted; in a dry run: would be hidden, and deleted when that may be */
};
struct expire_backup {
    struct pubinfo pub; /* of one that cannot be read only the label */
    enum expire_state state;
    char *reason, *until; /* see retention.h; until NULL: gone */
    int64_t until_us;
};
/* A stretch of WAL of one timeline. Of what stays, first_segno to the end: n is 0. */
struct expire_wal {
    struct identity id;
    uint32_t segment_size; /* 0: not known */
    uint32_t timeline;     /* 0: all */
    uint64_t first_segno, last_segno;
    uint64_t segments, bytes; /* that go */
    bool goes;
    char *reason, *until;
    int64_t until_us;
};
struct expire_made {
    struct expire_backup *backups; /* oldest first */
    size_t n_backups;
    struct expire_wal *wal;
    size_t n_wal;
    uint64_t packs, pack_bytes;       /* deleted */
    uint64_t segments, segment_bytes; /* the same of WAL; .partial ones count */
    uint64_t sums;                    /* of WAL indexes */
    uint64_t dead_sets;               /* of interrupted attempts, removed with their packs */
    uint64_t tidied;                  /* leases, fences and tombstones that served their time */
};

/* ERR_BUSY: another expirer is at work. ERR_NOT_FOUND: there is no backup of that label. */
int expire_run(const struct expire_request *q, struct expire_made *made,
               struct err *err) MUST_CHECK;
void expire_made_free(struct expire_made *m);

/* Keeps a backup, with a note (NULL: none) until a time (0: without an end): on return no expirer
 * will delete it. One that is hidden already is brought back where all of it is still there.
 * ERR_EXISTS: it is held already. ERR_NOT_FOUND: there is none, or not all of it. ERR_BUSY: it is
 * hidden and an expirer is at work. */
int expire_hold(struct repo *r, const char *label, const char *note, int64_t until_us,
                struct err *err) MUST_CHECK;
/* ERR_NOT_FOUND: it is not held. */
int expire_unhold(struct repo *r, const char *label, struct err *err) MUST_CHECK;

#endif
