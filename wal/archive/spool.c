/* spool.c - see spool.h. */
#include "wal/archive/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/wal_reader.h"
#include "wal/archive/local.h"

enum {
    WAIT_STEP_MS = 2,
    WAIT_MAX_MS = 10000, /* for a segment on its way: then asking oneself is the better bet */
    ALIVE_EVERY = 50,    /* steps between two looks whether somebody still works on it */
};
static const char part[] = ".part";

void spool_close(struct spool *s)
{
    fd_close(&s->lock);
    fd_close(&s->dir);
    mem_free(&s->path);
    s->owned = false;
}

/* ---- where it is ---- */

static int spool_name(const struct config *c, const struct cluster_config *cluster,
                      const char *only, const char *data_dir, const struct wal_identity *id,
                      char **out, struct err *err)
{
    struct hash128 repos = local_repos(c, cluster, only);
    AUTO(buf_free) struct buf b = BUF_INIT;
    struct stat st;

    if (stat(data_dir, &st) != 0)
        return err_sys(err, "data directory \"%s\"", data_dir);
    buf_u64(&b, (uint64_t)st.st_dev);
    buf_u64(&b, (uint64_t)st.st_ino);
    buf_u64(&b, id->system_id);
    buf_u32(&b, id->major);
    buf_add(&b, repos.bytes, sizeof repos);
    *out = xasprintf("%s/spool/%s-%016llx", c->state_dir, cluster->name,
                     (unsigned long long)hash64(b.p, b.len));
    return 0;
}

int spool_open(struct spool *s, const struct config *c, const struct cluster_config *cluster,
               const char *only, const char *data_dir, const struct wal_identity *id,
               enum spool_open how, struct err *err)
{
    TRY(spool_name(c, cluster, only, data_dir, id, &s->path, err));
    if (how == SPOOL_CREATE)
        TRY(fs_mkdirs(s->path, 0700, err));
    s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->dir < 0)
        return how == SPOOL_FIND && errno == ENOENT
                   ? 0
                   : err_sys(err, "cannot open directory \"%s\"", s->path);
    s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (s->lock < 0) {
        err_sys(err, "cannot open \"%s/lock\"", s->path);
        fd_close(&s->dir);
        return -1;
    }
    return 0;
}

/* A spool that was removed between opening and locking is nobody's. */
bool spool_own(struct spool *s)
{
    struct stat st;

    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0)
        return false;
    if (fstat(s->lock, &st) != 0 || st.st_nlink == 0) {
        flock(s->lock, LOCK_UN);
        return false;
    }
    s->owned = true;
    return true;
}

/* ---- where recovery is ---- */

void spool_tell(const struct spool *s, const char *file)
{
    AUTO(fd_close) int fd = openat(s->dir, "position", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || pwrite(fd, file, WAL_SEGMENT_NAME - 1, 0) != WAL_SEGMENT_NAME - 1)
        log_debug("\"%s/position\" cannot be written", s->path);
}

bool spool_told(const struct spool *s, struct wal_file *f)
{
    AUTO(fd_close) int fd = openat(s->dir, "position", O_RDONLY | O_CLOEXEC);
    char name[WAL_SEGMENT_NAME] = "";

    return fd >= 0 && pread(fd, name, sizeof name - 1, 0) == (ssize_t)sizeof name - 1 &&
           wal_file_parse(name, f) == 0 && f->kind == WAL_SEGMENT;
}

/* ---- taking ---- */

int spool_check(int fd, const char *file, const struct wal_identity *id, struct err *err)
{
    uint8_t head[WAL_LONG_HEADER];
    struct wal_expect want = {.system_id = id->system_id};
    struct wal_segment_header header;
    struct wal_file f;
    struct stat st;
    uint64_t segno;
    size_t got;

    if (fstat(fd, &st) != 0)
        return err_sys(err, "\"%s\"", file);
    TRY(fs_pread_all(fd, head, sizeof head, 0, &got, file, err));
    if (wal_file_parse(file, &f) != 0 || !wal_segsz_valid((uint64_t)st.st_size) ||
        wal_file_segno(&f, (uint32_t)st.st_size, &segno) != 0)
        return err_set(err, ERR_CORRUPT, "no segment of %lld bytes can have the name \"%s\"",
                       (long long)st.st_size, file);
    want.tli = f.tli;
    want.start = segno_lsn(segno, (uint32_t)st.st_size);
    return wal_segment_check(head, got, (uint64_t)st.st_size, &want, &header, err);
}

