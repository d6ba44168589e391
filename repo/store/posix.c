/*
 * posix.c - objects as files below a directory.
 *
 * An object is streamed to "<cluster>/tmp/" (below the same cluster, since an administrator may put
 * clusters on file systems of their own), fsynced, and linked to its name: link() refuses a name
 * that is taken, so of two creators exactly one wins, also on NFS, and nobody ever sees half an
 * object. Then the directory is fsynced, at once or, for STORE_LAZY, in store_sync().
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/fs.h"
#include "base/mem.h"
#include "repo/store/posix_dirs.h"
#include "repo/store/store_driver.h"

struct posix {
    struct store store;
    int root;
    atomic_uint temporaries;
    struct posix_dirs dirs;
};

struct posix_writer {
    struct store_writer writer;
    char *key, *temporary, *dir;
    enum store_mode mode;
    bool on_disk; /* the temporary name exists */
    struct direct_file file;
};

static struct posix *posix_of(struct store *s)
{
    return (struct posix *)s;
}

/* "a/b/c" -> "a/b"; "a" -> ".". */
static char *directory_of(const char *key)
{
    const char *slash = strrchr(key, '/');
    return slash == NULL ? xstrdup(".") : xstrndup(key, (size_t)(slash - key));
}

/* Keys below a cluster have at least two slashes. */
static char *temporary_dir(const char *key)
{
    const char *first = strchr(key, '/');

    if (first == NULL || strchr(first + 1, '/') == NULL)
        return xstrdup("tmp");
    return xasprintf("%.*s/tmp", (int)(first - key), key);
}

/* Nobody syncs or lists this directory, so making it is all that is to be done. */
static int make_temporary_dir(struct posix *p, const char *dir, struct err *err)
{
    AUTO(mem_free) char *parent = directory_of(dir);

    TRY(posix_dirs_ensure(&p->dirs, parent, err));
    if (mkdirat(p->root, dir, 0700) != 0 && errno != EEXIST)
        return err_sys(err, "cannot create directory \"%s\"", dir);
    return 0;
}

/* Two hosts may share the directory, and pids repeat: hence the clock. A name that is taken all the
 * same (ERR_EXISTS) is tried again with another. */
static char *temporary_name(struct posix *p, const char *dir)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return xasprintf("%s/%x-%llx-%x", dir, (unsigned)getpid(),
                     (unsigned long long)now.tv_sec * 1000000000 + (unsigned long long)now.tv_nsec,
                     atomic_fetch_add(&p->temporaries, 1));
}

static int open_temporary(struct posix *p, const char *key, struct direct_file *file, char **name,
                          struct err *err)
{
    AUTO(mem_free) char *dir = temporary_dir(key);

    for (int tries = 0;; tries++) {
        mem_free(name);
        *name = temporary_name(p, dir);
        if (direct_create(file, p->root, *name, 0600, err) == 0)
            break;
        if (tries == 10 || (err->code != ERR_NOT_FOUND && err->code != ERR_EXISTS))
            return -1;
        TRY(make_temporary_dir(p, dir, err));
    }
    posix_dirs_used_temporary(&p->dirs, dir);
    return 0;
}

static void posix_drop(struct store_writer *sw)
{
    struct posix_writer *w = (struct posix_writer *)sw;

    direct_free(&w->file);
    if (w->on_disk)
        unlinkat(posix_of(sw->store)->root, w->temporary, 0);
    mem_free(&w->key);
    mem_free(&w->temporary);
    mem_free(&w->dir);
    free(w);
}

static int posix_create(struct store *s, const char *key, enum store_mode mode,
                        struct store_writer **out, struct err *err)
{
    struct posix_writer *w = xcalloc(1, sizeof *w);

    w->writer.store = s;
    w->file = (struct direct_file)DIRECT_FILE_INIT;
    w->mode = mode;
    w->key = xstrdup(key);
    w->dir = directory_of(key);
    *out = &w->writer;
    if (open_temporary(posix_of(s), key, &w->file, &w->temporary, err) != 0) {
        posix_drop(&w->writer);
        *out = NULL;
        return -1;
    }
    w->on_disk = true;
    return 0;
}

static int posix_write(struct store_writer *sw, const void *data, size_t len, struct err *err)
{
    return direct_write(&((struct posix_writer *)sw)->file, data, len, err);
}

/* For file systems that know neither link() nor renameat2(): the name is exclusive, its content
 * arrives after it. Readers tell a torn object by its missing trailer. */
static int copy_exclusively(struct posix *p, struct posix_writer *w, struct err *err)
{
    AUTO(fd_close) int from = openat(p->root, w->temporary, O_RDONLY | O_CLOEXEC);
    AUTO(direct_free) struct direct_file to = DIRECT_FILE_INIT;
    AUTO(mem_free) uint8_t *piece = xmalloc(FS_IO_SIZE);
    size_t got;

    if (from < 0)
        return err_sys(err, "cannot open \"%s\"", w->temporary);
    TRY(direct_create(&to, p->root, w->key, 0600, err));
    for (uint64_t at = 0;; at += got) {
        TRY(fs_pread_all(from, piece, FS_IO_SIZE, at, &got, w->temporary, err));
        TRY(direct_write(&to, piece, got, err));
        if (got < FS_IO_SIZE)
            return direct_finish(&to, true, err);
    }
}

