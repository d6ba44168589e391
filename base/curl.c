/* curl.c - see curl.h. */
#include "base/curl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/* Written once, under the once-control; read-only from then on. */
static struct curl_lib table;
static char failure[512];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void lacks(const char *name)
{
    if (failure[0] == '\0')
        snprintf(failure, sizeof failure, "the function %s is missing: libcurl is older than 7.62",
                 name);
}

static void load(void)
{
    void *curl = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

    if (curl == NULL) {
        const char *why = dlerror();

        snprintf(failure, sizeof failure,
                 "cannot load libcurl.so.4: %s; install Debian package libcurl4",
                 why == NULL ? "?" : why);
        return;
    }
#define CURL_RESOLVE(name)                                   \
    table.name = (__typeof__(table.name))dlsym(curl, #name); \
    if (table.name == NULL)                                  \
        lacks(#name);
    CURL_FUNCTIONS(CURL_RESOLVE)
#undef CURL_RESOLVE
    if (failure[0] == '\0' && table.curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        snprintf(failure, sizeof failure, "libcurl cannot be set up");
}

int curl_load(const struct curl_lib **out, struct err *err)
{
    pthread_once(&once, load);
    if (failure[0] != '\0')
        return err_set(err, ERR_UNSUPPORTED, "%s", failure);
    *out = &table;
    return 0;
}
