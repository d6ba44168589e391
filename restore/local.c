/* local.c - the content of files that are there already, see delta.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "restore/delta.h"

int local_open(struct local_file *l, int dirfd, const char *name, uint64_t size, struct err *err)
{
    if (l->window == NULL)
        l->window = xaligned(FS_ALIGN, FS_IO_SIZE);
    l->start = 0;
    l->have = 0;
    l->size = size;
    TRY(quiet_open(&l->file, dirfd, name, NULL, err));
    l->open = true;
    return 0;
}

int local_bytes(struct local_file *l, uint64_t offset, size_t len, const uint8_t **bytes,
                struct err *err)
{
    *bytes = NULL;
    if (offset + len > l->size)
        return 0;
    if (offset < l->start || offset + len > l->start + l->have) {
        l->start = offset / FS_ALIGN * FS_ALIGN;
        l->have = 0;
        TRY(quiet_read(&l->file, l->window, FS_IO_SIZE, l->start, &l->have, err));
        if (offset + len > l->start + l->have)
            return 0;
    }
    *bytes = l->window + (offset - l->start);
    return 0;
}

void local_close(struct local_file *l)
{
    if (l->open)
        quiet_close(&l->file);
    l->open = false;
}

void local_free(struct local_file *l)
{
    local_close(l);
    free(l->window);
    l->window = NULL;
}

bool local_is_zero(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}
