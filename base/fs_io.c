/* fs_io.c - reading and writing large files around the page cache. See fs.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

/*
 * O_DIRECT is a flag of the open file and is switched on and off as needed: a second descriptor
 * would have to be opened by name, and PostgreSQL may have removed or replaced the file by then.
 * False when the file system refuses. (F_SETFL leaves O_NONBLOCK and the like off, which mean
 * nothing for regular files, and cannot change the rest.)
 */
static bool set_direct(int fd, bool on)
{
    return fcntl(fd, F_SETFL, on ? O_DIRECT : 0) == 0;
}

static bool aligned(const void *p, uint64_t offset)
{
    return (uintptr_t)p % FS_ALIGN == 0 && offset % FS_ALIGN == 0;
}

/* The descriptor for reads through the page cache, or around it. */
static bool switch_to(struct quiet_file *f, bool direct)
{
    if (f->direct != direct && !set_direct(f->fd, direct))
        return false;
    f->direct = direct;
    return true;
}

int quiet_open(struct quiet_file *f, int dirfd, const char *path, struct stat *st, struct err *err)
{
    struct stat own;

    if (st == NULL)
        st = &own;
    *f = (struct quiet_file){.fd = -1, .path = path, .cache = CACHE_STAT, .may_direct = true};
    /* O_NONBLOCK is for a pipe in a file's place, which would wait for a writer. */
    f->fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (f->fd < 0)
        return err_sys(err, "cannot open \"%s\"", path);
    if (fstat(f->fd, st) != 0) {
        err_sys(err, "cannot stat \"%s\"", path);
        quiet_close(f);
        return -1;
    }
    if (!S_ISREG(st->st_mode)) {
        quiet_close(f);
        return err_set(err, ERR_FAILED, "\"%s\" is not a regular file", path);
    }
    f->size = (uint64_t)st->st_size;
    return 0;
}

/* cachestat(2), which the C library and its headers do not know everywhere. */
enum { CACHESTAT_NUMBER = 451 };
struct cachestat_range {
    uint64_t offset, length;
};
struct cachestat_counts {
    uint64_t cached, dirty, writeback, evicted, recently_evicted; /* pages */
};

/* False only when the page cache is known to lack some page of the range. */
static bool maybe_cached(struct quiet_file *f, size_t len, uint64_t offset)
{
    const uint64_t page = (uint64_t)getpagesize();
    struct cachestat_range range = {offset, len};
    struct cachestat_counts counts;

    if (f->cache != CACHE_STAT || offset >= f->size)
        return f->cache != CACHE_UNKNOWN;
    range.length = MIN_OF(len, f->size - offset);
    if (syscall(CACHESTAT_NUMBER, f->fd, &range, &counts, 0) != 0) {
        f->cache = CACHE_TRY; /* the kernel is older than 6.5, or the file is somebody else's */
        return true;
    }
    return counts.cached > (offset + range.length - 1) / page - offset / page;
}

/*
 * What the page cache has, without waiting for a disk. Never says whether the file ends there.
 * Just trying is how to find out before Linux 6.5; with later kernels an attempt that finds nothing
 * starts to read the file ahead into the cache, so they are asked first.
 */
