/* kinds.c - see kinds.h. */
#include "catalog/kinds.h"

#include <string.h>

#include "base/auto.h"

const struct event_kind event_kinds[] = {
    {KIND_BACKUP, "a backup is done, done with warnings, or failed"},
    {KIND_EXPIRE, "backups were deleted, or retention could not be applied"},
    {KIND_VERIFY, "a repository was verified: damage, or none"},
    {KIND_CHECK, "check found something, or all is well again"},
    {KIND_ARCHIVING, "WAL does not reach the archive, or does again"},
    {KIND_WAL_GAP, "WAL is missing between what is archived, or no longer"},
    {KIND_ALARM, "the cross-check of an incremental backup found a difference"},
    {KIND_RESTORE, "a restore is done or failed"},
    {KIND_DRILL, "a drill passed or failed"},
    {KIND_JOB, "a job of the scheduler failed, was missed, or works again"},
    {KIND_HOLD, "a hold was set, was taken off, or is about to end"},
    {KIND_KEY, "a key slot was added or removed"},
    {KIND_CATALOG, "the catalog was damaged and made anew"},
};
const size_t n_event_kinds = LENGTH(event_kinds);

bool event_kind_known(const char *name)
{
    for (size_t i = 0; i < n_event_kinds; i++)
        if (strcmp(event_kinds[i].name, name) == 0)
            return true;
    return false;
}
