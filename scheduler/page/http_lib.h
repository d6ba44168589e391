/*
 * http_lib.h - libmicrohttpd, loaded when the scheduler begins to serve: no other command needs it
 * (decision 3). Members are called lib->MHD_queue_response(...).
 */
#ifndef PGBR_SCHEDULER_PAGE_HTTP_LIB_H
#define PGBR_SCHEDULER_PAGE_HTTP_LIB_H

#include <microhttpd.h>

#include "base/library.h"

#define HTTP_FUNCTIONS(X)              \
    X(MHD_start_daemon)                \
    X(MHD_stop_daemon)                 \
    X(MHD_lookup_connection_value)     \
    X(MHD_get_connection_info)         \
    X(MHD_create_response_from_buffer) \
    X(MHD_add_response_header)         \
    X(MHD_queue_response)              \
    X(MHD_destroy_response)

struct http_lib {
    HTTP_FUNCTIONS(LIBRARY_MEMBER)
};

/* The table, the same for every caller and thread; never freed. ERR_UNSUPPORTED with what to
 * install. */
int http_lib_load(const struct http_lib **out, struct err *err) MUST_CHECK;

#endif
