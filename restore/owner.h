/* owner.h - names of users and groups to ids of this host, remembering the last ones asked. */
#ifndef PGBR_RESTORE_OWNER_H
#define PGBR_RESTORE_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

#include "repo/manifest/manifest.h"

struct owner_memory {
    char *user, *group; /* asked last */
    uid_t uid;
    gid_t gid;
    bool lost; /* an owner could not be given back: unknown here, or not root */
};
/* -1 where nothing is to be done: it is what a new file gets anyway, or cannot be changed. */
void owner_of(struct owner_memory *m, const struct entry *e, uid_t *uid, gid_t *gid);
void owner_free(struct owner_memory *m);

#endif
