/* server_ask.c - what the server of a rehearsal says: in its log, and in a session. */
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/server.h"
#include "restore/server.h"

enum { LOG_MAX = 64 << 20, COMPLAINTS = 4 };

/* ---- the log ---- */

/* Behind "2026-11-29 11:00:00.000 UTC [123] FATAL:  "; also behind pgbr's own "... ERROR ". NULL:
 * the line is no complaint. */
static const char *complaint_in(const char *line, size_t len)
{
    static const char *const levels[] = {"FATAL:  ", "PANIC:  ", "ERROR:  ", "] ERROR "};

    for (size_t i = 0; i < LENGTH(levels); i++) {
        const char *at = memmem(line, len, levels[i], strlen(levels[i]));

        if (at != NULL)
            return at + strlen(levels[i]);
    }
    return NULL;
}

void server_complaint(const struct server *s, struct buf *out)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct err ignored = {0};
    const char *found[COMPLAINTS] = {0};
    size_t n = 0;

    if (s->log == NULL || fs_read_file(AT_FDCWD, s->log, LOG_MAX, &text, &ignored) != 0)
        return;
    for (const char *line = buf_text(&text) + MIN_OF(s->log_from, text.len), *end; *line != '\0';
         line = *end == '\0' ? end : end + 1) {
        end = line + strcspn(line, "\n");
        const char *said = complaint_in(line, (size_t)(end - line));
        if (said != NULL)
            found[n++ % COMPLAINTS] = said;
    }
    for (size_t i = n > COMPLAINTS ? n - COMPLAINTS : 0; i < n; i++)
        buf_addf(out, "%s%.*s", out->len == 0 ? "" : "; ",
                 (int)strcspn(found[i % COMPLAINTS], "\n"), found[i % COMPLAINTS]);
}

/* ---- sessions ---- */

/* Within single quotes of a connection string. */
static void add_value(struct buf *out, const char *key, const char *value)
{
    buf_addf(out, "%s='", key);
    for (const char *p = value; *p != '\0'; p++) {
        if (*p == '\'' || *p == '\\')
            buf_addc(out, '\\');
        buf_addc(out, *p);
    }
    buf_adds(out, "' ");
}

/* Everything that an environment variable or a service file could change is told. */
static int connect_as(const struct server *s, const char *database, const char *role,
                      struct pg **pg, struct err *err)
{
    AUTO(buf_free) struct buf info = BUF_INIT;

    add_value(&info, "host", s->box->sockets);
    add_value(&info, "hostaddr", "");
    add_value(&info, "port", "5432");
    add_value(&info, "user", role);
    add_value(&info, "dbname", database);
    add_value(&info, "target_session_attrs", "any");
    /* Libraries that are loaded by a role's or a database's own setting may not be there. */
    add_value(&info, "options", "-c session_preload_libraries= -c local_preload_libraries=");
    return pg_connect(pg, buf_text(&info), 0, err);
}

static int prove(const struct server *s, uint64_t system_id, struct pg *pg, struct err *err)
{
    AUTO(mem_free) char *dir = NULL;
    AUTO(mem_free) char *real = realpath(s->box->data, NULL);
    uint64_t id = 0;

    TRY(pg_setting(pg, "data_directory", &dir, err));
    TRY(pg_system_id(pg, &id, err));
    if (strcmp(dir, real != NULL ? real : s->box->data) == 0 && id == system_id)
        return 0;
    return err_set(err, ERR_FOREIGN,
                   "the server that answers has data directory \"%s\" and system identifier %llu; "
                   "expected \"%s\" and %llu",
                   dir, (unsigned long long)id, s->box->data, (unsigned long long)system_id);
}

/* Who made the cluster is known to it alone, so it is asked as somebody who is likely to be there.
 */
static int connect_first(const struct server *s, const char *database, struct pg **pg,
                         struct err *err)
{
    struct passwd *self = getpwuid(geteuid());
    const char *const names[] = {s->user, "postgres", self != NULL ? self->pw_name : NULL};
    struct err why = {0};

    for (size_t i = 0; i < LENGTH(names); i++)
        if (names[i] != NULL && connect_as(s, database, names[i], pg, i == 0 ? err : &why) == 0)
            return 0;
    if (s->user == NULL)
        *err = why;
    err_clear(&why);
    return -1;
}

static int find_superuser(struct server *s, struct err *err)
{
    AUTO(pg_close) struct pg *pg = NULL;
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(connect_first(s, "template1", &pg, err));
    TRY(pg_query_row(pg,
                     "SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper AND rolcanlogin"
                     " ORDER BY oid <> 10, oid LIMIT 1",
                     PG_NONE, 1, &rows, err));
    s->superuser = xstrdup(pg_text(rows, 0, 0));
    return 0;
}

int server_connect(struct server *s, const char *database, uint64_t system_id, struct pg **pg,
                   struct err *err)
{
    AUTO(pg_close) struct pg *made = NULL;

    if (s->superuser == NULL)
        TRY(find_superuser(s, err));
    TRY(connect_as(s, database, s->superuser, &made, err));
    TRY(prove(s, system_id, made, err));
    *pg = TAKE(made);
    return 0;
}
