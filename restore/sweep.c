/*
 * sweep.c - the existing directories beside the entries of the backup, see delta.h.
 *
 * A stack of directories, from a root down to the parent of the present entry, each with its sorted
 * listing and how far it was matched. An entry further on in path order closes the directories it
 * is not in; what was not matched in them is removed then. Memory is that of the listings on the
 * stack.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "postgres/relfile.h"
#include "restore/delta.h"
#include "restore/site.h"

struct level {
    char *entry_dir; /* "data/base/5": entries below it are matched here */
    unsigned root;
    int fd;
    char *shown;     /* absolute, for messages and for what is protected */
    struct buf text; /* type byte, name, NUL for each */
    uint32_t *names; /* offsets in text, sorted by name */
    size_t n, next;
};
struct sweep {
    const struct layout *layout;
    struct level *levels;
    size_t n, cap;
    uint64_t removed;
};

struct sweep *sweep_new(const struct layout *l)
{
    struct sweep *s = xcalloc(1, sizeof *s);

    s->layout = l;
    return s;
}

static void level_free(struct level *l)
{
    fd_close(&l->fd);
    free(l->entry_dir);
    free(l->shown);
    free(l->names);
    buf_free(&l->text);
}

void sweep_free(struct sweep **s)
{
    if (*s == NULL)
        return;
    while ((*s)->n != 0)
        level_free(&(*s)->levels[--(*s)->n]);
    free((*s)->levels);
    free(*s);
    *s = NULL;
}

uint64_t sweep_removed(const struct sweep *s)
{
    return s->removed;
}

bool sweep_spares(const char *name)
{
    return strcmp(name, "lost+found") == 0 || strcmp(name, "pg_wal") == 0 ||
           strcmp(name, RESTORE_MARK) == 0 || strcmp(name, "backup_manifest") == 0 ||
           strncmp(name, WAL_ASIDE, strlen(WAL_ASIDE)) == 0;
}

/* ---- listings ---- */

static enum found type_of(int dirfd, const char *name, unsigned char type)
{
    struct stat st;

    if (type == DT_UNKNOWN) {
        if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return FOUND_NOTHING;
        type = S_ISREG(st.st_mode)   ? DT_REG
               : S_ISDIR(st.st_mode) ? DT_DIR
               : S_ISLNK(st.st_mode) ? DT_LNK
                                     : DT_FIFO;
    }
    return type == DT_REG   ? FOUND_FILE
           : type == DT_DIR ? FOUND_DIR
           : type == DT_LNK ? FOUND_LINK
                            : FOUND_NOTHING;
}

/* Names that take no part: in the data directory what stays, in a tablespace's location all but
 * this version's directory. */
static bool leave_out(const struct sweep *s, const struct level *l, bool is_root, const char *name)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    if (!is_root)
        return false;
    if (l->root >= ROOT_TABLESPACE)
        return strcmp(name, s->layout->version_dir) != 0;
    return l->root == ROOT_DATA && sweep_spares(name);
}

static int by_name(const void *a, const void *b, void *text)
{
    const char *t = text;
    return strcmp(t + *(const uint32_t *)a + 1, t + *(const uint32_t *)b + 1);
}

static int list(const struct sweep *s, struct level *l, bool is_root, struct err *err)
{
    int fd = dup(l->fd), saved;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    size_t cap = 0;

    if (dir == NULL) {
        fd_close(&fd);
        return err_sys(err, "cannot list directory \"%s\"", l->shown);
    }
    errno = 0;
    for (struct dirent *d; (d = readdir(dir)) != NULL; errno = 0) {
        if (leave_out(s, l, is_root, d->d_name))
            continue;
        if (l->n == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            l->names = xrealloc(l->names, cap * sizeof *l->names);
        }
        l->names[l->n++] = (uint32_t)l->text.len;
        buf_addc(&l->text, (char)type_of(l->fd, d->d_name, d->d_type));
        buf_add(&l->text, d->d_name, strlen(d->d_name) + 1);
    }
    saved = errno;
    closedir(dir);
    errno = saved;
    if (errno != 0)
        return err_sys(err, "cannot list directory \"%s\"", l->shown);
    if (l->n != 0)
        qsort_r(l->names, l->n, sizeof *l->names, by_name, l->text.p);
    return 0;
}

/* ---- the stack ---- */

