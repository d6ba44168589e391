/*
 * crypt.c - see crypt.h.
 *
 * HMAC is built here on the plain SHA256_ functions: they cannot fail, allocate nothing per call,
 * and save a starting process the half millisecond of an EVP fetch. Ciphers and key derivation come
 * from EVP, in a library context of their own, so that openssl.cnf is neither read nor able to stop
 * a restore; the default context, and with it TLS, keeps the system's settings.
 */
#define OPENSSL_API_COMPAT 10100 /* for SHA256_Init() and its kind */
#include "base/crypt.h"

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

static OSSL_LIB_CTX *library; /* made once, at first need; lives as long as the process */
static pthread_once_t library_made = PTHREAD_ONCE_INIT;

static void make_library(void)
{
    library = OSSL_LIB_CTX_new();
}

static OSSL_LIB_CTX *own_library(void)
{
    pthread_once(&library_made, make_library);
    return library;
}

/* Sets the error to what OpenSSL says last; its queue is emptied. */
static int fail(struct err *err, const char *what)
{
    char reason[160] = "no reason given";
    unsigned long code = ERR_peek_last_error();

    if (code != 0)
        ERR_error_string_n(code, reason, sizeof reason);
    ERR_clear_error();
    return err_set(err, ERR_FAILED, "openssl cannot %s: %s", what, reason);
}

int crypt_random(void *out, size_t len, struct err *err)
{
    uint8_t *p = out;

    while (len != 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno != EINTR)
            return err_sys(err, "cannot get random bytes");
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

bool crypt_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

/* HMAC (RFC 2104): the hash states after the two padded keys; each message starts from copies. */
struct hmac_key {
    SHA256_CTX inner, outer;
};

static void hmac_key_set(struct hmac_key *k, const void *key, size_t len)
{
    uint8_t block[SHA256_CBLOCK] = {0};

    if (len > sizeof block)
        SHA256(key, len, block);
    else if (len != 0)
        memcpy(block, key, len);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= 0x36;
    SHA256_Init(&k->inner);
    SHA256_Update(&k->inner, block, sizeof block);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= 0x36 ^ 0x5c;
    SHA256_Init(&k->outer);
    SHA256_Update(&k->outer, block, sizeof block);
    mem_wipe(block, sizeof block);
}

static void hmac_pieces(const struct hmac_key *k, const struct mac_piece *pieces, size_t n,
                        uint8_t tag[CRYPT_TAG])
{
    SHA256_CTX ctx = k->inner;

    for (size_t i = 0; i < n; i++)
        SHA256_Update(&ctx, pieces[i].data, pieces[i].len);
    SHA256_Final(tag, &ctx);
    ctx = k->outer;
    SHA256_Update(&ctx, tag, CRYPT_TAG);
    SHA256_Final(tag, &ctx);
}

int crypt_hmac(const void *key, size_t key_len, const void *data, size_t len,
               uint8_t tag[CRYPT_TAG], struct err *err)
{
    struct hmac_key k;

    (void)err;
    hmac_key_set(&k, key, key_len);
    hmac_pieces(&k, &(struct mac_piece){data, len}, 1, tag);
    mem_wipe(&k, sizeof k);
    return 0;
}

/* RFC 5869: extract, then the first and only block of expand. */
int crypt_hkdf(const void *key, size_t key_len, const void *salt, size_t salt_len, const char *info,
               uint8_t out[CRYPT_KEY], struct err *err)
{
    static const uint8_t one = 1;
    const struct mac_piece block[] = {{info, strlen(info)}, {&one, 1}};
    uint8_t extracted[CRYPT_TAG];
    struct hmac_key k;

    TRY(crypt_hmac(salt, salt_len, key, key_len, extracted, err));
    hmac_key_set(&k, extracted, sizeof extracted);
    hmac_pieces(&k, block, LENGTH(block), out);
    mem_wipe(extracted, sizeof extracted);
    mem_wipe(&k, sizeof k);
    return 0;
}

static void kdf_free(EVP_KDF_CTX **ctx)
{
    EVP_KDF_CTX_free(*ctx);
    *ctx = NULL;
}

static int derive(const char *algorithm, const OSSL_PARAM *params, uint8_t out[CRYPT_KEY],
                  struct err *err)
{
    AUTO(kdf_free) EVP_KDF_CTX *ctx = NULL;
    EVP_KDF *kdf = EVP_KDF_fetch(own_library(), algorithm, NULL);

    if (kdf != NULL)
        ctx = EVP_KDF_CTX_new(kdf); /* takes its own reference */
    EVP_KDF_free(kdf);
    if (ctx == NULL || EVP_KDF_derive(ctx, out, CRYPT_KEY, params) <= 0)
        return fail(err, "derive a key from the passphrase");
    return 0;
}

/* OpenSSL takes parameters without const and does not change them. */
static OSSL_PARAM octets(const char *name, const void *data, size_t len)
{
    return (OSSL_PARAM){name, OSSL_PARAM_OCTET_STRING, (void *)(uintptr_t)data, len, 0};
}

int crypt_scrypt(const char *passphrase, const uint8_t salt[32], uint64_t n, uint32_t r, uint32_t p,
                 uint8_t out[CRYPT_KEY], struct err *err)
{
    uint64_t memory;
    OSSL_PARAM params[7];

    /* N blocks, the p blocks they are mixed into, two of working space, and some to spare. */
    if (__builtin_add_overflow(n, (uint64_t)p + 8, &memory) ||
        __builtin_mul_overflow(memory, UINT64_C(128) * r, &memory))
        return err_set(err, ERR_FAILED, "scrypt with N %llu, r %u, p %u needs too much memory",
                       (unsigned long long)n, r, p);
    params[0] = octets(OSSL_KDF_PARAM_PASSWORD, passphrase, strlen(passphrase));
    params[1] = octets(OSSL_KDF_PARAM_SALT, salt, 32);
    params[2] = OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n);
    params[3] = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r);
    params[4] = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p);
    params[5] = OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory);
    params[6] = OSSL_PARAM_construct_end();
    return derive("SCRYPT", params, out, err);
}

