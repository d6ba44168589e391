/*
 * worker.c - see worker.h. Reads a file, checks its pages, stores chunks, notes the result. Nothing
 * here allocates or locks per chunk.
 */
#include "backup/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/page.h"
#include "postgres/relfile.h"

enum { SLICE = CHUNK_DATA_SIZE, SLICE_PAGES = SLICE / PG_PAGE_SIZE, MAP_READINGS = 20 };

struct small { /* a file in the bundle that is being filled */
    uint64_t number;
    int64_t mtime_s;
    uint32_t crc;
};
struct worker {
    struct copy *c;
    struct packer *packer;
    struct suspects *suspects;
    uint8_t *buffer;  /* FS_IO_SIZE, aligned */
    uint8_t *compact; /* SLICE: the non-zero pages of a slice */
    struct map_builder map;
    struct buf map_bytes;
    /* the bundle being filled */
    uint8_t *bundle; /* BUNDLE_SIZE: flushed while there is room for a small file */
    size_t bundle_used;
    struct bundle_part *parts;
    struct small *smalls;
    size_t n_parts;
    /* results of the present run, written in streaks of consecutive numbers */
    struct file_result *results;
    uint64_t first_result;
    size_t n_results;
};

struct worker *worker_new(struct copy *c, unsigned index)
{
    struct worker *w = xcalloc(1, sizeof *w);

    w->c = c;
    w->packer = c->packers[index];
    w->suspects = &c->made->suspects[index];
    w->buffer = xaligned(FS_ALIGN, FS_IO_SIZE);
    w->compact = xmalloc(SLICE);
    w->bundle = xaligned(FS_ALIGN, BUNDLE_SIZE);
    w->parts = xcalloc(RESULTS_BATCH, sizeof *w->parts);
    w->smalls = xcalloc(RESULTS_BATCH, sizeof *w->smalls);
    w->results = xcalloc(RESULTS_BATCH, sizeof *w->results);
    return w;
}

void worker_free(struct worker **pw)
{
    struct worker *w = *pw;

    if (w == NULL)
        return;
    free(w->buffer);
    free(w->compact);
    free(w->bundle);
    free(w->parts);
    free(w->smalls);
    free(w->results);
    map_free(&w->map);
    buf_free(&w->map_bytes);
    free(w);
    *pw = NULL;
}

/* Where a listed path lies: relative to the data directory, or absolute. */
static const char *locate(const struct worker *w, const char *path, int *dirfd)
{
    if (strncmp(path, "data/", 5) == 0) {
        *dirfd = w->c->q->data_fd;
        return path + 5;
    }
    *dirfd = AT_FDCWD;
    return path + strlen("config");
}

/* Files without which no server starts: their absence is no dropped relation. */
static bool may_vanish(const char *path)
{
    return strcmp(path, "data/PG_VERSION") != 0 && strcmp(path, "data/global/pg_filenode.map") != 0;
}

static void add_progress(struct worker *w, uint64_t bytes, uint64_t files)
{
    struct progress *p = w->c->q->progress;

    atomic_fetch_add_explicit(&p->bytes_done, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->files_done, files, memory_order_relaxed);
}

/* ---- pages ---- */

/* What page checks need to know of a file; checks: it is a relation file of a cluster with data
 * checksums. */
struct paged {
    const char *path; /* relative to the data directory */
    bool checks;
    uint32_t first_block; /* of the file within its relation fork */
};

static struct paged paged_of(const struct worker *w, const char *path)
{
    struct paged p = {.path = path + strlen("data/")};
    struct rel_file rel;

    if (w->c->q->check_pages && strncmp(path, "data/", 5) == 0 && relfile_parse(p.path, &rel)) {
        p.checks = true;
        p.first_block = rel.segno * PG_RELSEG_PAGES;
    }
    return p;
}

static void check_pages(struct worker *w, const struct paged *p, const uint8_t *data, size_t len,
                        uint32_t block)
{
    uint64_t start = w->c->q->start_lsn;
    uint64_t insert = atomic_load_explicit(&w->c->insert_lsn, memory_order_relaxed);

    if (!p->checks)
        return;
    for (; len >= PG_PAGE_SIZE; len -= PG_PAGE_SIZE, data += PG_PAGE_SIZE, block++)
        if (page_check(data, p->first_block + block, start, insert) >= PAGE_BAD)
            suspects_note(w->suspects, p->path, p->first_block, block, data);
}

