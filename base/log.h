/*
 * log.h - one line per event on standard error, as text or as one JSON object.
 *
 * The only global of the program that changes. Set up once by main, then used by any thread. Every
 * line carries time (UTC), level, pid and, when set, cluster and instance; JSON also the host and
 * the command. Secrets never come here.
 *
 *     2026-11-22 14:05:33.120Z [4711] INFO pg-test/pg-test-1 backup: copied 7.6 GB in 00:12
 *     {"time":"2026-11-22T14:05:33.120Z","level":"info","pid":4711,"host":"db1","command":"backup",
 *      "cluster":"pg-test","instance":"pg-test-1","message":"backup: copied 7.6 GB in 00:12"}
 *
 * Whatever a message is made of, its line is one line of valid UTF-8 without control characters: in
 * text they become spaces, in JSON they are escaped; bytes that are no character become U+FFFD.
 * Each line is one write(2) of LOG_LINE_MAX bytes at most, what a pipe takes without mixing it with
 * the lines of other processes; a longer message is cut and ends with "...".
 */
#ifndef PGBR_BASE_LOG_H
#define PGBR_BASE_LOG_H

#include <limits.h>
#include <stdbool.h>

#include "base/auto.h"
#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };
enum { LOG_LINE_MAX = PIPE_BUF };

void log_setup(enum log_format format, enum log_level level);
/* Which command this is; the text is borrowed. */
void log_command(const char *name);
/* Added to every line; NULL leaves it out. The strings are copied. */
void log_identity(const char *cluster, const char *instance);
/* The same for the lines of this thread alone, instead of the above, until called with two NULLs;
 * the strings are borrowed. For a thread that works for one cluster among several. */
void log_identity_here(const char *cluster, const char *instance);
bool log_wants(enum log_level level);
void log_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warning(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* How many warnings and errors were logged so far: a command that succeeded "with warnings that
 * need a person" decides by its own result, this is for summaries only. */
unsigned log_count(enum log_level level);
int log_level_parse(const char *text, enum log_level *level); /* 0, or -1: unknown */
int log_format_parse(const char *text, enum log_format *format);

#endif
