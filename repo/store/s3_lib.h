/*
 * s3_lib.h - expat, loaded when the first S3 repository is opened; libcurl is in base/curl.h, which
 * says why they are not linked. Members are called lib->XML_Parse(...).
 */
#ifndef PGBR_REPO_STORE_S3_LIB_H
#define PGBR_REPO_STORE_S3_LIB_H

#include <expat.h>

#include "base/library.h"

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
    S3_EXPAT_FUNCTIONS(LIBRARY_MEMBER)
};

/* The table, the same for every caller and thread; never freed. ERR_UNSUPPORTED with what to
 * install when the library or one of its functions is missing. */
int s3_lib_load(const struct s3_lib **out, struct err *err) MUST_CHECK;

#endif
