/* crosscheck.c - see crosscheck.h. */
#include "backup/crosscheck.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/fs.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "postgres/page.h"

enum {
    SECOND_LOOKS = 20,
    LOOK_MS = 20,
    SPARING = 2 << 20 /* bytes of the cluster for each run at least */
};

/* ---- where to look ---- */

static int by_place(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

void samples_begin(struct samples *s, uint64_t bytes)
{
    struct err ignored = {0};

    *s = (struct samples){.wanted = (size_t)MIN_OF(bytes / SPARING + 1, (uint64_t)CROSSCHECK_RUNS)};
    if (crypt_random(s->at, sizeof s->at, &ignored) != 0)
        for (size_t i = 0; i < CROSSCHECK_RUNS; i++) /* anywhere will do */
            s->at[i] = (uint64_t)clock_monotonic_us() * UINT64_C(0x9E3779B97F4A7C15) * (i + 1);
    for (size_t i = 0; i < s->wanted; i++)
        s->at[i] %= MAX_OF(bytes, UINT64_C(1));
    qsort(s->at, s->wanted, sizeof s->at[0], by_place);
}

static void add(struct samples *s, const struct listed *l, const struct increment_walk *w,
                uint64_t offset)
{
    uint32_t pages = (uint32_t)(MIN_OF(l->size, w->entry.size) / PG_PAGE_SIZE);
    uint32_t hit = (uint32_t)(offset / PG_PAGE_SIZE);
    uint32_t block = hit / CROSSCHECK_PAGES * CROSSCHECK_PAGES;
    struct rel_file rel;
    struct sample *one = &s->items[s->n];

    if (hit >= pages || !relfile_parse(l->path + 5, &rel))
        return;
    *one = (struct sample){.path = xstrdup(l->path + 5),
                           .block = block,
                           .n = MIN_OF((uint32_t)CROSSCHECK_PAGES, pages - block),
                           .hit = hit - block,
                           .first = rel.segno * PG_RELSEG_PAGES,
                           .changed = w->changed};
    if (w->entry.place == PLACE_MAP) {
        one->map_len = w->map.len;
        one->map = xmalloc(w->map.len);
        memcpy(one->map, w->map.p, w->map.len);
    }
    s->n++;
}

void samples_pass(struct samples *s, const struct listed *l, const struct increment_walk *w)
{
    uint64_t begin = s->end;

    s->end += l->size;
    for (; s->next < s->wanted && s->at[s->next] < s->end; s->next++)
        if (w != NULL)
            add(s, l, w, s->at[s->next] - begin);
}

void samples_free(struct samples *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->items[i].path);
        free(s->items[i].map);
    }
    s->n = 0;
}

/* ---- what the base holds ---- */

struct looking {
    const struct crosscheck_terms *t;
    struct pack_reader *packs;
    uint8_t *pages, *chunk;                 /* of the file; of the base */
    struct extent places[CROSSCHECK_PAGES]; /* in the base: of the run's pages */
    struct extent chunk_at;                 /* count 0: nothing is there */
    size_t chunk_len;
};

/* The extents of one page each that hold the run's pages, in one walk of the map. */
static int find_places(struct looking *k, const struct sample *s, struct err *err)
{
    AUTO(map_end) struct map_walk walk = {0};
    struct extent e;
    uint64_t page = 0, end = (uint64_t)s->block + s->n;
    int more = 1;

    TRY(map_begin(&walk, s->map, s->map_len, k->t->increment->n_sets, err));
    while (page < end && (more = map_next(&walk, &e, err)) == 1) {
        for (uint64_t i = MAX_OF(page, (uint64_t)s->block); i < MIN_OF(page + e.count, end); i++)
            k->places[i - s->block] =
                (struct extent){e.set, 1, e.set == SET_ZERO ? 0 : e.addr + (i - page)};
        page += e.count;
    }
    if (more < 0)
        return -1;
    if (page < end)
        return err_set(err, ERR_CORRUPT, "its map ends before page %llu", (unsigned long long)end);
    return 0;
}

static bool same_chunk(struct extent a, struct extent b)
{
    return a.set == b.set && a.addr >> MAP_PAGE_BITS == b.addr >> MAP_PAGE_BITS;
}

/* 1 and *page: what the base has there. 0: it lies in a chunk that is not read:
 * only the one with the page that was hit is, so that old, scattered runs cost no more than others
 * and every page of the cluster has its chance. */
static int base_page(struct looking *k, const struct sample *s, uint32_t block,
                     const uint8_t **page, struct err *err)
{
    static const uint8_t zeros[PG_PAGE_SIZE];
    struct extent e = k->places[block - s->block];
    size_t at = (size_t)addr_page(e.addr) * PG_PAGE_SIZE;

    *page = zeros;
    if (e.set == SET_ZERO)
        return 1;
    if (!same_chunk(e, k->places[s->hit]))
        return 0;
    if (k->chunk_at.count == 0 || !same_chunk(e, k->chunk_at)) {
        uint32_t items;

        k->chunk_at.count = 0;
        TRY(pack_read_chunk(k->packs, k->t->increment->labels[e.set], addr_pack(e.addr),
                            addr_chunk(e.addr), CHUNK_PAGES, k->chunk, CHUNK_DATA_SIZE,
                            &k->chunk_len, &items, err));
        k->chunk_at = e;
    }
    if (at + PG_PAGE_SIZE > k->chunk_len)
        return err_set(err, ERR_CORRUPT, "its chunk in the base is too short");
    *page = k->chunk + at;
    return 1;
}

