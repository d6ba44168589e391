/* sqlite.c - see sqlite.h. */
#define PGBR_SQLITE_PLAIN
#include "catalog/sqlite.h"

struct sqlite_library sqlite_library;

int sqlite_load(struct err *err)
{
    static const char *const names[] = {SQLITE_FUNCTIONS(LIBRARY_NAME)};
    static struct library library =
        LIBRARY("libsqlite3.so.0", "libsqlite3-0", names, sqlite_library);

    return library_load(&library, err);
}
