/* apart.c - see apart.h. */
#include "restore/apart.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/relfile.h"

/* The nearest directory that exists, without links. */
static char *existing_part(const char *path)
{
    AUTO(mem_free) char *part = xstrdup(path);
    char *real, *slash;

    while ((real = realpath(part, NULL)) == NULL && (slash = strrchr(part, '/')) != NULL)
        *slash = '\0';
    return real != NULL ? real : xstrdup("/");
}

bool apart_is_inside(const char *path, const char *dir)
{
    AUTO(mem_free) char *place = existing_part(path), *real = realpath(dir, NULL);
    size_t len = real == NULL ? 0 : strlen(real);

    return len != 0 && strncmp(place, real, len) == 0 && (place[len] == '/' || place[len] == '\0');
}

/* ---- what is the original's ---- */

static const char *what(const struct layout *l, size_t root)
{
    return root == ROOT_DATA                  ? "the data directory"
           : root == ROOT_WAL && l->wal_apart ? "the directory for the WAL"
                                              : "the place of a tablespace";
}

static const char *option(size_t root)
{
    return root == ROOT_DATA ? "--data-dir" : root == ROOT_WAL ? "--wal-dir" : "--tablespace-map";
}

/* Is there a root that is inside of dir? */
static int refuse_inside(const struct layout *l, const char *dir, struct err *err)
{
    for (size_t i = 0; i < l->n; i++) {
        if (i == ROOT_CONFIG || (i == ROOT_WAL && !l->wal_apart))
            continue;
        if (apart_is_inside(l->roots[i].dir, dir))
            return err_set(err, ERR_USAGE,
                           "\"%s\", %s, is inside \"%s\", which is the original's; name another "
                           "place with %s",
                           l->roots[i].dir, what(l, i), dir, option(i));
    }
    return 0;
}

/* What a link of the present pg_wal leads to would be set aside. */
static int refuse_led_to(const struct layout *l, const struct site *s, const char *wal,
                         struct err *err)
{
    if (s->wal_link == NULL || !apart_is_inside(s->wal_link, wal))
        return 0;
    return err_set(err, ERR_EXISTS,
                   "\"%s/pg_wal\" is a link into \"%s\", which is the original's: remove that link "
                   "first",
                   l->roots[ROOT_DATA].dir, wal);
}

static int check_tablespaces(const struct layout *l, struct err *err)
{
    AUTO(mem_free) char *links = xasprintf("%s/pg_tblspc", l->original_dir);
    AUTO(dir_close) DIR *list = opendir(links);

    for (struct dirent *e; list != NULL && (e = readdir(list)) != NULL;) {
        AUTO(mem_free) char *own = NULL;

        if (oid_parse(e->d_name) == 0)
            continue;
        own = xasprintf("%s/%s/%s", links, e->d_name, l->version_dir);
        TRY(refuse_inside(l, own, err));
        for (size_t i = ROOT_TABLESPACE; i < l->n; i++) {
            AUTO(mem_free) char *mine = xasprintf("%s/%s", l->roots[i].dir, l->version_dir);

            if (fs_exists(AT_FDCWD, mine) && apart_is_inside(mine, own))
                return err_set(err, ERR_EXISTS,
                               "the place of tablespace %u, \"%s\", is where the original in "
                               "\"%s\" has its tablespace %s: give another one with "
                               "--tablespace-map %u=DIR",
                               l->roots[i].oid, l->roots[i].dir, l->original_dir, e->d_name,
                               l->roots[i].oid);
        }
    }
    return 0;
}

int apart_check(const struct layout *l, const struct site *s, struct err *err)
{
    AUTO(mem_free) char *version = NULL, *wal = NULL;

    if (!l->side_copy || l->original_dir == NULL)
        return 0;
    version = xasprintf("%s/PG_VERSION", l->original_dir);
    if (!fs_exists(AT_FDCWD, version))
        return 0; /* none is here */
    wal = xasprintf("%s/pg_wal", l->original_dir);
    TRY(refuse_led_to(l, s, wal, err));
    TRY(refuse_inside(l, l->original_dir, err));
    TRY(refuse_inside(l, wal, err));
    return check_tablespaces(l, err);
}