static size_t read_cached(struct quiet_file *f, uint8_t *p, size_t len, uint64_t offset)
{
    size_t done = 0;

    if (!maybe_cached(f, len, offset) || !switch_to(f, false))
        return 0;
    while (done < len) {
        struct iovec piece = {p + done, len - done};
        ssize_t n = preadv2(f->fd, &piece, 1, (off_t)(offset + done), RWF_NOWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        /* Anything but "would wait" means that this file system does not know the question; a real
         * error shows again when the bytes are read plainly. */
        if (n < 0 && errno != EAGAIN)
            f->cache = CACHE_UNKNOWN;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

/*
 * The blocks of an aligned range by O_DIRECT, as far as it goes. *end: the file ends there. Errors,
 * and what comes behind the last whole block, are left to a plain read.
 */
static size_t read_direct(struct quiet_file *f, uint8_t *p, size_t len, uint64_t offset, bool *end)
{
    size_t done = 0;

    len -= len % FS_ALIGN;
    if (len == 0 || !f->may_direct || !aligned(p, offset))
        return 0;
    f->may_direct = switch_to(f, true);
    while (f->may_direct && done < len && done % FS_ALIGN == 0) {
        ssize_t n = pread(f->fd, p + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EINVAL) /* the flag was taken, the read is refused */
            f->may_direct = false;
        *end = n == 0;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

int quiet_read(struct quiet_file *f, void *buf, size_t len, uint64_t offset, size_t *got,
               struct err *err)
{
    uint8_t *p = buf;
    bool end = false;
    size_t done = read_cached(f, p, len, offset), rest = 0;

    if (done < len)
        done += read_direct(f, p + done, len - done, offset + done, &end);
    if (done < len && !end) {
        if (!switch_to(f, false))
            return err_sys(err, "cannot switch \"%s\" to buffered reading", f->path);
        TRY(fs_pread_all(f->fd, p + done, len - done, offset + done, &rest, f->path, err));
    }
    *got = done + rest;
    return 0;
}

void quiet_close(struct quiet_file *f)
{
    fd_close(&f->fd);
}

int direct_create(struct direct_file *f, int dirfd, const char *path, mode_t mode, struct err *err)
{
    f->fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (f->fd < 0)
        return err_sys(err, "cannot create \"%s\"", path);
    if (f->buffer == NULL)
        f->buffer = xaligned(FS_ALIGN, FS_IO_SIZE);
    mem_free(&f->path);
    f->path = xstrdup(path);
    f->direct = false;
    f->used = 0;
    f->written = 0;
    return 0;
}

/* Some file systems take the flag and refuse the write. */
static int write_block(struct direct_file *f, size_t len, struct err *err)
{
    if (f->direct) {
        ssize_t n = pwrite(f->fd, f->buffer, len, (off_t)f->written);
        if (n == (ssize_t)len)
            return 0;
        if (n >= 0 || errno == EINVAL || errno == EINTR)
            f->direct = !set_direct(f->fd, false);
    }
    return fs_pwrite_all(f->fd, f->buffer, len, f->written, f->path, err);
}

/*
 * Only a file that fills the buffer is written with O_DIRECT: a small one is better left to the
 * file system, which writes thousands of them together.
 */
static int flush_full(struct direct_file *f, struct err *err)
{
    if (f->written == 0)
        f->direct = set_direct(f->fd, true);
    TRY(write_block(f, FS_IO_SIZE, err));
    f->written += FS_IO_SIZE;
    f->used = 0;
    return 0;
}

int direct_write(struct direct_file *f, const void *data, size_t len, struct err *err)
{
    const uint8_t *p = data;

    while (len != 0) {
        size_t n = MIN_OF(len, FS_IO_SIZE - f->used);
        memcpy(f->buffer + f->used, p, n);
        f->used += n;
        p += n;
        len -= n;
        if (f->used == FS_IO_SIZE)
            TRY(flush_full(f, err));
    }
    return 0;
}

void *direct_space(struct direct_file *f, size_t *room)
{
    *room = FS_IO_SIZE - f->used;
    return f->buffer + f->used;
}

int direct_advance(struct direct_file *f, size_t len, struct err *err)
{
    f->used += len;
    return f->used == FS_IO_SIZE ? flush_full(f, err) : 0;
}

/* The last bytes: whole blocks as before, what is left of a block through the page cache. */
static int flush_rest(struct direct_file *f, struct err *err)
{
    size_t blocks = f->direct ? f->used - f->used % FS_ALIGN : 0;

    if (blocks != 0)
        TRY(write_block(f, blocks, err));
    if (f->direct && blocks != f->used)
        f->direct = !set_direct(f->fd, false);
    TRY(fs_pwrite_all(f->fd, f->buffer + blocks, f->used - blocks, f->written + blocks, f->path,
                      err));
    f->written += f->used;
    f->used = 0;
    return 0;
}

int direct_finish(struct direct_file *f, bool sync, struct err *err)
{
    int result;

    TRY(flush_rest(f, err));
    while (sync && fdatasync(f->fd) != 0)
        if (errno != EINTR)
            return err_sys(err, "cannot fsync \"%s\"", f->path);
    result = close(f->fd);
    f->fd = -1;
    if (result != 0 && errno != EINTR)
        return err_sys(err, "cannot close \"%s\"", f->path);
    return 0;
}

void direct_free(struct direct_file *f)
{
    fd_close(&f->fd);
    mem_free(&f->buffer);
    mem_free(&f->path);
}

int fs_temporary(const char *dir, int *fd, struct err *err)
{
    *fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        AUTO(buf_free) struct buf name = BUF_INIT;

        buf_addf(&name, "%s/spill.XXXXXX", dir);
        *fd = mkostemp(name.p, O_CLOEXEC);
        if (*fd >= 0)
            unlink(name.p);
    }
    if (*fd < 0)
        return err_sys(err, "cannot create a temporary file in \"%s\"", dir);
    return 0;
}
