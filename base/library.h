/*
 * library.h - shared libraries that are loaded when they are first needed.
 *
 * Most calls of pgbr need none of them, and each costs its part of a start (decision 3). The types
 * come from the library's own header, so that a wrong call is an error of the compiler: who uses a
 * library lists its functions once,
 *
 *     #define THING_FUNCTIONS(X) X(thing_open) X(thing_close)
 *     struct thing { THING_FUNCTIONS(LIBRARY_MEMBER) };
 *
 * and fills the table by
 *
 *     static struct thing table;
 *     static const char *const names[] = {THING_FUNCTIONS(LIBRARY_NAME)};
 *     static struct library library = LIBRARY("libthing.so.1", "libthing1", names, table);
 *     ...
 *     TRY(library_load(&library, err));
 *     table.thing_open(...);
 */
#ifndef PGBR_BASE_LIBRARY_H
#define PGBR_BASE_LIBRARY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/auto.h"
#include "base/err.h"

#define LIBRARY_MEMBER(name) __typeof__(name) *name;
#define LIBRARY_NAME(name) #name,

struct library {
    const char *file, *package; /* its name for the loader; of Debian */
    const char *const *names;
    size_t n;
    void *table;          /* a pointer for each name, in that order */
    size_t size;          /* of it */
    int (*begin)(void);   /* called once when all are there; not 0: it cannot be used. NULL: none */
    pthread_mutex_t lock; /* of all below, and of the table until it is filled */
    bool tried;
    char failure[512]; /* "": it is there */
};
#define LIBRARY(so, debian, list, members, ...)                                          \
    {                                                                                    \
        .file = (so), .package = (debian), .names = (list), .n = LENGTH(list),           \
        .table = &(members), .size = sizeof(members), .lock = PTHREAD_MUTEX_INITIALIZER, \
        __VA_ARGS__                                                                      \
    }

/* Any thread, any number of times: the library is loaded once, for good, and the table does not
 * change from then on. ERR_UNSUPPORTED with what to install. */
int library_load(struct library *l, struct err *err) MUST_CHECK;

#endif
