/* libpq.c - see libpq.h. */
#include "postgres/libpq.h"

int libpq_load(const struct libpq **out, struct err *err)
{
    static struct libpq table;
    static const char *const names[] = {LIBPQ_FUNCTIONS(LIBRARY_NAME)};
    static struct library library = LIBRARY("libpq.so.5", "libpq5", names, table);

    TRY(library_load(&library, err));
    *out = &table;
    return 0;
}