/* ---- large files ---- */

static void part_add(struct part *p, struct extent e)
{
    struct extent *last = p->n != 0 ? &p->extents[p->n - 1] : NULL;

    if (last != NULL && last->set == e.set &&
        (e.set == SET_ZERO || last->addr + last->count == e.addr)) {
        last->count += e.count;
        return;
    }
    if (p->n == p->cap) {
        p->cap = p->cap * 2 + 8;
        p->extents = xrealloc(p->extents, p->cap * sizeof *p->extents);
    }
    p->extents[p->n++] = e;
}

/* Stores a chunk, or finds it stored by an interrupted attempt. */
static int store_chunk(struct worker *w, enum chunk_type type, const char *path, uint32_t block,
                       uint32_t items, const void *raw, size_t len, const struct chunk_note *note,
                       uint32_t *set, struct place *at, struct err *err)
{
    const struct adoption *a = w->c->q->adoption;
    struct hash128 hash;

    *set = 1;
    if (adopt_sets(a) == 0)
        return packer_add(w->packer, type, items, raw, len, note, NULL, at, err);
    hash = hash128(raw, len);
    if (adopt_find(a, path, block, (uint32_t)len, &hash, set, at)) {
        atomic_fetch_add_explicit(&w->c->made->adopted_bytes, len, memory_order_relaxed);
        return 0;
    }
    *set = 1;
    return packer_add(w->packer, type, items, raw, len, note, &hash, at, err);
}

struct slice {
    struct block_run runs[SLICE_PAGES]; /* of non-zero pages, by block of the file */
    unsigned n_runs;
    uint32_t pages;      /* non-zero ones */
    const uint8_t *data; /* they, side by side */
    size_t len;
};

/* Leaves out the zero pages. A short last page always counts as data. */
static void slice_pages(struct worker *w, const uint8_t *data, size_t len, uint32_t block,
                        struct slice *s)
{
    *s = (struct slice){.data = data};
    for (size_t at = 0; at < len; at += PG_PAGE_SIZE, block++) {
        size_t n = MIN_OF((size_t)PG_PAGE_SIZE, len - at);
        struct block_run *last = s->n_runs != 0 ? &s->runs[s->n_runs - 1] : NULL;

        if (n == PG_PAGE_SIZE && page_is_zero(data + at)) {
            if (s->data == data) { /* the first hole: from here on pages move */
                memcpy(w->compact, data, s->len);
                s->data = w->compact;
            }
            continue;
        }
        if (s->data != data)
            memcpy(w->compact + s->len, data + at, n);
        s->len += n;
        s->pages++;
        if (last != NULL && last->first + last->count == block)
            last->count++;
        else
            s->runs[s->n_runs++] = (struct block_run){block, 1};
    }
}

/* The slice's blocks in order: stored pages and zero pages between them. */
static void add_extents(struct part *p, const struct slice *s, uint32_t block, uint32_t blocks,
                        uint32_t set, struct place at)
{
    uint32_t page = 0, end = block + blocks;

    for (unsigned i = 0; i < s->n_runs; i++) {
        const struct block_run *r = &s->runs[i];

        if (r->first > block)
            part_add(p, (struct extent){.set = SET_ZERO, .count = r->first - block});
        part_add(p, (struct extent){set, r->count, extent_addr(at.pack, at.chunk, page)});
        page += r->count;
        block = r->first + r->count;
    }
    if (block < end)
        part_add(p, (struct extent){.set = SET_ZERO, .count = end - block});
}

static int copy_slice(struct worker *w, struct large *l, struct part *p, uint64_t file_size,
                      const uint8_t *data, size_t len, uint64_t offset, struct err *err)
{
    uint32_t block = (uint32_t)(offset / PG_PAGE_SIZE);
    uint32_t blocks = (uint32_t)((len + PG_PAGE_SIZE - 1) / PG_PAGE_SIZE), set = SET_ZERO;
    struct place at = {0};
    struct slice s;

    slice_pages(w, data, len, block, &s);
    if (s.pages != 0) {
        struct chunk_note note = {.path = l->path,
                                  .file_size = file_size,
                                  .mtime_s = l->mtime_s,
                                  .runs = s.runs,
                                  .n_runs = s.n_runs};

        TRY(store_chunk(w, CHUNK_PAGES, l->path, s.runs[0].first, s.pages, s.data, s.len, &note,
                        &set, &at, err));
    }
    add_extents(p, &s, block, blocks, set, at);
    return 0;
}

