/*
 * key.h - the repository key and the slots that wrap it.
 *
 * The repository key is 32 random bytes, made once at init. Chunk keys are derived from it per set
 * label with HKDF; a slot holds it encrypted under a passphrase (scrypt, or PBKDF2 where the
 * provider has no scrypt) or a key file. Changing a passphrase adds a slot and removes another;
 * data are never touched. Secrets are wiped when freed.
 */
#ifndef PGBR_REPO_OBJECT_KEY_H
#define PGBR_REPO_OBJECT_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { REPO_KEY_SIZE = 32, REPO_ID_SIZE = 16 };

struct repo_key {
    uint8_t bytes[REPO_KEY_SIZE];
};
void repo_key_wipe(struct repo_key *k);

/* Sub-keys; label-bound ones use salt SHA-256(label), others 32 zero bytes (docs/format.md,
 * "Keys of an encrypted repository"). */
int key_chunk_enc(const struct repo_key *k, const char *label, uint8_t out[32],
                  struct err *err) MUST_CHECK;
int key_chunk_mac(const struct repo_key *k, const char *label, uint8_t out[32],
                  struct err *err) MUST_CHECK;
int key_wal_tag(const struct repo_key *k, uint8_t out[32], struct err *err) MUST_CHECK;
int key_descriptor_mac(const struct repo_key *k, uint8_t out[32], struct err *err) MUST_CHECK;

/* How the user opens a slot: exactly one of the two is set. Borrowed. */
struct key_secret {
    const char *passphrase;
    const char
        *key_file; /* path to a file with at least 32 bytes (all of it is used, through HKDF) */
};
enum key_kdf { KDF_SCRYPT = 1, KDF_PBKDF2 = 2, KDF_FILE = 3 };

/* The bytes of a slot's TEXT body. Random salt and IV. */
int key_slot_make(uint32_t slot, const struct key_secret *secret, const struct repo_key *k,
                  const uint8_t repo_id[REPO_ID_SIZE], struct buf *out, struct err *err) MUST_CHECK;
/* Opens it: ERR_KEY when the secret does not fit, ERR_CORRUPT for damage or hostile parameters. */
int key_slot_open(const void *slot, size_t len, const struct key_secret *secret, struct repo_key *k,
                  uint8_t repo_id[REPO_ID_SIZE], struct err *err) MUST_CHECK;

/* What a slot says of itself, readable without any secret: claims until it was opened. */
struct key_slot_facts {
    uint32_t number;
    int64_t created_us; /* 0: not said */
    enum key_kdf kdf;
    uint64_t n; /* scrypt */
    uint32_t r, p;
    uint32_t iterations; /* PBKDF2 */
};
/* Pure. Errors as key_slot_open(), but never ERR_KEY. */
int key_slot_describe(const void *slot, size_t len, struct key_slot_facts *facts,
                      struct err *err) MUST_CHECK;

#endif