/* On NFS the reply to a link that was made may be lost, and the repeated call finds it "exists". */
static bool linked_after_all(struct posix *p, const struct posix_writer *w)
{
    struct stat temporary, target;

    return fstatat(p->root, w->temporary, &temporary, AT_SYMLINK_NOFOLLOW) == 0 &&
           temporary.st_nlink == 2 && fstatat(p->root, w->key, &target, AT_SYMLINK_NOFOLLOW) == 0 &&
           target.st_ino == temporary.st_ino && target.st_dev == temporary.st_dev;
}

static bool link_is_missing(int number)
{
    return number == EPERM || number == EOPNOTSUPP || number == ENOSYS || number == EMLINK;
}

static int name_exclusively(struct posix *p, struct posix_writer *w, struct err *err)
{
    int number;

    if (linkat(p->root, w->temporary, p->root, w->key, 0) == 0)
        return 0;
    number = errno;
    if (linked_after_all(p, w))
        return 0;
    if (link_is_missing(number)) {
        if (renameat2(p->root, w->temporary, p->root, w->key, RENAME_NOREPLACE) == 0) {
            w->on_disk = false;
            return 0;
        }
        if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
            return copy_exclusively(p, w, err);
        number = errno;
    }
    errno = number;
    return err_sys(err, "cannot link \"%s\" to \"%s\"", w->temporary, w->key);
}

static int name_it(struct posix *p, struct posix_writer *w, struct err *err)
{
    if (w->mode == STORE_CREATE_ONLY)
        return name_exclusively(p, w, err);
    if (renameat(p->root, w->temporary, p->root, w->key) != 0)
        return err_sys(err, "cannot rename \"%s\" to \"%s\"", w->temporary, w->key);
    w->on_disk = false;
    return 0;
}

#ifdef PGBR_CRASH_POINTS
/* What a file system may leave that loses the end of a file in a power loss. */
static void tear(struct posix *p, const struct posix_writer *w)
{
    int fd = crash_wanted("posix-torn") ? openat(p->root, w->key, O_WRONLY | O_CLOEXEC) : -1;

    if (fd >= 0 && ftruncate(fd, (off_t)(w->file.written / 2)) == 0)
        crash_now();
}

/* What any may leave whose directory was not synced: the name is gone, the file still has its first
 * one. */
static void lose_name(struct posix *p, const struct posix_writer *w)
{
    if (crash_wanted("posix-nameless") && unlinkat(p->root, w->key, 0) == 0)
        crash_now();
}
#else
static void lose_name(struct posix *p, const struct posix_writer *w)
{
    (void)p;
    (void)w;
}
static void tear(struct posix *p, const struct posix_writer *w)
{
    (void)p;
    (void)w;
}
#endif

static int posix_commit(struct store_writer *sw, enum store_commit_mode mode, struct err *err)
{
    struct posix_writer *w = (struct posix_writer *)sw;
    struct posix *p = posix_of(sw->store);

    TRY(direct_finish(&w->file, true, err));
    crash_point("posix-written");
    for (int tries = 0;; tries++) {
        TRY(posix_dirs_ensure(&p->dirs, w->dir, err));
        if (name_it(p, w, err) == 0)
            break;
        if (err->code != ERR_NOT_FOUND || tries == 3)
            return -1;
        posix_dirs_forget(&p->dirs, w->dir); /* emptied and removed by an expirer meanwhile */
    }
    lose_name(p, w);
    tear(p, w);
    crash_point("posix-linked");
    if (w->on_disk && unlinkat(p->root, w->temporary, 0) == 0)
        w->on_disk = false;
    if (mode == STORE_LAZY) {
        posix_dirs_named(&p->dirs, w->dir, w->key);
        return 0;
    }
    return fs_sync_dir(p->root, w->dir, err);
}

/* Small objects are cheaper to read plainly; only requests that are aligned profit from more. */
static int read_at(struct posix *p, const char *key, uint64_t offset, size_t from_end, size_t len,
                   void *dst, size_t *got, uint64_t *size, struct err *err)
{
    AUTO(quiet_close) struct quiet_file f = QUIET_FILE_INIT;
    struct stat st;

    TRY(quiet_open(&f, p->root, key, &st, err));
    *size = (uint64_t)st.st_size;
    if (from_end != 0)
        offset = *size > from_end ? *size - from_end : 0;
    *got = 0;
    if (offset >= *size)
        return 0;
    return quiet_read(&f, dst, len, offset, got, err);
}

static int posix_get(struct store *s, const char *key, uint64_t offset, size_t len, void *dst,
                     size_t *got, uint64_t *size, struct err *err)
{
    return read_at(posix_of(s), key, offset, 0, len, dst, got, size, err);
}