/* Reads the part to its end, or to the end of the file if that comes first. */
static int copy_part(struct worker *w, struct large *l, unsigned index, struct quiet_file *f,
                     uint64_t file_size, struct err *err)
{
    struct paged paged = paged_of(w, l->path);
    struct part *p = &l->parts[index];
    uint64_t at = (uint64_t)index * PART_SIZE, end = MIN_OF(file_size, at + PART_SIZE);

    while (at < end) {
        size_t want = (size_t)MIN_OF(end - at, (uint64_t)FS_IO_SIZE), got;

        TRY(stop_check(w->c->q->stop, err));
        rate_take(w->c->rate, want, w->c->q->stop);
        TRY(quiet_read(f, w->buffer, want, at, &got, err));
        for (size_t s = 0; s < got; s += SLICE) {
            size_t len = MIN_OF((size_t)SLICE, got - s);

            check_pages(w, &paged, w->buffer + s, len, (uint32_t)((at + s) / PG_PAGE_SIZE));
            p->crc = crc32c(p->crc, w->buffer + s, len);
            TRY(copy_slice(w, l, p, file_size, w->buffer + s, len, at + s, err));
        }
        p->length += got;
        at += got;
        add_progress(w, got, 0);
        if (got < want)
            break; /* it shrank: WAL has the truncation */
    }
    return 0;
}

/* All parts are there: one map, one CRC. A part that ended early ends the file. */
static int finish_large(struct worker *w, struct large *l, struct err *err)
{
    struct file_result f = {.fate = FATE_MAP, .mtime_s = l->mtime_s};

    map_reset(&w->map);
    for (unsigned i = 0; i < l->n_parts; i++) {
        const struct part *p = &l->parts[i];

        for (size_t k = 0; k < p->n; k++)
            map_add(&w->map, p->extents[k]);
        f.crc32c = crc32c_combine(f.crc32c, p->crc, p->length);
        f.size += p->length;
        if (p->length < PART_SIZE)
            break;
    }
    if (f.size == 0)
        f.fate = FATE_EMPTY;
    buf_clear(&w->map_bytes);
    map_finish(&w->map, PG_PAGE_SIZE, f.size, &w->map_bytes);
    f.map_len = (uint32_t)w->map_bytes.len;
    TRY(results_put_map(w->c->q->results, w->map_bytes.p, w->map_bytes.len, &f.map_at, err));
    add_progress(w, 0, 1);
    return results_put(w->c->q->results, l->number, &f, 1, err);
}

static int vanished(struct worker *w, const char *path, uint64_t number, struct err *err)
{
    struct file_result f = {.fate = FATE_VANISHED};

    if (!may_vanish(path))
        return err_set(err, ERR_NOT_FOUND, "\"%s\" is missing: no server can start without it",
                       path);
    log_debug("\"%s\" vanished while it was copied", path);
    atomic_fetch_add(&w->c->made->vanished, 1);
    return results_put(w->c->q->results, number, &f, 1, err);
}

static int read_part(struct worker *w, struct large *l, unsigned index, struct err *err)
{
    struct quiet_file f;
    struct stat st;
    int dirfd, rc;
    const char *path = locate(w, l->path, &dirfd);

    if (quiet_open(&f, dirfd, path, &st, err) != 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        err_clear(err);
        atomic_store(&l->vanished, true);
        return 0;
    }
    rc = copy_part(w, l, index, &f, (uint64_t)st.st_size, err);
    quiet_close(&f);
    return rc;
}

static int do_part(struct worker *w, struct large *l, unsigned index, bool *last, struct err *err)
{
    TRY(read_part(w, l, index, err));
    *last = large_done(l);
    if (!*last)
        return 0;
    if (atomic_load(&l->vanished))
        return vanished(w, l->path, l->number, err);
    return finish_large(w, l, err);
}

