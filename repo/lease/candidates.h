/*
 * candidates.h - what lies under backup/ and fence/ of a cluster: one listing of each. Internal to
 * repo/.
 *
 * Fences are listed after manifests: a fence that makes a manifest void is older than it.
 */
#ifndef PGBR_REPO_LEASE_CANDIDATES_H
#define PGBR_REPO_LEASE_CANDIDATES_H

#include "repo/repo.h"

struct candidate {
    char label[LABEL_SIZE + 1]; /* valid */
    bool manifest, expired, held;
    bool intent, final_fence;
    int64_t expired_us, fenced_us; /* when these marks were made, by the store's clock */
};
struct candidates {
    struct candidate *items; /* by label */
    size_t n;
    int64_t now_us; /* the store's clock when they were listed */
};

int candidates_list(struct repo *r, struct candidates *out, struct err *err) MUST_CHECK;
/* NULL: nothing of that label is there. */
struct candidate *candidates_find(const struct candidates *c, const char *label);
void candidates_free(struct candidates *c);

/* It is a backup: committed, and not void. It may be hidden by a tombstone. */
static inline bool candidate_committed(const struct candidate *c)
{
    return c != NULL && c->manifest && !c->final_fence;
}

#endif
