/* fs.c - files and directories. See fs.h; the large I/O is in fs_io.c. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/crypt.h"
#include "base/mem.h"

void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void dir_close(DIR **d)
{
    if (*d != NULL)
        closedir(*d);
    *d = NULL;
}

/* close() reports what a network file system could not write; that must not be lost. */
static int close_checked(int *fd, const char *path, struct err *err)
{
    int result = close(*fd);

    *fd = -1;
    if (result != 0 && errno != EINTR)
        return err_sys(err, "cannot close \"%s\"", path);
    return 0;
}

static ssize_t read_some(int fd, void *data, size_t len)
{
    ssize_t n;

    do
        n = read(fd, data, len);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Reads to the end of the file, one byte more than max at most. */
static int read_to_end(int fd, const char *path, size_t max, struct buf *out, struct err *err)
{
    size_t start = out->len, piece = 4096;
    struct stat st;

    if (fstat(fd, &st) != 0)
        return err_sys(err, "cannot stat \"%s\"", path);
    if (st.st_size > 0) /* room for all of it and for seeing the end */
        piece = MIN_OF((size_t)st.st_size, max) + 1;
    for (;;) {
        ssize_t n;
        size_t len = out->len - start;
        buf_reserve(out, piece);
        n = read_some(fd, out->p + out->len, MIN_OF(piece, max - len + 1));
        if (n < 0)
            return err_sys(err, "cannot read \"%s\"", path);
        if (n == 0)
            break;
        out->len += (size_t)n;
        if (out->len - start > max)
            return err_set(err, ERR_CORRUPT, "\"%s\" is larger than %zu bytes", path, max);
        piece = MAX_OF(piece - (size_t)n, (size_t)4096);
    }
    out->p[out->len] = '\0';
    return 0;
}

int fs_read_file(int dirfd, const char *path, size_t max, struct buf *out, struct err *err)
{
    AUTO(fd_close) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
    size_t before = out->len;

    if (fd < 0)
        return err_sys(err, "cannot open \"%s\"", path);
    if (read_to_end(fd, path, max, out, err) != 0) {
        out->len = before;
        return -1;
    }
    return 0;
}

static int sync_fd(int fd, const char *path, struct err *err)
{
    int result;

    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    /* After a failed fsync the kernel may call the lost pages clean: a second try proves nothing.
     */
    if (result != 0)
        return err_sys(err, "cannot fsync \"%s\"", path);
    return 0;
}

int fs_sync_dir(int dirfd, const char *path, struct err *err)
{
    AUTO(fd_close) int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_sys(err, "cannot open directory \"%s\"", path);
    if (fsync(fd) == 0 || errno == EINVAL) /* EINVAL: this file system has no such thing */
        return 0;
    return errno == EINTR ? sync_fd(fd, path, err)
                          : err_sys(err, "cannot fsync directory \"%s\"", path);
}

/* The directory that holds the last component: "a/b" and "a/b/" give "a", "b" ".", "/b" "/". */
static char *parent_of(const char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    return len == 0 ? xstrdup(".") : xstrndup(path, len);
}

static int sync_parent(int dirfd, const char *path, struct err *err)
{
    AUTO(mem_free) char *parent = parent_of(path);
    return fs_sync_dir(dirfd, parent, err);
}

/* A new file beside path, under a name nobody else has. */
static int create_beside(int *fd, char **name, int dirfd, const char *path, struct err *err)
{
    do {
        uint32_t random;
        TRY(crypt_random(&random, sizeof random, err));
        mem_free(name);
        *name = xasprintf("%s.%08x.tmp", path, random);
        *fd = openat(dirfd, *name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    } while (*fd < 0 && errno == EEXIST);
    if (*fd < 0)
        return err_sys(err, "cannot create \"%s\"", *name);
    return 0;
}

static int fill_and_sync(int *fd, const char *name, const void *data, size_t len, mode_t mode,
                         struct err *err)
{
    TRY(fs_write_all(*fd, data, len, name, err));
    if (fchmod(*fd, mode) != 0)
        return err_sys(err, "cannot set the mode of \"%s\"", name);
    TRY(sync_fd(*fd, name, err));
    return close_checked(fd, name, err);
}

int fs_replace(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
               struct err *err)
{
    AUTO(fd_close) int fd = -1;
    AUTO(mem_free) char *name = NULL;

    TRY(create_beside(&fd, &name, dirfd, path, err));
    if (fill_and_sync(&fd, name, data, len, mode, err) != 0) {
        unlinkat(dirfd, name, 0);
        return -1;
    }
    crash_point("replace-written");
    if (renameat(dirfd, name, dirfd, path) != 0) {
        err_sys(err, "cannot rename \"%s\" to \"%s\"", name, path);
        unlinkat(dirfd, name, 0);
        return -1;
    }
    crash_point("replace-renamed");
    return sync_parent(dirfd, path, err);
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int make_one(const char *path, mode_t mode, struct err *err)
{
    if (is_directory(path))
        return 0;
    /* Lost a race to create it: its maker may not have got as far as the fsync. */
    if (mkdir(path, mode) != 0 && (errno != EEXIST || !is_directory(path)))
        return err_sys(err, "cannot create directory \"%s\"", path);
    return sync_parent(AT_FDCWD, path, err);
}

int fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
    AUTO(mem_free) char *part = xstrdup(path);

    if (is_directory(path))
        return 0;
    for (char *slash = part; *slash != '\0'; slash++) {
        if (*slash != '/' || slash == part)
            continue;
        *slash = '\0';
        TRY(make_one(part, mode, err));
        *slash = '/';
    }
    return make_one(path, mode, err);
}

int fs_sync_filesystem(int fd, const char *path, struct err *err)
{
    int result;

    do
        result = syncfs(fd);
    while (result != 0 && errno == EINTR);
    if (result != 0)
        return err_sys(err, "cannot sync the file system of \"%s\"", path);
    return 0;
}

int fs_write_all(int fd, const void *data, size_t len, const char *path, struct err *err)
{
    const uint8_t *p = data;

    while (len != 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_sys(err, "cannot write %zu bytes to \"%s\"", len, path);
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int fs_pwrite_all(int fd, const void *data, size_t len, uint64_t offset, const char *path,
                  struct err *err)
{
    const uint8_t *p = data;

    while (len != 0) {
        ssize_t n = pwrite(fd, p, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_sys(err, "cannot write %zu bytes at %llu to \"%s\"", len,
                           (unsigned long long)offset, path);
        p += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int fs_pread_all(int fd, void *data, size_t len, uint64_t offset, size_t *got, const char *path,
                 struct err *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, (uint8_t *)data + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, "cannot read %zu bytes at %llu from \"%s\"", len - done,
                           (unsigned long long)(offset + done), path);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *got = done;
    return 0;
}

bool fs_exists(int dirfd, const char *path)
{
    struct stat st;
    return fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int open_dir(DIR **dir, int dirfd, const char *path, struct err *err)
{
    int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return err_sys(err, "cannot open directory \"%s\"", path);
    if ((*dir = fdopendir(fd)) == NULL) {
        close(fd);
        return err_sys(err, "cannot read directory \"%s\"", path);
    }
    return 0;
}

/* One pass over a directory. *removed counts, because a pass during removals may skip entries. */
static int empty_once(DIR *dir, const char *path, size_t *removed, struct err *err)
{
    for (;;) {
        struct dirent *entry;
        errno = 0;
        entry = readdir(dir);
        if (entry == NULL)
            return errno == 0 ? 0 : err_sys(err, "cannot read directory \"%s\"", path);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fs_remove_tree(dirfd(dir), entry->d_name, false, err) != 0)
            return err_context(err, "in \"%s\"", path);
        ++*removed;
    }
}

static int empty_dir(int dirfd, const char *path, struct err *err)
{
    AUTO(dir_close) DIR *dir = NULL;
    size_t removed;

    TRY(open_dir(&dir, dirfd, path, err));
    do {
        removed = 0;
        rewinddir(dir);
        TRY(empty_once(dir, path, &removed, err));
    } while (removed != 0);
    return 0;
}

int fs_remove_tree(int dirfd, const char *path, bool keep_top, struct err *err)
{
    if (!keep_top) {
        if (unlinkat(dirfd, path, 0) == 0 || errno == ENOENT)
            return 0;
        if (errno != EISDIR)
            return err_sys(err, "cannot remove \"%s\"", path);
    }
    if (empty_dir(dirfd, path, err) != 0) {
        if (err->code != ERR_NOT_FOUND || fs_exists(dirfd, path))
            return -1;
        err_clear(err);
        return 0;
    }
    if (!keep_top && unlinkat(dirfd, path, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return err_sys(err, "cannot remove directory \"%s\"", path);
    return 0;
}

int fs_free_bytes(const char *path, uint64_t *free_bytes, struct err *err)
{
    struct statvfs st;

    if (statvfs(path, &st) != 0)
        return err_sys(err, "cannot ask for the free space of \"%s\"", path);
    *free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}

/* The pid in the file is for people: the lock is the flock, so reading or writing it may fail. */
static int held_by_other(int fd, const char *path, struct err *err)
{
    char text[24] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;

    if (pid <= 0)
        return err_set(err, ERR_BUSY, "\"%s\" is locked by another process", path);
    return err_set(err, ERR_BUSY, "\"%s\" is locked by process %ld", path, pid);
}

int lock_take(struct lock_file *l, const char *path, struct err *err)
{
    AUTO(fd_close) int fd = openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char text[24];
    int result, len;

    if (fd < 0)
        return err_sys(err, "cannot open lock file \"%s\"", path);
    do
        result = flock(fd, LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR);
    if (result != 0 && errno == EWOULDBLOCK)
        return held_by_other(fd, path, err);
    if (result != 0)
        return err_sys(err, "cannot lock \"%s\"", path);
    len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    (void)(pwrite(fd, text, (size_t)len, 0) == len && ftruncate(fd, len) == 0);
    l->fd = fd;
    fd = -1;
    return 0;
}

void lock_release(struct lock_file *l)
{
    fd_close(&l->fd);
}
