#include "repo/pack/extent.h"

#include <stdlib.h>

#include "base/mem.h"
#include "tests/lib/test.h"

enum { UNIT = 8192, SETS = 7 };
#define ADDR_LAST extent_addr(UINT32_MAX, 4095, MAP_PAGES - 1)

static struct err err;

static void map_of(struct map_builder *m, const struct extent *extents, size_t n, uint64_t length,
                   struct buf *out)
{
    map_reset(m);
    buf_clear(out);
    for (size_t i = 0; i < n; i++)
        map_add(m, extents[i]);
    map_finish(m, UNIT, length, out);
}

/* Walks the map and compares it with the extents that should come out. */
static void map_is(const struct buf *map, uint64_t length, const struct extent *extents, size_t n)
{
    AUTO(map_end) struct map_walk w;
    struct extent e;

    OK(map_begin(&w, map->p, map->len, SETS, &err), &err);
    assert_int_equal(w.unit, UNIT);
    assert_int_equal(w.length, length);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(map_next(&w, &e, &err), 1);
        assert_int_equal(e.set, extents[i].set);
        assert_int_equal(e.count, extents[i].count);
        if (e.set != SET_ZERO)
            assert_int_equal(e.addr, extents[i].addr);
    }
    assert_int_equal(map_next(&w, &e, &err), 0);
    assert_int_equal(map_next(&w, &e, &err), 0);
}

static void addresses_are_taken_apart_as_they_were_put_together(void **state)
{
    uint64_t a = extent_addr(0x12345678, 4095, MAP_PAGES - 1);

    (void)state;
    assert_int_equal(addr_pack(a), 0x12345678);
    assert_int_equal(addr_chunk(a), 4095);
    assert_int_equal(addr_page(a), MAP_PAGES - 1);
    assert_int_equal(extent_addr(3, 7, 0) + MAP_PAGES, extent_addr(3, 8, 0));
}

static void a_map_gives_back_its_extents(void **state)
{
    const struct extent extents[] = {
        {1, 16, extent_addr(0, 0, 0)},
        {SET_ZERO, 5, 0},
        {1, 3, extent_addr(0, 9, 2)},
        {6, 1, extent_addr(70000, 4095, MAP_PAGES - 1)},
        {1, 4, extent_addr(0, 2, 0)}, /* backwards */
        {6, 2, extent_addr(70001, 0, 0)},
        {2, 1, extent_addr(UINT32_MAX - 1, 0, 0)},
        {SET_ZERO, 1, 0},
    };
    AUTO(map_free) struct map_builder m = {0};
    AUTO(buf_free) struct buf map = BUF_INIT;
    uint64_t length = (16 + 5 + 3 + 1 + 4 + 2 + 1) * UNIT + 100; /* the last page is short */

    (void)state;
    map_of(&m, extents, LENGTH(extents), length, &map);
    assert_int_equal(m.pages, 33);
    map_is(&map, length, extents, LENGTH(extents));
    map_of(&m, NULL, 0, 0, &map); /* and again, with nothing */
    map_is(&map, 0, NULL, 0);
    map_of(&m, extents, 1, 16 * UNIT, &map);
    map_is(&map, 16 * UNIT, extents, 1);
}

static void a_gigabyte_stored_in_order_is_one_extent(void **state)
{
    AUTO(map_free) struct map_builder m = {0};
    AUTO(buf_free) struct buf map = BUF_INIT;
    struct extent whole = {1, 131072, extent_addr(0, 0, 0)};

    (void)state;
    for (uint32_t chunk = 0; chunk < whole.count / MAP_PAGES; chunk++)
        map_add(&m, (struct extent){1, MAP_PAGES, extent_addr(0, chunk, 0)});
    map_finish(&m, UNIT, UINT64_C(1) << 30, &map);
    assert_in_range(map.len, 8, 16);
    map_is(&map, UINT64_C(1) << 30, &whole, 1);
}

static void chunks_that_are_not_full_do_not_run_on(void **state)
{
    const struct extent extents[] = {{1, MAP_PAGES - 1, extent_addr(0, 0, 0)},
                                     {1, MAP_PAGES, extent_addr(0, 1, 0)}};
    AUTO(map_free) struct map_builder m = {0};
    AUTO(buf_free) struct buf map = BUF_INIT;

    (void)state;
    map_of(&m, extents, 2, (2 * MAP_PAGES - 1) * UNIT, &map);
    map_is(&map, (2 * MAP_PAGES - 1) * UNIT, extents, 2);
}

