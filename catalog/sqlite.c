/* sqlite.c - see sqlite.h. */
#define PGBR_SQLITE_PLAIN
#include "catalog/sqlite.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#define LIBRARY "libsqlite3.so.0"

/* Written once, under the once-control; read-only from then on. */
struct sqlite_library sqlite_library;
static char failure[512];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        const char *why = dlerror();
        snprintf(failure, sizeof failure, "cannot load " LIBRARY ": %s", why == NULL ? "?" : why);
        return;
    }
#define SQLITE_RESOLVE(name)                                                      \
    sqlite_library.name = (__typeof__(sqlite_library.name))dlsym(library, #name); \
    if (sqlite_library.name == NULL && failure[0] == '\0')                        \
        snprintf(failure, sizeof failure, LIBRARY " lacks the function " #name);
    SQLITE_FUNCTIONS(SQLITE_RESOLVE)
#undef SQLITE_RESOLVE
}

int sqlite_load(struct err *err)
{
    pthread_once(&once, load);
    if (failure[0] != '\0')
        return err_set(err, ERR_UNSUPPORTED, "%s; install SQLite (Debian package libsqlite3-0)",
                       failure);
    return 0;
}
