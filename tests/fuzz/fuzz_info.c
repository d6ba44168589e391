/* fuzz_info.c - the private facts of a backup. What is accepted survives being written and read
 * again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "repo/manifest/manifest_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool again(const void *bytes, size_t len, struct buf *out)
{
    AUTO(backup_info_free) struct backup_info i = {0};
    AUTO(attributes_free) struct attributes a = {0};
    struct err err;

    if (backup_info_parse(bytes, len, &i, &a, &err) != 0)
        return false;
    backup_info_write(&i, &a, out);
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