static int push(struct sweep *s, const char *entry_dir, unsigned root, const char *rel,
                struct err *err)
{
    struct level *l;
    const char *root_dir = s->layout->roots[root].dir;

    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 8 : s->cap * 2;
        s->levels = xrealloc(s->levels, s->cap * sizeof *s->levels);
    }
    l = &s->levels[s->n++];
    *l = (struct level){.entry_dir = xstrdup(entry_dir), .root = root, .fd = -1};
    l->shown = *rel == '\0' ? xstrdup(root_dir) : xasprintf("%s/%s", root_dir, rel);
    TRY(layout_open_dir(s->layout, root, rel, strlen(rel), &l->fd, err));
    return list(s, l, *rel == '\0', err);
}

static const char *name_at(const struct level *l, size_t i)
{
    return l->text.p + l->names[i] + 1;
}

static int remove_name(struct sweep *s, struct level *l, const char *name, struct err *err)
{
    AUTO(mem_free) char *shown = xasprintf("%s/%s", l->shown, name);

    if (layout_protects(s->layout, shown))
        return 0;
    s->removed++;
    if (fs_remove_tree(l->fd, name, false, err) != 0)
        return err_context(err, "in directory \"%s\"", l->shown);
    return 0;
}

/* Removes what sorts before name (NULL: all that is left). */
static int remove_up_to(struct sweep *s, struct level *l, const char *name, struct err *err)
{
    for (; l->next < l->n; l->next++) {
        if (name != NULL && strcmp(name_at(l, l->next), name) >= 0)
            return 0;
        TRY(remove_name(s, l, name_at(l, l->next), err));
    }
    return 0;
}

static int pop(struct sweep *s, struct err *err)
{
    TRY(remove_up_to(s, &s->levels[s->n - 1], NULL, err));
    level_free(&s->levels[--s->n]);
    return 0;
}

/* Is path somewhere below dir? */
static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && path[len] == '/';
}

static enum found wanted(const struct entry *e)
{
    return e->type == ENTRY_FILE ? FOUND_FILE : e->type == ENTRY_DIR ? FOUND_DIR : FOUND_LINK;
}

/* The entry in the directory on top of the stack, which is its parent. */
static int match(struct sweep *s, const struct entry *e, const char *name, enum found *found,
                 struct err *err)
{
    struct level *l = &s->levels[s->n - 1];
    enum found there;

    TRY(remove_up_to(s, l, name, err));
    if (l->next == l->n || strcmp(name_at(l, l->next), name) != 0)
        return 0;
    there = (enum found)l->text.p[l->names[l->next]];
    if (there == wanted(e))
        *found = there;
    else
        TRY(remove_name(s, l, name, err));
    l->next++;
    return 0;
}

/* Is the parent of the entry the directory on top of the stack? */
static bool parent_on_top(const struct sweep *s, const char *path, size_t parent_len)
{
    const char *top = s->n == 0 ? NULL : s->levels[s->n - 1].entry_dir;

    return top != NULL && strlen(top) == parent_len && strncmp(top, path, parent_len) == 0;
}

int sweep_visit(struct sweep *s, const struct entry *e, unsigned root, const char *rel,
                enum found *found, struct err *err)
{
    const char *slash = strrchr(e->path, '/');
    unsigned space;

    *found = FOUND_NOTHING;
    while (s->n != 0 && !is_below(e->path, s->levels[s->n - 1].entry_dir))
        TRY(pop(s, err));
    if (*rel == '\0') { /* a root itself: it exists, layout_open() made it */
        *found = FOUND_DIR;
        return push(s, e->path, root, rel, err);
    }
    if (s->n == 0 && root <= ROOT_CONFIG) /* the root itself needs no entry of its own */
        TRY(push(s, root == ROOT_CONFIG ? "config" : "data",
                 root == ROOT_CONFIG ? ROOT_CONFIG : ROOT_DATA, "", err));
    if (slash == NULL || !parent_on_top(s, e->path, (size_t)(slash - e->path)))
        return 0; /* its directory was not there before */
    TRY(match(s, e, slash + 1, found, err));
    if (*found == FOUND_DIR)
        return push(s, e->path, root, rel, err);
    if (e->type == ENTRY_LINK && root == ROOT_DATA && is_below(e->path, "data/pg_tblspc") &&
        (space = layout_tablespace(s->layout, oid_parse(slash + 1))) != 0)
        return push(s, e->path, space, "", err);
    return 0;
}

int sweep_finish(struct sweep *s, struct err *err)
{
    while (s->n != 0)
        TRY(pop(s, err));
    return 0;
}
