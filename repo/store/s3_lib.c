/* s3_lib.c - see s3_lib.h. */
#include "repo/store/s3_lib.h"

int s3_lib_load(const struct s3_lib **out, struct err *err)
{
    static struct s3_lib table;
    static const char *const names[] = {S3_EXPAT_FUNCTIONS(LIBRARY_NAME)};
    static struct library library = LIBRARY("libexpat.so.1", "libexpat1", names, table);

    if (library_load(&library, err) != 0)
        return err_context(err, "repositories of type \"s3\"");
    *out = &table;
    return 0;
}
