#include "repo/store/s3_lib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/* Written once, under the once-control; read-only from then on. */
static struct s3_lib table;
static char failure[512];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void lacks(const char *name)
{
    if (failure[0] == '\0')
        snprintf(failure, sizeof failure, "the function %s is missing: expat is older than 2.0",
                 name);
}

static void load(void)
{
    void *expat = dlopen("libexpat.so.1", RTLD_NOW | RTLD_LOCAL);

    if (expat == NULL) {
        const char *why = dlerror();

        snprintf(failure, sizeof failure,
                 "cannot load libexpat.so.1: %s; install Debian package libexpat1",
                 why == NULL ? "?" : why);
        return;
    }
#define S3_LIB_RESOLVE(name)                                  \
    table.name = (__typeof__(table.name))dlsym(expat, #name); \
    if (table.name == NULL)                                   \
        lacks(#name);
    S3_EXPAT_FUNCTIONS(S3_LIB_RESOLVE)
#undef S3_LIB_RESOLVE
}

int s3_lib_load(const struct s3_lib **out, struct err *err)
{
    pthread_once(&once, load);
    if (failure[0] != '\0')
        return err_set(err, ERR_UNSUPPORTED, "repositories of type \"s3\": %s", failure);
    *out = &table;
    return 0;
}
