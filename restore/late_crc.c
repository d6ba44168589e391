/* late_crc.c - see late_crc.h. */
#include "restore/late_crc.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

struct late_crc {
    struct pgmanifest *listing;
    uint64_t at;
    atomic_uint held, missing; /* missing: parts that are not done */
    uint32_t n;
    struct {
        uint32_t crc;
        uint64_t len;
    } parts[];
};

struct late_crc *late_crc_new(struct pgmanifest *listing, uint64_t at, uint32_t parts)
{
    struct late_crc *c = xcalloc(1, sizeof *c + parts * sizeof c->parts[0]);

    c->listing = listing;
    c->at = at;
    c->n = parts;
    atomic_init(&c->held, 1);
    atomic_init(&c->missing, parts);
    return c;
}

struct late_crc *late_crc_hold(struct late_crc *c)
{
    if (c != NULL)
        atomic_fetch_add(&c->held, 1);
    return c;
}

void late_crc_drop(struct late_crc **c)
{
    if (*c != NULL && atomic_fetch_sub(&(*c)->held, 1) == 1)
        free(*c);
    *c = NULL;
}

int late_crc_part(struct late_crc *c, uint32_t part, uint32_t crc, uint64_t len, struct err *err)
{
    uint32_t all = 0;

    c->parts[part].crc = crc;
    c->parts[part].len = len;
    if (atomic_fetch_sub(&c->missing, 1) != 1)
        return 0;
    for (uint32_t i = 0; i < c->n; i++)
        all = crc32c_combine(all, c->parts[i].crc, c->parts[i].len);
    return pgmanifest_set(c->listing, c->at, all, err);
}
