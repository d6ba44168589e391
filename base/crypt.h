/*
 * crypt.h - AES-256-CBC, HMAC-SHA-256, HKDF (RFC 5869), scrypt, PBKDF2 and random bytes, by
 * OpenSSL 3.
 *
 * Contexts are made once per worker and used for every chunk, nothing is allocated per call. The
 * first sealer of a process takes OpenSSL about a millisecond, hashes and MACs take none of that.
 * Failures of the library itself (no memory, no provider) are errors, never silent.
 */
#ifndef PGBR_BASE_CRYPT_H
#define PGBR_BASE_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { CRYPT_KEY = 32, CRYPT_IV = 16, CRYPT_TAG = 32, CRYPT_BLOCK = 16 };

int crypt_random(void *out, size_t len, struct err *err) MUST_CHECK; /* getrandom(2) */

/* HMAC-SHA-256 in one go. (This, HKDF and sealer_mac have nothing that could fail at present.) */
int crypt_hmac(const void *key, size_t key_len, const void *data, size_t len,
               uint8_t tag[CRYPT_TAG], struct err *err) MUST_CHECK;
/* HKDF-SHA-256 with 32 bytes out. */
int crypt_hkdf(const void *key, size_t key_len, const void *salt, size_t salt_len, const char *info,
               uint8_t out[CRYPT_KEY], struct err *err) MUST_CHECK;
/* n a power of two; needs 128 * n * r bytes of memory. Callers cap hostile parameters; what cannot
 * work at all is ERR_FAILED. */
int crypt_scrypt(const char *passphrase, const uint8_t salt[32], uint64_t n, uint32_t r, uint32_t p,
                 uint8_t out[CRYPT_KEY], struct err *err) MUST_CHECK;
int crypt_pbkdf2(const char *passphrase, const uint8_t salt[32], uint32_t iterations,
                 uint8_t out[CRYPT_KEY], struct err *err) MUST_CHECK;
bool crypt_equal(const void *a, const void *b, size_t len); /* constant time */

/* Encrypt-then-MAC with fixed keys: one context per worker and key pair. Keys are copied and wiped
 * on free. */
struct sealer;
int sealer_new(struct sealer **s, const uint8_t enc_key[CRYPT_KEY],
               const uint8_t mac_key[CRYPT_KEY], struct err *err) MUST_CHECK;
void sealer_free(struct sealer **s);
/* AES-256-CBC with PKCS#7: out gets len rounded up to the next multiple of 16 (always more than
 * len). */
int sealer_encrypt(struct sealer *s, const uint8_t iv[CRYPT_IV], const void *plain, size_t len,
                   void *out, size_t *out_len, struct err *err) MUST_CHECK;
/* out: separate memory of at least len bytes. Bad padding: ERR_CORRUPT. */
int sealer_decrypt(struct sealer *s, const uint8_t iv[CRYPT_IV], const void *ciphertext, size_t len,
                   void *out, size_t *out_len, struct err *err) MUST_CHECK;
/* HMAC-SHA-256 over pieces, in order. */
struct mac_piece {
    const void *data;
    size_t len;
};
int sealer_mac(struct sealer *s, const struct mac_piece *pieces, size_t n, uint8_t tag[CRYPT_TAG],
               struct err *err) MUST_CHECK;

#endif
