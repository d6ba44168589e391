/*
 * repo.h - one repository, opened for one cluster.
 *
 * Owns the store handle, the repository id, the key and the list of accepted (system identifier,
 * major) pairs. The repository is the truth; a 0600 state file per repository and cluster in the
 * state directory only saves the slow parts of opening it (key derivation) for archive-push and
 * archive-get, which start once per segment. A struct repo may be shared by threads after opening;
 * coders may not.
 */
#ifndef PGBR_REPO_REPO_H
#define PGBR_REPO_REPO_H

#include <stdbool.h>
#include <stdint.h>

#include "repo/object/chunk.h"
#include "repo/object/key.h"
#include "repo/object/names.h"
#include "repo/store/store.h"

struct repo_options {      /* all borrowed during the call */
    const char *name;      /* the configuration's name, for messages */
    const char *cluster;   /* stanza */
    const char *state_dir; /* may be NULL: no state file */
    bool encrypted;        /* cipher_type aes-256-cbc */
    struct key_secret secret;
    bool keep_key;                           /* the state file may hold the unwrapped key */
    unsigned lease_ttl_s, lease_heartbeat_s; /* 900 and 60 unless set */
    unsigned resume_window_s;                /* 3 days unless set */
    unsigned restore_pin_s; /* how long a restore's lease pins after its last sign of life: a day */
    int level;              /* zstd level for what this process writes */
    uint64_t pack_size;     /* target, 32 MiB unless set */
};
struct identity {
    uint64_t system_id;
    unsigned major;
};

struct repo;

/* Creates what is missing of descriptor, key slot and cluster info in the store (owned from here
 * on, also on failure); finds an existing repository whole and accepts it when key and suite fit.
 * Idempotent and safe against a crash at any point. *created: a new repository was made. */
int repo_init(struct repo **r, struct store *store, const struct repo_options *o, bool *created,
              struct err *err) MUST_CHECK;

enum repo_open_mode {
    REPO_OPEN_FULL,  /* read descriptor, features, key slots, info; rewrite the state file */
    REPO_OPEN_QUICK, /* trust the state file where it fits the descriptor (read and compared); else
                        the full way */
    REPO_OPEN_NO_KEY /* for verify at rest, list: never asks for a key */
};
/* ERR_NOT_FOUND: there is no repository here (say "pgbr init"); ERR_KEY; ERR_FOREIGN: re-created
 * since the state file was written and the configuration does not fit; ERR_UNSUPPORTED: unknown
 * incompatible feature. */
int repo_open(struct repo **r, struct store *store, const struct repo_options *o,
              enum repo_open_mode mode, struct err *err) MUST_CHECK;
void repo_close(struct repo **r);

struct store *repo_store(const struct repo *r);
const char *repo_name(const struct repo *r);
const char *repo_cluster(const struct repo *r);
const uint8_t *repo_id(const struct repo *r); /* REPO_ID_SIZE bytes */
bool repo_encrypted(const struct repo *r);
const struct repo_key *repo_key(const struct repo *r); /* NULL: plain, or opened without a key */
/* NULL, or why this process may not write here: opened without the key, or made by a newer version.
 * Coders refuse by themselves; what only deletes asks. */
const char *repo_read_only(const struct repo *r);
/* Whether objects may be deleted, which needs no key: only a newer version may forbid it.
 * ERR_UNSUPPORTED. */
int repo_may_delete(const struct repo *r, struct err *err) MUST_CHECK;
int repo_level(const struct repo *r);
uint64_t repo_pack_size(const struct repo *r);
unsigned repo_lease_ttl_s(const struct repo *r);
unsigned repo_lease_heartbeat_s(const struct repo *r);
unsigned repo_resume_window_s(const struct repo *r); /* interrupted sets can be adopted that long */
unsigned repo_restore_pin_s(const struct repo *r);
const char *repo_state_dir(const struct repo *r);

/* A coder for a label with this repository's key and level. */
int repo_coder(const struct repo *r, const char *label, struct coder **c,
               struct err *err) MUST_CHECK;

/* Accepted identities, oldest first; valid until repo_accept() or close. */
const struct identity *repo_identities(const struct repo *r, size_t *n);
bool repo_knows(const struct repo *r, uint64_t system_id, unsigned major);
/* Asks the store for the identities anew: a state file may be older than another host's
 * repo_accept(). Call it before refusing an identity that repo_knows() denies. */
int repo_refresh(struct repo *r, struct err *err) MUST_CHECK;
/* Adds a pair (a new <cluster>/info/<gen>); fine if it is there already. */
int repo_accept(struct repo *r, uint64_t system_id, unsigned major, struct err *err) MUST_CHECK;

/* Names of all clusters in the store (directories that hold an info/), sorted. Free with
 * repo_names_free. */
int repo_clusters(struct store *store, char ***names, size_t *n, struct err *err) MUST_CHECK;
void repo_names_free(char ***names, size_t n);

#endif
