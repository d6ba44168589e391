/* stray.c - see stray.h. */
#include "restore/stray.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

/* What the link would lead to, without any link in it; NULL: nothing that is there. */
static char *end_of(const char *dir, const char *rel, const char *target)
{
    const char *slash = strrchr(rel, '/');
    AUTO(mem_free) char *path = NULL;

    if (target[0] == '/')
        return realpath(target, NULL);
    path = xasprintf("%s/%.*s%s", dir, slash == NULL ? 0 : (int)(slash + 1 - rel), rel, target);
    return realpath(path, NULL);
}

static bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool stray_link(const struct layout *l, unsigned root, const char *rel, const char *target)
{
    const char *dir = l->roots[root].dir;
    AUTO(mem_free) char *end = NULL, *top = NULL;
    size_t len;

    if (!l->side_copy)
        return false;
    if (root == ROOT_DATA && strncmp(rel, "pg_tblspc/", strlen("pg_tblspc/")) == 0)
        return true; /* of no tablespace of the backup: nobody knows whose it is */
    end = end_of(dir, rel, target);
    top = realpath(dir, NULL);
    if (end == NULL || top == NULL)
        return l->sandbox;
    len = strlen(top);
    if (strncmp(end, top, len) == 0 && (end[len] == '/' || end[len] == '\0'))
        return false;
    return !(root == ROOT_DATA && strchr(rel, '/') == NULL && is_file(end));
}
