/*
 * lease.h - leases, fences and tombstones: how hosts that share a repository stay out of each
 * other's way without locks (docs/format.md, "Protocols").
 *
 * A writer announces its set with a lease and renews it; an expirer that believes a writer dead
 * fences it in two steps; the writer looks for a fence before and after its commit. Safety never
 * rests on clocks.
 */
#ifndef PGBR_REPO_LEASE_LEASE_H
#define PGBR_REPO_LEASE_LEASE_H

#include "base/queue.h"
#include "repo/pack/pack.h"

struct lease_terms {
    struct set_identity id;
    const char *base;           /* label or NULL */
    const char *const *adopted; /* set labels */
    size_t n_adopted;
    const char *host; /* for people */
    uint32_t pid;
    uint64_t wal_lsn; /* WAL from here on is needed, on whatever timeline; 0: not known yet */
};
struct lease;
/* PUT create-only (a label that exists is refused), then renewed by a thread of its own every
 * heartbeat. When the thread finds a fence for the set, or cannot renew for longer than the TTL, it
 * sets *stop to -1 and lease_check() tells why. */
int lease_take(struct lease **l, struct repo *r, const char *set, const struct lease_terms *terms,
               struct stop *stop, struct err *err) MUST_CHECK;
/* Rewrites the terms (adoption found more sets). */
int lease_update(struct lease *l, const struct lease_terms *terms, struct err *err) MUST_CHECK;
/* 0: no fence for this set (asked from the store now). ERR_CONFLICT: fenced. */
int lease_check(struct lease *l, struct err *err) MUST_CHECK;
/* Stops renewing and writes state=released. */
int lease_release(struct lease **l, struct err *err) MUST_CHECK;
/* Stops renewing and takes the object away, as if there had been none. Where that fails it stays as
 * after a crash, until it is older than the TTL. */
int lease_withdraw(struct lease **l, struct err *err) MUST_CHECK;
/* Writes an active lease once, whether there was one or not: for who comes back now and then. */
int lease_touch(struct repo *r, const char *set, const struct lease_terms *terms,
                struct err *err) MUST_CHECK;
void lease_drop(struct lease **l); /* stops the thread, leaves the object: as a crash would */

/* What a stored lease says. Owned strings. */
struct lease_seen {
    char set[LABEL_SIZE + 1];
    struct set_identity id;
    char base[LABEL_SIZE + 1];
    char (*adopted)[LABEL_SIZE + 1];
    size_t n_adopted;
    uint64_t wal_lsn; /* 0: not told */
    char *host;
    bool released;
    int64_t age_us; /* by the store's clock */
    bool live;      /* not released and younger than the TTL */
};
int leases_list(struct repo *r, struct lease_seen **out, size_t *n, struct err *err) MUST_CHECK;
void leases_free(struct lease_seen **out, size_t n);

/* Marks. All are tiny objects, trusted for their presence only. */
int fence_intent(struct repo *r, const char *set, struct err *err) MUST_CHECK;
int fence_withdraw(struct repo *r, const char *set, struct err *err) MUST_CHECK;
int fence_final(struct repo *r, const char *set, struct err *err) MUST_CHECK;
int fence_seen(struct repo *r, const char *set, bool *intent, bool *final_fence,
               struct err *err) MUST_CHECK;
int expired_mark(struct repo *r, const char *label, const char *reason, struct err *err) MUST_CHECK;
int expired_seen(struct repo *r, const char *label, bool *expired, struct err *err) MUST_CHECK;

#endif
