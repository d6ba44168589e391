/* target_file.c - see target_file.h. */
#include "restore/target_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

int target_own(int fd, const char *shown, uid_t uid, gid_t gid, struct err *err)
{
    if (uid == (uid_t)-1 && gid == (gid_t)-1)
        return 0;
    if (fchown(fd, uid, gid) != 0)
        return err_sys(err, "cannot change the owner of \"%s\" to %d:%d", shown, (int)uid,
                       (int)gid);
    return 0;
}

static int create(int dirfd, const char *name, const char *shown, const struct file_wish *wish,
                  int *fd, struct err *err)
{
    *fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, wish->mode);
    if (*fd < 0)
        return err_sys(err, "cannot create \"%s\"", shown);
    return target_own(*fd, shown, wish->uid, wish->gid, err);
}

int target_make(int dirfd, const char *name, const char *shown, const struct file_wish *wish,
                struct err *err)
{
    if (mknodat(dirfd, name, S_IFREG | wish->mode, 0) != 0)
        return err_sys(err, "cannot create \"%s\"", shown);
    if ((wish->uid != (uid_t)-1 || wish->gid != (gid_t)-1) &&
        fchownat(dirfd, name, wish->uid, wish->gid, AT_SYMLINK_NOFOLLOW) != 0)
        return err_sys(err, "cannot change the owner of \"%s\"", shown);
    return 0;
}

static int fit_existing(int fd, const char *shown, const struct stat *st,
                        const struct file_wish *wish, struct err *err)
{
    uid_t uid = wish->uid == st->st_uid ? (uid_t)-1 : wish->uid;
    gid_t gid = wish->gid == st->st_gid ? (gid_t)-1 : wish->gid;

    TRY(target_own(fd, shown, uid, gid, err));
    if ((st->st_mode & 07777) != wish->mode && fchmod(fd, wish->mode) != 0)
        return err_sys(err, "cannot set the mode of \"%s\"", shown);
    return 0;
}

int target_open_part(int dirfd, const char *name, const char *shown, int *fd, struct err *err)
{
    *fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    return *fd < 0 ? err_sys(err, "cannot open \"%s\"", shown) : 0;
}

int target_open(int dirfd, const char *name, const char *shown, const struct file_wish *wish,
                int *fd, uint64_t *old_size, struct err *err)
{
    struct stat st;

    *old_size = 0;
    if (wish->made)
        return target_open_part(dirfd, name, shown, fd, err);
    if (!wish->exists)
        return create(dirfd, name, shown, wish, fd, err);
    *fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (*fd >= 0) {
        if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1) {
            *old_size = (uint64_t)st.st_size;
            return fit_existing(*fd, shown, &st, wish, err);
        }
        fd_close(fd);
    }
    if (unlinkat(dirfd, name, 0) != 0 && errno != ENOENT)
        return err_sys(err, "cannot replace \"%s\"", shown);
    return create(dirfd, name, shown, wish, fd, err);
}

int target_resize(int fd, const char *shown, uint64_t size, struct err *err)
{
    if (ftruncate(fd, (off_t)size) != 0)
        return err_sys(err, "cannot set the size of \"%s\" to %llu", shown,
                       (unsigned long long)size);
    return 0;
}

int target_zero(int fd, const char *shown, uint64_t offset, uint64_t len, struct err *err)
{
    static const uint8_t zeros[64 << 10];

    if (len == 0 ||
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len) == 0)
        return 0;
    while (len != 0) {
        size_t n = MIN_OF(len, sizeof zeros);
        TRY(fs_pwrite_all(fd, zeros, n, offset, shown, err));
        offset += n;
        len -= n;
    }
    return 0;
}

/* ---- the sink ---- */

void page_sink_begin(struct page_sink *s, int fd, const char *shown, uint64_t offset, uint64_t size)
{
    s->fd = fd;
    s->shown = shown;
    s->offset = offset;
    s->used = 0;
    s->size = size;
    s->direct = true;
}

/*
 * O_DIRECT is switched on when it is first needed: who writes only a few pages is better off with
 * the page cache, which writes many such files together. A file system that takes the flag and
 * refuses the write (EINVAL) gets the flag taken away for good.
 */
static bool go_direct(struct page_sink *s)
{
    int flags;

    if (!s->direct)
        return false;
    flags = fcntl(s->fd, F_GETFL);
    if (flags >= 0 && ((flags & O_DIRECT) != 0 || fcntl(s->fd, F_SETFL, flags | O_DIRECT) == 0))
        return true;
    s->direct = false;
    return false;
}

static int write_plain(struct page_sink *s, size_t len, struct err *err)
{
    int flags = fcntl(s->fd, F_GETFL);

    if (flags >= 0 && (flags & O_DIRECT) != 0)
        fcntl(s->fd, F_SETFL, flags & ~O_DIRECT);
    return fs_pwrite_all(s->fd, s->buffer, len, s->offset, s->shown, err);
}

/* The last block is padded for O_DIRECT, and what is too much cut off again. */
static int write_direct(struct page_sink *s, size_t len, struct err *err)
{
    size_t padded = (len + FS_ALIGN - 1) / FS_ALIGN * FS_ALIGN;
    ssize_t n;

    memset(s->buffer + len, 0, padded - len);
    do
        n = pwrite(s->fd, s->buffer, padded, (off_t)s->offset);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)padded) {
        if (n < 0 && errno != EINVAL)
            return err_sys(err, "cannot write \"%s\"", s->shown);
        s->direct = false;
        return write_plain(s, len, err);
    }
    return s->offset + padded > s->size ? target_resize(s->fd, s->shown, s->size, err) : 0;
}

enum { DIRECT_MIN = 64 << 10 };

int page_sink_flush(struct page_sink *s, struct err *err)
{
    size_t len = s->used;
    bool aligned = s->offset % FS_ALIGN == 0 && (len % FS_ALIGN == 0 || s->offset + len == s->size);

    if (len == 0)
        return 0;
    if (aligned && s->size >= DIRECT_MIN && go_direct(s))
        TRY(write_direct(s, len, err));
    else
        TRY(write_plain(s, len, err));
    s->offset += len;
    s->used = 0;
    return 0;
}

int page_sink_room(struct page_sink *s, size_t len, uint8_t **room, struct err *err)
{
    if (FS_IO_SIZE - s->used < len)
        TRY(page_sink_flush(s, err));
    *room = s->buffer + s->used;
    return 0;
}

void page_sink_fill(struct page_sink *s, size_t len)
{
    s->used += len;
}

int page_sink_seek(struct page_sink *s, uint64_t offset, struct err *err)
{
    if (offset == s->offset + s->used)
        return 0;
    TRY(page_sink_flush(s, err));
    s->offset = offset;
    return 0;
}
