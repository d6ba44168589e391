/*
 * pages.c - a part of a file of which the base has pages: those that changed are read and stored,
 * for the others the map says where the base has them.
 *
 * Changed pages of one part are packed into chunks in ascending order, wherever they lie, so that a
 * page costs a page. Where so much of a chunk of an older backup has been replaced that it would be
 * kept and read for a few pages only, these are stored anew with the others (consolidation): then
 * old packs die by themselves. They are read from the data directory, as all pages are, so it needs
 * nothing from the repository.
 *
 * Chunks also end at fixed borders of the file, so that one more page that changed does not shift
 * the chunks of the whole part: the next attempt after an interrupted one finds most of them
 * stored.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "backup/worker.h"
#include "base/fs.h"
#include "base/mem.h"
#include "postgres/page.h"

enum {
    PART_PAGES = PART_SIZE / PG_PAGE_SIZE,
    LIVE_PARTS = 4,  /* a chunk is kept for at least one page in so many */
    ADVISE_MAX = 64, /* pages: longer runs are read in order anyway */
    GRID = 4096,     /* blocks: chunks end at these borders, */
    GRID_LEAST = 8   /* if they have so many pages */
};
static const uint32_t TAKEN = UINT32_MAX; /* as the set of an extent: of the chunk being filled */

/* What the base's map says of one of its chunks. */
struct chunk_use {
    uint32_t set;
    uint64_t chunk; /* address without the page */
    uint32_t kept, top;
};
struct page_picker {
    bool take[PART_PAGES];
    struct extent *base; /* what the base has of this part */
    size_t n_base, cap_base;
    size_t at;     /* the extent that the walk is in, */
    uint32_t gone; /* and how many of its pages are behind */
    struct chunk_use *uses;
    size_t n_uses, cap_uses;
    /* the chunk being filled: its pages are in the worker's buffer */
    struct extent *pending; /* of the part, since the last chunk, in order */
    size_t n_pending, cap_pending;
    struct block_run runs[SLICE_PAGES];
    unsigned n_runs;
    uint32_t pages;
};

void page_picker_free(struct page_picker **pp)
{
    struct page_picker *p = *pp;

    if (p == NULL)
        return;
    free(p->base);
    free(p->uses);
    free(p->pending);
    free(p);
    *pp = NULL;
}

static void add_extent(struct extent **list, size_t *n, size_t *cap, struct extent e)
{
    if (*n == *cap) {
        *cap = *cap * 2 + 64;
        *list = xrealloc(*list, *cap * sizeof **list);
    }
    (*list)[(*n)++] = e;
}

/* ---- what the base has ---- */

/* Pages [from, from + count) of an extent. */
static struct extent slice_of(struct extent e, uint32_t from, uint32_t count)
{
    return (struct extent){e.set, count, e.set == SET_ZERO ? 0 : e.addr + from};
}

static int read_base(struct page_picker *p, const struct large *l, uint32_t first, struct err *err)
{
    AUTO(map_end) struct map_walk walk = {0};
    uint64_t page = 0, end = (uint64_t)first + PART_PAGES;
    struct extent e;
    int more;

    p->n_base = p->at = 0;
    p->gone = 0;
    TRY(map_begin(&walk, l->map, l->map_len, l->n_sets, err));
    while (page < end && (more = map_next(&walk, &e, err)) != 0) {
        uint64_t from = MAX_OF(page, (uint64_t)first), to;

        if (more < 0)
            return -1;
        to = MIN_OF(page + e.count, end);
        if (from < to)
            add_extent(&p->base, &p->n_base, &p->cap_base,
                       slice_of(e, (uint32_t)(from - page), (uint32_t)(to - from)));
        page += e.count;
    }
    return 0;
}

/* Passes over pages of the base; keep: they stay where they are. */
static void go_on(struct page_picker *p, uint32_t pages, bool keep)
{
    while (pages != 0 && p->at < p->n_base) {
        struct extent e = p->base[p->at];
        uint32_t n = MIN_OF(pages, e.count - p->gone);

        if (keep)
            add_extent(&p->pending, &p->n_pending, &p->cap_pending, slice_of(e, p->gone, n));
        p->gone += n;
        pages -= n;
        if (p->gone == e.count) {
            p->at++;
            p->gone = 0;
        }
    }
}

/* ---- which pages to read ---- */

static uint32_t mark_changed(struct page_picker *p, const struct large *l, uint32_t first,
                             uint32_t pages)
{
    uint32_t end = first + pages, n = 0;

    memset(p->take, 0, sizeof p->take);
    for (uint32_t b = changed_next(&l->changed, first); b < end;
         b = changed_next(&l->changed, b + 1)) {
        p->take[b - first] = true;
        n++;
    }
    for (uint32_t b = MAX_OF(first, l->base_pages); b < end; b++) {
        n += !p->take[b - first];
        p->take[b - first] = true;
    }
    return n;
}