static int copy(int from, int to, const char *path, struct err *err)
{
    AUTO(mem_free) uint8_t *buffer = xmalloc(FS_IO_SIZE);
    uint64_t at = 0;
    size_t got;

    if (ftruncate(to, 0) != 0)
        return err_sys(err, "cannot empty \"%s\"", path);
    for (;;) {
        TRY(fs_pread_all(from, buffer, FS_IO_SIZE, at, &got, path, err));
        if (got == 0)
            return 0;
        TRY(fs_pwrite_all(to, buffer, got, at, path, err));
        at += got;
    }
}

/* By its name, or across file systems by its bytes. */
static bool move(const struct spool *s, int fd, const char *file, const struct wal_identity *id,
                 const char *to, int to_fd)
{
    struct err err = {0};

    if (spool_check(fd, file, id, &err) != 0) {
        log_warning("\"%s/%s\" is not used: %s", s->path, file, err.msg);
        return false;
    }
    if (renameat(s->dir, file, AT_FDCWD, to) == 0)
        return true;
    if (copy(fd, to_fd, to, &err) != 0) {
        log_warning("\"%s/%s\" is not used: %s", s->path, file, err.msg);
        return false;
    }
    unlinkat(s->dir, file, 0);
    return true;
}

static bool on_its_way(const struct spool *s, const char *file)
{
    AUTO(mem_free) char *name = xasprintf("%s%s", file, part);

    return fs_exists(s->dir, name);
}

/* What does not arrive is given up by all: the owner then stops fetching, and no other call waits
 * for a connection that hangs. What is complete stays. */
static void drop_unfinished(const struct spool *s)
{
    int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    if (d == NULL) {
        fd_close(&fd);
        return;
    }
    log_warning("segments that are fetched ahead do not arrive: no longer waited for");
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strlen(e->d_name) > WAL_SEGMENT_NAME - 1 &&
            strcmp(e->d_name + WAL_SEGMENT_NAME - 1, part) == 0)
            unlinkat(s->dir, e->d_name, 0);
    closedir(d);
}

bool spool_take(struct spool *s, const char *file, const struct wal_identity *id, const char *to,
                int to_fd)
{
    int64_t end = clock_monotonic_us() + WAIT_MAX_MS * INT64_C(1000);

    for (unsigned step = 1;; step++) {
        bool coming = on_its_way(s, file); /* looked for first: it becomes the file in one step */
        AUTO(fd_close) int fd = openat(s->dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (fd >= 0)
            return move(s, fd, file, id, to, to_fd);
        if (!coming)
            return false;
        if (clock_monotonic_us() > end) {
            drop_unfinished(s);
            return false;
        }
        if (step % ALIVE_EVERY == 0 && spool_own(s))
            return false;
        clock_sleep_ms(WAIT_STEP_MS);
    }
}

/* ---- cleaning ---- */

void spool_clean(const struct spool *s, bool (*keep)(void *ctx, const struct wal_file *f),
                 void *ctx)
{
    int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    if (d == NULL) {
        fd_close(&fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        AUTO(mem_free) char *name = xstrndup(e->d_name, WAL_SEGMENT_NAME - 1);
        struct wal_file f; /* also of a ".part" */

        if (wal_file_parse(name, &f) == 0 && (keep == NULL || !keep(ctx, &f)))
            unlinkat(s->dir, e->d_name, 0);
    }
    closedir(d);
}

/* The lock goes last, so that nobody can own a spool that is half removed. */
void spool_remove(struct spool *s)
{
    spool_clean(s, NULL, NULL);
    unlinkat(s->dir, "position", 0);
    unlinkat(s->dir, "lock", 0);
    rmdir(s->path);
}

void spool_sweep(const struct spool *s)
{
    AUTO(mem_free) char *top = xstrndup(s->path, (size_t)(strrchr(s->path, '/') - s->path));
    DIR *d = opendir(top);

    if (d == NULL)
        return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        AUTO(spool_close) struct spool other = SPOOL_INIT;

        if (e->d_name[0] == '.' || strcmp(e->d_name, strrchr(s->path, '/') + 1) == 0)
            continue;
        other.path = xasprintf("%s/%s", top, e->d_name);
        other.dir = open(other.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (other.dir < 0)
            continue;
        other.lock = openat(other.dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (other.lock >= 0 && spool_own(&other))
            spool_remove(&other);
    }
    closedir(d);
}
