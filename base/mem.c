/* mem.c - see mem.h. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int exit_status = 1; /* set once, before there are threads */

void mem_exit_status(int status)
{
    exit_status = status;
}

static void *check(void *p, size_t size)
{
    if (p == NULL && size != 0) {
        fprintf(stderr, "pgbr: out of memory (%zu bytes wanted)\n", size);
        exit(exit_status);
    }
    return p;
}

void *xmalloc(size_t size)
{
    return check(malloc(size != 0 ? size : 1), size);
}

void *xcalloc(size_t count, size_t size)
{
    return check(calloc(count != 0 ? count : 1, size != 0 ? size : 1), size);
}

void *xrealloc(void *old, size_t size)
{
    return check(realloc(old, size != 0 ? size : 1), size);
}

char *xstrdup(const char *text)
{
    return text == NULL ? NULL : check(strdup(text), strlen(text) + 1);
}

char *xstrndup(const char *text, size_t length)
{
    return check(strndup(text, length), length + 1);
}

char *xasprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    return check(text, 1);
}

void *xaligned(size_t alignment, size_t size)
{
    void *p = NULL;

    if (posix_memalign(&p, alignment, size) != 0)
        p = NULL;
    return check(p, size);
}

void *xhuge(size_t size)
{
    enum { HUGE_PAGE = 2 << 20 };
    size_t whole = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *p = xaligned(HUGE_PAGE, whole);

    madvise(p, whole, MADV_HUGEPAGE); /* advice: nothing depends on it */
    return p;
}

void mem_free(void *address_of_pointer)
{
    void *p;

    memcpy(&p, address_of_pointer, sizeof p);
    free(p);
    p = NULL;
    memcpy(address_of_pointer, &p, sizeof p);
}

void mem_wipe(void *p, size_t size)
{
    explicit_bzero(p, size);
}
