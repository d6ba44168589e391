/* test_run_ahead.c - which chunk a restore decodes where it will be written from. */
#include "restore/run_ahead.h"

#include "tests/lib/test.h"

enum { NONE = -1, MOST = 8 };

/* Extents are told as set, chunk, first page, pages; the first one is the one under way. */
struct told {
    uint32_t set, chunk, page, pages;
};

static void the_chunk_that_is_wanted_in_its_order(void **state)
{
    static const struct {
        const char *what;
        struct told e[MOST];
        int set; /* of the chunk; NONE */
    } table[] = {
        {"a whole chunk", {{1, 5, 0, 64}}, 1},
        {"and what follows it", {{1, 5, 0, 200}, {2, 0, 0, 1}}, 1},
        {"the end of a file", {{1, 5, 0, 3}}, 1},
        {"the middle of a chunk", {{1, 5, 10, 54}}, NONE},
        {"one page of a later backup in it", {{1, 5, 0, 20}, {2, 0, 7, 1}, {1, 5, 21, 43}}, 1},
        {"its first page is a later backup's", {{2, 0, 7, 1}, {1, 5, 1, 63}}, 1},
        {"which begins there too", {{2, 0, 0, 1}, {1, 5, 1, 63}}, 1},
        {"and is longer than the first run",
         {{2, 0, 0, 5}, {1, 5, 5, 2}, {3, 0, 9, 1}, {1, 5, 8, 56}},
         1},
        {"its last pages are not wanted", {{1, 5, 0, 55}, {2, 0, 0, 100}}, NONE},
        {"all but a few of the last are", {{1, 5, 0, 58}, {2, 0, 0, 100}}, 1},
        {"less than half is wanted", {{1, 5, 0, 16}, {2, 0, 9, 33}, {1, 5, 49, 15}}, NONE},
        {"half is", {{1, 5, 0, 16}, {2, 0, 9, 32}, {1, 5, 48, 16}}, NONE},
        {"more than half is", {{1, 5, 0, 16}, {2, 0, 9, 31}, {1, 5, 47, 17}}, 1},
        {"the longest run is another's", {{1, 5, 0, 16}, {2, 0, 16, 30}, {1, 5, 46, 18}}, 1},
        {"two by turns", {{2, 0, 0, 9}, {1, 5, 9, 14}, {2, 0, 23, 20}, {1, 5, 43, 21}}, 1},
        {"another pack's chunk of that number", {{1, 5, 0, 32}, {1, 4096 + 5, 32, 32}}, NONE},
        {"moved by a page", {{2, 0, 7, 1}, {1, 5, 0, 63}}, NONE},
        {"zeros behind few pages", {{1, 5, 0, 3}, {SET_ZERO, 0, 0, 70}}, NONE},
        {"zeros behind many", {{1, 5, 0, 60}, {SET_ZERO, 0, 0, 70}}, 1},
        {"pages in the order of nothing", {{1, 5, 9, 1}, {1, 5, 8, 1}, {1, 5, 7, 1}}, NONE},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        struct extent e[MOST];
        uint32_t n = 0;
        struct chunk_at at;
        bool found;

        for (; n < MOST && table[i].e[n].pages != 0; n++)
            e[n] = (struct extent){table[i].e[n].set, table[i].e[n].pages,
                                   extent_addr(table[i].e[n].chunk >> MAP_CHUNK_BITS,
                                               table[i].e[n].chunk & ((1 << MAP_CHUNK_BITS) - 1),
                                               table[i].e[n].page)};
        found = run_ahead_chunk(&(struct run_ahead){e[0], e + 1, n - 1}, &at);
        if (found != (table[i].set != NONE) ||
            (found && (at.set != (uint32_t)table[i].set || at.pack != 0 || at.chunk != 5)))
            fail_msg("%s: %s, set %u, chunk %u", table[i].what, found ? "found" : "none", at.set,
                     at.chunk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_chunk_that_is_wanted_in_its_order)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
