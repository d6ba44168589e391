/* write.c - see write.h. */
#include "restore/write.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/fs.h"
#include "base/mem.h"
#include "restore/chunks.h"
#include "restore/delta.h"
#include "restore/run_ahead.h"
#include "restore/target_file.h"

/* A chunk that was decoded where most of its pages will be written from. */
struct laid {
    struct chunk_at at;
    uint64_t offset; /* of its first page in the file */
    const uint8_t *data;
    size_t len; /* 0: there is none */
};

struct writer {
    const struct write_terms *terms;
    struct chunks *chunks;
    struct laid laid;
    uint32_t page;      /* bytes */
    size_t chunk_bytes; /* of a full pages chunk */
    struct dir_cache dir;
    struct page_sink sink;
    struct local_file local; /* delta: what is there */
    struct write_count count;
};

/* One file, or part of one, under way. */
struct job {
    const struct task *task;
    const struct item *item;
    const char *path; /* for messages */
    int dirfd;
    const char *name;
    int fd;
    uint64_t old_size; /* delta: bytes that may be compared */
    uint32_t crc;      /* of what is done so far, where the item wants it */
};

int writer_new(struct writer **out, const struct write_terms *terms, struct err *err)
{
    struct writer *w = xcalloc(1, sizeof *w);
    const struct pubinfo *pub = manifest_pub(terms->manifest);

    w->terms = terms;
    w->page = pub->page_size;
    w->chunk_bytes = (size_t)w->page * MAP_PAGES;
    w->dir.fd = -1;
    w->sink.buffer = xaligned(FS_ALIGN, FS_IO_SIZE);
    *out = w;
    if (chunks_new(&w->chunks, terms->repo, terms->manifest, terms->parsing, err) != 0) {
        writer_free(out);
        return -1;
    }
    return 0;
}

void writer_free(struct writer **w)
{
    if (*w == NULL)
        return;
    chunks_free(&(*w)->chunks);
    dir_cache_free(&(*w)->dir);
    local_free(&(*w)->local);
    free((*w)->sink.buffer);
    free(*w);
    *w = NULL;
}

const struct write_count *writer_count(const struct writer *w)
{
    return &w->count;
}

/* ---- pages ---- */

/* Bytes of the file at an offset that n pages cover: less than whole pages only at its end. */
static size_t bytes_of(const struct writer *w, const struct item *i, uint64_t offset, size_t pages)
{
    return (size_t)MIN_OF((uint64_t)pages * w->page, i->size - offset);
}

static void sum_up(struct job *j, const void *data, size_t len)
{
    if (j->item->crc != NULL)
        j->crc = crc32c(j->crc, data, len);
}

static int too_short(size_t len, size_t want, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "a chunk has %zu bytes where the backup needs %zu", len, want);
}

static bool is_laid(const struct writer *w, struct chunk_at at, uint32_t first, uint64_t offset)
{
    const struct laid *l = &w->laid;

    return l->len != 0 && same_chunk(l->at, at) &&
           offset == l->offset + (uint64_t)first * w->page &&
           l->data + (offset - l->offset) == w->sink.buffer + w->sink.used;
}

/*
 * Decodes the next chunk into the sink if that is where most of its pages go from here on; those
 * that are another chunk's are then written over. Any other chunk is kept: more of it may be wanted
 * soon. ahead: what the file still needs. A delta restore may skip any of that.
 */
static int lay(struct writer *w, const struct job *j, struct run_ahead ahead, uint64_t offset,
               struct err *err)
{
    struct laid *l = &w->laid;
    uint8_t *room;

    if (offset - l->offset < l->len)
        return 0;
    l->len = 0;
    if (j->old_size != 0)
        ahead.n = 0;
    if (!run_ahead_chunk(&ahead, &l->at))
        return 0;
    TRY(page_sink_room(&w->sink, w->chunk_bytes, &room, err));
    TRY(chunks_read(w->chunks, l->at, room, w->chunk_bytes, &l->len, err));
    l->offset = offset;
    l->data = room;
    return 0;
}

/* Pages [first, first + n) of a chunk go to the file at offset. */
static int put_pages(struct writer *w, struct job *j, struct chunk_at at, uint32_t first,
                     uint32_t n, uint64_t offset, struct err *err)
{
    size_t want = bytes_of(w, j->item, offset, n), skip = (size_t)first * w->page, len;
    const uint8_t *data;
    uint8_t *room;

    if (is_laid(w, at, first, offset)) {
        room = w->sink.buffer + w->sink.used;
        if (w->laid.len < skip + want)
            return too_short(w->laid.len, skip + want, err);
    } else {
        TRY(chunks_get(w->chunks, CHUNK_PAGES, at, &data, &len, err));
        if (len < skip + want)
            return too_short(len, skip + want, err);
        TRY(page_sink_room(&w->sink, want, &room, err));
        memcpy(room, data + skip, want);
    }
    sum_up(j, room, want);
    page_sink_fill(&w->sink, want);
    w->count.fetched += want;
    return 0;
}

