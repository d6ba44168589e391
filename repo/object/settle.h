/*
 * settle.h - what became of a write whose answer was lost. Internal to repo/.
 *
 * A store that repeats a create-only request finds its own object there and says ERR_EXISTS; one
 * that cannot repeat it says ERR_UNREACHABLE. The random object id in the header tells whether what
 * lies there is this very write.
 */
#ifndef PGBR_REPO_OBJECT_SETTLE_H
#define PGBR_REPO_OBJECT_SETTLE_H

#include "repo/object/object.h"

/* After object_commit() failed with *err. size: as object_commit() set it, 0 when it did not come
 * so far. 0: the object is there, whole, this very one and durable, and the error is forgotten;
 * else -1 and the error as it was. */
int object_settle(struct store *store, const char *key, const struct object_head *head,
                  uint64_t size, struct err *err) MUST_CHECK;

#endif
