#include "postgres/libpq.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#define LIBRARY "libpq.so.5"

/* Written once, under the once-control; read-only from then on. */
static struct libpq table;
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
#define LIBPQ_RESOLVE(name)                                     \
    table.name = (__typeof__(table.name))dlsym(library, #name); \
    if (table.name == NULL && failure[0] == '\0')               \
        snprintf(failure, sizeof failure, LIBRARY " lacks the function " #name);
    LIBPQ_FUNCTIONS(LIBPQ_RESOLVE)
#undef LIBPQ_RESOLVE
}

int libpq_load(const struct libpq **out, struct err *err)
{
    pthread_once(&once, load);
    if (failure[0] != '\0')
        return err_set(err, ERR_UNSUPPORTED,
                       "%s; install PostgreSQL's client library (Debian package libpq5)", failure);
    *out = &table;
    return 0;
}
