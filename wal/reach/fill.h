/*
 * fill.h - WAL that one repository lacks and another has.
 *
 * What an optional repository misses is remembered by archive-push (missed.h), but on one host and
 * in a file that can be lost. After a backup the repositories themselves are compared.
 */
#ifndef PGBR_WAL_REACH_FILL_H
#define PGBR_WAL_REACH_FILL_H

#include "base/queue.h"
#include "config/open.h"
#include "repo/manifest/manifest.h"

/*
 * Copies to each repository that is open what the others hold of the WAL since its newest backup
 * but `made` (without one: since its oldest segment): segments and history files of the cluster
 * that `made` is a backup of. What is older stays as it is: retention may have thinned it out.
 * *copied counts the files, also on failure. Two passes do no harm.
 */
int wal_fill(const struct open_repos *repos, const struct pubinfo *made, const struct stop *stop,
             uint64_t *copied, struct err *err) MUST_CHECK;

#endif
