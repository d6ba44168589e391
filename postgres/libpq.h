/*
 * libpq.h - PostgreSQL's client library, loaded when it is first needed.
 *
 * Linking libpq costs milliseconds at each start of archive-push, which never connects; so nothing
 * links it, and libpq_load() opens libpq.so.5 once per process. Members are called
 * pq->PQexec(...); the types come from libpq-fe.h. Only postgres/conn.c and code that streams WAL
 * should need this header.
 */
#ifndef PGBR_POSTGRES_LIBPQ_H
#define PGBR_POSTGRES_LIBPQ_H

#include <postgresql/libpq-fe.h>

#include "base/library.h"

#define LIBPQ_FUNCTIONS(X)  \
    X(PQconninfoParse)      \
    X(PQconninfoFree)       \
    X(PQconnectdbParams)    \
    X(PQfinish)             \
    X(PQstatus)             \
    X(PQerrorMessage)       \
    X(PQserverVersion)      \
    X(PQparameterStatus)    \
    X(PQhost)               \
    X(PQport)               \
    X(PQuser)               \
    X(PQdb)                 \
    X(PQsocket)             \
    X(PQsetNoticeProcessor) \
    X(PQexec)               \
    X(PQsendQuery)          \
    X(PQsendQueryParams)    \
    X(PQsetnonblocking)     \
    X(PQflush)              \
    X(PQconsumeInput)       \
    X(PQisBusy)             \
    X(PQgetResult)          \
    X(PQresultStatus)       \
    X(PQresultErrorMessage) \
    X(PQresultErrorField)   \
    X(PQclear)              \
    X(PQntuples)            \
    X(PQnfields)            \
    X(PQgetvalue)           \
    X(PQgetlength)          \
    X(PQgetisnull)          \
    X(PQgetCopyData)        \
    X(PQputCopyData)        \
    X(PQputCopyEnd)         \
    X(PQfreemem)            \
    X(PQgetCancel)          \
    X(PQcancel)             \
    X(PQfreeCancel)

struct libpq {
    LIBPQ_FUNCTIONS(LIBRARY_MEMBER)
};

/* The table, the same for every caller and thread; never freed. ERR_UNSUPPORTED with what to
 * install when the library or one of its functions is missing. */
int libpq_load(const struct libpq **out, struct err *err) MUST_CHECK;

#endif
