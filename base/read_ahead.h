/*
 * read_ahead.h - the next piece of a file, read by a thread of its own while the present one is
 * worked on: so disk and processor do not wait for each other. One piece at a time.
 */
#ifndef PGBR_BASE_READ_AHEAD_H
#define PGBR_BASE_READ_AHEAD_H

#include "base/fs.h"

struct read_ahead;
struct read_ahead *read_ahead_new(void);
void read_ahead_free(struct read_ahead **a); /* waits for what is under way */

/* Starts quiet_read(); file and memory are the thread's until read_ahead_wait() returns. Nothing
 * may be under way. */
int read_ahead_begin(struct read_ahead *a, struct quiet_file *f, void *buf, size_t len,
                     uint64_t offset, struct err *err) MUST_CHECK;
bool read_ahead_busy(const struct read_ahead *a); /* begun, and not waited for */
/* As quiet_read() would have returned. */
int read_ahead_wait(struct read_ahead *a, size_t *got, struct err *err) MUST_CHECK;

#endif