/* ---- looking ---- */

enum look { LOOK_FINE, LOOK_CHANGED, LOOK_DIFFERS };

/* The first page of some index types carries hints that are not logged. */
static int look_at(struct looking *k, const struct sample *s, uint32_t block, const uint8_t *page,
                   enum look *found, struct err *err)
{
    uint64_t lsn = page_lsn(page);
    const uint8_t *base;
    int known;

    *found = LOOK_FINE;
    if (lsn > k->t->base_start && lsn <= k->t->start) {
        *found = LOOK_CHANGED;
        return 0;
    }
    if (lsn > k->t->start || !k->t->by_content || s->map == NULL || s->first + block == 0)
        return 0;
    known = base_page(k, s, block, &base, err);
    if (known < 0)
        return -1;
    if (known == 1 && memcmp(page, base, PG_PAGE_SIZE) != 0)
        *found = LOOK_DIFFERS;
    return 0;
}

static void raise_alarm(const struct sample *s, uint32_t block, uint64_t lsn, enum look found,
                        struct buf *alarm)
{
    char text[LSN_TEXT];

    buf_addf(alarm, "the WAL does not name block %u of \"%s\" as changed, but %s (its LSN is %s)",
             block, s->path,
             found == LOOK_CHANGED ? "a record in that range changed it"
                                   : "it is not what the base holds",
             lsn_format(lsn, text));
}

/* A page may be under way to the disk: it is looked at again. */
static int look_again(struct looking *k, const struct sample *s, int fd, uint32_t block,
                      enum look *found, struct err *err)
{
    for (int i = 0; i < SECOND_LOOKS && *found != LOOK_FINE; i++) {
        size_t got;

        clock_sleep_ms(LOOK_MS);
        TRY(stop_check(k->t->stop, err));
        TRY(fs_pread_all(fd, k->pages, PG_PAGE_SIZE, (uint64_t)block * PG_PAGE_SIZE, &got, s->path,
                         err));
        *found = LOOK_FINE;
        if (got == PG_PAGE_SIZE)
            TRY(look_at(k, s, block, k->pages, found, err));
    }
    return 0;
}

static int look_at_run(struct looking *k, const struct sample *s, int fd, size_t pages,
                       struct buf *alarm, struct err *err)
{
    for (uint32_t i = 0; i < pages && alarm->len == 0; i++) {
        const uint8_t *page = k->pages + (size_t)i * PG_PAGE_SIZE;
        uint32_t block = s->block + i;
        uint64_t lsn = page_lsn(page);
        enum look found;

        if (changed_next(&s->changed, block) == block)
            continue;
        TRY(look_at(k, s, block, page, &found, err));
        if (found == LOOK_FINE)
            continue;
        TRY(look_again(k, s, fd, block, &found, err));
        if (found != LOOK_FINE)
            raise_alarm(s, block, lsn, found, alarm);
        break; /* the buffer is used up */
    }
    return 0;
}

static int check_one(struct looking *k, const struct sample *s, struct buf *alarm, uint64_t *read,
                     struct err *err)
{
    AUTO(fd_close) int fd = openat(k->t->data_fd, s->path, O_RDONLY | O_CLOEXEC);
    size_t got;

    if (fd < 0 && errno == ENOENT)
        return 0; /* dropped */
    if (fd < 0)
        return err_sys(err, "cannot open \"%s\"", s->path);
    TRY(fs_pread_all(fd, k->pages, (size_t)s->n * PG_PAGE_SIZE, (uint64_t)s->block * PG_PAGE_SIZE,
                     &got, s->path, err));
    *read += got;
    if (k->t->by_content && s->map != NULL)
        TRY(find_places(k, s, err));
    return look_at_run(k, s, fd, got / PG_PAGE_SIZE, alarm, err);
}

static int check_all(struct looking *k, const struct samples *s, struct buf *alarm, uint64_t *read,
                     struct err *err)
{
    TRY(pack_reader_new(&k->packs, k->t->repo, err));
    for (size_t i = 0; i < s->n && alarm->len == 0; i++) {
        TRY(stop_check(k->t->stop, err));
        if (check_one(k, &s->items[i], alarm, read, err) != 0)
            return err_context(err, "cross-check of \"%s\"", s->items[i].path);
    }
    return 0;
}

int crosscheck(const struct samples *s, const struct crosscheck_terms *t, struct buf *alarm,
               uint64_t *read, struct err *err)
{
    struct looking k = {.t = t};
    int rc;

    k.pages = xmalloc((size_t)CROSSCHECK_PAGES * PG_PAGE_SIZE);
    k.chunk = xmalloc(CHUNK_DATA_SIZE);
    rc = check_all(&k, s, alarm, read, err);
    pack_reader_free(&k.packs);
    free(k.pages);
    free(k.chunk);
    return rc;
}