/* Calls fn for each piece of the part that lies in one chunk. */
static void each_piece(struct page_picker *p, uint32_t pages,
                       void (*fn)(struct page_picker *p, struct extent piece, uint32_t page))
{
    uint32_t page = 0;

    for (size_t i = 0; i < p->n_base; i++) {
        struct extent e = p->base[i];

        while (e.count != 0 && page < pages) {
            uint32_t n = MIN_OF(e.count, pages - page);

            if (e.set != SET_ZERO) {
                n = MIN_OF(n, (uint32_t)MAP_PAGES - addr_page(e.addr));
                fn(p, slice_of(e, 0, n), page);
            }
            e = slice_of(e, n, e.count - n);
            page += n;
        }
    }
}

static void note_use(struct page_picker *p, struct extent piece, uint32_t page)
{
    struct chunk_use u = {.set = piece.set,
                          .chunk = piece.addr >> MAP_PAGE_BITS,
                          .top = addr_page(piece.addr) + piece.count};

    for (uint32_t i = 0; i < piece.count; i++)
        u.kept += !p->take[page + i];
    if (p->n_uses == p->cap_uses) {
        p->cap_uses = p->cap_uses * 2 + 256;
        p->uses = xrealloc(p->uses, p->cap_uses * sizeof *p->uses);
    }
    p->uses[p->n_uses++] = u;
}

static int by_chunk(const void *a, const void *b)
{
    const struct chunk_use *x = a, *y = b;

    if (x->set != y->set)
        return x->set < y->set ? -1 : 1;
    return (x->chunk > y->chunk) - (x->chunk < y->chunk);
}

/* One for each chunk of which too little would be kept. How many pages a chunk has is not known
 * here, but it has no less than the map names. */
static void keep_poor(struct page_picker *p)
{
    size_t n = 0;

    qsort(p->uses, p->n_uses, sizeof *p->uses, by_chunk);
    for (size_t i = 0, k; i < p->n_uses; i = k) {
        struct chunk_use sum = p->uses[i];

        for (k = i + 1; k < p->n_uses && by_chunk(&p->uses[i], &p->uses[k]) == 0; k++) {
            sum.kept += p->uses[k].kept;
            sum.top = MAX_OF(sum.top, p->uses[k].top);
        }
        if (sum.kept != 0 && sum.kept * LIVE_PARTS < sum.top)
            p->uses[n++] = sum;
    }
    p->n_uses = n;
}

static void take_poor(struct page_picker *p, struct extent piece, uint32_t page)
{
    struct chunk_use key = {.set = piece.set, .chunk = piece.addr >> MAP_PAGE_BITS};

    if (bsearch(&key, p->uses, p->n_uses, sizeof *p->uses, by_chunk) != NULL)
        memset(p->take + page, true, piece.count);
}

static void consolidate(struct page_picker *p, uint32_t pages)
{
    p->n_uses = 0;
    each_piece(p, pages, note_use);
    if (p->n_uses == 0)
        return;
    keep_poor(p);
    if (p->n_uses != 0)
        each_piece(p, pages, take_poor);
}

/* ---- storing ---- */

static void settle_pending(struct page_picker *p, struct part *part, uint32_t set, struct place at)
{
    uint32_t page = 0;

    for (size_t i = 0; i < p->n_pending; i++) {
        struct extent e = p->pending[i];

        if (e.set == TAKEN) {
            e.set = set;
            e.addr = extent_addr(at.pack, at.chunk, page);
            page += e.count;
        }
        part_add(part, e);
    }
    p->n_pending = 0;
}

static int flush(struct worker *w, const struct large *l, struct part *part, struct err *err)
{
    struct page_picker *p = w->picker;
    struct chunk_note note = {.path = l->path,
                              .file_size = l->size,
                              .mtime_s = l->mtime_s,
                              .runs = p->runs,
                              .n_runs = p->n_runs};
    uint32_t set = SET_ZERO;
    struct place at = {0};

    if (p->pages != 0)
        TRY(worker_store(w, CHUNK_PAGES, l->path, p->runs[0].first, p->pages, w->buffer,
                         (size_t)p->pages * PG_PAGE_SIZE, &note, &set, &at, err));
    settle_pending(p, part, set, at);
    p->pages = 0;
    p->n_runs = 0;
    return 0;
}

/* Takes the page that lies behind the others in the buffer, or at `page` there. */
static void take_page(struct worker *w, const uint8_t *page, uint32_t block)
{
    struct page_picker *p = w->picker;
    struct block_run *last = p->n_runs != 0 ? &p->runs[p->n_runs - 1] : NULL;
    struct extent *e = p->n_pending != 0 ? &p->pending[p->n_pending - 1] : NULL;
    uint8_t *to = w->buffer + (size_t)p->pages * PG_PAGE_SIZE;

    if (page_is_zero(page)) {
        add_extent(&p->pending, &p->n_pending, &p->cap_pending, (struct extent){SET_ZERO, 1, 0});
        return;
    }
    if (to != page)
        memmove(to, page, PG_PAGE_SIZE);
    p->pages++;
    if (last != NULL && last->first + last->count == block)
        last->count++;
    else
        p->runs[p->n_runs++] = (struct block_run){block, 1};
    if (e != NULL && e->set == TAKEN)
        e->count++;
    else
        add_extent(&p->pending, &p->n_pending, &p->cap_pending, (struct extent){TAKEN, 1, 0});
}

