#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/fs.h"
#include "repo/object/fields.h"
#include "repo/object/key.h"

static struct err err;
static const uint8_t repo_id_example[REPO_ID_SIZE] = "0123456789abcde";
static char key_file[64], other_file[64], short_file[64];

static int make_files(void **state)
{
    uint8_t content[40];

    (void)state;
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (uint8_t)i;
    snprintf(key_file, sizeof key_file, "/tmp/pgbr-test-key-%d-a", (int)getpid());
    snprintf(other_file, sizeof other_file, "/tmp/pgbr-test-key-%d-b", (int)getpid());
    snprintf(short_file, sizeof short_file, "/tmp/pgbr-test-key-%d-c", (int)getpid());
    OK(fs_replace(AT_FDCWD, key_file, content, sizeof content, 0600, &err), &err);
    OK(fs_replace(AT_FDCWD, short_file, content, 31, 0600, &err), &err);
    content[39] ^= 1;
    return fs_replace(AT_FDCWD, other_file, content, sizeof content, 0600, &err);
}

static int remove_files(void **state)
{
    (void)state;
    unlink(key_file);
    unlink(other_file);
    unlink(short_file);
    return 0;
}

static struct repo_key key_example(void)
{
    struct repo_key k;

    for (size_t i = 0; i < sizeof k.bytes; i++)
        k.bytes[i] = (uint8_t)i;
    return k;
}

static void is_hex(const void *data, size_t len, const char *expected)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    buf_hex(&b, data, len);
    assert_string_equal(buf_text(&b), expected);
}

static void subkeys_are_those_of_the_specification(void **state)
{
    const struct repo_key k = key_example();
    uint8_t out[32];

    (void)state;
    OK(key_chunk_enc(&k, "20260102T030405Z-F-0a1b2c", out, &err), &err);
    is_hex(out, 32, "41c10cfde73f8cf4cd98bd70581024033cb1364aab638606b43bb95209171803");
    OK(key_chunk_mac(&k, "20260102T030405Z-F-0a1b2c", out, &err), &err);
    is_hex(out, 32, "8db77fbcc6f90d0bc4ad689ef3fa015a3309549c1ca5e9fa8c873df69a79af9e");
    OK(key_wal_tag(&k, out, &err), &err);
    is_hex(out, 32, "22f794ebc1a74ddbe8b0a779e69df5d82c5d513f28a7c232dfb78bf45d31920c");
}

static void subkeys_differ_by_purpose_and_label(void **state)
{
    const struct repo_key k = key_example();
    uint8_t keys[6][32];

    (void)state;
    OK(key_chunk_enc(&k, "a", keys[0], &err), &err);
    OK(key_chunk_enc(&k, "b", keys[1], &err), &err);
    OK(key_chunk_mac(&k, "a", keys[2], &err), &err);
    OK(key_chunk_mac(&k, "b", keys[3], &err), &err);
    OK(key_wal_tag(&k, keys[4], &err), &err);
    OK(key_descriptor_mac(&k, keys[5], &err), &err);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(keys[i], keys[j], 32);
}

static void opens(const struct buf *slot, const struct key_secret *secret)
{
    const struct repo_key expected = key_example();
    uint8_t id[REPO_ID_SIZE];
    struct repo_key k;

    OK(key_slot_open(slot->p, slot->len, secret, &k, id, &err), &err);
    assert_memory_equal(k.bytes, expected.bytes, REPO_KEY_SIZE);
    assert_memory_equal(id, repo_id_example, REPO_ID_SIZE);
}

static void refuses(const struct buf *slot, const struct key_secret *secret, enum err_code why)
{
    uint8_t id[REPO_ID_SIZE];
    struct repo_key k;

    FAILS(key_slot_open(slot->p, slot->len, secret, &k, id, &err), &err, why);
}

static void make(const struct key_secret *secret, struct buf *slot)
{
    const struct repo_key k = key_example();

    OK(key_slot_make(0, secret, &k, repo_id_example, slot, &err), &err);
}

static void a_passphrase_opens_the_slot_it_made(void **state)
{
    const struct key_secret right = {.passphrase = "correct horse"},
                            wrong = {.passphrase = "correct horsf"}, empty = {.passphrase = ""},
                            file = {.key_file = key_file};
    AUTO(buf_free) struct buf slot = BUF_INIT;

    (void)state;
    make(&right, &slot);
    opens(&slot, &right);
    refuses(&slot, &wrong, ERR_KEY);
    refuses(&slot, &empty, ERR_KEY);
    refuses(&slot, &file, ERR_KEY);
    refuses(&slot, &(struct key_secret){0}, ERR_KEY);
}

