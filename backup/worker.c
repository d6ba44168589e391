/* worker.c - see worker.h: what large and small files have in common. */
#include "backup/worker.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/relfile.h"

struct worker *worker_new(struct copy *c, unsigned index)
{
    struct worker *w = xcalloc(1, sizeof *w);

    w->c = c;
    w->packer = c->packers[index];
    w->suspects = &c->made->suspects[index];
    w->buffer = xaligned(FS_ALIGN, FS_IO_SIZE);
    w->next = xaligned(FS_ALIGN, FS_IO_SIZE);
    w->ahead = read_ahead_new();
    w->compact = xmalloc(SLICE);
    w->bundle = xaligned(FS_ALIGN, BUNDLE_SIZE);
    w->parts = xcalloc(RESULTS_BATCH, sizeof *w->parts);
    w->smalls = xcalloc(RESULTS_BATCH, sizeof *w->smalls);
    w->streak.results = c->q->results;
    return w;
}

void worker_free(struct worker **pw)
{
    struct worker *w = *pw;

    if (w == NULL)
        return;
    read_ahead_free(&w->ahead);
    free(w->buffer);
    free(w->next);
    free(w->compact);
    free(w->bundle);
    free(w->parts);
    free(w->smalls);
    page_picker_free(&w->picker);
    comparer_free(&w->comparer);
    map_free(&w->map);
    buf_free(&w->map_bytes);
    free(w);
    *pw = NULL;
}

const char *worker_locate(const struct worker *w, const char *path, int *dirfd)
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

int worker_vanished(struct worker *w, const char *path, uint64_t number, struct err *err)
{
    struct file_result f = {.fate = FATE_VANISHED};

    if (!may_vanish(path))
        return err_set(err, ERR_NOT_FOUND, "\"%s\" is missing: no server can start without it",
                       path);
    log_debug("\"%s\" vanished while it was copied", path);
    atomic_fetch_add(&w->c->made->vanished, 1);
    return results_put(w->c->q->results, number, &f, 1, err);
}

void worker_progress(struct worker *w, uint64_t bytes, uint64_t files)
{
    struct progress *p = w->c->q->progress;

    atomic_fetch_add_explicit(&p->bytes_done, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->files_done, files, memory_order_relaxed);
}

void worker_count_read(struct worker *w, uint64_t bytes)
{
    atomic_fetch_add_explicit(&w->c->made->read_bytes, bytes, memory_order_relaxed);
}

struct paged worker_paged(const struct worker *w, const char *path)
{
    struct paged p = {.path = path + strlen("data/")};
    struct rel_file rel;

    if (w->c->q->check_pages && strncmp(path, "data/", 5) == 0 && relfile_parse(p.path, &rel)) {
        p.checks = true;
        p.first_block = rel.segno * PG_RELSEG_PAGES;
    }
    return p;
}

void worker_check_pages(struct worker *w, const struct paged *p, const uint8_t *data, size_t len,
                        uint32_t block)
{
    uint64_t start = w->c->q->start_lsn;
    uint64_t insert = atomic_load_explicit(&w->c->insert_lsn, memory_order_relaxed);

    if (!p->checks)
        return;
    for (; len >= PG_PAGE_SIZE; len -= PG_PAGE_SIZE, data += PG_PAGE_SIZE, block++)
        if (page_check(data, p->first_block + block, start, insert) >= PAGE_BAD)
            suspects_note(w->suspects, p->path, p->first_block, block);
}

int worker_store(struct worker *w, enum chunk_type type, const char *path, uint32_t block,
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

int worker_do(struct worker *w, struct task *t, struct err *err)
{
    struct large *l = t->large;
    bool last = false;
    int rc;

    if (l == NULL)
        return small_run(w, t, err);
    rc = large_part(w, l, t->part, &last, err);
    if (last)
        large_free(l);
    if (rc == 0 || last)
        t->large = NULL; /* counted; otherwise copy_task_drop() counts it */
    return rc;
}
