/* sql.c - see sql.h. */
#include "catalog/sql.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"

struct catalog_texts {
    struct catalog_texts *next;
    char text[];
};

static enum err_code code_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* a table or column that ought to be there is not */
        return ERR_CORRUPT;
    case SQLITE_FULL:
        return ERR_NO_SPACE;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}

int sql_fail(const struct catalog *c, struct err *err, const char *doing)
{
    int rc = sqlite3_extended_errcode(c->db);
    enum err_code code = code_of(rc);
    const char *advice = "";

    if (code == ERR_CORRUPT)
        advice = "; \"pgbr catalog rebuild\" makes it anew from the repositories";
    if (code == ERR_BUSY)
        advice = "; another pgbr process is writing to it";
    return err_set(err, code, "catalog \"%s\": cannot %s: %s%s", c->path, doing,
                   sqlite3_errmsg(c->db), advice);
}

int sql_script(struct catalog *c, const char *sql, const char *doing, struct err *err)
{
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_fail(c, err, doing);
}

static int bind(sqlite3_stmt *s, int at, const struct sql_value *v)
{
    if (!v->is_text)
        return sqlite3_bind_int64(s, at, v->number);
    if (v->text == NULL)
        return sqlite3_bind_null(s, at);
    return sqlite3_bind_text(s, at, v->text, -1, SQLITE_STATIC);
}

int sql_query(struct catalog *c, sqlite3_stmt **s, const char *sql, const struct sql_value *values,
              size_t n, const char *doing, struct err *err)
{
    if (sqlite3_prepare_v2(c->db, sql, -1, s, NULL) != SQLITE_OK)
        return sql_fail(c, err, doing);
    for (size_t i = 0; i < n; i++)
        if (bind(*s, (int)i + 1, &values[i]) != SQLITE_OK)
            return sql_fail(c, err, doing);
    return 0;
}

int sql_step(struct catalog *c, sqlite3_stmt *s, bool *row, const char *doing, struct err *err)
{
    int rc = sqlite3_step(s);

    *row = rc == SQLITE_ROW;
    return *row || rc == SQLITE_DONE ? 0 : sql_fail(c, err, doing);
}

void sql_done(sqlite3_stmt **s)
{
    sqlite3_finalize(*s);
    *s = NULL;
}

int sql_run(struct catalog *c, const char *sql, const struct sql_value *values, size_t n,
            const char *doing, struct err *err)
{
    AUTO(sql_done) sqlite3_stmt *s = NULL;
    bool row;

    TRY(sql_query(c, &s, sql, values, n, doing, err));
    return sql_step(c, s, &row, doing, err);
}

int sql_number(struct catalog *c, const char *sql, int64_t *out, const char *doing, struct err *err)
{
    AUTO(sql_done) sqlite3_stmt *s = NULL;
    bool row;

    TRY(sql_query(c, &s, sql, NULL, 0, doing, err));
    TRY(sql_step(c, s, &row, doing, err));
    *out = row ? sqlite3_column_int64(s, 0) : 0;
    return 0;
}

/* One more element behind an array of n. */
static void *rows_grow(void *rows, size_t n, size_t size)
{
    if ((n & (n - 1)) == 0) /* room is the next power of two */
        return xrealloc(rows, (n == 0 ? 1 : 2 * n) * size);
    return rows;
}

int sql_rows(struct catalog *c, const struct sql_select *q, void **rows, size_t *n,
             struct catalog_texts **texts, struct err *err)
{
    AUTO(sql_done) sqlite3_stmt *s = NULL;
    bool row;

    *rows = NULL;
    *n = 0;
    TRY(sql_query(c, &s, q->sql, q->values, q->n_values, q->doing, err));
    for (;;) {
        struct sql_columns k = {s, 0, texts};

        TRY(sql_step(c, s, &row, q->doing, err));
        if (!row)
            return 0;
        *rows = rows_grow(*rows, *n, q->row_size);
        q->read(&k, (char *)*rows + (*n)++ * q->row_size);
    }
}

const char *col_text(struct sql_columns *k)
{
    const unsigned char *text = sqlite3_column_text(k->row, k->next);
    size_t size = (size_t)sqlite3_column_bytes(k->row, k->next++) + 1;
    struct catalog_texts *t;

    if (text == NULL)
        return NULL;
    t = xmalloc(sizeof *t + size);
    memcpy(t->text, text, size);
    t->next = *k->texts;
    *k->texts = t;
    return t->text;
}

int64_t col_int(struct sql_columns *k)
{
    return sqlite3_column_int64(k->row, k->next++);
}

uint64_t col_u64(struct sql_columns *k)
{
    return (uint64_t)col_int(k);
}

void texts_free(struct catalog_texts **t)
{
    while (*t != NULL) {
        struct catalog_texts *next = (*t)->next;
        free(*t);
        *t = next;
    }
}

static int scope_open(struct catalog *c, struct sql_scope *s, const char *begin, const char *doing,
                      struct err *err)
{
    bool inner = !sqlite3_get_autocommit(c->db);

    TRY(sql_script(c, inner ? "SAVEPOINT part" : begin, doing, err));
    *s = (struct sql_scope){c, inner};
    return 0;
}

int scope_begin(struct catalog *c, struct sql_scope *s, const char *doing, struct err *err)
{
    /* IMMEDIATE: wait for the write lock now, since a reader that turns writer cannot wait */
    return scope_open(c, s, "BEGIN IMMEDIATE", doing, err);
}

int scope_read(struct catalog *c, struct sql_scope *s, const char *doing, struct err *err)
{
    return scope_open(c, s, "BEGIN", doing, err);
}

int scope_commit(struct sql_scope *s, const char *doing, struct err *err)
{
    crash_point("catalog-writing");
    TRY(sql_script(s->c, s->inner ? "RELEASE part" : "COMMIT", doing, err));
    crash_point("catalog-written");
    s->c = NULL;
    return 0;
}

void scope_abandon(struct sql_scope *s)
{
    if (s->c == NULL)
        return;
    sqlite3_exec(s->c->db, s->inner ? "ROLLBACK TO part; RELEASE part" : "ROLLBACK", NULL, NULL,
                 NULL);
    s->c = NULL;
}

int64_t time_or_now(int64_t us)
{
    return us != 0 ? us : clock_now_us();
}
