#include "tests/lib/test.h"

#include "base/crypt.h"
#include "base/mem.h"
#include "base/zstd.h"

static struct err err;

static size_t pack(struct squeezer *z, const void *data, size_t len, uint8_t *out, size_t cap)
{
    size_t packed_len = 0;

    OK(squeezer_pack(z, data, len, out, cap, &packed_len, &err), &err);
    return packed_len;
}

static void every_level_gives_back_what_it_got(void **state)
{
    enum { LEN = 200000 };
    AUTO(mem_free) uint8_t *raw = xcalloc(LEN, 1), *back = xmalloc(LEN);
    size_t cap = squeezer_bound(LEN);
    AUTO(mem_free) uint8_t *packed = xmalloc(cap);

    (void)state;
    OK(crypt_random(raw, 1000, &err), &err);
    for (int level = -7; level <= 22; level++) {
        AUTO(squeezer_free) struct squeezer *z = squeezer_new(level);
        for (size_t len = 0; len <= LEN; len = len * 13 + 1) {
            size_t n = pack(z, raw, len, packed, cap);
            OK(squeezer_unpack(z, packed, n, back, len, &err), &err);
            assert_memory_equal(back, raw, len);
        }
    }
}

static void a_frame_of_more_than_16_mib_is_read_back_at_the_highest_level(void **state)
{
    size_t len = (16 << 20) + 5, cap = squeezer_bound(len), n;
    AUTO(mem_free) uint8_t *raw = xcalloc(len, 1), *back = xmalloc(len), *packed = xmalloc(cap);
    AUTO(squeezer_free) struct squeezer *z = squeezer_new(20);

    (void)state;
    raw[len - 1] = 7;
    n = pack(z, raw, len, packed, cap);
    OK(squeezer_unpack(z, packed, n, back, len, &err), &err);
    assert_memory_equal(back, raw, len);
}

static void too_little_room_is_an_error(void **state)
{
    AUTO(squeezer_free) struct squeezer *z = squeezer_new(3);
    uint8_t raw[1000], packed[500];
    size_t n;

    (void)state;
    OK(crypt_random(raw, sizeof raw, &err), &err);
    FAILS(squeezer_pack(z, raw, sizeof raw, packed, sizeof packed, &n, &err), &err, ERR_FAILED);
}

/* Headers by RFC 8878, section 3.1.1: magic, descriptor, [window], [content size], empty block */
static void frames_that_are_not_as_promised_are_refused(void **state)
{
    static const struct {
        const char *what;
        uint8_t bytes[24];
        size_t len, raw_len;
    } damage[] = {
        {"nothing at all", {0}, 0, 0},
        {"no magic", {0x28, 0xb5, 0x2f, 0xfe, 0x20, 0, 1, 0, 0}, 9, 0},
        {"skippable frame", {0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}, 8, 0},
        {"only a magic", {0x28, 0xb5, 0x2f, 0xfd}, 4, 0},
        {"other content size", {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0}, 9, 1},
        {"block cut off", {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0}, 8, 0},
        {"bytes behind it", {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0, 0}, 10, 0},
        {"no content size", {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 1, 0, 0}, 9, 0},
        {"a window of 18 MiB",
         {0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x71, 4, 0, 0, 0, 0x23, 0, 0, 'a'},
         14,
         4},
        {"less than it says", {0x28, 0xb5, 0x2f, 0xfd, 0x20, 5, 0x0b, 0, 0, 'a'}, 10, 5},
        {"more than it says", {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 0x0b, 0, 0, 'a'}, 10, 0},
    };
    AUTO(squeezer_free) struct squeezer *z = squeezer_new(1);
    uint8_t out[16];

    (void)state;
    for (size_t i = 0; i < LENGTH(damage); i++) {
        if (squeezer_unpack(z, damage[i].bytes, damage[i].len, out, damage[i].raw_len, &err) == 0)
            fail_msg("accepted: %s", damage[i].what);
        if (err.code != ERR_CORRUPT)
            fail_msg("%s: %s", damage[i].what, err.msg);
    }
}

/* The frames above with one thing changed are fine: they were refused for what they say. */
static void hand_made_frames_are_read(void **state)
{
    static const uint8_t empty[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0};
    static const uint8_t run[] = {0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x70, 4, 0, 0, 0, 0x23, 0, 0, 'a'};
    AUTO(squeezer_free) struct squeezer *z = squeezer_new(1);
    char out[4];

    (void)state;
    OK(squeezer_unpack(z, empty, sizeof empty, out, 0, &err), &err);
    OK(squeezer_unpack(z, run, sizeof run, out, 4, &err), &err);
    assert_memory_equal(out, "aaaa", 4);
}

static void no_flipped_bit_does_harm(void **state)
{
    AUTO(squeezer_free) struct squeezer *z = squeezer_new(1);
    uint8_t raw[600], packed[1000], out[600];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t) "pgbr test page "[i % 15] ^ (i % 7 == 0);
    n = pack(z, raw, sizeof raw, packed, sizeof packed);
    assert_true(n < sizeof raw);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        /* Without a checksum some flips give other content, which the container's hash finds. */
        if (squeezer_unpack(z, packed, n, out, sizeof out, &err) != 0)
            assert_int_equal(err.code, ERR_CORRUPT);
        packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    OK(squeezer_unpack(z, packed, n, out, sizeof out, &err), &err);
    assert_memory_equal(out, raw, sizeof raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_gives_back_what_it_got),
        cmocka_unit_test(a_frame_of_more_than_16_mib_is_read_back_at_the_highest_level),
        cmocka_unit_test(too_little_room_is_an_error),
        cmocka_unit_test(frames_that_are_not_as_promised_are_refused),
        cmocka_unit_test(hand_made_frames_are_read),
        cmocka_unit_test(no_flipped_bit_does_harm),
    };
    return cmocka_run_group_tests_name("zstd", tests, NULL, NULL);
}
