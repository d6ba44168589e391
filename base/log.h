/*
 * log.h - one line per event on standard error, as text or as one JSON object.
 *
 * The only global of the program that changes. Set up once by main, then used by any thread (lines
 * are written by one write(2) each). Every line carries time (UTC), level, pid and, when set,
 * cluster and instance. Control characters in a text line become spaces. Secrets never come here.
 *
 *     2026-11-22 14:05:33.120Z [4711] INFO pg-test/pg-test-1 backup: copied 7.6 GB in 00:12
 *     {"time":"2026-11-22T14:05:33.120Z","level":"info","pid":4711,"cluster":"pg-test",
 *      "instance":"pg-test-1","message":"backup: copied 7.6 GB in 00:12"}
 */
#ifndef PGBR_BASE_LOG_H
#define PGBR_BASE_LOG_H

#include <stdbool.h>

#include "base/auto.h"
#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

void log_setup(enum log_format format, enum log_level level);
/* Added to every line; NULL leaves it out. The strings are copied. */
void log_identity(const char *cluster, const char *instance);
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
