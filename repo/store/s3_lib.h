/*
 * s3_lib.h - libcurl and expat, loaded when the first S3 repository is opened.
 *
 * archive-push starts once per WAL segment and may have local repositories only; linking libcurl
 * would cost it milliseconds, because of all that libcurl brings with it (see docs/decisions/0003).
 * Members are called lib->curl_easy_perform(...); the types come from the libraries' own headers.
 */
#ifndef PGBR_REPO_STORE_S3_LIB_H
#define PGBR_REPO_STORE_S3_LIB_H

#define CURL_DISABLE_TYPECHECK /* its macros cannot be used with a table of functions */
#include <curl/curl.h>
#include <expat.h>

#include "base/err.h"

#define S3_CURL_FUNCTIONS(X) \
    X(curl_global_init)      \
    X(curl_easy_init)        \
    X(curl_easy_setopt)      \
    X(curl_easy_perform)     \
    X(curl_easy_getinfo)     \
    X(curl_easy_reset)       \
    X(curl_easy_cleanup)     \
    X(curl_easy_strerror)    \
    X(curl_slist_append)     \
    X(curl_slist_free_all)

#define S3_EXPAT_FUNCTIONS(X)         \
    X(XML_ParserCreate)               \
    X(XML_ParserFree)                 \
    X(XML_SetUserData)                \
    X(XML_SetElementHandler)          \
    X(XML_SetCharacterDataHandler)    \
    X(XML_SetStartDoctypeDeclHandler) \
    X(XML_StopParser)                 \
    X(XML_Parse)                      \
    X(XML_GetErrorCode)               \
    X(XML_ErrorString)

struct s3_lib {
#define S3_LIB_MEMBER(name) __typeof__(name) *name;
    S3_CURL_FUNCTIONS(S3_LIB_MEMBER)
    S3_EXPAT_FUNCTIONS(S3_LIB_MEMBER)
#undef S3_LIB_MEMBER
};

/* The table, the same for every caller and thread; never freed. ERR_UNSUPPORTED with what to
 * install when a library or one of its functions is missing. */
int s3_lib_load(const struct s3_lib **out, struct err *err) MUST_CHECK;

#endif
