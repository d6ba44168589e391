/* fuzz_wal_sum.c - the stored form of a sum of WAL indexes. What is accepted must survive being
 * written and read again. The name is taken from the bytes themselves, as if the key fitted. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "repo/wal/wal_sum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sum_name name_of(const struct wal_index *ix)
{
    return (struct sum_name){ix->tli, ix->start, wal_index_end(ix)};
}

/* What it would have to be called. */
static void find_name(const uint8_t *data, size_t size, struct wal_index *ix)
{
    struct cursor c = cursor_of(data, size);
    struct err err;
    uint64_t n;

    cur_u8(&c);
    n = cur_uv_max(&c, WAL_SUM_SEGMENTS_MAX);
    for (uint64_t i = 0; i < n && !c.bad; i++) {
        cur_bytes(&c, 16);
        cur_uv(&c);
    }
    if (c.bad || n == 0 ||
        wal_index_read_sum(c.p, cur_left(&c), WAL_INDEX_SUMMARY, (uint32_t)n - 1, ix, &err) != 0)
        ix->major = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(wal_index_free) struct wal_index ix = {0};
    AUTO(wal_sum_free) struct wal_sum sum = {0}, again = {0};
    AUTO(buf_free) struct buf first = BUF_INIT, second = BUF_INIT;
    struct sum_name name;
    struct err err;

    find_name(data, size, &ix);
    name = name_of(&ix);
    if (wal_sum_read(data, size, &name, ix.system_id, ix.major, &sum, &err) != 0)
        return 0;
    wal_sum_write(&sum, &first);
    if (wal_sum_read(first.p, first.len, &name, ix.system_id, ix.major, &again, &err) != 0)
        abort();
    wal_sum_write(&again, &second);
    if (first.len != second.len || memcmp(first.p, second.p, first.len) != 0)
        abort();
    return 0;
}
