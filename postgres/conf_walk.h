/*
 * conf_walk.h - configuration files with what they include, in the order in which the server reads
 * them.
 *
 * postgresql.conf: include, include_if_exists, include_dir (guc-file.l). pg_hba.conf and
 * pg_ident.conf: the same from 16 on, and in every version "@file", a list of names (hba.c). Names
 * are relative to the file that has them; include_dir takes what ends in ".conf" and does not begin
 * with a dot, by bytes.
 */
#ifndef PGBR_POSTGRES_CONF_WALK_H
#define PGBR_POSTGRES_CONF_WALK_H

#include <stdbool.h>

#include "base/err.h"

struct conf_walk {
    void *ctx;
    const char *copies; /* where includes with absolute paths are looked for first
                           ("<copies>/etc/..."); or NULL */
    /* Each may be NULL. */
    void (*setting)(void *ctx, const char *name, const char *value);
    void (*file)(void *ctx, const char *path); /* a file or directory that was read; before what it
                                                  includes */
    /* What cannot be read; the walk goes on. NULL: it ends with that error. */
    void (*trouble)(void *ctx, const struct err *why);
};

/* must_exist: as for "include", else as for "include_if_exists". */
int conf_walk(const struct conf_walk *w, const char *path, bool must_exist,
              struct err *err) MUST_CHECK;
/* pg_hba.conf and pg_ident.conf of this major version. setting is not called. */
int conf_walk_hba(const struct conf_walk *w, unsigned major, const char *path,
                  struct err *err) MUST_CHECK;

#endif
