/* small.c - runs of small files, several of them in one chunk: a bundle. */
#include "backup/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "postgres/relfile.h"

enum { MAP_READINGS = 20 };

static int flush_bundle(struct worker *w, struct err *err)
{
    struct chunk_note note = {.path = "", .parts = w->parts, .n_parts = (unsigned)w->n_parts};
    struct file_result f = {.fate = FATE_BUNDLE};
    struct place at;

    if (w->n_parts == 0)
        return 0;
    TRY(worker_store(w, CHUNK_BUNDLE, "", 0, (uint32_t)w->n_parts, w->bundle, w->bundle_used, &note,
                     &f.set, &at, err));
    f.pack = at.pack;
    f.chunk = at.chunk;
    for (size_t i = 0; i < w->n_parts; i++) {
        f.size = w->parts[i].length;
        f.offset = w->parts[i].offset;
        f.mtime_s = w->smalls[i].mtime_s;
        f.crc32c = w->smalls[i].crc;
        TRY(streak_add(&w->streak, w->smalls[i].number, &f, err));
    }
    w->n_parts = 0;
    w->bundle_used = 0;
    return 0;
}

/* pg_filenode.map may be torn, and a torn one makes the database unopenable. */
static int settle_filenode_map(struct worker *w, const char *path, int fd, uint8_t *data,
                               size_t *len, struct err *err)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL || strcmp(slash, "/pg_filenode.map") != 0)
        return 0;
    for (int i = 0; filenode_map_check(data, *len, err) != 0; i++) {
        if (i == MAP_READINGS)
            return err_context(err, "\"%s\"", path);
        usleep(10000);
        TRY(stop_check(w->c->q->stop, err));
        TRY(fs_pread_all(fd, data, SMALL_FILE, 0, len, path, err));
    }
    return 0;
}

/* It has grown since it was listed: copied part by part, at once. */
static int copy_grown(struct worker *w, const char *path, uint64_t number, int64_t mtime_s, int fd,
                      struct err *err)
{
    struct large *l;
    struct stat st;
    bool last = false;
    int rc = 0;

    if (fstat(fd, &st) != 0)
        return err_sys(err, "cannot look at \"%s\"", path);
    l = large_new(path, number, mtime_s, (uint64_t)st.st_size);
    for (unsigned i = 0; i < l->n_parts && rc == 0; i++)
        rc = large_part(w, l, i, &last, err);
    large_free(l);
    return rc;
}

static int copy_small(struct worker *w, const char *path, uint64_t number, int64_t mtime_s,
                      struct err *err)
{
    int dirfd;
    const char *where = worker_locate(w, path, &dirfd);
    AUTO(fd_close)
    int fd = openat(dirfd, where, O_RDONLY | O_CLOEXEC | (dirfd == AT_FDCWD ? 0 : O_NOFOLLOW));
    uint8_t *data = w->bundle + w->bundle_used;
    struct paged paged = worker_paged(w, path);
    size_t len;

    if (fd < 0 && errno == ENOENT)
        return worker_vanished(w, path, number, err);
    if (fd < 0)
        return err_sys(err, "cannot open \"%s\"", path);
    TRY(fs_pread_all(fd, data, SMALL_FILE, 0, &len, path, err));
    worker_count_read(w, len);
    if (len == SMALL_FILE)
        return copy_grown(w, path, number, mtime_s, fd, err);
    TRY(settle_filenode_map(w, path, fd, data, &len, err));
    if (len == 0)
        return streak_add(&w->streak, number,
                          &(struct file_result){.fate = FATE_EMPTY, .mtime_s = mtime_s}, err);
    worker_check_pages(w, &paged, data, len, 0);
    w->parts[w->n_parts] = (struct bundle_part){path, (uint32_t)w->bundle_used, (uint32_t)len};
    w->smalls[w->n_parts++] = (struct small){number, mtime_s, crc32c(0, data, len)};
    w->bundle_used += len;
    return w->bundle_used > BUNDLE_SIZE - SMALL_FILE ? flush_bundle(w, err) : 0;
}

int small_run(struct worker *w, const struct task *t, struct err *err)
{
    struct cursor c = cursor_of(t->run.p, t->run.len);
    uint64_t bytes = 0;

    while (cur_left(&c) != 0) {
        uint64_t number = cur_u64(&c);
        int64_t mtime_s = (int64_t)cur_u64(&c);
        uint32_t size = cur_u32(&c);
        const char *path = (const char *)c.p;

        cur_bytes(&c, strlen(path) + 1);
        if (size == 0) /* what it has got since is in the WAL */
            TRY(streak_add(&w->streak, number,
                           &(struct file_result){.fate = FATE_EMPTY, .mtime_s = mtime_s}, err));
        else
            TRY(copy_small(w, path, number, mtime_s, err));
        bytes += size;
    }
    rate_take(w->c->rate, bytes, w->c->q->stop);
    TRY(flush_bundle(w, err)); /* paths belong to the task */
    TRY(streak_flush(&w->streak, err));
    worker_progress(w, bytes, t->files);
    return 0;
}

int copy_bytes(const struct copy_request *q, struct packer *packer, const char *path,
               uint64_t number, int64_t mtime_s, const void *data, size_t len, struct err *err)
{
    struct bundle_part part = {path, 0, (uint32_t)len};
    struct chunk_note note = {.path = "", .parts = &part, .n_parts = 1};
    struct file_result f = {.fate = FATE_BUNDLE,
                            .set = 1,
                            .size = len,
                            .mtime_s = mtime_s,
                            .crc32c = crc32c(0, data, len)};
    struct place at;

    TRY(packer_add(packer, CHUNK_BUNDLE, 1, data, len, &note, NULL, &at, err));
    f.pack = at.pack;
    f.chunk = at.chunk;
    return results_put(q->results, number, &f, 1, err);
}
