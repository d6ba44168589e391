/* fuzz_descriptor.c - any bytes as the body of a descriptor, of a cluster's info, of a state file,
 * of what was pushed ahead. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "repo/descriptor.h"
#include "repo/state.h"
#include "wal/archive/ahead.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_descriptor(const uint8_t *data, size_t size)
{
    const struct repo_key key = {{1}};
    char name[FEATURE_NAME_MAX + 1];
    struct descriptor d;
    struct err err = {0};

    if (descriptor_parse(data, size, &d, &err) != 0)
        return;
    for (int class = 0; class < FEATURE_CLASSES; class ++)
        if (descriptor_unknown(&d, class, name) && strlen(name) == 0)
            __builtin_trap();
    if (descriptor_authentic(&d, &key, "pgbr-repo", &err) == 0)
        __builtin_trap();
}

static void as_info(const uint8_t *data, size_t size)
{
    AUTO(buf_free) struct buf again = BUF_INIT;
    struct identity *ids, *same;
    struct err err = {0};
    size_t n, m;

    if (info_parse(data, size, "main", &ids, &n, &err) != 0)
        return;
    info_format("main", ids, n, &again);
    if (info_parse(again.p, again.len, "main", &same, &m, &err) != 0 || m != n)
        __builtin_trap();
    free(ids);
    free(same);
}

/* Its hash is made to fit. */
static void as_state(const uint8_t *data, size_t size)
{
    AUTO(mem_free) uint8_t *copy = xmalloc(size + sizeof(struct hash128));
    AUTO(state_free) struct repo_state s = {0};
    struct hash128 hash;
    struct err err = {0};

    if (size != 0)
        memcpy(copy, data, size);
    hash = hash128(copy, size);
    memcpy(copy + size, hash.bytes, sizeof hash);
    if (state_parse(copy, size + sizeof hash, "memory", &s, &err) != 0)
        err_clear(&err);
}

/* The same of what was pushed ahead. */
static void as_ahead(const uint8_t *data, size_t size)
{
    AUTO(mem_free) uint8_t *copy = xmalloc(size + sizeof(struct hash128));
    AUTO(ahead_memory_free) struct ahead_memory m = {0};
    AUTO(buf_free) struct buf again = BUF_INIT;
    struct hash128 hash;
    struct err err = {0};

    if (size != 0)
        memcpy(copy, data, size);
    hash = hash128(copy, size);
    memcpy(copy + size, hash.bytes, sizeof hash);
    if (ahead_parse(copy, size + sizeof hash, &m, &err) != 0)
        return;
    ahead_format(&m, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_descriptor(data, size);
    as_info(data, size);
    as_state(data, size);
    as_ahead(data, size);
    return 0;
}
