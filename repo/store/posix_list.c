/*
 * posix_list.c - listing a POSIX store in byte order of the keys. See posix_dirs.h.
 *
 * The order of keys is that of a walk in which a directory's name counts with its '/': "a-b" comes
 * before "a/x", because '-' is less than '/'. What is not a valid key is not an object; nor are the
 * ".nfs..." names that an NFS client gives to files removed while open.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "repo/store/posix_dirs.h"

struct names {
    char **names; /* a directory's ends in '/' */
    size_t n, cap;
};

static void names_free(struct names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->names[i]);
    free(l->names);
    *l = (struct names){0};
}

static void names_add(struct names *l, const char *name, bool is_dir)
{
    if (l->n == l->cap) {
        l->cap = l->cap * 2 + 16;
        l->names = xrealloc(l->names, l->cap * sizeof *l->names);
    }
    l->names[l->n++] = is_dir ? xasprintf("%s/", name) : xstrdup(name);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ends_in_slash(const char *name)
{
    return name[strlen(name) - 1] == '/';
}

/* Neither a file nor a directory: false. Vanished: false. */
static bool file_or_dir(int dirfd, const struct dirent *entry, bool *is_dir)
{
    struct stat st;

    if (entry->d_type == DT_DIR || entry->d_type == DT_REG) {
        *is_dir = entry->d_type == DT_DIR;
        return true;
    }
    if (fstatat(dirfd, entry->d_name, &st, 0) != 0)
        return false;
    *is_dir = S_ISDIR(st.st_mode);
    return *is_dir || S_ISREG(st.st_mode);
}

/* The names in one directory that belong to keys, sorted. prefix is "" or ends in '/'. */
static int read_names(int dirfd, const char *prefix, struct names *out, struct err *err)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct dirent *entry;
    bool is_dir;

    if (dir == NULL) {
        err_sys(err, "cannot read directory \"%s\"", prefix);
        fd_close(&fd);
        return -1;
    }
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, ".nfs", 4) == 0 || !file_or_dir(fd, entry, &is_dir))
            continue;
        buf_clear(&key);
        buf_adds(&key, prefix);
        buf_adds(&key, entry->d_name);
        if (store_key_valid(buf_text(&key)))
            names_add(out, entry->d_name, is_dir);
    }
    if (errno != 0) {
        err_sys(err, "cannot read directory \"%s\"", prefix);
        closedir(dir);
        return -1;
    }
    closedir(dir);
    if (out->n != 0)
        qsort(out->names, out->n, sizeof *out->names, by_bytes);
    return 0;
}

/* Opens a directory; *fd is -1 if there is none (any more). */
static int open_dir(int parent, const char *name, int *fd, struct err *err)
{
    *fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0 && errno != ENOENT && errno != ENOTDIR)
        return err_sys(err, "cannot open directory \"%s\"", name);
    return 0;
}

struct walk {
    struct buf key;
    enum store_depth depth;
    store_entry_fn *fn;
    void *ctx;
};

static void walk_free(struct walk *w)
{
    buf_free(&w->key);
}

/* The callback stopped the listing to say that there is something. */
enum { FOUND = 1 };

static int found_one(void *ctx, const struct store_entry *entry, struct err *err)
{
    (void)ctx;
    (void)entry;
    (void)err;
    return FOUND;
}

static int walk_dir(struct walk *w, int dirfd, struct err *err);

/* A directory of a shallow listing is told only if an object lies below it. */
static int tell_prefix(struct walk *w, int fd, struct err *err)
{
    AUTO(walk_free) struct walk below = {.depth = STORE_DEEP, .fn = found_one};
    const struct store_entry entry = {.key = buf_text(&w->key), .is_prefix = true};
    int result;

    buf_add(&below.key, w->key.p, w->key.len);
    result = walk_dir(&below, fd, err);
    return result == FOUND ? w->fn(w->ctx, &entry, err) : result;
}

static int walk_subdir(struct walk *w, int dirfd, const char *name, struct err *err)
{
    AUTO(fd_close) int fd = -1;

    TRY(open_dir(dirfd, name, &fd, err));
    if (fd < 0)
        return 0;
    return w->depth == STORE_SHALLOW ? tell_prefix(w, fd, err) : walk_dir(w, fd, err);
}

static int tell_file(struct walk *w, int dirfd, const char *name, struct err *err)
{
    struct store_entry entry = {.key = buf_text(&w->key)};
    struct stat st;

    if (fstatat(dirfd, name, &st, 0) != 0)
        return errno == ENOENT ? 0 : err_sys(err, "cannot stat \"%s\"", entry.key);
    entry.size = (uint64_t)st.st_size;
    entry.modified_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
    return w->fn(w->ctx, &entry, err);
}

/* w->key is the directory's prefix, and is again on return. */
static int walk_dir(struct walk *w, int dirfd, struct err *err)
{
    AUTO(names_free) struct names list = {0};
    size_t prefix_len = w->key.len;
    int result = 0;

    TRY(read_names(dirfd, buf_text(&w->key), &list, err));
    for (size_t i = 0; i < list.n && result == 0; i++) {
        const char *name = list.names[i];
        buf_adds(&w->key, name);
        result =
            ends_in_slash(name) ? walk_subdir(w, dirfd, name, err) : tell_file(w, dirfd, name, err);
        w->key.len = prefix_len;
    }
    return result;
}

int posix_dirs_list(int root, const char *prefix, enum store_depth depth, store_entry_fn *fn,
                    void *ctx, struct err *err)
{
    AUTO(walk_free) struct walk w = {.depth = depth, .fn = fn, .ctx = ctx};
    AUTO(fd_close) int fd = -1;

    TRY(open_dir(root, *prefix != '\0' ? prefix : ".", &fd, err));
    if (fd < 0)
        return 0;
    buf_adds(&w.key, prefix);
    return walk_dir(&w, fd, err);
}
