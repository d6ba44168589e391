/* repo_form.h - what the files of repo.h share: repo.c, repo_open.c, repo_init.c, repo_info.c. */
#ifndef PGBR_REPO_REPO_FORM_H
#define PGBR_REPO_REPO_FORM_H

#include "repo/descriptor.h"
#include "repo/object/object.h"
#include "repo/repo.h"

struct repo {
    struct store *store;
    char *name, *cluster, *state_dir;
    uint8_t id[REPO_ID_SIZE];
    bool encrypted, has_key, keep_key;
    struct repo_key key;
    char *read_only; /* NULL, or why nothing may be written */
    enum err_code read_only_code;
    int level;
    uint64_t pack_size;
    unsigned lease_ttl_s, lease_heartbeat_s, resume_window_s, restore_pin_s;
    struct identity *ids;
    size_t n_ids;
    uint32_t info_gen; /* 0: the cluster has no info yet */
    bool opened;
    struct store_proofs saved; /* what the state file says of the store */
};

enum { SMALL_BODY_MAX = 1 << 20 };

/* Takes the store. */
struct repo *repo_new(struct store *store, const struct repo_options *o);

/* Objects of a kind that is always plain, whose label is their key. */
int repo_read_plain(struct store *store, const char *key, enum object_kind kind,
                    const uint8_t repo_id[8], struct buf *body, struct err *err) MUST_CHECK;
int repo_put_plain(struct store *store, const char *key, enum object_kind kind,
                   const uint8_t repo_id[REPO_ID_SIZE], const struct buf *body,
                   struct err *err) MUST_CHECK;

/* The bytes of the descriptor's body. ERR_NOT_FOUND. */
int repo_read_descriptor(struct store *store, struct buf *body, struct err *err) MUST_CHECK;
/* Opens one of the key slots. ERR_NOT_FOUND: there are none; ERR_KEY: none opens. */
int repo_open_slots(struct store *store, const struct key_secret *secret, struct repo_key *key,
                    uint8_t id[REPO_ID_SIZE], struct err *err) MUST_CHECK;
/* All of opening that asks the store. */
int repo_open_fully(struct repo *r, const struct repo_options *o, bool want_key,
                    struct err *err) MUST_CHECK;
/* Replaces the identities by what the store says now. None: the cluster has no info; fine. */
int repo_read_info(struct repo *r, struct err *err) MUST_CHECK;
/* Writes generation gen with these identities. ERR_EXISTS: somebody was first. */
int repo_write_info(struct repo *r, uint32_t gen, const struct identity *ids, size_t n,
                    struct err *err) MUST_CHECK;
void repo_save_state(struct repo *r);
/* Once more, when the store was found out to be other than the state file says. */
void repo_save_proofs(struct repo *r);
/* Removes objects without an end that nothing can depend on yet. */
int repo_clear_torn(struct store *store, const char *cluster, struct err *err) MUST_CHECK;

/* The last key below prefix; false: none. */
int repo_last_key(struct store *store, const char *prefix, struct buf *key, bool *found,
                  struct err *err) MUST_CHECK;

#endif
