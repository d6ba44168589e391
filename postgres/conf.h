/*
 * conf.h - lines of postgresql.conf and postgresql.auto.conf.
 *
 * Enough of guc-file.l to find the settings of a file and to take some out while every other byte
 * stays: "name = 'value'  # comment", the "=" optional, names in any case, values bare or in single
 * quotes with '' and backslash escapes. A line that PostgreSQL would refuse is left alone. Pure
 * functions.
 */
#ifndef PGBR_POSTGRES_CONF_H
#define PGBR_POSTGRES_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Appends the value in single quotes, quotes and backslashes doubled. A newline cannot be written
 * in a configuration file: the caller refuses such values before. */
void conf_quote(struct buf *out, const char *value);
/* Appends "name = 'value'\n". */
void conf_set(struct buf *out, const char *name, const char *value);

/* Reads one line (without its newline). True when it is a setting: name is set in lower case, value
 * unquoted; both are cleared first. Includes are settings named include, include_dir,
 * include_if_exists here. */
bool conf_line_parse(const char *line, size_t len, struct buf *name, struct buf *value);

/* The value a file gives to a setting: its last line wins. False when it gives none. */
bool conf_find(const char *text, size_t len, const char *name, struct buf *value);

/* Appends the text without the lines that set one of the names for which drop() says true; returns
 * how many were dropped. Everything else is kept byte for byte. */
size_t conf_filter(const char *text, size_t len, bool (*drop)(const char *name, void *arg),
                   void *arg, struct buf *out);

/* A setting that steers recovery or follows a primary (recovery_target*, restore_command,
 * archive_cleanup_command, recovery_end_command, recovery_min_apply_delay, primary_conninfo,
 * primary_slot_name, promote_trigger_file): stale ones must not survive a restore. The signature is
 * conf_filter's. */
bool conf_is_recovery_setting(const char *name, void *unused);

#endif
