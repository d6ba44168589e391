/*
 * curl.h - libcurl, loaded when something is first asked over HTTP.
 *
 * archive-push starts once per WAL segment and may have local repositories only; linking libcurl
 * would cost it milliseconds, because of all that libcurl brings with it (see docs/decisions/0003).
 * Members are called lib->curl_easy_perform(...); the types come from the library's own header.
 */
#ifndef PGBR_BASE_CURL_H
#define PGBR_BASE_CURL_H

#define CURL_DISABLE_TYPECHECK /* its macros cannot be used with a table of functions */
#include <curl/curl.h>

#include "base/library.h"

#define CURL_FUNCTIONS(X) \
    X(curl_global_init)   \
    X(curl_easy_init)     \
    X(curl_easy_setopt)   \
    X(curl_easy_perform)  \
    X(curl_easy_getinfo)  \
    X(curl_easy_reset)    \
    X(curl_easy_cleanup)  \
    X(curl_easy_strerror) \
    X(curl_slist_append)  \
    X(curl_slist_free_all)

struct curl_lib {
    CURL_FUNCTIONS(LIBRARY_MEMBER)
};

/* The table, the same for every caller and thread; never freed. ERR_UNSUPPORTED with what to
 * install when the library or one of its functions is missing. */
int curl_load(const struct curl_lib **out, struct err *err) MUST_CHECK;

#endif
