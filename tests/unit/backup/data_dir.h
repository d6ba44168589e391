/*
 * data_dir.h - a made-up data directory and a repository in memory, for tests of the steps of a
 * backup: files are listed, copied, committed, and read back.
 */
#ifndef PGBR_TESTS_UNIT_BACKUP_DATA_DIR_H
#define PGBR_TESTS_UNIT_BACKUP_DATA_DIR_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/scan.h"
#include "base/fs.h"
#include "base/mem.h"
#include "postgres/page.h"
#include "tests/unit/repo/sample_repo.h"

enum { START_LSN = 0x5000000, INSERT_LSN = 0x6000000, PAGE = PG_PAGE_SIZE };

struct data_dir {
    char top[32];
    char *path; /* top/data */
    int fd;
};

static inline char *data_path(const struct data_dir *d, const char *name)
{
    return xasprintf("%s/%s", d->path, name);
}

static inline void data_mkdir(const struct data_dir *d, const char *name)
{
    AUTO(mem_free) char *path = data_path(d, name);
    struct err err = {0};

    OK(fs_mkdirs(path, 0700, &err), &err);
}

/* Directories on the way to it are made. */
static inline void data_write(const struct data_dir *d, const char *name, const void *bytes,
                              size_t len)
{
    AUTO(mem_free) char *path = data_path(d, name);
    AUTO(mem_free) char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    AUTO(fd_close) int fd = -1;
    struct err err = {0};

    OK(fs_mkdirs(dir, 0700, &err), &err);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    OK(fs_write_all(fd, bytes, len, path, &err), &err);
}

static inline void data_text(const struct data_dir *d, const char *name, const char *text)
{
    data_write(d, name, text, strlen(text));
}

static inline void data_link(const struct data_dir *d, const char *name, const char *target)
{
    AUTO(mem_free) char *path = data_path(d, name);

    assert_int_equal(symlink(target, path), 0);
}

static inline void data_remove(const struct data_dir *d, const char *name)
{
    struct err err = {0};

    OK(fs_remove_tree(d->fd, name, false, &err), &err);
}

/* A page as the server would write it: content from the seed, position, checksum. */
static inline void data_page(uint8_t page[PAGE], uint32_t block, uint64_t lsn, uint64_t seed)
{
    for (size_t i = 0; i < PAGE; i += 8) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        put_u64(page + i, seed ^ seed >> 29);
    }
    put_u32(page, (uint32_t)(lsn >> 32));
    put_u32(page + 4, (uint32_t)lsn);
    put_u16(page + 14, 4000); /* pd_upper */
    put_u16(page + 8, page_checksum(page, block));
}

static inline void data_pwrite(const struct data_dir *d, const char *name, uint64_t offset,
                               const void *bytes, size_t len)
{
    AUTO(fd_close) int fd = openat(d->fd, name, O_WRONLY | O_CREAT, 0600);
    struct err err = {0};

    assert_true(fd >= 0);
    OK(fs_pwrite_all(fd, bytes, len, offset, name, &err), &err);
}

static inline void data_resize(const struct data_dir *d, const char *name, uint64_t size)
{
    AUTO(mem_free) char *path = data_path(d, name);

    assert_int_equal(truncate(path, (off_t)size), 0);
}

/* Good pages [first, first + n) of a file. */
static inline void data_pages(const struct data_dir *d, const char *name, uint32_t first,
                              uint32_t n)
{
    uint8_t page[PAGE];

    for (uint32_t i = first; i < first + n; i++) {
        data_page(page, i, 0x1000000 + i, i);
        data_pwrite(d, name, (uint64_t)i * PAGE, page, sizeof page);
    }
}

/* What every cluster has. */
static inline void data_begin(struct data_dir *d)
{
    *d = (struct data_dir){.fd = -1};
    strcpy(d->top, "/tmp/pgbr-test-XXXXXX");
    assert_non_null(mkdtemp(d->top));
    d->path = xasprintf("%s/data", d->top);
    data_text(d, "PG_VERSION", "15\n");
    data_text(d, "global/pg_control", "copied by itself");
    data_mkdir(d, "pg_tblspc");
    data_mkdir(d, "pg_wal");
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY);
    assert_true(d->fd >= 0);
}

static inline void data_end(struct data_dir *d)
{
    struct err err = {0};

    OK(fs_remove_tree(AT_FDCWD, d->top, false, &err), &err);
    fd_close(&d->fd);
    free(d->path);
}

/* The list, in the directory above; closed by list_free(). */
static inline int data_scan(const struct data_dir *d, unsigned major, char *const *outside,
                            size_t n_outside, struct list_writer *list, struct scan_found *found,
                            struct err *err)
{
    struct scan_request q = {.data_fd = d->fd,
                             .data_dir = d->path,
                             .version = pg_version_by_major(major),
                             .outside = outside,
                             .n_outside = n_outside};

    *found = (struct scan_found){0};
    OK(list_create(list, d->top, err), err);
    return scan_files(&q, list, found, err);
}

static inline void data_found_free(struct scan_found *found)
{
    for (uint32_t i = 0; i < found->n_tablespaces; i++)
        free(found->tablespaces[i].location);
    free(found->tablespaces);
}

#endif
