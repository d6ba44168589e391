/*
 * large.c - a large file, part by part: each part is a task of its own, and whoever finishes the
 * last one puts the map together.
 */
#include "backup/worker.h"

#include <stdlib.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/page.h"

struct large *large_new(const char *path, uint64_t number, int64_t mtime_s, uint64_t size)
{
    unsigned n = (unsigned)((size + PART_SIZE - 1) / PART_SIZE);
    struct large *l = xcalloc(1, sizeof *l + MAX_OF(n, 1u) * sizeof l->parts[0]);

    l->path = xstrdup(path);
    l->number = number;
    l->mtime_s = mtime_s;
    l->size = size;
    l->n_parts = MAX_OF(n, 1u);
    atomic_init(&l->parts_left, l->n_parts);
    return l;
}

bool large_done(struct large *l)
{
    return atomic_fetch_sub(&l->parts_left, 1) == 1;
}

void large_free(struct large *l)
{
    for (unsigned i = 0; i < l->n_parts; i++)
        free(l->parts[i].extents);
    free(l->path);
    free(l->map);
    free(l);
}

void part_add(struct part *p, struct extent e)
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
    bool same = false;
    struct slice s;

    slice_pages(w, data, len, block, &s);
    if (s.pages != 0 && l->map != NULL)
        TRY(compare_slice(w, l, &s, block, blocks, &set, &at, &same, err));
    if (s.pages != 0 && !same) {
        struct chunk_note note = {.path = l->path,
                                  .file_size = file_size,
                                  .mtime_s = l->mtime_s,
                                  .runs = s.runs,
                                  .n_runs = s.n_runs};

        TRY(worker_store(w, CHUNK_PAGES, l->path, s.runs[0].first, s.pages, s.data, s.len, &note,
                         &set, &at, err));
    }
    add_extents(p, &s, block, blocks, set, at);
    return 0;
}

static size_t piece_size(uint64_t at, uint64_t end)
{
    return (size_t)MIN_OF(end - at, (uint64_t)FS_IO_SIZE);
}

/* Into w->buffer: what was read ahead, or else it is read now. */
static int take_piece(struct worker *w, struct quiet_file *f, size_t want, uint64_t at, size_t *got,
                      struct err *err)
{
    uint8_t *was = w->buffer;

    if (!read_ahead_busy(w->ahead)) {
        rate_take(w->c->rate, want, w->c->q->stop);
        return quiet_read(f, w->buffer, want, at, got, err);
    }
    TRY(read_ahead_wait(w->ahead, got, err));
    w->buffer = w->next;
    w->next = was;
    return 0;
}

/* Only what comes from the disk: what the page cache has is best copied by who needs it. */
static int look_ahead(struct worker *w, struct quiet_file *f, uint64_t at, uint64_t end,
                      struct err *err)
{
    if (at >= end || !f->direct)
        return 0;
    rate_take(w->c->rate, piece_size(at, end), w->c->q->stop);
    return read_ahead_begin(w->ahead, f, w->next, piece_size(at, end), at, err);
}

static int copy_piece(struct worker *w, struct large *l, struct part *p, const struct paged *paged,
                      uint64_t file_size, size_t len, uint64_t at, struct err *err)
{
    for (size_t s = 0; s < len; s += SLICE) {
        size_t n = MIN_OF((size_t)SLICE, len - s);

        worker_check_pages(w, paged, w->buffer + s, n, (uint32_t)((at + s) / PG_PAGE_SIZE));
        p->crc = crc32c(p->crc, w->buffer + s, n);
        TRY(copy_slice(w, l, p, file_size, w->buffer + s, n, at + s, err));
    }
    p->length += len;
    worker_progress(w, len, 0);
    return 0;
}

/* Reads the part to its end, or to the end of the file if that comes first. */
static int copy_pieces(struct worker *w, struct large *l, unsigned index, struct quiet_file *f,
                       uint64_t file_size, struct err *err)
{
    struct paged paged = worker_paged(w, l->path);
    uint64_t at = (uint64_t)index * PART_SIZE, end = MIN_OF(file_size, at + PART_SIZE);

    while (at < end) {
        size_t want = piece_size(at, end), got;

        TRY(stop_check(w->c->q->stop, err));
        TRY(take_piece(w, f, want, at, &got, err));
        if (got == want)
            TRY(look_ahead(w, f, at + got, end, err));
        worker_count_read(w, got);
        TRY(copy_piece(w, l, &l->parts[index], &paged, file_size, got, at, err));
        if (got < want)
            break; /* it shrank: WAL has the truncation */
        at += got;
    }
    return 0;
}

/* What is still being read when something else went wrong is waited for: the file is closed next.
 */
static int copy_part(struct worker *w, struct large *l, unsigned index, struct quiet_file *f,
                     uint64_t file_size, struct err *err)
{
    int rc = copy_pieces(w, l, index, f, file_size, err);
    struct err ignored = {0};
    size_t got;

    if (read_ahead_busy(w->ahead))
        (void)!read_ahead_wait(w->ahead, &got, &ignored);
    return rc;
}

/* All parts are there: one map, one CRC. A part that ended early ends the file. */
static int finish_large(struct worker *w, struct large *l, struct err *err)
{
    struct file_result f = {.fate = FATE_MAP, .mtime_s = l->mtime_s, .crc_unknown = l->picked};

    map_reset(&w->map);
    for (unsigned i = 0; i < l->n_parts; i++) {
        const struct part *p = &l->parts[i];

        for (size_t k = 0; k < p->n; k++)
            map_add(&w->map, p->extents[k]);
        if (!f.crc_unknown)
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
    worker_progress(w, 0, 1);
    return results_put(w->c->q->results, l->number, &f, 1, err);
}

static int read_part(struct worker *w, struct large *l, unsigned index, struct err *err)
{
    struct quiet_file f;
    struct stat st;
    int dirfd, rc;
    const char *path = worker_locate(w, l->path, &dirfd);

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

int large_part(struct worker *w, struct large *l, unsigned index, bool *last, struct err *err)
{
    TRY(l->picked ? pages_part(w, l, index, err) : read_part(w, l, index, err));
    *last = large_done(l);
    if (!*last)
        return 0;
    if (atomic_load(&l->vanished))
        return worker_vanished(w, l->path, l->number, err);
    return finish_large(w, l, err);
}
