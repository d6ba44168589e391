/*
 * posix_dirs.c - see posix_dirs.h; listing is in posix_list.c.
 *
 * How a directory is known to be durable without an fsync per object and process: nobody puts
 * anything into a directory before it was fsynced in its parent. So one that holds something is
 * durable, and only an empty one is worth an fsync.
 */
#include "repo/store/posix_dirs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/fs.h"
#include "base/mem.h"

enum { TEMPORARY_DEAD_AFTER_S = 24 * 3600 };

static bool set_search(const struct path_set *s, const char *path, size_t *at)
{
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(s->paths[mid], path);
        if (order == 0) {
            *at = mid;
            return true;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *at = low;
    return false;
}

static void set_add(struct path_set *s, const char *path)
{
    size_t at;

    if (set_search(s, path, &at))
        return;
    if (s->n == s->cap) {
        s->cap = s->cap * 2 + 8;
        s->paths = xrealloc(s->paths, s->cap * sizeof *s->paths);
    }
    memmove(s->paths + at + 1, s->paths + at, (s->n - at) * sizeof *s->paths);
    s->paths[at] = xstrdup(path);
    s->n++;
}

static void set_remove(struct path_set *s, const char *path)
{
    size_t at;

    if (!set_search(s, path, &at))
        return;
    free(s->paths[at]);
    s->n--;
    memmove(s->paths + at, s->paths + at + 1, (s->n - at) * sizeof *s->paths);
}

static void set_free(struct path_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->paths[i]);
    free(s->paths);
    *s = (struct path_set){0};
}

void posix_dirs_init(struct posix_dirs *d, int root)
{
    *d = (struct posix_dirs){.root = root};
    pthread_mutex_init(&d->lock, NULL);
}

void posix_dirs_free(struct posix_dirs *d)
{
    set_free(&d->known);
    set_free(&d->dirty);
    set_free(&d->unsynced);
    set_free(&d->temporaries);
    pthread_mutex_destroy(&d->lock);
}

static void locked_add(struct posix_dirs *d, struct path_set *s, const char *path)
{
    pthread_mutex_lock(&d->lock);
    set_add(s, path);
    pthread_mutex_unlock(&d->lock);
}

static bool is_known(struct posix_dirs *d, const char *dir)
{
    size_t at;
    bool known;

    pthread_mutex_lock(&d->lock);
    known = set_search(&d->known, dir, &at);
    pthread_mutex_unlock(&d->lock);
    return known;
}

/* Cuts the last component off; false when nothing is left. */
static bool cut_last(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

static char *parent_of(const char *dir)
{
    char *parent = xstrdup(dir);

    if (cut_last(parent))
        return parent;
    free(parent);
    return xstrdup(".");
}

static DIR *dir_open(int root, const char *path)
{
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (dir == NULL && fd >= 0)
        close(fd);
    return dir;
}

/* False also when it does not exist or cannot be read. */
static bool holds_something(int root, const char *path)
{
    AUTO(dir_close) DIR *dir = dir_open(root, path);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return true;
    return false;
}

int posix_dirs_ensure(struct posix_dirs *d, const char *dir, struct err *err)
{
    AUTO(mem_free) char *parent = NULL;

    if (strcmp(dir, ".") == 0 || is_known(d, dir))
        return 0;
    if (!holds_something(d->root, dir)) {
        parent = parent_of(dir);
        TRY(posix_dirs_ensure(d, parent, err));
        if (mkdirat(d->root, dir, 0700) != 0 && errno != EEXIST)
            return err_sys(err, "cannot create directory \"%s\"", dir);
        TRY(fs_sync_dir(d->root, parent, err));
    }
    locked_add(d, &d->known, dir);
    return 0;
}

void posix_dirs_forget(struct posix_dirs *d, const char *dir)
{
    AUTO(mem_free) char *path = xstrdup(dir);

    pthread_mutex_lock(&d->lock);
    do
        set_remove(&d->known, path);
    while (cut_last(path));
    pthread_mutex_unlock(&d->lock);
}

void posix_dirs_sync_later(struct posix_dirs *d, const char *dir)
{
    locked_add(d, &d->dirty, dir);
}

void posix_dirs_named(struct posix_dirs *d, const char *dir, const char *path)
{
    posix_dirs_sync_later(d, dir);
#ifdef PGBR_CRASH_POINTS
    locked_add(d, &d->unsynced, path);
#else
    (void)path;
#endif
}

static bool in_upper_levels(const char *dir)
{
    const char *slash = strchr(dir, '/');
    return slash == NULL || strchr(slash + 1, '/') == NULL;
}

void posix_dirs_emptied(struct posix_dirs *d, const char *dir)
{
    AUTO(mem_free) char *path = xstrdup(dir);

    while (!in_upper_levels(path) && unlinkat(d->root, path, AT_REMOVEDIR) == 0) {
        pthread_mutex_lock(&d->lock);
        set_remove(&d->known, path);
        set_remove(&d->dirty, path);
        pthread_mutex_unlock(&d->lock);
        cut_last(path);
    }
    posix_dirs_sync_later(d, path);
}

/* A directory that another process removed as empty: its parent says so. */
static int sync_nearest(int root, const char *dir, struct err *err)
{
    AUTO(mem_free) char *path = xstrdup(dir);

    for (;;) {
        if (fs_sync_dir(root, path, err) == 0)
            return 0;
        if (err->code != ERR_NOT_FOUND || !cut_last(path))
            return -1;
        err_clear(err);
    }
}

#ifdef PGBR_CRASH_POINTS
/* What a power loss may leave of the names of directories that were not synced: some, not others.
 */
static void lose_names(struct posix_dirs *d)
{
    for (size_t i = 0; i < d->unsynced.n; i += 2)
        unlinkat(d->root, d->unsynced.paths[i], 0);
    crash_now();
}
#endif

int posix_dirs_sync(struct posix_dirs *d, struct err *err)
{
    struct path_set dirty;
    int result = 0;

#ifdef PGBR_CRASH_POINTS
    if (d->unsynced.n != 0 && crash_wanted("posix-unsynced"))
        lose_names(d);
#endif
    pthread_mutex_lock(&d->lock);
    dirty = d->dirty;
    d->dirty = (struct path_set){0};
    set_free(&d->unsynced);
    d->unsynced = (struct path_set){0};
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < dirty.n; i++) {
        if (result == 0)
            result = sync_nearest(d->root, dirty.paths[i], err);
        if (result != 0)
            posix_dirs_sync_later(d, dirty.paths[i]);
    }
    set_free(&dirty);
    return result;
}

void posix_dirs_used_temporary(struct posix_dirs *d, const char *dir)
{
    locked_add(d, &d->temporaries, dir);
}

static void clean_one(int root, const char *path)
{
    AUTO(dir_close) DIR *dir = dir_open(root, path);
    time_t now = time(NULL);
    struct dirent *entry;
    struct stat st;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && st.st_mtime < now - TEMPORARY_DEAD_AFTER_S)
            unlinkat(dirfd(dir), entry->d_name, 0);
}

/* Best effort: a file that stays is found again. A writer that slept for a day and lost its file
 * fails to link it, and harms nobody. */
void posix_dirs_clean_temporaries(struct posix_dirs *d)
{
    struct path_set used;

    pthread_mutex_lock(&d->lock);
    used = d->temporaries;
    d->temporaries = (struct path_set){0};
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < used.n; i++)
        clean_one(d->root, used.paths[i]);
    set_free(&used);
}
