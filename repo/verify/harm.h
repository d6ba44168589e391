/* harm.h - from damaged packs to the files and pages of the backups that need them. Internal to
 * repo/verify. */
#ifndef PGBR_REPO_VERIFY_HARM_H
#define PGBR_REPO_VERIFY_HARM_H

#include "repo/verify/verify.h"

/* Fills in made->damages[].harms, for one backup or for all that can be read. Without the key
 * nothing can be traced: no error. */
int harm_trace(struct repo *r, const char *label, struct verify_made *made,
               struct err *err) MUST_CHECK;

#endif