/* ---- reading ---- */

struct reading {
    struct worker *w;
    struct large *l;
    struct part *part;
    struct paged paged;
    int fd;
    uint32_t first; /* block of the file with which the part begins */
};

/* Pages [i, i + n) of the part, n at most what there is room for. *got: full pages read. */
static int read_run(struct reading *r, uint32_t i, uint32_t n, uint32_t *got, struct err *err)
{
    struct worker *w = r->w;
    uint8_t *room = w->buffer + (size_t)w->picker->pages * PG_PAGE_SIZE;
    uint32_t block = r->first + i;
    size_t len;

    rate_take(w->c->rate, (uint64_t)n * PG_PAGE_SIZE, w->c->q->stop);
    TRY(fs_pread_all(r->fd, room, (size_t)n * PG_PAGE_SIZE, (uint64_t)block * PG_PAGE_SIZE, &len,
                     r->l->path, err));
    worker_count_read(w, len);
    *got = (uint32_t)(len / PG_PAGE_SIZE);
    worker_check_pages(w, &r->paged, room, (size_t)*got * PG_PAGE_SIZE, block);
    for (uint32_t k = 0; k < *got; k++)
        take_page(w, room + (size_t)k * PG_PAGE_SIZE, block + k);
    return 0;
}

/* Pages from i on that are all taken or all kept, up to the next border. */
static uint32_t run_length(const struct page_picker *p, uint32_t i, uint32_t pages)
{
    uint32_t border = MIN_OF(pages, (i / GRID + 1) * GRID), end = i + 1;

    while (end < border && p->take[end] == p->take[i])
        end++;
    return end - i;
}

/* The kernel fetches scattered pages side by side while the first ones are taken. */
static void announce(const struct reading *r, uint32_t pages)
{
    const struct page_picker *p = r->w->picker;
    uint32_t n;

    for (uint32_t i = 0; i < pages; i += n) {
        n = run_length(p, i, pages);
        if (p->take[i] && n <= ADVISE_MAX)
            (void)posix_fadvise(r->fd, (off_t)(r->first + i) * PG_PAGE_SIZE,
                                (off_t)n * PG_PAGE_SIZE, POSIX_FADV_WILLNEED);
    }
}

/* *pages becomes less where the file has become shorter: the WAL has the truncation. */
static int pick(struct reading *r, uint32_t *pages, struct err *err)
{
    struct page_picker *p = r->w->picker;
    uint32_t i = 0;

    while (i < *pages) {
        uint32_t n = run_length(p, i, *pages), got;

        if (p->take[i]) {
            n = MIN_OF(n, (uint32_t)SLICE_PAGES - p->pages);
            TRY(stop_check(r->w->c->q->stop, err));
            TRY(read_run(r, i, n, &got, err));
            go_on(p, got, false);
            if (got < n) {
                *pages = i + got;
                break;
            }
        } else {
            go_on(p, n, true);
        }
        i += n;
        if (p->pages == SLICE_PAGES || (i % GRID == 0 && p->pages >= GRID_LEAST))
            TRY(flush(r->w, r->l, r->part, err));
    }
    return flush(r->w, r->l, r->part, err);
}

static int read_pages(struct worker *w, struct large *l, struct part *part, uint32_t first,
                      uint32_t *pages, struct err *err)
{
    int dirfd;
    const char *path = worker_locate(w, l->path, &dirfd);
    AUTO(fd_close) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct reading r = {
        .w = w, .l = l, .part = part, .paged = worker_paged(w, l->path), .fd = fd, .first = first};

    if (fd < 0 && errno == ENOENT) {
        atomic_store(&l->vanished, true);
        return 0;
    }
    if (fd < 0)
        return err_sys(err, "cannot open \"%s\"", l->path);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    announce(&r, *pages);
    return pick(&r, pages, err);
}

int pages_part(struct worker *w, struct large *l, unsigned index, struct err *err)
{
    uint32_t first = index * (uint32_t)PART_PAGES;
    uint32_t pages = MIN_OF((uint32_t)(l->size / PG_PAGE_SIZE) - first, (uint32_t)PART_PAGES);
    struct part *part = &l->parts[index];
    struct page_picker *p;

    if (w->picker == NULL)
        w->picker = xcalloc(1, sizeof *w->picker);
    p = w->picker;
    p->n_pending = p->n_runs = p->pages = 0;
    TRY(read_base(p, l, first, err));
    if (mark_changed(p, l, first, pages) != 0) {
        consolidate(p, MIN_OF(pages, l->base_pages > first ? l->base_pages - first : 0));
        TRY(read_pages(w, l, part, first, &pages, err));
    } else {
        go_on(p, pages, true);
        TRY(flush(w, l, part, err));
    }
    part->length = (uint64_t)pages * PG_PAGE_SIZE;
    worker_progress(w, part->length, 0);
    return 0;
}