int crypt_pbkdf2(const char *passphrase, const uint8_t salt[32], uint32_t iterations,
                 uint8_t out[CRYPT_KEY], struct err *err)
{
    static char digest[] = "SHA2-256";
    int no_pkcs5_minimums = 1; /* the caller decides what is enough */
    OSSL_PARAM params[6];

    params[0] = octets(OSSL_KDF_PARAM_PASSWORD, passphrase, strlen(passphrase));
    params[1] = octets(OSSL_KDF_PARAM_SALT, salt, 32);
    params[2] = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ITER, &iterations);
    params[3] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    params[4] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5, &no_pkcs5_minimums);
    params[5] = OSSL_PARAM_construct_end();
    return derive("PBKDF2", params, out, err);
}

struct sealer {
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *encrypt, *decrypt; /* made at first use, with the key in them */
    struct hmac_key mac;
    uint8_t enc_key[CRYPT_KEY];
};

int sealer_new(struct sealer **s, const uint8_t enc_key[CRYPT_KEY],
               const uint8_t mac_key[CRYPT_KEY], struct err *err)
{
    AUTO(sealer_free) struct sealer *made = xcalloc(1, sizeof *made);

    memcpy(made->enc_key, enc_key, CRYPT_KEY);
    hmac_key_set(&made->mac, mac_key, CRYPT_KEY);
    made->cipher = EVP_CIPHER_fetch(own_library(), "AES-256-CBC", NULL);
    if (made->cipher == NULL)
        return fail(err, "provide AES-256-CBC");
    *s = TAKE(made);
    return 0;
}

void sealer_free(struct sealer **s)
{
    if (*s == NULL)
        return;
    EVP_CIPHER_CTX_free((*s)->encrypt); /* wipes its copy of the key */
    EVP_CIPHER_CTX_free((*s)->decrypt);
    EVP_CIPHER_free((*s)->cipher);
    mem_wipe(*s, sizeof **s);
    free(*s);
    *s = NULL;
}

/* Readies *ctx for one message: the key is scheduled once, then only the IV changes. */
static int begin(struct sealer *s, EVP_CIPHER_CTX **ctx, int encrypt, const uint8_t iv[CRYPT_IV])
{
    if (*ctx != NULL)
        return EVP_CipherInit_ex2(*ctx, NULL, NULL, iv, encrypt, NULL);
    *ctx = EVP_CIPHER_CTX_new();
    return *ctx != NULL && EVP_CipherInit_ex2(*ctx, s->cipher, s->enc_key, iv, encrypt, NULL);
}

/* EVP counts in int. */
static int check_length(size_t len, struct err *err)
{
    if (len > INT_MAX - CRYPT_BLOCK)
        return err_set(err, ERR_FAILED, "%zu bytes are too many for one message of AES-256-CBC",
                       len);
    return 0;
}

int sealer_encrypt(struct sealer *s, const uint8_t iv[CRYPT_IV], const void *plain, size_t len,
                   void *out, size_t *out_len, struct err *err)
{
    int body = 0, last = 0;

    TRY(check_length(len, err));
    if (!begin(s, &s->encrypt, 1, iv) ||
        !EVP_EncryptUpdate(s->encrypt, out, &body, plain, (int)len) ||
        !EVP_EncryptFinal_ex(s->encrypt, (uint8_t *)out + body, &last))
        return fail(err, "encrypt");
    *out_len = (size_t)body + (size_t)last;
    return 0;
}

int sealer_decrypt(struct sealer *s, const uint8_t iv[CRYPT_IV], const void *ciphertext, size_t len,
                   void *out, size_t *out_len, struct err *err)
{
    int body = 0, last = 0;

    if (len == 0 || len % CRYPT_BLOCK != 0)
        return err_set(err, ERR_CORRUPT,
                       "encrypted text of %zu bytes, expected a positive multiple of %d", len,
                       CRYPT_BLOCK);
    TRY(check_length(len, err));
    if (!begin(s, &s->decrypt, 0, iv) ||
        !EVP_DecryptUpdate(s->decrypt, out, &body, ciphertext, (int)len))
        return fail(err, "decrypt");
    if (!EVP_DecryptFinal_ex(s->decrypt, (uint8_t *)out + body, &last)) {
        ERR_clear_error();
        return err_set(err, ERR_CORRUPT, "encrypted text of %zu bytes ends in bad padding", len);
    }
    *out_len = (size_t)body + (size_t)last;
    return 0;
}

int sealer_mac(struct sealer *s, const struct mac_piece *pieces, size_t n, uint8_t tag[CRYPT_TAG],
               struct err *err)
{
    (void)err;
    hmac_pieces(&s->mac, pieces, n, tag);
    return 0;
}
