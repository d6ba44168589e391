/*
 * key_slots.h - the key slots of a repository: which there are, adding one, removing one.
 *
 * Changing a secret is adding a slot and removing another; data are never touched, and a crash
 * leaves both valid. Slots belong to the repository, whatever the cluster. A slot that was removed
 * opens nothing any more, but whoever kept a copy of it can still derive the key with its secret:
 * removal is for secrets that are replaced, not for a key that got into wrong hands.
 */
#ifndef PGBR_REPO_KEY_SLOTS_H
#define PGBR_REPO_KEY_SLOTS_H

#include "repo/repo.h"

enum { KEY_SLOTS_MAX = 32 }; /* more are neither made nor tried */

enum key_slot_state {
    KEY_SLOT_SHUT,    /* well formed; no secret was given, or it does not open this one; or it is of
                         no use at all, such as a key file that is missing: then why says so */
    KEY_SLOT_OPENS,   /* the secret opens it, and it is of this repository */
    KEY_SLOT_DAMAGED, /* why says how, or of which repository */
};
struct key_slot {
    uint32_t number;
    enum key_slot_state state;
    struct key_slot_facts facts; /* not of a damaged one */
    struct err why;
};
struct key_slots {
    struct key_slot items[KEY_SLOTS_MAX]; /* by number */
    size_t n, more;                       /* more: how many were left out */
};

/* Lists them. secret (NULL: none) is tried on each, which takes a tenth of a second per slot with a
 * passphrase. A slot that cannot be read is an item, not an error. */
int key_slots_list(struct repo *r, const struct key_secret *secret, struct key_slots *out,
                   struct err *err) MUST_CHECK;
/* How many are well formed. */
size_t key_slots_sound(const struct key_slots *slots);

/*
 * Adds a slot for the secret. It was read back and opened when this returns 0; otherwise it was
 * removed again, or at least nobody needs it. key: NULL for the one the repository was opened with,
 * else it is held against the descriptor first (ERR_KEY: of another repository). ERR_UNSUPPORTED:
 * KEY_SLOTS_MAX are there.
 */
int key_slot_add(struct repo *r, const struct repo_key *key, const struct key_secret *secret,
                 uint32_t *number, struct err *err) MUST_CHECK;

/*
 * Removes one. ERR_NOT_FOUND: there is none of that number. Refused (ERR_FAILED) when no other
 * sound slot would be left. keep (NULL: none) is a secret that must still open one afterwards:
 * ERR_KEY if it would not, or opens none now. A damaged one is removed without a question. Two that
 * remove the last two at the same time put back what they took.
 */
int key_slot_remove(struct repo *r, uint32_t number, const struct key_secret *keep,
                    struct err *err) MUST_CHECK;

#endif
