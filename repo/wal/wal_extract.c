/*
 * wal_extract.c - an archived segment straight into a file. See wal_object_extract() in
 * wal_object.h.
 *
 * restore_command runs once per segment, so what it costs is what recovery costs: the object is
 * read with one request, each thread decodes into one buffer that stays in the processor's cache,
 * and no copy of the whole segment is made.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/queue.h"
#include "repo/object/object_form.h"
#include "repo/wal/wal_form.h"
#include "repo/wal/wal_object.h"

enum { FIRST_READ = 4 << 20, STORED_MAX = 1 << 30 };

struct extract {
    struct repo *repo;
    char label[OBJECT_LABEL + 1];
    const char *key;
    uint8_t *stored; /* the whole object */
    uint64_t size;
    struct object_chunk *chunks;
    uint32_t n; /* chunks of WAL */
    atomic_uint next;
    int fd;
    const char *path;
    size_t last_len;
    uint8_t *raw; /* WAL_CHUNK_SIZE for each thread, in as few huge pages as that takes */
    atomic_uint taken;
};

static void extract_free(struct extract *x)
{
    free(x->stored);
    free(x->chunks);
    free(x->raw);
}

static int read_object(struct extract *x, struct err *err)
{
    struct store *s = repo_store(x->repo);
    size_t got, more;

    x->stored = xhuge(FIRST_READ);
    TRY(store_get(s, x->key, 0, FIRST_READ, x->stored, &got, &x->size, err));
    if (x->size < OBJECT_HEADER + OBJECT_TRAILER || x->size > STORED_MAX)
        return err_set(err, ERR_CORRUPT, "%llu bytes cannot be an archived segment",
                       (unsigned long long)x->size);
    if (got == x->size)
        return 0;
    x->stored = xrealloc(x->stored, x->size);
    TRY(store_get(s, x->key, got, x->size - got, x->stored + got, &more, NULL, err));
    if (got + more != x->size)
        return err_set(err, ERR_CORRUPT, "cut off after %zu of %llu bytes", got + more,
                       (unsigned long long)x->size);
    return 0;
}

static int check_head(const struct extract *x, struct err *err)
{
    struct object_head head;

    TRY(object_head_parse(x->stored, &head, err));
    if (head.kind != OBJECT_WAL || strcmp(head.label, x->label) != 0 ||
        memcmp(head.repo_id, repo_id(x->repo), sizeof head.repo_id) != 0)
        return err_set(err, ERR_FOREIGN,
                       "it is labelled \"%s\", of kind %d, perhaps of another repository; expected "
                       "\"%s\"",
                       head.label, head.kind, x->label);
    return 0;
}

static int read_dir(struct extract *x, struct coder *coder, struct err *err)
{
    AUTO(buf_free) struct buf dir = BUF_INIT;
    struct trailer t;

    TRY(trailer_parse(x->stored + x->size - OBJECT_TRAILER, x->size, &t, err));
    TRY(chunk_decode_buf(coder, CHUNK_DIR, 0, t.chunks, x->stored + t.dir_offset, t.dir_len,
                         CHUNK_RAW_MAX, &dir, NULL, err));
    x->chunks = xcalloc(t.chunks, sizeof *x->chunks);
    TRY(object_dir_parse(dir.p, dir.len, t.chunks, t.dir_offset, x->chunks, err));
    for (x->n = 0; x->n < t.chunks && x->chunks[x->n].type == CHUNK_WAL; x->n++)
        ;
    return x->n != 0 ? 0 : err_set(err, ERR_CORRUPT, "it holds no WAL");
}

static int extract_chunk(struct extract *x, struct coder *coder, uint32_t i, uint8_t *raw,
                         struct err *err)
{
    const struct object_chunk *c = &x->chunks[i];
    size_t len;

