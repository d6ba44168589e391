/* http_lib.c - see http_lib.h. */
#include "scheduler/http_lib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#define LIBRARY "libmicrohttpd.so.12"

/* Written once, under the once-control; read-only from then on. */
static struct http_lib table;
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
#define HTTP_RESOLVE(name)                                      \
    table.name = (__typeof__(table.name))dlsym(library, #name); \
    if (table.name == NULL && failure[0] == '\0')               \
        snprintf(failure, sizeof failure, LIBRARY " lacks the function " #name);
    HTTP_FUNCTIONS(HTTP_RESOLVE)
#undef HTTP_RESOLVE
}

int http_lib_load(const struct http_lib **out, struct err *err)
{
    pthread_once(&once, load);
    if (failure[0] != '\0')
        return err_set(err, ERR_UNSUPPORTED,
                       "%s; install libmicrohttpd (Debian package libmicrohttpd12)", failure);
    *out = &table;
    return 0;
}
