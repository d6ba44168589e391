/*
 * sqlite.h - SQLite, loaded when a catalog is first opened.
 *
 * archive-push and archive-get never open one, and linking the library costs each of their calls a
 * third of a millisecond (decision 3). Code of this folder calls sqlite3_exec() and so on as usual:
 * the names stand for members of a table here.
 */
#ifndef PGBR_CATALOG_SQLITE_H
#define PGBR_CATALOG_SQLITE_H

#include <sqlite3.h>

#include "base/library.h"

#define SQLITE_FUNCTIONS(X)          \
    X(sqlite3_bind_int64)            \
    X(sqlite3_bind_null)             \
    X(sqlite3_bind_text)             \
    X(sqlite3_busy_timeout)          \
    X(sqlite3_close)                 \
    X(sqlite3_column_bytes)          \
    X(sqlite3_column_int64)          \
    X(sqlite3_column_text)           \
    X(sqlite3_db_config)             \
    X(sqlite3_errmsg)                \
    X(sqlite3_exec)                  \
    X(sqlite3_extended_errcode)      \
    X(sqlite3_extended_result_codes) \
    X(sqlite3_finalize)              \
    X(sqlite3_get_autocommit)        \
    X(sqlite3_last_insert_rowid)     \
    X(sqlite3_open_v2)               \
    X(sqlite3_prepare_v2)            \
    X(sqlite3_step)

struct sqlite_library {
    SQLITE_FUNCTIONS(LIBRARY_MEMBER)
};
extern struct sqlite_library sqlite_library; /* written once, by sqlite_load() */

/* Before any of them is called. ERR_UNSUPPORTED with what to install. Any thread. */
int sqlite_load(struct err *err) MUST_CHECK;

#ifndef PGBR_SQLITE_PLAIN /* where the table itself is made */
#define sqlite3_bind_int64 sqlite_library.sqlite3_bind_int64
#define sqlite3_bind_null sqlite_library.sqlite3_bind_null
#define sqlite3_bind_text sqlite_library.sqlite3_bind_text
#define sqlite3_busy_timeout sqlite_library.sqlite3_busy_timeout
#define sqlite3_close sqlite_library.sqlite3_close
#define sqlite3_column_bytes sqlite_library.sqlite3_column_bytes
#define sqlite3_column_int64 sqlite_library.sqlite3_column_int64
#define sqlite3_column_text sqlite_library.sqlite3_column_text
#define sqlite3_db_config sqlite_library.sqlite3_db_config
#define sqlite3_errmsg sqlite_library.sqlite3_errmsg
#define sqlite3_exec sqlite_library.sqlite3_exec
#define sqlite3_extended_errcode sqlite_library.sqlite3_extended_errcode
#define sqlite3_extended_result_codes sqlite_library.sqlite3_extended_result_codes
#define sqlite3_finalize sqlite_library.sqlite3_finalize
#define sqlite3_get_autocommit sqlite_library.sqlite3_get_autocommit
#define sqlite3_last_insert_rowid sqlite_library.sqlite3_last_insert_rowid
#define sqlite3_open_v2 sqlite_library.sqlite3_open_v2
#define sqlite3_prepare_v2 sqlite_library.sqlite3_prepare_v2
#define sqlite3_step sqlite_library.sqlite3_step
#endif

#endif
