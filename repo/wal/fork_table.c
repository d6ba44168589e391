/* fork_table.c - see fork_table.h. */
#include "repo/wal/fork_table.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

enum { FIRST_SIZE = 256 };

void fork_table_init(struct fork_table *t)
{
    *t = (struct fork_table){xcalloc(FIRST_SIZE, sizeof *t->slots), FIRST_SIZE - 1, 0};
}

void fork_table_free(struct fork_table *t)
{
    free(t->slots);
    *t = (struct fork_table){0};
}

static uint32_t hash(const struct wal_locator *rel, uint8_t fork)
{
    uint64_t h = ((uint64_t)rel->db << 32 | rel->rel) * UINT64_C(0x9E3779B97F4A7C15);

    h ^= ((uint64_t)rel->spc << 2 | fork) * UINT64_C(0xC2B2AE3D27D4EB4F);
    return (uint32_t)(h >> 32) ^ (uint32_t)h;
}

static bool same(const struct fork_slot *s, const struct wal_locator *rel, uint8_t fork)
{
    return s->rel.rel == rel->rel && s->rel.db == rel->db && s->rel.spc == rel->spc &&
           s->fork == fork;
}

/* Where the fork is, or would go. */
static struct fork_slot *place(const struct fork_table *t, const struct wal_locator *rel,
                               uint8_t fork)
{
    uint32_t i = hash(rel, fork) & t->mask;

    while (t->slots[i].number != 0 && !same(&t->slots[i], rel, fork))
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

uint32_t fork_table_find(const struct fork_table *t, const struct wal_locator *rel, uint8_t fork)
{
    return place(t, rel, fork)->number - 1; /* 0 becomes FORK_TABLE_NONE */
}

static void grow(struct fork_table *t)
{
    struct fork_table larger = {NULL, t->mask * 2 + 1, t->n};

    larger.slots = xcalloc((size_t)larger.mask + 1, sizeof *larger.slots);
    for (uint32_t i = 0; i <= t->mask; i++)
        if (t->slots[i].number != 0)
            *place(&larger, &t->slots[i].rel, t->slots[i].fork) = t->slots[i];
    free(t->slots);
    *t = larger;
}

void fork_table_add(struct fork_table *t, const struct wal_locator *rel, uint8_t fork,
                    uint32_t number)
{
    if (t->n > t->mask / 2)
        grow(t);
    *place(t, rel, fork) = (struct fork_slot){*rel, number + 1, fork};
    t->n++;
}