/* Delta: true when the pages of the file are what the chunk holds. Whole chunks are judged by the
 * hash that their pack knows, others by their bytes. */
static int pages_are_there(struct writer *w, struct job *j, struct chunk_at at, uint32_t first,
                           uint32_t n, uint64_t offset, bool *same, struct err *err)
{
    size_t want = bytes_of(w, j->item, offset, n), len;
    const uint8_t *here, *data;
    struct hash128 hash;
    uint32_t raw_len;

    *same = false;
    if (offset + want > j->old_size)
        return 0;
    TRY(local_bytes(&w->local, offset, want, &here, err));
    if (here == NULL)
        return 0;
    if (first == 0) {
        TRY(chunks_hash(w->chunks, at, &hash, &raw_len, err));
        if (raw_len == want) {
            struct hash128 mine = hash128(here, want);
            *same = memcmp(&mine, &hash, sizeof mine) == 0;
            if (*same)
                sum_up(j, here, want);
            return 0;
        }
    }
    TRY(chunks_get(w->chunks, CHUNK_PAGES, at, &data, &len, err));
    *same = len >= (size_t)first * w->page + want &&
            memcmp(here, data + (size_t)first * w->page, want) == 0;
    if (*same)
        sum_up(j, here, want);
    return 0;
}

static int do_pages(struct writer *w, struct job *j, struct run_ahead ahead, uint32_t n,
                    uint64_t offset, struct err *err)
{
    const struct extent *e = &ahead.now;
    struct chunk_at at = {e->set, addr_pack(e->addr), addr_chunk(e->addr)};
    uint32_t first = addr_page(e->addr);
    bool same = false;

    TRY(stop_check(w->terms->stop, err));
    if (j->old_size != 0)
        TRY(pages_are_there(w, j, at, first, n, offset, &same, err));
    if (same) {
        w->count.kept += bytes_of(w, j->item, offset, n);
        return 0;
    }
    TRY(page_sink_seek(&w->sink, offset, err));
    TRY(lay(w, j, ahead, offset, err));
    return put_pages(w, j, at, first, n, offset, err);
}

/* A run of pages that lie one behind the other in the packs of a set: chunk by chunk. n: extents
 * behind it. */
static int do_run(struct writer *w, struct job *j, const struct extent *e, uint32_t n,
                  uint64_t offset, struct err *err)
{
    struct run_ahead ahead = {.now = *e, .next = e + 1, .n = n};

    while (ahead.now.count != 0) {
        uint32_t pages = MIN_OF(ahead.now.count, (uint32_t)MAP_PAGES - addr_page(ahead.now.addr));
        TRY(do_pages(w, j, ahead, pages, offset, err));
        ahead.now.addr += pages;
        ahead.now.count -= pages;
        offset += (uint64_t)pages * w->page;
    }
    return 0;
}

/* Zero pages are stored nowhere and take no space: a new file simply has a hole there. */
static int do_zeros(struct writer *w, struct job *j, const struct extent *e, uint64_t offset,
                    struct err *err)
{
    uint64_t len = MIN_OF((uint64_t)e->count * w->page, j->item->size - offset);

    if (j->item->crc != NULL)
        j->crc = crc32c_combine(j->crc, crc32c_zeros(len), len);
    if (offset >= j->old_size) {
        w->count.fetched += len;
        return 0;
    }
    for (uint64_t done = 0; done < len;) {
        size_t n = (size_t)MIN_OF(len - done, (uint64_t)w->chunk_bytes);
        const uint8_t *here;
        TRY(stop_check(w->terms->stop, err));
        TRY(local_bytes(&w->local, offset + done, n, &here, err));
        if (here != NULL && local_is_zero(here, n)) {
            w->count.kept += n;
        } else {
            TRY(target_zero(j->fd, j->path, offset + done, n, err));
            w->count.fetched += n;
        }
        done += n;
    }
    return 0;
}

static int write_extents(struct writer *w, struct job *j, struct err *err)
{
    const struct item *i = j->item;
    uint64_t offset = i->from;

    page_sink_begin(&w->sink, j->fd, j->path, offset, i->size);
    w->laid.len = 0;
    for (uint32_t k = 0; k < i->n_extents; k++) {
        const struct extent *e = &j->task->extents[i->first_extent + k];
        if (offset >= i->size || e->count > (i->size - offset + w->page - 1) / w->page)
            return err_set(err, ERR_CORRUPT, "the map has more pages than the file");
        if (e->set == SET_ZERO)
            TRY(do_zeros(w, j, e, offset, err));
        else
            TRY(do_run(w, j, e, i->n_extents - k - 1, offset, err));
        offset += (uint64_t)e->count * w->page;
    }
    return page_sink_flush(&w->sink, err);
}

