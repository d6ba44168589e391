/*
 * fuzz_packtab.c - the lists of sets and packs of a manifest. The first byte says how many sets the
 * packs that follow are of; all of it is tried as a list of sets, too. What is accepted survives
 * being written and read again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "repo/manifest/manifest_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LABEL "20261122T140533Z-F-0a1b2c"

static void sets_of(uint8_t n, struct set_table *t)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err err;

    buf_uv(&bytes, n);
    for (uint8_t i = 0; i < n; i++) {
        buf_blob(&bytes, LABEL, LABEL_SIZE);
        buf_u8(&bytes, MAP_PAGE_BITS);
    }
    if (settab_parse(bytes.p, bytes.len, t, &err) != 0)
        abort();
}

static bool packs_again(const void *bytes, size_t len, uint8_t sets, struct buf *out)
{
    AUTO(set_table_free) struct set_table kept = {0}, checked = {0};
    struct err err;
    int rc;

    sets_of(sets, &kept);
    sets_of(sets, &checked);
    rc = packtab_parse(bytes, len, &kept, LIVE_KEPT, &err);
    if (packtab_parse(bytes, len, &checked, LIVE_CHECKED, &err) != rc)
        abort();
    if (rc == 0)
        packtab_write(&kept, out);
    return rc == 0;
}

static void try_sets(const uint8_t *data, size_t size)
{
    AUTO(set_table_free) struct set_table t = {0};
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err err;

    if (settab_parse(data, size, &t, &err) != 0)
        return;
    settab_write(&t, &bytes);
    set_table_free(&t);
    if (settab_parse(bytes.p, bytes.len, &t, &err) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_free) struct buf first = BUF_INIT;
    AUTO(buf_free) struct buf second = BUF_INIT;
    uint8_t sets;

    try_sets(data, size);
    if (size == 0)
        return 0;
    sets = 1 + data[0] % 3;
    if (!packs_again(data + 1, size - 1, sets, &first))
        return 0;
    if (!packs_again(first.p, first.len, sets, &second) || first.len != second.len ||
        memcmp(first.p, second.p, first.len) != 0)
        abort();
    return 0;
}
