/*
 * target_file.h - opening the files a restore writes, and writing them past the page cache.
 *
 * A new file is made with its mode at once. An existing one (delta) is taken as it is unless it
 * cannot be: a file with other names (hard links) or without permission is replaced.
 */
#ifndef PGBR_RESTORE_TARGET_FILE_H
#define PGBR_RESTORE_TARGET_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct file_wish {
    mode_t mode;
    uid_t uid; /* -1: leave it alone */
    gid_t gid;
    bool exists; /* a regular file is thought to be there, from before */
    bool made;   /* target_make() has just made it */
};
/* Makes an empty file. It cannot be opened for writing afterwards when its mode forbids that to its
 * owner: leave such a one to target_open(). */
int target_make(int dirfd, const char *name, const char *shown, const struct file_wish *wish,
                struct err *err) MUST_CHECK;
/* Opens name in dirfd for writing (and reading, if it exists), with mode and owner as wished. The
 * process's umask must be 0. *old_size: bytes it had, 0 for a new one. shown: for messages. */
int target_open(int dirfd, const char *name, const char *shown, const struct file_wish *wish,
                int *fd, uint64_t *old_size, struct err *err) MUST_CHECK;

/* Opens a file that target_open() made a moment ago, for one more worker to write a part of it. */
int target_open_part(int dirfd, const char *name, const char *shown, int *fd,
                     struct err *err) MUST_CHECK;

/* Sets the size; what is behind the old end reads as zeros and takes no space. */
int target_resize(int fd, const char *shown, uint64_t size, struct err *err) MUST_CHECK;

/* Makes [offset, offset + len) read as zeros, by a hole where the file system can. */
int target_zero(int fd, const char *shown, uint64_t offset, uint64_t len,
                struct err *err) MUST_CHECK;

/* Owner and mode of what fd is; -1 leaves an id alone. */
int target_own(int fd, const char *shown, uid_t uid, gid_t gid, struct err *err) MUST_CHECK;

/*
 * Writes pages that are collected in an aligned buffer, 1 MiB at a time, with O_DIRECT where the
 * file system takes it. The pages of one call follow those of the one before, or leave a gap behind
 * which to go on (page_sink_seek).
 */
struct page_sink {
    int fd;
    bool direct;
    const char *shown;
    uint8_t *buffer; /* FS_IO_SIZE bytes, FS_ALIGN-aligned; the owner's, for many files */
    uint64_t offset; /* of buffer[0] in the file */
    size_t used;
    uint64_t size; /* of the whole file: nothing is left behind it */
};
void page_sink_begin(struct page_sink *s, int fd, const char *shown, uint64_t offset,
                     uint64_t size);
/* Room for len bytes (at most FS_IO_SIZE), to be filled in and announced by page_sink_fill(). */
int page_sink_room(struct page_sink *s, size_t len, uint8_t **room, struct err *err) MUST_CHECK;
void page_sink_fill(struct page_sink *s, size_t len);
/* Goes on at another place, forward. */
int page_sink_seek(struct page_sink *s, uint64_t offset, struct err *err) MUST_CHECK;
int page_sink_flush(struct page_sink *s, struct err *err) MUST_CHECK;

#endif