static int do_file_of_pages(struct writer *w, struct job *j, struct err *err)
{
    const struct item *i = j->item;

    if (!i->part && i->exists && j->old_size != i->size)
        TRY(target_resize(j->fd, j->path, i->size, err));
    if (j->old_size != 0)
        TRY(local_open(&w->local, j->dirfd, j->name, MIN_OF(j->old_size, i->size), err));
    TRY(write_extents(w, j, err));
    /* A new file that ends in zero pages is longer than what was written. */
    if (!i->part && !i->exists && w->sink.offset < i->size)
        TRY(target_resize(j->fd, j->path, i->size, err));
    return 0;
}

/* ---- small files ---- */

static int do_bundled(struct writer *w, struct job *j, struct err *err)
{
    const struct item *i = j->item;
    const uint8_t *data, *here;
    size_t len;

    TRY(chunks_get(w->chunks, CHUNK_BUNDLE, (struct chunk_at){i->set, i->pack, i->chunk}, &data,
                   &len, err));
    if (i->offset > len || i->size > len - i->offset)
        return too_short(len, (size_t)i->offset + (size_t)i->size, err);
    sum_up(j, data + i->offset, (size_t)i->size);
    if (j->old_size == i->size) {
        TRY(local_open(&w->local, j->dirfd, j->name, i->size, err));
        TRY(local_bytes(&w->local, 0, (size_t)i->size, &here, err));
        if (here != NULL && memcmp(here, data + i->offset, (size_t)i->size) == 0) {
            w->count.kept += i->size;
            return 0;
        }
    }
    w->count.fetched += i->size;
    TRY(fs_pwrite_all(j->fd, data + i->offset, (size_t)i->size, 0, j->path, err));
    return j->old_size > i->size ? target_resize(j->fd, j->path, i->size, err) : 0;
}

static int open_item(struct writer *w, struct job *j, struct err *err)
{
    const struct item *i = j->item;
    struct file_wish wish = {i->mode, i->uid, i->gid, i->exists, i->made};

    TRY(dir_cache_parent(&w->dir, w->terms->layout, i->root, j->path, &j->dirfd, &j->name, err));
    if (!i->part)
        return target_open(j->dirfd, j->name, j->path, &wish, &j->fd, &j->old_size, err);
    j->old_size = i->old_size;
    return target_open_part(j->dirfd, j->name, j->path, &j->fd, err);
}

static int do_content(struct writer *w, struct job *j, struct err *err)
{
    switch (j->item->kind) {
    case ITEM_BUNDLE:
        return do_bundled(w, j, err);
    case ITEM_PAGES:
        return do_file_of_pages(w, j, err);
    case ITEM_EMPTY:
        break;
    }
    return j->old_size != 0 ? target_resize(j->fd, j->path, 0, err) : 0;
}

static int do_item(struct writer *w, const struct task *t, const struct item *i, struct err *err)
{
    struct job j = {.task = t, .item = i, .path = task_path(t, i), .fd = -1};
    int result = open_item(w, &j, err);

    if (result == 0)
        result = do_content(w, &j, err);
    if (result == 0 && i->crc != NULL)
        result =
            late_crc_part(i->crc, i->number, j.crc, i->kind == ITEM_PAGES ? i->len : i->size, err);
    local_close(&w->local);
    /* close() reports what a network file system could not write. */
    if (j.fd >= 0 && close(j.fd) != 0 && errno != EINTR && result == 0)
        result = err_sys(err, "cannot close");
    return result == 0
               ? 0
               : err_context(err, "file \"%s/%s\"", w->terms->layout->roots[i->root].dir, j.path);
}

int writer_do(struct writer *w, const struct task *t, struct err *err)
{
    struct progress *p = w->terms->progress;

    for (size_t k = 0; k < t->n; k++) {
        TRY(stop_check(w->terms->stop, err));
        TRY(do_item(w, t, &t->items[k], err));
        crash_point("restore-file");
    }
    if (p != NULL) {
        size_t files = 0;
        for (size_t k = 0; k < t->n; k++)
            files += !t->items[k].part || t->items[k].from == 0;
        atomic_fetch_add_explicit(&p->bytes_done, t->bytes, memory_order_relaxed);
        atomic_fetch_add_explicit(&p->files_done, files, memory_order_relaxed);
    }
    return 0;
}
