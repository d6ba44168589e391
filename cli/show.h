/* show.h - results on standard output, for people or as JSON. */
#ifndef PGBR_CLI_SHOW_H
#define PGBR_CLI_SHOW_H

#include "backup/backup.h"
#include "base/json.h"
#include "restore/restore.h"

const char *plural_of(uint64_t n);                   /* "s", or "" for one */
const char *backup_type_name(enum backup_type type); /* "full", "diff", "incr" */
void show_backup(const struct backup_made *made, bool json);
/* What a restore will do, in the order of the questions people have; and what it did. */
void show_plan(const struct restore_plan *plan, const struct restore_request *q, bool json);
void show_restored(const struct restore_plan *plan, bool json);
/* The members of one backup, into an open object. */
void json_backup(struct json *j, const struct pubinfo *p);

#endif
