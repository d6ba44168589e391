/*
 * late_crc.h - the CRC-32C of a file that the backup does not know: put together from those of its
 * parts while workers write them, for backup_manifest.
 *
 * Held by every item of a task that is a part of the file, and by who made it until all of them are
 * handed out. Any thread.
 */
#ifndef PGBR_RESTORE_LATE_CRC_H
#define PGBR_RESTORE_LATE_CRC_H

#include "restore/pgmanifest.h"

struct late_crc;
/* at: what pgmanifest_add_later() said. parts: how many there will be, at least 1. */
struct late_crc *late_crc_new(struct pgmanifest *listing, uint64_t at, uint32_t parts);
struct late_crc *late_crc_hold(struct late_crc *c);
void late_crc_drop(struct late_crc **c); /* the last one frees it */
/* One part is done; with the last one the listing is told. */
int late_crc_part(struct late_crc *c, uint32_t part, uint32_t crc, uint64_t len,
                  struct err *err) MUST_CHECK;

#endif
