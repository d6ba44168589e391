#include "tests/lib/test.h"

#include "postgres/page.h"
#include "tests/unit/postgres/samples.h"

enum { START = 0x5000000, INSERT = 0x9000000 };

/* A page with a header, an LSN, varied content and a checksum that fits block 7. */
static void make_page(uint8_t page[PG_PAGE_SIZE], uint64_t lsn)
{
    uint32_t x = 12345;

    for (size_t i = 0; i < PG_PAGE_SIZE; i++) {
        x = x * 1664525 + 1013904223;
        page[i] = (uint8_t)(x >> 24);
    }
    put_u32(page, (uint32_t)(lsn >> 32));
    put_u32(page + 4, (uint32_t)lsn);
    put_u16(page + 12, 28);
    put_u16(page + 14, 8000);
    put_u16(page + 8, page_checksum(page, 7));
}

/* The algorithm as the text of the reference has it, one lane after the other. */
static uint16_t slow_checksum(const uint8_t *page, uint32_t blkno)
{
    static const uint32_t seeds[32] = {
        0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2,
        0x83e13d2c, 0xf8d4474f, 0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c,
        0xf718902a, 0x0b1c9cdb, 0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de, 0x92bec979,
        0xcca6c0b2, 0x304a0979, 0x85aa43d4, 0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e,
        0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
    };
    uint32_t all = 0;

    for (size_t lane = 0; lane < 32; lane++) {
        uint32_t sum = seeds[lane];
        for (size_t n = 0; n < 66; n++) {
            size_t at = (n * 32 + lane) * 4;
            uint32_t word = n < 64 ? get_u32(page + at) : 0;
            if (at == 8)
                word &= 0xFFFF0000;
            sum ^= word;
            sum = (sum * 16777619) ^ (sum >> 17);
        }
        all ^= sum;
    }
    return (uint16_t)((all ^ blkno) % 65535 + 1);
}

static void a_page_of_a_server_has_the_checksum_in_its_header(void **state)
{
    static const char *const heads[] = {page_13_head, page_18_head};
    static const char *const tails[] = {page_13_tail, page_18_tail};
    uint8_t page[PG_PAGE_SIZE];

    (void)state;
    for (size_t i = 0; i < LENGTH(heads); i++) {
        memset(page, 0, sizeof page);
        sample(heads[i], page);
        sample(tails[i], page + PG_PAGE_SIZE - 32);
        assert_int_equal(page_checksum(page, 0), page_stored_checksum(page));
        assert_int_equal(page_check(page, 0, 0, UINT64_MAX), PAGE_OK);
        assert_int_equal(page_check(page, 1, 0, UINT64_MAX), PAGE_BAD);
    }
    assert_true(page_lsn(page) == 0x600A3A8);
    assert_int_equal(page_upper(page), 0x1FE0);
}

static void fast_and_slow_checksum_agree_on_any_bytes_at_any_address(void **state)
{
    static uint8_t bytes[PG_PAGE_SIZE + 64];
    uint64_t x = 88172645463325252;

    (void)state;
    for (uint32_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            bytes[i] = (uint8_t)x;
        }
        const uint8_t *page = bytes + round % 64;
        assert_int_equal(page_checksum(page, round * 7919), slow_checksum(page, round * 7919));
    }
    memset(bytes, 0xFF, sizeof bytes);
    assert_int_equal(page_checksum(bytes, UINT32_MAX), slow_checksum(bytes, UINT32_MAX));
}

static void the_stored_checksum_is_no_part_of_the_sum(void **state)
{
    uint8_t page[PG_PAGE_SIZE];
    uint16_t sum;

    (void)state;
    make_page(page, 1);
    sum = page_checksum(page, 7);
    put_u16(page + 8, 0);
    assert_int_equal(page_checksum(page, 7), sum);
    put_u16(page + 8, 0xFFFF);
    assert_int_equal(page_checksum(page, 7), sum);
}

static void every_flipped_bit_changes_the_verdict(void **state)
{
    uint8_t page[PG_PAGE_SIZE];

    (void)state;
    make_page(page, START - 8);
    assert_int_equal(page_check(page, 7, START, INSERT), PAGE_OK);
    for (size_t bit = 0; bit < PG_PAGE_SIZE * 8; bit += 11) {
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(page_check(page, 7, START, INSERT), PAGE_OK);
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void zero_means_every_byte_is_zero(void **state)
{
    uint8_t page[PG_PAGE_SIZE] = {0};

    (void)state;
    assert_true(page_is_zero(page));
    assert_int_equal(page_check(page, 7, START, INSERT), PAGE_NEW);
    for (size_t i = 0; i < sizeof page; i++) {
        page[i] = 1;
        assert_false(page_is_zero(page));
        page[i] = 0;
    }
}

static void a_new_header_over_old_bytes_is_damage(void **state)
{
    uint8_t page[PG_PAGE_SIZE] = {0};

    (void)state;
    page[8191] = 1;
    assert_int_equal(page_check(page, 7, START, INSERT), PAGE_BAD_NEW);
}

static void the_position_in_the_header_decides_who_is_checked(void **state)
{
    static const struct {
        uint64_t lsn;
        uint32_t block;
        enum page_verdict verdict;
    } rows[] = {
        {START - 1, 7, PAGE_OK},
        {START - 1, 8, PAGE_BAD},
        {START, 8, PAGE_FRESH},
        {INSERT, 8, PAGE_FRESH},
        {INSERT + 1, 7, PAGE_IMPLAUSIBLE},
        {0, 7, PAGE_OK},
        {UINT64_MAX, 7, PAGE_IMPLAUSIBLE},
        {UINT64_C(0x100000000), 7, PAGE_IMPLAUSIBLE}, /* high half first */
    };
    uint8_t page[PG_PAGE_SIZE];

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        make_page(page, rows[i].lsn);
        assert_int_equal(page_check(page, rows[i].block, START, INSERT), rows[i].verdict);
    }
    assert_int_equal(page_check(page, 8, 0, UINT64_MAX), PAGE_BAD);
}

static void every_verdict_has_a_name_and_the_bad_ones_come_last(void **state)
{
    (void)state;
    for (int v = PAGE_OK; v <= PAGE_IMPLAUSIBLE; v++)
        assert_string_not_equal(page_verdict_name((enum page_verdict)v), "unknown");
    assert_true(PAGE_OK < PAGE_BAD && PAGE_NEW < PAGE_BAD && PAGE_FRESH < PAGE_BAD);
    assert_true(PAGE_BAD_NEW > PAGE_BAD && PAGE_IMPLAUSIBLE > PAGE_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_a_server_has_the_checksum_in_its_header),
        cmocka_unit_test(fast_and_slow_checksum_agree_on_any_bytes_at_any_address),
        cmocka_unit_test(the_stored_checksum_is_no_part_of_the_sum),
        cmocka_unit_test(every_flipped_bit_changes_the_verdict),
        cmocka_unit_test(zero_means_every_byte_is_zero),
        cmocka_unit_test(a_new_header_over_old_bytes_is_damage),
        cmocka_unit_test(the_position_in_the_header_decides_who_is_checked),
        cmocka_unit_test(every_verdict_has_a_name_and_the_bad_ones_come_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
