/*
 * key.c - see key.h.
 *
 * A slot is a list of fields as in all small bodies (docs/format.md, "Key slot"), the last
 * of which is a MAC over the ones before it. Nothing in it is used for work before its limits are
 * checked: the KDF's parameters are read before any MAC can be.
 */
#include "repo/object/key.h"

#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "repo/object/fields.h"

enum {
    SCRYPT_N = 1 << 15,
    SCRYPT_R = 8,
    SCRYPT_P = 1,
    SCRYPT_P_MAX = 16,
    PBKDF2_ITERATIONS = 600000,
    PBKDF2_MAX = 100000000,
    SALT = 32,
    SECRET = REPO_KEY_SIZE + REPO_ID_SIZE,    /* what a slot wraps */
    SEALED = CRYPT_IV + SECRET + CRYPT_BLOCK, /* with PKCS#7 */
    KEY_FILE_MIN = 32,
    KEY_FILE_MAX = 64 << 10,
};
#define SCRYPT_MEMORY_MAX (UINT64_C(1) << 30)
#define CREATED_MAX (INT64_C(1) << 56) /* microseconds: the year 4253 */

enum {
    SLOT_NUMBER = 1,
    SLOT_CREATED = 2,
    SLOT_KDF = 3,
    SLOT_PARAMETERS = 5,
    SLOT_SALT = 7,
    SLOT_SEALED = 9,
    SLOT_MAC = 15,
};

void repo_key_wipe(struct repo_key *k)
{
    mem_wipe(k, sizeof *k);
}

static const uint8_t no_salt[32];

int key_chunk_enc(const struct repo_key *k, const char *label, uint8_t out[32], struct err *err)
{
    uint8_t salt[32];

    sha256(label, strlen(label), salt);
    return crypt_hkdf(k->bytes, sizeof k->bytes, salt, sizeof salt, "pgbr1 chunk enc", out, err);
}

int key_chunk_mac(const struct repo_key *k, const char *label, uint8_t out[32], struct err *err)
{
    uint8_t salt[32];

    sha256(label, strlen(label), salt);
    return crypt_hkdf(k->bytes, sizeof k->bytes, salt, sizeof salt, "pgbr1 chunk mac", out, err);
}

int key_wal_tag(const struct repo_key *k, uint8_t out[32], struct err *err)
{
    return crypt_hkdf(k->bytes, sizeof k->bytes, no_salt, sizeof no_salt, "pgbr1 wal content tag",
                      out, err);
}

int key_descriptor_mac(const struct repo_key *k, uint8_t out[32], struct err *err)
{
    return crypt_hkdf(k->bytes, sizeof k->bytes, no_salt, sizeof no_salt, "pgbr1 descriptor mac",
                      out, err);
}

struct kdf {
    enum key_kdf kind;
    uint64_t n; /* scrypt */
    uint32_t r, p;
    uint32_t iterations; /* PBKDF2 */
    uint8_t salt[SALT];
};

/* What a slot says; pointers into its bytes. */
struct slot {
    uint32_t number;
    int64_t created_us;
    struct kdf kdf;
    const uint8_t *sealed; /* SEALED bytes */
    struct mac_fields mac;
};

/* The keys that a passphrase or key file gives for one slot. */
struct slot_keys {
    uint8_t enc[CRYPT_KEY], mac[CRYPT_KEY];
};

static void slot_keys_wipe(struct slot_keys *k)
{
    mem_wipe(k, sizeof *k);
}

static void wipe_buf(struct buf *b)
{
    if (b->p != NULL)
        mem_wipe(b->p, b->cap);
    buf_free(b);
}

static void kdf_add_parameters(struct buf *body, const struct kdf *kdf)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    if (kdf->kind == KDF_SCRYPT) {
        buf_uv(&b, kdf->n);
        buf_uv(&b, kdf->r);
        buf_uv(&b, kdf->p);
    } else if (kdf->kind == KDF_PBKDF2) {
        buf_uv(&b, kdf->iterations);
    }
    field_bytes(body, SLOT_PARAMETERS, b.p, b.len);
}

static bool power_of_two(uint64_t n)
{
    return n >= 2 && (n & (n - 1)) == 0;
}

static int kdf_parse_parameters(struct kdf *kdf, struct cursor in, struct err *err)
{
    uint64_t memory = 0;
    bool fine = true;

    if (kdf->kind == KDF_SCRYPT) {
        kdf->n = cur_uv(&in);
        kdf->r = (uint32_t)cur_uv_max(&in, UINT32_MAX);
        kdf->p = (uint32_t)cur_uv_max(&in, UINT32_MAX);
        fine = power_of_two(kdf->n) && kdf->r >= 1 && kdf->p >= 1 && kdf->p <= SCRYPT_P_MAX &&
               !__builtin_mul_overflow(kdf->n, UINT64_C(128) * kdf->r, &memory) &&
               memory <= SCRYPT_MEMORY_MAX;
    } else if (kdf->kind == KDF_PBKDF2) {
        kdf->iterations = (uint32_t)cur_uv_max(&in, PBKDF2_MAX);
        fine = kdf->iterations >= 1;
    }
    if (fine && cur_done(&in))
        return 0;
    return err_set(err, ERR_CORRUPT,
                   "key slot with impossible or hostile parameters (scrypt: 1 GiB and p 16 at "
                   "most; PBKDF2: %d iterations at most)",
                   PBKDF2_MAX);
}

