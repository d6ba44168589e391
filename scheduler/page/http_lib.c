/* http_lib.c - see http_lib.h. */
#include "scheduler/page/http_lib.h"

int http_lib_load(const struct http_lib **out, struct err *err)
{
    static struct http_lib table;
    static const char *const names[] = {HTTP_FUNCTIONS(LIBRARY_NAME)};
    static struct library library = LIBRARY("libmicrohttpd.so.12", "libmicrohttpd12", names, table);

    TRY(library_load(&library, err));
    *out = &table;
    return 0;
}
