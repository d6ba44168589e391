/* pg_bin.c - see pg_bin.h. A program is believed when it says its version itself. */
#include "restore/pg_bin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "restore/program.h"

/* "postgres (PostgreSQL) 15.20 (Debian ...)"; 0: it is something else. */
static unsigned version_in(const char *text)
{
    static const char word[] = "(PostgreSQL) ";
    const char *at = strstr(text, word);

    return at == NULL ? 0 : (unsigned)strtoul(at + sizeof word - 1, NULL, 10);
}

/* 0: there is no such program, or it does not tell. */
static unsigned major_of(const char *dir)
{
    AUTO(mem_free) char *path = xasprintf("%s/postgres", dir);
    AUTO(buf_free) struct buf said = BUF_INIT;
    const char *const words[] = {path, "-V", NULL};
    struct err ignored = {0};

    if (access(path, X_OK) != 0 || program_read(words, 4096, NULL, &said, &ignored) != 0)
        return 0;
    return version_in(buf_text(&said));
}

static bool try_dir(const char *dir, unsigned major, struct buf *seen, char **out)
{
    unsigned found = major_of(dir);

    if (found == major) {
        *out = xstrdup(dir);
        return true;
    }
    buf_addf(seen, "%s\"%s\"", seen->len == 0 ? "" : ", ", dir);
    if (found != 0)
        buf_addf(seen, " (which has %u)", found);
    return false;
}

static bool try_usual(unsigned major, struct buf *seen, char **out)
{
    AUTO(mem_free) char *debian = xasprintf("/usr/lib/postgresql/%u/bin", major);
    AUTO(mem_free) char *pgdg = xasprintf("/usr/pgsql-%u/bin", major);

    return try_dir(debian, major, seen, out) || try_dir(pgdg, major, seen, out);
}

static bool try_path(unsigned major, struct buf *seen, char **out)
{
    AUTO(mem_free) char *all = xstrdup(getenv("PATH"));
    char *at = NULL;

    for (char *dir = all == NULL ? NULL : strtok_r(all, ":", &at); dir != NULL;
         dir = strtok_r(NULL, ":", &at)) {
        AUTO(mem_free) char *program = xasprintf("%s/postgres", dir);

        if (dir[0] == '/' && access(program, X_OK) == 0 && try_dir(dir, major, seen, out))
            return true;
    }
    return false;
}

int pg_bin_find(const char *told, unsigned major, char **dir, struct err *err)
{
    AUTO(buf_free) struct buf seen = BUF_INIT;
    unsigned found;

    if (told != NULL) {
        found = major_of(told);
        if (found == major) {
            *dir = xstrdup(told);
            return 0;
        }
        if (found != 0)
            return err_set(err, ERR_CONFIG,
                           "\"%s\" has PostgreSQL %u, the backup is of PostgreSQL %u", told, found,
                           major);
        return err_set(err, ERR_CONFIG, "\"%s\" has no program \"postgres\" that tells its version",
                       told);
    }
    if (try_usual(major, &seen, dir) || try_path(major, &seen, dir))
        return 0;
    return err_set(err, ERR_NOT_FOUND,
                   "PostgreSQL %u, of which the backup is, is not installed here (looked at %s); "
                   "install it, or say where it is with --pg-bin or \"pg_bin\"",
                   major, buf_text(&seen));
}