static int wrong_field(const struct field *f, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "key slot: field %u has %zu bytes or a wrong value", f->tag,
                   f->len);
}

static int slot_field(const struct field *f, struct slot *s, struct cursor *parameters,
                      struct err *err)
{
    struct cursor in = cursor_of(f->p, f->len);

    switch (f->tag) {
    case SLOT_NUMBER:
        s->number = (uint32_t)cur_uv_max(&in, UINT32_MAX);
        return cur_done(&in) ? 0 : wrong_field(f, err);
    case SLOT_CREATED:
        s->created_us = (int64_t)cur_u64(&in);
        return cur_done(&in) ? 0 : wrong_field(f, err);
    case SLOT_KDF:
        s->kdf.kind = (enum key_kdf)cur_uv_max(&in, 255);
        if (!cur_done(&in))
            return wrong_field(f, err);
        if (s->kdf.kind < KDF_SCRYPT || s->kdf.kind > KDF_FILE)
            return err_set(err, ERR_UNSUPPORTED, "key slot: key derivation %d is not known",
                           (int)s->kdf.kind);
        return 0;
    case SLOT_PARAMETERS:
        *parameters = in;
        return 0;
    case SLOT_SALT:
        if (f->len != SALT)
            return wrong_field(f, err);
        memcpy(s->kdf.salt, f->p, SALT);
        return 0;
    case SLOT_SEALED:
        s->sealed = f->p;
        return f->len == SEALED ? 0 : wrong_field(f, err);
    default:
        return field_unknown(f, "key slot", err);
    }
}

static int slot_parse(const void *bytes, size_t len, struct slot *s, struct err *err)
{
    static const unsigned needed[] = {SLOT_NUMBER, SLOT_KDF, SLOT_PARAMETERS, SLOT_SALT,
                                      SLOT_SEALED};
    struct cursor parameters = cursor_of("", 0);
    struct fields in;
    struct field f;
    int more;

    *s = (struct slot){0};
    TRY(mac_fields_split(bytes, len, SLOT_MAC, "key slot", &s->mac, err));
    if (s->mac.tag == NULL)
        return err_set(err, ERR_CORRUPT, "key slot without a MAC");
    fields_begin(&in, s->mac.body, s->mac.body_len, "key slot");
    while ((more = fields_next(&in, &f, err)) > 0)
        TRY(slot_field(&f, s, &parameters, err));
    TRY(more);
    TRY(fields_need(&in, needed, LENGTH(needed), err));
    return kdf_parse_parameters(&s->kdf, parameters, err);
}

static int read_key_file(const char *path, struct buf *out, struct err *err)
{
    TRY(fs_read_file(AT_FDCWD, path, KEY_FILE_MAX, out, err));
    if (out->len < KEY_FILE_MIN)
        return err_set(err, ERR_KEY,
                       "key file \"%s\" has %zu bytes, at least %d are needed (make one with "
                       "\"head -c 32 /dev/urandom\")",
                       path, out->len, KEY_FILE_MIN);
    return 0;
}

static int derive_from_file(const struct kdf *kdf, const char *path, uint8_t out[CRYPT_KEY],
                            struct err *err)
{
    AUTO(wipe_buf) struct buf content = BUF_INIT;

    TRY(read_key_file(path, &content, err));
    return crypt_hkdf(content.p, content.len, kdf->salt, SALT, "pgbr1 key file", out, err);
}

static int derive(const struct kdf *kdf, const struct key_secret *secret, uint8_t out[CRYPT_KEY],
                  struct err *err)
{
    if (secret->passphrase == NULL && secret->key_file == NULL)
        return err_set(err, ERR_KEY, "no passphrase and no key file is given");
    if ((kdf->kind == KDF_FILE) != (secret->passphrase == NULL))
        return err_set(err, ERR_KEY, "the key slot is opened by a %s, but a %s is given",
                       kdf->kind == KDF_FILE ? "key file" : "passphrase",
                       kdf->kind == KDF_FILE ? "passphrase" : "key file");
    if (kdf->kind == KDF_FILE)
        return derive_from_file(kdf, secret->key_file, out, err);
    if (kdf->kind == KDF_SCRYPT)
        return crypt_scrypt(secret->passphrase, kdf->salt, kdf->n, kdf->r, kdf->p, out, err);
    return crypt_pbkdf2(secret->passphrase, kdf->salt, kdf->iterations, out, err);
}

static int slot_keys(const struct kdf *kdf, const struct key_secret *secret, struct slot_keys *k,
                     struct err *err)
{
    uint8_t derived[CRYPT_KEY];
    int result;

