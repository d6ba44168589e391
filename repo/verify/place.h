/*
 * place.h - what an object must be, told from its key alone, so that one that lies under another's
 * name is found. Internal to repo/.
 */
#ifndef PGBR_REPO_VERIFY_PLACE_H
#define PGBR_REPO_VERIFY_PLACE_H

#include "repo/object/names.h"
#include "repo/object/object.h"

/* Whether the key is that of a pack of the cluster; then *set and *pack say which. */
bool place_pack(const char *cluster, const char *key, char set[LABEL_SIZE + 1], uint32_t *pack);
/* Compares kind, label and pack number with what the key says. ERR_CORRUPT. Keys of unknown form
 * are let through: a later version may have written them. */
int place_check(const char *cluster, const char *key, const struct object_head *head,
                struct err *err) MUST_CHECK;

#endif
