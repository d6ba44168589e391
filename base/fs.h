/*
 * fs.h - files and directories: reading them whole, creating them durably, large direct I/O.
 *
 * "Durable" means that file, name and directory survive a power loss. All descriptors are
 * close-on-exec. Paths in messages are quoted.
 */
#ifndef PGBR_BASE_FS_H
#define PGBR_BASE_FS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum { FS_ALIGN = 4096, FS_IO_SIZE = 1 << 20 }; /* direct I/O: alignment, and bytes a request */

void fd_close(int *fd);  /* for AUTO; -1 is empty */
void dir_close(DIR **d); /* the same; NULL is empty */

/* Appends the whole file to *out, which is untouched on failure. More than max bytes:
 * ERR_CORRUPT. */
int fs_read_file(int dirfd, const char *path, size_t max, struct buf *out,
                 struct err *err) MUST_CHECK;

/* Puts the content at path: temporary name, fsync, rename, fsync of the directory. The mode is set
 * as given, whatever the umask. */
int fs_replace(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
               struct err *err) MUST_CHECK;

/* Creates a directory and its missing parents, each fsynced in its parent; the umask applies.
 * Existing is fine (and not fsynced again). */
int fs_mkdirs(const char *path, mode_t mode, struct err *err) MUST_CHECK;

/* fsync of a directory by path. */
int fs_sync_dir(int dirfd, const char *path, struct err *err) MUST_CHECK;

/* Writes out everything on the file system that holds fd (syncfs; errors are reported). */
int fs_sync_filesystem(int fd, const char *path, struct err *err) MUST_CHECK;

int fs_write_all(int fd, const void *data, size_t len, const char *path,
                 struct err *err) MUST_CHECK;
int fs_pwrite_all(int fd, const void *data, size_t len, uint64_t offset, const char *path,
                  struct err *err) MUST_CHECK;
/* Reads up to len bytes; *got < len only at the end of the file. */
int fs_pread_all(int fd, void *data, size_t len, uint64_t offset, size_t *got, const char *path,
                 struct err *err) MUST_CHECK;

/* A file without a name, gone when it is closed. dir: an existing directory. */
int fs_temporary(const char *dir, int *fd, struct err *err) MUST_CHECK;
bool fs_exists(int dirfd, const char *path); /* lstat succeeds */

/* Removes a tree (does not follow links); a missing one is fine. keep_top: leaves the directory
 * itself; to empty one behind a link, give its descriptor and ".". */
int fs_remove_tree(int dirfd, const char *path, bool keep_top, struct err *err) MUST_CHECK;

/* Free bytes for this process on the file system of path. */
int fs_free_bytes(const char *path, uint64_t *free_bytes, struct err *err) MUST_CHECK;

/*
 * Reading a file without disturbing the page cache: what is cached is taken from the cache
 * (cachestat, preadv2 with RWF_NOWAIT), the rest is read with O_DIRECT where the file system allows
 * it. Falls back to plain reads. The buffer must be FS_ALIGN-aligned and offset a multiple of
 * FS_ALIGN for the direct way to be taken; anything else works, slower, and so do the last len %
 * FS_ALIGN bytes: ask for a multiple of FS_ALIGN even where the file ends earlier. One thread at a
 * time.
 */
struct quiet_file {
    int fd;
    const char *path;                                    /* borrowed, for messages */
    uint64_t size;                                       /* when opened */
    enum { CACHE_STAT, CACHE_TRY, CACHE_UNKNOWN } cache; /* how to learn what is cached */
    bool may_direct, direct; /* O_DIRECT may be used; is switched on now */
};
#define QUIET_FILE_INIT \
    {                   \
        .fd = -1        \
    }
/* Links are followed; what is not a regular file is refused (ERR_FAILED). st may be NULL. */
int quiet_open(struct quiet_file *f, int dirfd, const char *path, struct stat *st,
               struct err *err) MUST_CHECK;
/* *got < len only at the end of the file. */
int quiet_read(struct quiet_file *f, void *buf, size_t len, uint64_t offset, size_t *got,
               struct err *err) MUST_CHECK;
void quiet_close(struct quiet_file *f);

/*
 * A new file that is streamed with O_DIRECT from one aligned buffer. Buffered I/O where the file
 * system refuses, for files smaller than the buffer, and for the last part of a block.
 */
struct direct_file {
    int fd;
    bool direct;
    uint8_t *buffer; /* FS_IO_SIZE bytes, kept between files of one owner */
    size_t used;
    uint64_t written; /* bytes in the file before the buffer's content */
    char *path;       /* for messages */
};
#define DIRECT_FILE_INIT \
    {                    \
        .fd = -1         \
    }
/* Opens with O_WRONLY | O_CREAT | O_EXCL; a file of that name: ERR_EXISTS. */
int direct_create(struct direct_file *f, int dirfd, const char *path, mode_t mode,
                  struct err *err) MUST_CHECK;
int direct_write(struct direct_file *f, const void *data, size_t len, struct err *err) MUST_CHECK;
/* The same without a copy: put up to *room (never 0) bytes there, then say how many. */
void *direct_space(struct direct_file *f, size_t *room);
int direct_advance(struct direct_file *f, size_t len, struct err *err) MUST_CHECK;
/* Writes what is left, with sync also durably (the name is the caller's to sync), and closes. */
int direct_finish(struct direct_file *f, bool sync, struct err *err) MUST_CHECK;
/* Abandons an open file (does not unlink it) and frees the buffer. */
void direct_free(struct direct_file *f);

/* An flock() on a lock file (created when missing, never removed). ERR_BUSY when another holds it;
 * the message names the pid written in it. */
struct lock_file {
    int fd;
};
#define LOCK_FILE_INIT \
    {                  \
        -1             \
    }
int lock_take(struct lock_file *l, const char *path, struct err *err) MUST_CHECK;
void lock_release(struct lock_file *l);

#endif