    TRY(chunk_decode(coder, CHUNK_WAL, 0, i, x->stored + c->offset, c->stored_len, raw,
                     WAL_CHUNK_SIZE, &len, NULL, err));
    if (i + 1 < x->n && len != WAL_CHUNK_SIZE)
        return err_set(err, ERR_CORRUPT, "chunk %u has %zu bytes, expected %d", i, len,
                       WAL_CHUNK_SIZE);
    if (i + 1 == x->n)
        x->last_len = len;
    return fs_pwrite_all(x->fd, raw, len, (uint64_t)i * WAL_CHUNK_SIZE, x->path, err);
}

static int extract_chunks(struct extract *x, struct coder *coder, struct err *err)
{
    uint8_t *raw = x->raw + (size_t)atomic_fetch_add(&x->taken, 1) * WAL_CHUNK_SIZE;
    uint32_t i;

    while ((i = atomic_fetch_add(&x->next, 1)) < x->n)
        TRY(extract_chunk(x, coder, i, raw, err));
    return 0;
}

static int thread(void *ctx, unsigned index, struct err *err)
{
    struct extract *x = ctx;
    AUTO(coder_free) struct coder *coder = NULL;

    (void)index;
    TRY(repo_coder(x->repo, x->label, &coder, err));
    return extract_chunks(x, coder, err);
}

/* The calling thread works too. */
static int extract_all(struct extract *x, struct coder *coder, unsigned threads, struct err *err)
{
    struct workers *workers = NULL;
    struct err other = {0};
    int rc;

    threads = MAX_OF(1u, MIN_OF(threads, x->n));
    x->raw = xhuge((size_t)threads * WAL_CHUNK_SIZE);
    if (threads > 1)
        TRY(workers_start(&workers, threads - 1, thread, x, NULL, err));
    rc = extract_chunks(x, coder, err);
    if (workers != NULL && workers_join(&workers, &other) != 0 && rc == 0) {
        *err = other;
        rc = -1;
    }
    return rc;
}

/*
 * All of the file's blocks at once. Where they are only reserved, ext4 writes the file out when it
 * is renamed over another one (auto_da_alloc in ext4(5)), and somebody waits for that. A file
 * system that cannot do it takes the blocks one by one.
 */
static void allocate(const struct extract *x)
{
    (void)!fallocate(x->fd, 0, 0, (off_t)x->n * WAL_CHUNK_SIZE);
}

static int cut(const struct extract *x, uint64_t len, struct err *err)
{
    if (len % WAL_CHUNK_SIZE != 0 && ftruncate(x->fd, (off_t)len) != 0)
        return err_sys(err, "cannot cut \"%s\" to its length", x->path);
    return 0;
}

static int extract(struct extract *x, size_t max_len, unsigned threads, uint64_t *len,
                   struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;

    TRY(read_object(x, err));
    TRY(check_head(x, err));
    TRY(repo_coder(x->repo, x->label, &coder, err));
    TRY(read_dir(x, coder, err));
    if ((size_t)(x->n - 1) * WAL_CHUNK_SIZE >= max_len)
        return err_set(err, ERR_CORRUPT, "it holds %u MiB of WAL, at most %zu are possible", x->n,
                       max_len >> 20);
    allocate(x);
    TRY(extract_all(x, coder, threads, err));
    *len = (uint64_t)(x->n - 1) * WAL_CHUNK_SIZE + x->last_len;
    return cut(x, *len, err);
}

int wal_object_extract(struct repo *r, uint64_t system_id, unsigned major, const char *file,
                       size_t max_len, unsigned threads, int fd, const char *path, uint64_t *len,
                       struct err *err)
{
    AUTO(extract_free) struct extract x = {.repo = r, .fd = fd, .path = path};
    AUTO(buf_free) struct buf key = BUF_INIT;

    TRY(name_wal(&key, repo_cluster(r), system_id, major, file, err));
    TRY(label_wal(x.label, system_id, file, err));
    x.key = key.p;
    if (extract(&x, max_len, threads, len, err) != 0)
        return err_context(err, "object \"%s\"", key.p);
    return 0;
}
