/* curl.c - see curl.h. */
#include "base/curl.h"

static struct curl_lib table;

static int begin(void)
{
    return table.curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

int curl_load(const struct curl_lib **out, struct err *err)
{
    static const char *const names[] = {CURL_FUNCTIONS(LIBRARY_NAME)};
    static struct library library =
        LIBRARY("libcurl.so.4", "libcurl4", names, table, .begin = begin);

    TRY(library_load(&library, err));
    *out = &table;
    return 0;
}
