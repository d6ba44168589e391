/*
 * sql.h - statements, values and columns, for the files of this folder only.
 *
 * Values are always bound, never part of the text of a statement.
 */
#ifndef PGBR_CATALOG_SQL_H
#define PGBR_CATALOG_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/sqlite.h"

#include "catalog/catalog.h"

struct catalog {
    sqlite3 *db;
    char *path;
};
enum { SQL_WAIT_MS = 5000 }; /* for another process that writes */

struct sql_value {
    bool is_text;
    const char *text; /* NULL: SQL NULL */
    int64_t number;
};
#define SQL_TEXT(t) ((struct sql_value){.is_text = true, .text = (t)})
#define SQL_INT(n) ((struct sql_value){.number = (int64_t)(n)})

/* What SQLite says as an error value; doing: "record a backup". Returns -1. */
int sql_fail(const struct catalog *c, struct err *err, const char *doing);

/* Statements without values, several if need be. */
int sql_script(struct catalog *c, const char *sql, const char *doing, struct err *err) MUST_CHECK;

/* One statement that returns nothing. */
int sql_run(struct catalog *c, const char *sql, const struct sql_value *values, size_t n,
            const char *doing, struct err *err) MUST_CHECK;

/* A query: prepare, then step until *row is false. */
int sql_query(struct catalog *c, sqlite3_stmt **s, const char *sql, const struct sql_value *values,
              size_t n, const char *doing, struct err *err) MUST_CHECK;
int sql_step(struct catalog *c, sqlite3_stmt *s, bool *row, const char *doing,
             struct err *err) MUST_CHECK;
void sql_done(sqlite3_stmt **s);

/* The columns of a row, from left to right. */
struct sql_columns {
    sqlite3_stmt *row;
    int next;
    struct catalog_texts **texts; /* takes copies of the text */
};
const char *col_text(struct sql_columns *k);
int64_t col_int(struct sql_columns *k);
uint64_t col_u64(struct sql_columns *k);

/* A query of which all rows are wanted, each read into one element of an array. */
struct sql_select {
    const char *doing, *sql;
    const struct sql_value *values;
    size_t n_values;
    size_t row_size;
    void (*read)(struct sql_columns *k, void *row);
};
/* Sets *rows and *n, also on failure: to what was read until then. */
int sql_rows(struct catalog *c, const struct sql_select *q, void **rows, size_t *n,
             struct catalog_texts **texts, struct err *err) MUST_CHECK;
/* The same for a list of catalog.h: a struct with rows, n and texts. */
#define SQL_LIST(c, q, list, err)                                            \
    ({                                                                       \
        void *rows_ = NULL;                                                  \
        int rc_;                                                             \
        *(list) = (__typeof__(*(list))){0};                                  \
        rc_ = sql_rows((c), (q), &rows_, &(list)->n, &(list)->texts, (err)); \
        (list)->rows = rows_;                                                \
        rc_;                                                                 \
    })

/* The one number that a query gives. */
int sql_number(struct catalog *c, const char *sql, int64_t *out, const char *doing,
               struct err *err) MUST_CHECK;

void texts_free(struct catalog_texts **t);

/* A transaction of its own, or a savepoint in the caller's. */
struct sql_scope {
    struct catalog *c; /* NULL: not begun, or ended */
    bool inner;
};
int scope_begin(struct catalog *c, struct sql_scope *s, const char *doing,
                struct err *err) MUST_CHECK;
/* For several reads of one and the same state; ends by being abandoned. */
int scope_read(struct catalog *c, struct sql_scope *s, const char *doing,
               struct err *err) MUST_CHECK;
int scope_commit(struct sql_scope *s, const char *doing, struct err *err) MUST_CHECK;
void scope_abandon(struct sql_scope *s); /* for AUTO */

/* The time given, or now for 0. */
int64_t time_or_now(int64_t us);

#endif
