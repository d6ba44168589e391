/* fuzz_wal_index.c - the stored form of a WAL index. What is accepted must survive being written
 * and read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "repo/wal/wal_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_blocks(const struct wal_index *ix)
{
    AUTO(wal_changes_free) struct wal_changes *c = wal_changes_new();
    uint64_t blocks = 0;

    for (uint32_t i = 0; i < ix->n_runs; i++)
        blocks += ix->runs[i].count;
    if (blocks > 100000) /* a reader of a real index of that size has the memory */
        return;
    wal_index_add_blocks(ix, c);
    wal_changes_sort(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(wal_index_free) struct wal_index ix = {0};
    AUTO(wal_index_free) struct wal_index again = {0};
    AUTO(buf_free) struct buf first = BUF_INIT;
    AUTO(buf_free) struct buf second = BUF_INIT;
    struct err err;

    if (wal_index_read(data, size, WAL_INDEX_ALL, &ix, &err) != 0)
        return 0;
    add_blocks(&ix);
    wal_index_write(&ix, &first);
    if (wal_index_read(first.p, first.len, WAL_INDEX_ALL, &again, &err) != 0)
        abort();
    wal_index_write(&again, &second);
    if (first.len != second.len || memcmp(first.p, second.p, first.len) != 0)
        abort();
    return 0;
}
