/* settle.c - see settle.h. */
#include "repo/object/settle.h"

#include <string.h>

static bool is_this_write(struct store *store, const char *key, const struct object_head *head,
                          uint64_t size)
{
    uint8_t bytes[OBJECT_HEADER];
    struct object_head found;
    struct err ignored = {0};
    uint64_t there;
    size_t got;

    return store_get(store, key, 0, sizeof bytes, bytes, &got, &there, &ignored) == 0 &&
           got == sizeof bytes && there == size &&
           object_head_parse(bytes, &found, &ignored) == 0 &&
           memcmp(found.object_id, head->object_id, sizeof found.object_id) == 0;
}

int object_settle(struct store *store, const char *key, const struct object_head *head,
                  uint64_t size, struct err *err)
{
    struct err ignored = {0};

    if ((err->code != ERR_EXISTS && err->code != ERR_UNREACHABLE) || size == 0)
        return -1;
    if (!is_this_write(store, key, head, size) || store_confirm(store, key, &ignored) != 0)
        return -1;
    err_clear(err);
    return 0;
}
