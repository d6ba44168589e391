/* fuzz_pubinfo.c - the public facts of a backup. What is accepted survives being written and read
 * again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "repo/manifest/manifest_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool again(const void *bytes, size_t len, struct buf *out)
{
    AUTO(pubinfo_free) struct pubinfo p = {0};
    struct err err;

    if (pubinfo_parse(bytes, len, &p, &err) != 0)
        return false;
    if (p.cluster == NULL || p.host == NULL || p.instance == NULL || p.tool == NULL ||
        p.n_spans == 0)
        abort();
    pubinfo_write(&p, out);
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