static void a_key_file_opens_the_slot_it_made(void **state)
{
    const struct key_secret right = {.key_file = key_file}, wrong = {.key_file = other_file},
                            missing = {.key_file = "/nonexistent/key"},
                            too_short = {.key_file = short_file}, passphrase = {.passphrase = "x"};
    AUTO(buf_free) struct buf slot = BUF_INIT;

    (void)state;
    make(&right, &slot);
    opens(&slot, &right);
    refuses(&slot, &wrong, ERR_KEY);
    refuses(&slot, &missing, ERR_NOT_FOUND);
    refuses(&slot, &too_short, ERR_KEY);
    assert_non_null(strstr(err.msg, short_file));
    refuses(&slot, &passphrase, ERR_KEY);
}

static void two_slots_of_one_secret_share_no_bytes_that_matter(void **state)
{
    const struct key_secret secret = {.key_file = key_file};
    AUTO(buf_free) struct buf a = BUF_INIT, b = BUF_INIT;

    (void)state;
    make(&secret, &a);
    make(&secret, &b);
    assert_int_equal(a.len, b.len);
    /* Sealed part and MAC are the last 80 + 34 bytes. */
    assert_memory_not_equal(a.p + a.len - 32, b.p + b.len - 32, 32);
    assert_memory_not_equal(a.p + a.len - 34 - 80, b.p + b.len - 34 - 80, 80);
}

static void the_key_is_not_in_the_slot(void **state)
{
    const struct key_secret secret = {.key_file = key_file};
    const struct repo_key k = key_example();
    AUTO(buf_free) struct buf slot = BUF_INIT;

    (void)state;
    make(&secret, &slot);
    assert_null(memmem(slot.p, slot.len, k.bytes, 8));
    assert_null(memmem(slot.p, slot.len, repo_id_example, 8));
}

static void every_altered_bit_is_refused(void **state)
{
    const struct key_secret secret = {.key_file = key_file};
    AUTO(buf_free) struct buf slot = BUF_INIT;
    uint8_t id[REPO_ID_SIZE];
    struct repo_key k;

    (void)state;
    make(&secret, &slot);
    for (size_t bit = 0; bit < slot.len * 8; bit++) {
        slot.p[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(key_slot_open(slot.p, slot.len, &secret, &k, id, &err), -1);
        assert_true(err.code == ERR_KEY || err.code == ERR_CORRUPT || err.code == ERR_UNSUPPORTED);
        slot.p[bit / 8] ^= (char)(1 << bit % 8);
    }
    opens(&slot, &secret);
}

static void every_truncation_is_refused(void **state)
{
    const struct key_secret secret = {.key_file = key_file};
    AUTO(buf_free) struct buf slot = BUF_INIT;
    uint8_t id[REPO_ID_SIZE];
    struct repo_key k;

    (void)state;
    make(&secret, &slot);
    for (size_t len = 0; len < slot.len; len++)
        FAILS(key_slot_open(slot.p, len, &secret, &k, id, &err), &err, ERR_CORRUPT);
    buf_addc(&slot, '\0');
    refuses(&slot, &secret, ERR_CORRUPT);
}

/* A slot with these KDF parameters and a MAC that cannot be right. */
static void hostile_slot(unsigned kdf, const uint64_t *values, size_t n, struct buf *slot)
{
    AUTO(buf_free) struct buf parameters = BUF_INIT;
    static const uint8_t zeros[80];

    for (size_t i = 0; i < n; i++)
        buf_uv(&parameters, values[i]);
    field_uv(slot, 1, 0);
    field_uv(slot, 3, kdf);
    field_bytes(slot, 5, parameters.p, parameters.len);
    field_bytes(slot, 7, zeros, 32);
    field_bytes(slot, 9, zeros, 80);
    field_bytes(slot, 15, zeros, 32);
}

static void hostile_parameters_are_refused_before_any_work(void **state)
{
    static const struct {
        unsigned kdf;
        uint64_t values[4];
        size_t n;
        enum err_code why;
    } cases[] = {
        {1, {1 << 21, 8, 1}, 3, ERR_CORRUPT}, /* 2 GiB */
        {1, {UINT64_C(1) << 40, 8, 1}, 3, ERR_CORRUPT},
        {1, {2, UINT32_MAX, 1}, 3, ERR_CORRUPT},
        {1, {UINT64_C(1) << 63, UINT32_MAX, 1}, 3, ERR_CORRUPT},
        {1, {1 << 15, 8, 17}, 3, ERR_CORRUPT},
        {1, {1 << 15, 8, 0}, 3, ERR_CORRUPT},
        {1, {1 << 15, 0, 1}, 3, ERR_CORRUPT},
        {1, {0, 8, 1}, 3, ERR_CORRUPT},
        {1, {1, 8, 1}, 3, ERR_CORRUPT},
        {1, {1000, 8, 1}, 3, ERR_CORRUPT}, /* no power of two */
        {1, {1 << 15, 8}, 2, ERR_CORRUPT},
        {1, {1 << 15, 8, 1, 1}, 4, ERR_CORRUPT},
        {1, {16, 8, 1}, 3, ERR_KEY}, /* harmless, but the MAC is wrong */
        {2, {100000001}, 1, ERR_CORRUPT},
        {2, {0}, 1, ERR_CORRUPT},
        {2, {0}, 0, ERR_CORRUPT},
        {2, {1}, 1, ERR_KEY},
        {3, {1}, 1, ERR_CORRUPT},
        {0, {0}, 0, ERR_UNSUPPORTED},
        {4, {0}, 0, ERR_UNSUPPORTED},
    };
    const struct key_secret secret = {.passphrase = "x"};

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf slot = BUF_INIT;
        hostile_slot(cases[i].kdf, cases[i].values, cases[i].n, &slot);
        refuses(&slot, &secret, cases[i].why);
    }
}

