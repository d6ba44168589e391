#include "tests/lib/test.h"

#include <string.h>

#include "base/crypt.h"
#include "base/hash.h"
#include "base/mem.h"

static struct err err;

static void is_hex(const void *bytes, size_t len, const char *want)
{
    AUTO(buf_free) struct buf text = BUF_INIT;

    buf_hex(&text, bytes, len);
    assert_string_equal(text.p, want);
}

/* RFC 4231, test cases 1, 2 and 6 (a key longer than a block) */
static void hmac_gives_the_values_of_its_standard(void **state)
{
    static const char long_text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    uint8_t key[131], tag[CRYPT_TAG];

    (void)state;
    memset(key, 0x0b, 20);
    OK(crypt_hmac(key, 20, "Hi There", 8, tag, &err), &err);
    is_hex(tag, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    OK(crypt_hmac("Jefe", 4, "what do ya want for nothing?", 28, tag, &err), &err);
    is_hex(tag, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    OK(crypt_hmac(key, sizeof key, long_text, strlen(long_text), tag, &err), &err);
    is_hex(tag, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* RFC 5869, test cases 1 and 3, of which the first 32 bytes are asked for here. */
static void hkdf_gives_the_values_of_its_standard(void **state)
{
    static const char info[] = "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9";
    uint8_t key[22], salt[13], out[CRYPT_KEY];

    (void)state;
    memset(key, 0x0b, sizeof key);
    for (size_t i = 0; i < sizeof salt; i++)
        salt[i] = (uint8_t)i;
    OK(crypt_hkdf(key, sizeof key, salt, sizeof salt, info, out, &err), &err);
    is_hex(out, 32, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    OK(crypt_hkdf(key, sizeof key, NULL, 0, "", out, &err), &err);
    is_hex(out, 32, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

/* The keys of the test vector in the description of the repository format */
static void the_keys_of_a_repository_come_out(void **state)
{
    static const char label[] = "20260102T030405Z-F-0a1b2c";
    uint8_t repo_key[32], salt[32], out[CRYPT_KEY];
    static const uint8_t zeros[32];

    (void)state;
    for (size_t i = 0; i < sizeof repo_key; i++)
        repo_key[i] = (uint8_t)i;
    sha256(label, strlen(label), salt);
    OK(crypt_hkdf(repo_key, 32, salt, 32, "pgbr1 chunk enc", out, &err), &err);
    is_hex(out, 32, "41c10cfde73f8cf4cd98bd70581024033cb1364aab638606b43bb95209171803");
    OK(crypt_hkdf(repo_key, 32, salt, 32, "pgbr1 chunk mac", out, &err), &err);
    is_hex(out, 32, "8db77fbcc6f90d0bc4ad689ef3fa015a3309549c1ca5e9fa8c873df69a79af9e");
    OK(crypt_hkdf(repo_key, 32, zeros, 32, "pgbr1 wal content tag", out, &err), &err);
    is_hex(out, 32, "22f794ebc1a74ddbe8b0a779e69df5d82c5d513f28a7c232dfb78bf45d31920c");
}

/* Made with Python's hashlib, since the published values have salts of other lengths. */
static void passphrases_become_keys(void **state)
{
    uint8_t salt[32], out[CRYPT_KEY];

    (void)state;
    for (size_t i = 0; i < sizeof salt; i++)
        salt[i] = (uint8_t)i;
    OK(crypt_scrypt("correct horse", salt, 1024, 8, 1, out, &err), &err);
    is_hex(out, 32, "1fa1348854818a9e4e9037d04148d79bf80ee7ccc89564199957a2a783532f80");
    OK(crypt_scrypt("", salt, 16, 1, 3, out, &err), &err);
    is_hex(out, 32, "8ee42099b277f39862ad4c25d3c9bbdf6b98d773d1bfdace01a1ca24bc2c7d01");
    OK(crypt_pbkdf2("correct horse", salt, 1000, out, &err), &err);
    is_hex(out, 32, "67d13ea64761843ed78a407d66d0af0ddb745f3071ee473708fc89250a64d26e");
    OK(crypt_pbkdf2("", salt, 1, out, &err), &err);
    is_hex(out, 32, "fb05a61eb33a70da7b4adfeed38d2ad0f18a21096daaaa93607fcf97481f78aa");
}

/* 38 MB: more than OpenSSL grants scrypt without being asked. */
static void scrypt_gets_the_memory_it_needs(void **state)
{
    uint8_t salt[32] = {0}, out[CRYPT_KEY];

    (void)state;
    OK(crypt_scrypt("x", salt, 1 << 15, 8, 1, out, &err), &err);
}

static void scrypt_refuses_impossible_parameters(void **state)
{
    static const struct {
        uint64_t n;
        uint32_t r, p;
    } wrong[] = {{0, 8, 1},         {1, 8, 1},    {1000, 8, 1},
                 {1024, 0, 1},      {1024, 8, 0}, {UINT64_C(1) << 63, 8, 1},
                 {UINT64_MAX, 1, 1}};
    uint8_t salt[32] = {0}, out[CRYPT_KEY];

    (void)state;
    for (size_t i = 0; i < LENGTH(wrong); i++)
        FAILS(crypt_scrypt("x", salt, wrong[i].n, wrong[i].r, wrong[i].p, out, &err), &err,
              ERR_FAILED);
}

/* NIST SP 800-38A, F.2.5, with the block of padding behind it */
static void cbc_gives_the_values_of_its_standard(void **state)
{
    static const uint8_t key[32] = {0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe,
                                    0x2b, 0x73, 0xae, 0xf0, 0x85, 0x7d, 0x77, 0x81,
                                    0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7,
                                    0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4};
    static const uint8_t plain[32] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
                                      0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a,
                                      0xae, 0x2d, 0x8a, 0x57, 0x1e, 0x03, 0xac, 0x9c,
                                      0x9e, 0xb7, 0x6f, 0xac, 0x45, 0xaf, 0x8e, 0x51};
    AUTO(sealer_free) struct sealer *s = NULL;
    uint8_t iv[16], out[48];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof iv; i++)
        iv[i] = (uint8_t)i;
    OK(sealer_new(&s, key, key, &err), &err);
    for (int again = 0; again < 2; again++) { /* the IV is new each time, not chained */
        OK(sealer_encrypt(s, iv, plain, sizeof plain, out, &len, &err), &err);
        assert_int_equal(len, 48);
        is_hex(out, 32, "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d");
    }
}

static struct sealer *example_sealer(void)
{
    struct sealer *s = NULL;
    uint8_t enc_key[32] = {1}, mac_key[32] = {2};

    OK(sealer_new(&s, enc_key, mac_key, &err), &err);
    return s;
}

static void what_is_encrypted_comes_back(void **state)
{
    enum { MOST = 1000 };
    AUTO(sealer_free) struct sealer *s = example_sealer();
    uint8_t plain[MOST], sealed[MOST + 16], back[MOST + 16], iv[16];
    size_t sealed_len, back_len;

    (void)state;
    for (size_t len = 0; len < MOST; len += 7) {
        OK(crypt_random(plain, len, &err), &err);
        OK(crypt_random(iv, sizeof iv, &err), &err);
        OK(sealer_encrypt(s, iv, plain, len, sealed, &sealed_len, &err), &err);
        assert_int_equal(sealed_len, len / 16 * 16 + 16);
        OK(sealer_decrypt(s, iv, sealed, sealed_len, back, &back_len, &err), &err);
        assert_int_equal(back_len, len);
        assert_memory_equal(back, plain, len);
    }
}

static void a_damaged_message_is_refused_and_the_next_one_works(void **state)
{
    AUTO(sealer_free) struct sealer *s = example_sealer();
    uint8_t plain[40] = "forty bytes", iv[16] = {9}, sealed[48], back[48];
    size_t len;
    static const size_t wrong_lengths[] = {0, 1, 15, 17, 47};

    (void)state;
    OK(sealer_encrypt(s, iv, plain, sizeof plain, sealed, &len, &err), &err);
    for (size_t i = 0; i < LENGTH(wrong_lengths); i++)
        FAILS(sealer_decrypt(s, iv, sealed, wrong_lengths[i], back, &len, &err), &err, ERR_CORRUPT);
    sealed[31] ^= 0x40; /* turns the last byte of padding, 08, into 48 */
    FAILS(sealer_decrypt(s, iv, sealed, 48, back, &len, &err), &err, ERR_CORRUPT);
    sealed[31] ^= 0x40;
    OK(sealer_decrypt(s, iv, sealed, 48, back, &len, &err), &err);
    assert_memory_equal(back, plain, sizeof plain);
}

static void a_mac_over_pieces_is_that_of_the_whole(void **state)
{
    AUTO(sealer_free) struct sealer *s = example_sealer();
    static const uint8_t key[32] = {2};
    static const struct mac_piece pieces[] = {{"what do ", 8}, {NULL, 0}, {"ya want?", 8}};
    uint8_t whole[32], tag[32];

    (void)state;
    OK(crypt_hmac(key, 32, "what do ya want?", 16, whole, &err), &err);
    for (int again = 0; again < 2; again++) {
        OK(sealer_mac(s, pieces, LENGTH(pieces), tag, &err), &err);
        assert_true(crypt_equal(tag, whole, sizeof tag));
    }
    tag[31] ^= 1;
    assert_false(crypt_equal(tag, whole, sizeof tag));
}

static void random_bytes_fill_all_that_was_asked_for(void **state)
{
    uint8_t a[300] = {0}, b[300] = {0};
    size_t zeros = 0;

    (void)state;
    OK(crypt_random(a, sizeof a, &err), &err);
    OK(crypt_random(b, sizeof b, &err), &err);
    for (size_t i = 0; i < sizeof a; i++)
        zeros += a[i] == 0;
    assert_true(zeros < 30); /* by chance: never */
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_gives_the_values_of_its_standard),
        cmocka_unit_test(hkdf_gives_the_values_of_its_standard),
        cmocka_unit_test(the_keys_of_a_repository_come_out),
        cmocka_unit_test(passphrases_become_keys),
        cmocka_unit_test(scrypt_gets_the_memory_it_needs),
        cmocka_unit_test(scrypt_refuses_impossible_parameters),
        cmocka_unit_test(cbc_gives_the_values_of_its_standard),
        cmocka_unit_test(what_is_encrypted_comes_back),
        cmocka_unit_test(a_damaged_message_is_refused_and_the_next_one_works),
        cmocka_unit_test(a_mac_over_pieces_is_that_of_the_whole),
        cmocka_unit_test(random_bytes_fill_all_that_was_asked_for),
    };
    return cmocka_run_group_tests_name("crypt", tests, NULL, NULL);
}