/* ---- small files ---- */

static int flush_results(struct worker *w, struct err *err)
{
    if (w->n_results != 0)
        TRY(results_put(w->c->q->results, w->first_result, w->results, w->n_results, err));
    w->n_results = 0;
    return 0;
}

static int add_result(struct worker *w, uint64_t number, const struct file_result *f,
                      struct err *err)
{
    if (w->n_results == RESULTS_BATCH || w->first_result + w->n_results != number)
        TRY(flush_results(w, err));
    if (w->n_results == 0)
        w->first_result = number;
    w->results[w->n_results++] = *f;
    return 0;
}

static int flush_bundle(struct worker *w, struct err *err)
{
    struct chunk_note note = {.path = "", .parts = w->parts, .n_parts = (unsigned)w->n_parts};
    struct file_result f = {.fate = FATE_BUNDLE};
    struct place at;

    if (w->n_parts == 0)
        return 0;
    TRY(store_chunk(w, CHUNK_BUNDLE, "", 0, (uint32_t)w->n_parts, w->bundle, w->bundle_used, &note,
                    &f.set, &at, err));
    f.pack = at.pack;
    f.chunk = at.chunk;
    for (size_t i = 0; i < w->n_parts; i++) {
        f.size = w->parts[i].length;
        f.offset = w->parts[i].offset;
        f.mtime_s = w->smalls[i].mtime_s;
        f.crc32c = w->smalls[i].crc;
        TRY(add_result(w, w->smalls[i].number, &f, err));
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
        rc = do_part(w, l, i, &last, err);
    large_free(l);
    return rc;
}

static int copy_small(struct worker *w, const char *path, uint64_t number, int64_t mtime_s,
                      struct err *err)
{
    int dirfd;
    const char *where = locate(w, path, &dirfd);
    AUTO(fd_close)
    int fd = openat(dirfd, where, O_RDONLY | O_CLOEXEC | (dirfd == AT_FDCWD ? 0 : O_NOFOLLOW));
    uint8_t *data = w->bundle + w->bundle_used;
    struct paged paged = paged_of(w, path);
    size_t len;

    if (fd < 0 && errno == ENOENT)
        return vanished(w, path, number, err);
    if (fd < 0)
        return err_sys(err, "cannot open \"%s\"", path);
    TRY(fs_pread_all(fd, data, SMALL_FILE, 0, &len, path, err));
    if (len == SMALL_FILE)
        return copy_grown(w, path, number, mtime_s, fd, err);
    TRY(settle_filenode_map(w, path, fd, data, &len, err));
    if (len == 0)
        return add_result(w, number, &(struct file_result){.fate = FATE_EMPTY, .mtime_s = mtime_s},
                          err);
    check_pages(w, &paged, data, len, 0);
    w->parts[w->n_parts] = (struct bundle_part){path, (uint32_t)w->bundle_used, (uint32_t)len};
    w->smalls[w->n_parts++] = (struct small){number, mtime_s, crc32c(0, data, len)};
    w->bundle_used += len;
    return w->bundle_used > BUNDLE_SIZE - SMALL_FILE ? flush_bundle(w, err) : 0;
}

static int do_run(struct worker *w, const struct task *t, struct err *err)
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
            TRY(add_result(w, number, &(struct file_result){.fate = FATE_EMPTY, .mtime_s = mtime_s},
                           err));
        else
            TRY(copy_small(w, path, number, mtime_s, err));
        bytes += size;
    }
    rate_take(w->c->rate, bytes, w->c->q->stop);
    TRY(flush_bundle(w, err)); /* paths belong to the task */
    TRY(flush_results(w, err));
    add_progress(w, bytes, t->files);
    return 0;
}

int worker_do(struct worker *w, struct task *t, struct err *err)
{
    struct large *l = t->large;
    bool last = false;
    int rc;

    if (l == NULL)
        return do_run(w, t, err);
    rc = do_part(w, l, t->part, &last, err);
    if (last)
        large_free(l);
    if (rc == 0 || last)
        t->large = NULL; /* counted; otherwise copy_task_drop() counts it */
    return rc;
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