static int posix_tail(struct store *s, const char *key, size_t len, void *dst, size_t *got,
                      uint64_t *size, struct err *err)
{
    return read_at(posix_of(s), key, 0, len, len, dst, got, size, err);
}

static int64_t modified_us(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000;
}

static int posix_stat(struct store *s, const char *key, struct store_entry *entry, struct err *err)
{
    struct stat st;

    if (fstatat(posix_of(s)->root, key, &st, 0) != 0)
        return err_sys(err, "cannot stat it");
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_NOT_FOUND, "not a file");
    entry->size = (uint64_t)st.st_size;
    entry->modified_us = modified_us(&st);
    return 0;
}

/* Deletions are durable, because expire deletes a manifest before the packs that it names. */
static int posix_remove(struct store *s, const char *const *keys, size_t n, struct err *err)
{
    struct posix *p = posix_of(s);

    for (size_t i = 0; i < n; i++) {
        AUTO(mem_free) char *dir = directory_of(keys[i]);
        if (unlinkat(p->root, keys[i], 0) == 0)
            posix_dirs_emptied(&p->dirs, dir);
        else if (errno != ENOENT && errno != ENOTDIR)
            return err_sys(err, "cannot remove \"%s\"", keys[i]);
    }
    return posix_dirs_sync(&p->dirs, err);
}

static int posix_sync(struct store *s, struct err *err)
{
    struct posix *p = posix_of(s);

    TRY(posix_dirs_sync(&p->dirs, err));
    posix_dirs_clean_temporaries(&p->dirs);
    return 0;
}

static int posix_confirm(struct store *s, const char *key, struct err *err)
{
    struct posix *p = posix_of(s);
    AUTO(mem_free) char *dir = directory_of(key);
    AUTO(fd_close) int fd = openat(p->root, key, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_sys(err, "cannot open it");
    if (fsync(fd) != 0)
        return err_sys(err, "cannot fsync it");
    return fs_sync_dir(p->root, dir, err);
}

static bool on_nfs(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type == NFS_SUPER_MAGIC;
}

/* A file just written bears the time of whoever keeps the files; NFS clients tell the server's only
 * once the write has reached it. */
static int posix_now(struct store *s, int64_t *now_us, struct err *err)
{
    struct posix *p = posix_of(s);
    AUTO(direct_free) struct direct_file file = DIRECT_FILE_INIT;
    AUTO(mem_free) char *name = NULL;
    struct stat st;
    int result = 0;

    TRY(open_temporary(p, "probe", &file, &name, err));
    if (write(file.fd, "?", 1) != 1 || (on_nfs(file.fd) && fsync(file.fd) != 0) ||
        fstat(file.fd, &st) != 0)
        result = err_sys(err, "cannot write \"%s\"", name);
    else
        *now_us = modified_us(&st);
    unlinkat(p->root, name, 0);
    return result;
}

static int posix_list(struct store *s, const char *prefix, enum store_depth depth,
                      store_entry_fn *fn, void *ctx, int64_t *now_us, struct err *err)
{
    if (now_us != NULL)
        TRY(posix_now(s, now_us, err));
    return posix_dirs_list(posix_of(s)->root, prefix, depth, fn, ctx, err);
}

static int posix_probe(struct store *s, struct store_traits *traits, struct err *err)
{
    int64_t ignored;
    bool nfs = on_nfs(posix_of(s)->root);

    TRY(posix_now(s, &ignored, err)); /* it can be written to */
    traits->exact_create_only = true;
    traits->listing_consistent = true;
    traits->may_delete = true;
    traits->grace_s = nfs ? 120 : 0; /* clients may see attributes that are so old */
    memcpy(traits->kind, nfs ? "nfs" : "posix", nfs ? 4 : 6);
    return 0;
}

static bool posix_is_remote(struct store *s)
{
    return on_nfs(posix_of(s)->root);
}

static void posix_free(struct store *s)
{
    struct posix *p = posix_of(s);

    posix_dirs_free(&p->dirs);
    fd_close(&p->root);
    free(p);
}

static const struct store_ops posix_ops = {
    .create = posix_create,
    .write = posix_write,
    .commit = posix_commit,
    .drop = posix_drop,
    .get = posix_get,
    .tail = posix_tail,
    .stat = posix_stat,
    .list = posix_list,
    .remove = posix_remove,
    .sync = posix_sync,
    .confirm = posix_confirm,
    .now = posix_now,
    .probe = posix_probe,
    .is_remote = posix_is_remote,
    .free = posix_free,
};

int store_posix_open(struct store **s, const char *path, bool create, struct err *err)
{
    struct posix *p;
    int root;

    if (create)
        TRY(fs_mkdirs(path, 0700, err));
    root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_sys(err, "cannot open directory \"%s\"", path);
    p = xcalloc(1, sizeof *p);
    p->store.ops = &posix_ops;
    p->store.where = xstrdup(path);
    p->root = root;
    posix_dirs_init(&p->dirs, root);
    *s = &p->store;
    return 0;
}
