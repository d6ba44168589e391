/* fuzz_map.c - encoded maps of files. What is accepted covers the file exactly and survives being
 * written and read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "repo/pack/extent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETS = 6 };

/* Reads a map and builds it anew. False: refused. */
static bool again(const void *map, size_t len, struct buf *out)
{
    AUTO(map_free) struct map_builder m = {0};
    AUTO(map_end) struct map_walk w = {0};
    struct extent e;
    struct err err;
    uint64_t pages = 0;
    int more;

    if (map_begin(&w, map, len, SETS, &err) != 0)
        return false;
    while ((more = map_next(&w, &e, &err)) == 1) {
        if (e.set >= SETS || e.count == 0)
            abort();
        pages += e.count;
        map_add(&m, e);
    }
    if (more < 0)
        return false;
    if (pages != (w.length + w.unit - 1) / w.unit)
        abort();
    map_finish(&m, w.unit, w.length, out);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_free) struct buf first = BUF_INIT;
    AUTO(buf_free) struct buf second = BUF_INIT;

    if (!again(data, size, &first))
        return 0;
    if (!again(first.p, first.len, &second) || first.len != second.len ||
        memcmp(first.p, second.p, first.len) != 0)
        abort();
    return 0;
}
