/*
 * setting.h - a setting of a server as it finds it when it starts: in its files and on its command
 * line.
 *
 * Later ones win, as for PostgreSQL (guc.c, guc-file.l): postgresql.conf with what it includes,
 * postgresql.auto.conf, then the options in postmaster.opts, which the postmaster writes before
 * recovery begins.
 */
#ifndef PGBR_POSTGRES_SETTING_H
#define PGBR_POSTGRES_SETTING_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* name in lower case. *set false: it is given nowhere. What cannot be read (a file, an include that
 * is not there) is an error, since the setting may be in it. */
int setting_find(const char *data_dir, const char *name, struct buf *value, bool *set,
                 struct err *err) MUST_CHECK;
/* The same of two files: conf with what it includes, then auto_conf, which need not exist. copies:
 * where includes with absolute paths are looked for first ("<copies>/etc/..."); or NULL. */
int setting_in_files(const char *conf, const char *auto_conf, const char *copies, const char *name,
                     struct buf *value, bool *set, struct err *err) MUST_CHECK;

#endif