    TRY(derive(kdf, secret, derived, err));
    result =
        crypt_hkdf(derived, sizeof derived, no_salt, sizeof no_salt, "pgbr1 slot enc", k->enc, err);
    if (result == 0)
        result = crypt_hkdf(derived, sizeof derived, no_salt, sizeof no_salt, "pgbr1 slot mac",
                            k->mac, err);
    mem_wipe(derived, sizeof derived);
    return result;
}

/* scrypt, or PBKDF2 where the provider (FIPS) has none. */
static int choose_kdf(const struct key_secret *secret, struct kdf *kdf, struct slot_keys *k,
                      struct err *err)
{
    TRY(crypt_random(kdf->salt, SALT, err));
    if (secret->passphrase == NULL) {
        kdf->kind = KDF_FILE;
        return slot_keys(kdf, secret, k, err);
    }
    kdf->kind = KDF_SCRYPT;
    kdf->n = SCRYPT_N;
    kdf->r = SCRYPT_R;
    kdf->p = SCRYPT_P;
    if (slot_keys(kdf, secret, k, err) == 0)
        return 0;
    err_clear(err);
    kdf->kind = KDF_PBKDF2;
    kdf->iterations = PBKDF2_ITERATIONS;
    return slot_keys(kdf, secret, k, err);
}

static int seal(const struct slot_keys *keys, const struct repo_key *k,
                const uint8_t repo_id[REPO_ID_SIZE], uint8_t out[SEALED], struct err *err)
{
    AUTO(sealer_free) struct sealer *s = NULL;
    uint8_t plain[SECRET];
    size_t len;
    int result;

    TRY(sealer_new(&s, keys->enc, keys->mac, err));
    TRY(crypt_random(out, CRYPT_IV, err));
    memcpy(plain, k->bytes, REPO_KEY_SIZE);
    memcpy(plain + REPO_KEY_SIZE, repo_id, REPO_ID_SIZE);
    result = sealer_encrypt(s, out, plain, sizeof plain, out + CRYPT_IV, &len, err);
    mem_wipe(plain, sizeof plain);
    return result;
}

static int unseal(const struct slot_keys *keys, const uint8_t sealed[SEALED], struct repo_key *k,
                  uint8_t repo_id[REPO_ID_SIZE], struct err *err)
{
    AUTO(sealer_free) struct sealer *s = NULL;
    uint8_t plain[SEALED];
    size_t len = 0;
    int result;

    TRY(sealer_new(&s, keys->enc, keys->mac, err));
    result = sealer_decrypt(s, sealed, sealed + CRYPT_IV, SEALED - CRYPT_IV, plain, &len, err);
    if (result == 0 && len != SECRET)
        result = err_set(err, ERR_CORRUPT, "key slot wraps %zu bytes, expected %d", len, SECRET);
    if (result == 0) {
        memcpy(k->bytes, plain, REPO_KEY_SIZE);
        memcpy(repo_id, plain + REPO_KEY_SIZE, REPO_ID_SIZE);
    }
    mem_wipe(plain, sizeof plain);
    return result;
}

static const char slot_mac_purpose[] = "pgbr1 key slot";

int key_slot_make(uint32_t slot, const struct key_secret *secret, const struct repo_key *k,
                  const uint8_t repo_id[REPO_ID_SIZE], struct buf *out, struct err *err)
{
    AUTO(slot_keys_wipe) struct slot_keys keys;
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct kdf kdf = {0};
    uint8_t sealed[SEALED];

    TRY(choose_kdf(secret, &kdf, &keys, err));
    TRY(seal(&keys, k, repo_id, sealed, err));
    field_uv(&body, SLOT_NUMBER, slot);
    field_u64(&body, SLOT_CREATED, (uint64_t)clock_now_us());
    field_uv(&body, SLOT_KDF, kdf.kind);
    kdf_add_parameters(&body, &kdf);
    field_bytes(&body, SLOT_SALT, kdf.salt, SALT);
    field_bytes(&body, SLOT_SEALED, sealed, SEALED);
    TRY(mac_fields_add(&body, SLOT_MAC, keys.mac, slot_mac_purpose, err));
    buf_add(out, body.p, body.len);
    return 0;
}

int key_slot_open(const void *slot, size_t len, const struct key_secret *secret, struct repo_key *k,
                  uint8_t repo_id[REPO_ID_SIZE], struct err *err)
{
    AUTO(slot_keys_wipe) struct slot_keys keys;
    struct slot s;

    TRY(slot_parse(slot, len, &s, err));
    TRY(slot_keys(&s.kdf, secret, &keys, err));
    TRY(mac_fields_check(&s.mac, keys.mac, slot_mac_purpose, "key slot", err));
    return unseal(&keys, s.sealed, k, repo_id, err);
}

int key_slot_describe(const void *slot, size_t len, struct key_slot_facts *facts, struct err *err)
{
    struct slot s;

    TRY(slot_parse(slot, len, &s, err));
    *facts = (struct key_slot_facts){
        .number = s.number,
        .created_us = s.created_us >= 0 && s.created_us < CREATED_MAX ? s.created_us : 0,
        .kdf = s.kdf.kind,
        .n = s.kdf.n,
        .r = s.kdf.r,
        .p = s.kdf.p,
        .iterations = s.kdf.iterations,
    };
    return 0;
}
