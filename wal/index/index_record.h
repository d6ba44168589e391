/* index_record.h - one record into a WAL index; shared by index.c and index_chain.c only. */
#ifndef PGBR_WAL_INDEX_INDEX_RECORD_H
#define PGBR_WAL_INDEX_INDEX_RECORD_H

#include "repo/wal/wal_index.h"

/* Adds what the record says to the summary of ix, and its blocks to changes. */
void wal_index_record(struct wal_index *ix, struct wal_changes *changes,
                      const struct wal_record *rec);

#endif
