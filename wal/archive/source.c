/* source.c - see source.h. */
#include "wal/archive/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/control.h"
#include "postgres/version.h"

static int identity_in(const char *dir, struct wal_identity *id, struct err *err)
{
    AUTO(fd_close) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct pg_control control;

    if (fd < 0)
        return err_sys(err, "data directory \"%s\"", dir);
    if (control_read(fd, CONTROL_PATH, NULL, &control, err) != 0)
        return err_context(err, "data directory \"%s\"", dir);
    *id = (struct wal_identity){control.system_id, control.version->major};
    return 0;
}

int wal_identity_near(const char *path, const char *data_dir, struct wal_identity *id,
                      struct err *err)
{
    AUTO(mem_free) char *copy = xstrdup(path);
    char *slash = strrchr(copy, '/');
    struct err first = {0};

    if (slash != NULL) {
        *slash = '\0'; /* ".../pg_wal", or "pg_wal" */
        slash = strrchr(copy, '/');
        if (slash != NULL)
            *slash = '\0';
        if (identity_in(slash == NULL ? "." : (copy[0] != '\0' ? copy : "/"), id, &first) == 0)
            return 0;
    } else if (identity_in("..", id, &first) == 0) {
        return 0;
    }
    if (data_dir != NULL && identity_in(data_dir, id, err) == 0)
        return 0;
    return err_set(err, first.code, "whose file \"%s\" is cannot be told: %s", path, first.msg);
}

static int check_size(const char *path, enum wal_kind kind, uint64_t size, struct err *err)
{
    bool segment = kind == WAL_SEGMENT || kind == WAL_PARTIAL;

    if (segment && !wal_segsz_valid(size))
        return err_set(err, ERR_CORRUPT,
                       "\"%s\" has %llu bytes; a WAL segment has 1 MiB to 1 GiB, a power of two",
                       path, (unsigned long long)size);
    if (!segment && (size == 0 || size > WAL_SMALL_MAX))
        return err_set(err, ERR_CORRUPT, "\"%s\" has %llu bytes, 1 to %d are expected", path,
                       (unsigned long long)size, WAL_SMALL_MAX);
    return 0;
}

/* Mapping saves the copy of 16 MiB and the memory for it, half of what this process costs the
 * system. */
static int map_file(int fd, const char *path, struct wal_memory *m, struct err *err)
{
    void *p = mmap(NULL, m->len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);

    if (p == MAP_FAILED)
        return err_sys(err, "cannot map \"%s\"", path);
    m->data = p;
    m->mapped = true;
    return 0;
}

static int read_file(int fd, const char *path, struct wal_memory *m, struct err *err)
{
    size_t got;

    m->data = xmalloc(m->len);
    TRY(fs_pread_all(fd, m->data, m->len, 0, &got, path, err));
    if (got != m->len)
        return err_set(err, ERR_IO, "\"%s\" changes while it is read", path);
    return 0;
}

int wal_file_read(const char *path, enum wal_kind kind, struct wal_memory *m, struct err *err)
{
    AUTO(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    *m = (struct wal_memory){0};
    if (fd < 0)
        return err_sys(err, "cannot open \"%s\"", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_IO, "\"%s\" is no file", path);
    TRY(check_size(path, kind, (uint64_t)st.st_size, err));
    m->len = (size_t)st.st_size;
    if (kind == WAL_SEGMENT || kind == WAL_PARTIAL)
        return map_file(fd, path, m, err);
    return read_file(fd, path, m, err);
}

void wal_memory_free(struct wal_memory *m)
{
    if (m->mapped)
        munmap(m->data, m->len);
    else
        free(m->data);
    *m = (struct wal_memory){0};
}
