/* mem.h - memory that does not fail: running out of it ends the process with a message. */
#ifndef PGBR_BASE_MEM_H
#define PGBR_BASE_MEM_H

#include <stddef.h>

/* What the process ends with then: 1 unless set, which main does where 1 has a meaning of its own.
 */
void mem_exit_status(int status);

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size); /* zeroed; checks count * size */
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text); /* NULL stays NULL */
char *xstrndup(const char *text, size_t length);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void *xaligned(size_t alignment, size_t size); /* for direct I/O; freed with free() */

/* For big buffers that live as long as the process works on one thing: pages of 2 MiB where the
 * system has them, which saves hundreds of page faults. Freed with free(). */
void *xhuge(size_t size);

/* free() as a release function: for AUTO(mem_free) char *p. Takes the address of any pointer. */
void mem_free(void *address_of_pointer);

/* Overwrites memory that held a secret; never optimised away. */
void mem_wipe(void *p, size_t size);

#endif
