/* program.h - running another program to its end and reading what it says. */
#ifndef PGBR_RESTORE_PROGRAM_H
#define PGBR_RESTORE_PROGRAM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/queue.h"

/*
 * words[0] is a path; the list ends with NULL. Both output streams are appended to *said, at most
 * max bytes of them (the rest is read and dropped). The program gets nothing to read, and no signal
 * blocked. ERR_FAILED: it ended with another status than 0, or by a signal; the message names it.
 * stop (may be NULL): ends it and gives ERR_INTERRUPTED.
 */
int program_read(const char *const *words, size_t max, const struct stop *stop, struct buf *said,
                 struct err *err) MUST_CHECK;

#endif