static void random_maps_survive_being_written(void **state)
{
    AUTO(map_free) struct map_builder m = {0};
    AUTO(buf_free) struct buf map = BUF_INIT;
    AUTO(mem_free) struct extent *extents = xcalloc(3000, sizeof *extents);
    uint64_t x = 1;

    (void)state;
    for (int round = 0; round < 50; round++) {
        uint64_t pages = 0;
        for (int i = 0; i < 3000; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            extents[i].set = (uint32_t)(x >> 40) % SETS;
            extents[i].count = 1 + (uint32_t)(x >> 50) % 40;
            /* odd packs and even chunks only: no two extents touch */
            extents[i].addr =
                extent_addr((uint32_t)(x >> 20) | 1, 2 * ((uint32_t)(x >> 3) % 2000), 1);
            if (i > 0 && extents[i].set == SET_ZERO && extents[i - 1].set == SET_ZERO)
                extents[i].set = 1;
            pages += extents[i].count;
        }
        map_of(&m, extents, 3000, pages * UNIT, &map);
        map_is(&map, pages * UNIT, extents, 3000);
    }
}

/* Bytes of a map: numbers below 128 are varints as they stand. */
struct damage {
    const char *what;
    struct {
        uint8_t bytes[24];
        size_t len;
    } map;
    enum err_code code;
};
#define MAP(...)                                              \
    {                                                         \
        {__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}) \
    }
#define U8K 0x80, 0x40 /* the varint 8192 */

static const struct damage damages[] = {
    {"nothing at all", {{0}, 0}, ERR_CORRUPT},
    {"version 2", MAP(2, U8K, 0, 0), ERR_UNSUPPORTED},
    {"unit 0", MAP(1, 0, 0, 0), ERR_CORRUPT},
    {"unit 8193", MAP(1, 0x81, 0x40, 0, 0), ERR_CORRUPT},
    {"unit beyond 64 KiB", MAP(1, 0x80, 0x80, 0x08, 0, 0), ERR_CORRUPT},
    {"more extents than bytes", MAP(1, U8K, U8K, 2, 2, 1), ERR_CORRUPT},
    {"cut off in its head", MAP(1, U8K, 0x80), ERR_CORRUPT},
    {"longer than any file", MAP(1, U8K, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0),
     ERR_CORRUPT},
    {"an extent of no pages", MAP(1, U8K, U8K, 1, 2, 0), ERR_CORRUPT},
    {"an unknown set", MAP(1, U8K, U8K, 1, 14, 1), ERR_CORRUPT},
    {"more pages than the file has", MAP(1, U8K, U8K, 1, 2, 2), ERR_CORRUPT},
    {"fewer pages than the file has", MAP(1, U8K, 0x81, 0x40, 1, 2, 1), ERR_CORRUPT},
    {"bytes left over", MAP(1, U8K, U8K, 1, 2, 1, 0), ERR_CORRUPT},
    {"an address below zero", MAP(1, U8K, U8K, 1, 3, 1, 1), ERR_CORRUPT},
    {"an address below zero whose end is not", MAP(1, U8K, 0x80, 0x80, 1, 1, 3, 2, 1), ERR_CORRUPT},
    {"an address for zero pages", MAP(1, U8K, U8K, 1, 1, 1, 2), ERR_CORRUPT},
    {"an address beyond all packs",
     MAP(1, U8K, U8K, 1, 3, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1), ERR_CORRUPT},
    {"an extent that leaves its pack", MAP(1, U8K, 0x80, 0x80, 1, 1, 3, 2, 0xfe, 0xff, 0x1f),
     ERR_CORRUPT},
    {"cut off in an extent", MAP(1, U8K, U8K, 1, 3, 1), ERR_CORRUPT},
};

static void damaged_maps_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(damages); i++) {
        AUTO(map_end) struct map_walk w = {0};
        AUTO(mem_free) uint8_t *exact = xmalloc(damages[i].map.len + 1);
        struct extent e;
        int more = 1;

        memcpy(exact, damages[i].map.bytes, damages[i].map.len);
        err_clear(&err);
        if (map_begin(&w, exact, damages[i].map.len, SETS, &err) != 0)
            more = -1;
        while (more == 1)
            more = map_next(&w, &e, &err);
        if (more != -1 || err.code != damages[i].code)
            fail_msg("%s: %d, \"%s\"", damages[i].what, more, err.msg);
    }
}

static void the_longest_extent_and_the_last_address_are_fine(void **state)
{
    const struct extent extents[] = {
        {SET_ZERO, UINT32_MAX, 0}, {1, 1, ADDR_LAST}, {SET_ZERO, 10, 0}};
    uint64_t length = (UINT64_C(1) + 10 + UINT32_MAX) * UNIT;
    AUTO(map_free) struct map_builder m = {0};
    AUTO(buf_free) struct buf map = BUF_INIT;

    (void)state;
    map_of(&m, extents, LENGTH(extents), length, &map);
    map_is(&map, length, extents, LENGTH(extents));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_taken_apart_as_they_were_put_together),
        cmocka_unit_test(a_map_gives_back_its_extents),
        cmocka_unit_test(a_gigabyte_stored_in_order_is_one_extent),
        cmocka_unit_test(chunks_that_are_not_full_do_not_run_on),
        cmocka_unit_test(random_maps_survive_being_written),
        cmocka_unit_test(damaged_maps_are_refused),
        cmocka_unit_test(the_longest_extent_and_the_last_address_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
