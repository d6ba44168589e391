/*
 * fork_table.h - from a relation fork to a number: a hash table with open addressing, half empty.
 */
#ifndef PGBR_REPO_WAL_FORK_TABLE_H
#define PGBR_REPO_WAL_FORK_TABLE_H

#include "postgres/wal_record.h"

struct fork_slot {
    struct wal_locator rel;
    uint32_t number; /* + 1; 0: free */
    uint8_t fork;
};
struct fork_table {
    struct fork_slot *slots;
    uint32_t mask, n;
};
#define FORK_TABLE_NONE UINT32_MAX

void fork_table_init(struct fork_table *t);
void fork_table_free(struct fork_table *t);
/* FORK_TABLE_NONE: it is not there. */
uint32_t fork_table_find(const struct fork_table *t, const struct wal_locator *rel, uint8_t fork);
/* One that is not there. */
void fork_table_add(struct fork_table *t, const struct wal_locator *rel, uint8_t fork,
                    uint32_t number);

#endif