static void the_largest_allowed_scrypt_memory_is_accepted_by_the_parser(void **state)
{
    const uint64_t values[] = {1 << 20, 8, 1}; /* 1 GiB */
    const struct key_secret file = {.key_file = key_file};
    AUTO(buf_free) struct buf slot = BUF_INIT;

    (void)state;
    hostile_slot(1, values, 3, &slot);
    refuses(&slot, &file, ERR_KEY); /* of the wrong kind, not of wrong parameters */
}

static void a_slot_tells_what_it_is_without_a_secret(void **state)
{
    const struct key_secret passphrase = {.passphrase = "x"}, file = {.key_file = key_file};
    AUTO(buf_free) struct buf a = BUF_INIT, b = BUF_INIT, c = BUF_INIT;
    const int64_t before = clock_now_us();
    struct key_slot_facts facts;

    (void)state;
    make(&passphrase, &a);
    OK(key_slot_describe(a.p, a.len, &facts, &err), &err);
    assert_int_equal(facts.kdf, KDF_SCRYPT);
    assert_int_equal(facts.n, 1 << 15);
    assert_int_equal(facts.r, 8);
    assert_int_equal(facts.p, 1);
    assert_int_equal(facts.number, 0);
    assert_in_range(facts.created_us, before, clock_now_us());
    make(&file, &b);
    OK(key_slot_describe(b.p, b.len, &facts, &err), &err);
    assert_int_equal(facts.kdf, KDF_FILE);
    hostile_slot(1, (const uint64_t[]){1 << 21, 8, 1}, 3, &c);
    FAILS(key_slot_describe(c.p, c.len, &facts, &err), &err, ERR_CORRUPT);
}

static void a_time_of_creation_that_cannot_be_is_none(void **state)
{
    static const uint64_t times[] = {UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 56};
    static const uint8_t zeros[80];
    struct key_slot_facts facts;

    (void)state;
    for (size_t i = 0; i < LENGTH(times); i++) {
        AUTO(buf_free) struct buf slot = BUF_INIT;
        field_uv(&slot, 1, 0);
        field_u64(&slot, 2, times[i]);
        field_uv(&slot, 3, KDF_FILE);
        field_bytes(&slot, 5, "", 0);
        field_bytes(&slot, 7, zeros, 32);
        field_bytes(&slot, 9, zeros, 80);
        field_bytes(&slot, 15, zeros, 32);
        OK(key_slot_describe(slot.p, slot.len, &facts, &err), &err);
        assert_int_equal(facts.created_us, 0);
    }
}

static void a_wiped_key_is_gone(void **state)
{
    static const struct repo_key zeros;
    struct repo_key k = key_example();

    (void)state;
    repo_key_wipe(&k);
    assert_memory_equal(&k, &zeros, sizeof k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subkeys_are_those_of_the_specification),
        cmocka_unit_test(subkeys_differ_by_purpose_and_label),
        cmocka_unit_test(a_passphrase_opens_the_slot_it_made),
        cmocka_unit_test(a_key_file_opens_the_slot_it_made),
        cmocka_unit_test(two_slots_of_one_secret_share_no_bytes_that_matter),
        cmocka_unit_test(the_key_is_not_in_the_slot),
        cmocka_unit_test(every_altered_bit_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(hostile_parameters_are_refused_before_any_work),
        cmocka_unit_test(the_largest_allowed_scrypt_memory_is_accepted_by_the_parser),
        cmocka_unit_test(a_slot_tells_what_it_is_without_a_secret),
        cmocka_unit_test(a_time_of_creation_that_cannot_be_is_none),
        cmocka_unit_test(a_wiped_key_is_gone),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
