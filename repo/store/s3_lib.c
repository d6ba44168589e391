#include "repo/store/s3_lib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/* Written once, under the once-control; read-only from then on. */
static struct s3_lib table;
static char failure[512];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *open_library(const char *name, const char *package)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL && failure[0] == '\0') {
        const char *why = dlerror();
        snprintf(failure, sizeof failure, "cannot load %s: %s; install Debian package %s", name,
                 why == NULL ? "?" : why, package);
    }
    return library;
}

static void lacks(const char *name)
{
    if (failure[0] == '\0')
        snprintf(failure, sizeof failure,
                 "the function %s is missing: libcurl is older than 7.62, "
                 "or expat than 2.0",
                 name);
}

static void load(void)
{
    void *curl = open_library("libcurl.so.4", "libcurl4");
    void *expat = open_library("libexpat.so.1", "libexpat1");

    if (curl == NULL || expat == NULL)
        return;
#define S3_LIB_RESOLVE(library, name)                           \
    table.name = (__typeof__(table.name))dlsym(library, #name); \
    if (table.name == NULL)                                     \
        lacks(#name);
#define S3_CURL_RESOLVE(name) S3_LIB_RESOLVE(curl, name)
#define S3_EXPAT_RESOLVE(name) S3_LIB_RESOLVE(expat, name)
    S3_CURL_FUNCTIONS(S3_CURL_RESOLVE)
    S3_EXPAT_FUNCTIONS(S3_EXPAT_RESOLVE)
#undef S3_CURL_RESOLVE
#undef S3_EXPAT_RESOLVE
#undef S3_LIB_RESOLVE
    if (failure[0] == '\0' && table.curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        snprintf(failure, sizeof failure, "libcurl cannot be set up");
}

int s3_lib_load(const struct s3_lib **out, struct err *err)
{
    pthread_once(&once, load);
    if (failure[0] != '\0')
        return err_set(err, ERR_UNSUPPORTED, "repositories of type \"s3\": %s", failure);
    *out = &table;
    return 0;
}
