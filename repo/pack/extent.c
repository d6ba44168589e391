/* extent.c - see extent.h. Encoded form: docs/format.md, "MAP". */
#include "repo/pack/extent.h"

#include <stdlib.h>

#include "base/mem.h"

enum { MAP_VERSION = 1, SETS_MAX = 1 << 20 };
#define ADDR_END (UINT64_C(1) << (32 + MAP_CHUNK_BITS + MAP_PAGE_BITS))

/* ---- building ---- */

static void want_set(struct map_builder *m, uint32_t set)
{
    if (set < m->n_sets)
        return;
    m->next_addr = xrealloc(m->next_addr, (set + 1) * sizeof *m->next_addr);
    memset(m->next_addr + m->n_sets, 0, (set + 1 - m->n_sets) * sizeof *m->next_addr);
    m->n_sets = set + 1;
}

void map_reset(struct map_builder *m)
{
    buf_clear(&m->extents);
    m->last = (struct extent){0};
    m->count = 0;
    m->pages = 0;
    if (m->n_sets != 0)
        memset(m->next_addr, 0, m->n_sets * sizeof *m->next_addr);
}

void map_free(struct map_builder *m)
{
    buf_free(&m->extents);
    free(m->next_addr);
    *m = (struct map_builder){0};
}

/* uv set * 2 + d, uv count, and the distance from the end of the set's previous extent where it is
 * not zero (d). */
static void encode_last(struct map_builder *m)
{
    struct extent *e = &m->last;
    int64_t delta;

    if (e->count == 0)
        return;
    want_set(m, e->set);
    delta = e->set == SET_ZERO ? 0 : (int64_t)(e->addr - m->next_addr[e->set]);
    buf_uv(&m->extents, (uint64_t)e->set * 2 + (delta != 0));
    buf_uv(&m->extents, e->count);
    if (delta != 0)
        buf_sv(&m->extents, delta);
    m->next_addr[e->set] = e->addr + e->count;
    m->count++;
    e->count = 0;
}

void map_add(struct map_builder *m, struct extent e)
{
    struct extent *last = &m->last;

    m->pages += e.count;
    if (last->count != 0 && last->set == e.set && last->count <= UINT32_MAX - e.count &&
        (e.set == SET_ZERO ||
         (last->addr + last->count == e.addr && addr_pack(last->addr) == addr_pack(e.addr)))) {
        last->count += e.count;
        return;
    }
    encode_last(m);
    m->last = e;
}

void map_finish(struct map_builder *m, uint32_t unit, uint64_t length, struct buf *out)
{
    encode_last(m);
    buf_uv(out, MAP_VERSION);
    buf_uv(out, unit);
    buf_uv(out, length);
    buf_uv(out, m->count);
    buf_add(out, m->extents.p, m->extents.len);
}

/* ---- walking ---- */

static int check_head(struct map_walk *w, uint64_t version, struct err *err)
{
    if (w->in.bad || version != MAP_VERSION)
        return err_set(err, w->in.bad ? ERR_CORRUPT : ERR_UNSUPPORTED,
                       "map of version %llu, expected %d", (unsigned long long)version,
                       MAP_VERSION);
    if (w->unit < 512 || w->unit > 1 << 16 || (w->unit & (w->unit - 1)) != 0)
        return err_set(err, ERR_CORRUPT, "map with units of %u bytes", w->unit);
    if (w->length > UINT64_C(1) << 46 || w->extents_left > cur_left(&w->in) / 2)
        return err_set(err, ERR_CORRUPT, "map of %llu bytes with %llu extents in %zu bytes",
                       (unsigned long long)w->length, (unsigned long long)w->extents_left,
                       cur_left(&w->in));
    return 0;
}

int map_begin(struct map_walk *w, const void *map, size_t len, uint32_t n_sets, struct err *err)
{
    uint64_t version;

    *w = (struct map_walk){.in = cursor_of(map, len), .n_sets = n_sets};
    if (n_sets > SETS_MAX)
        return err_set(err, ERR_CORRUPT, "%u sets, at most %d are possible", n_sets, SETS_MAX);
    version = cur_uv(&w->in);
    w->unit = (uint32_t)cur_uv_max(&w->in, UINT32_MAX);
    w->length = cur_uv(&w->in);
    w->extents_left = cur_uv(&w->in);
    TRY(check_head(w, version, err));
    w->pages_total = (w->length + w->unit - 1) / w->unit;
    if (n_sets > LENGTH(w->few))
        w->next_addr = xcalloc(n_sets, sizeof *w->next_addr);
    else
        w->next_addr = w->few;
    return 0;
}

static int finish_walk(const struct map_walk *w, struct err *err)
{
    if (!cur_done(&w->in) || w->pages_seen != w->pages_total)
        return err_set(err, ERR_CORRUPT, "map with %llu of %llu pages, and %zu bytes left",
                       (unsigned long long)w->pages_seen, (unsigned long long)w->pages_total,
                       cur_left(&w->in));
    return 0;
}

int map_next(struct map_walk *w, struct extent *e, struct err *err)
{
    uint64_t head, count;

    if (w->extents_left == 0)
        return finish_walk(w, err);
    w->extents_left--;
    head = cur_uv(&w->in);
    count = cur_uv(&w->in);
    if (w->in.bad || head / 2 >= w->n_sets || head == SET_ZERO * 2 + 1 || count == 0 ||
        count > UINT32_MAX || count > w->pages_total - w->pages_seen)
        return err_set(err, ERR_CORRUPT, "map with an extent of %llu pages in set %llu",
                       (unsigned long long)count, (unsigned long long)head / 2);
    e->set = (uint32_t)(head / 2);
    e->count = (uint32_t)count;
    e->addr = w->next_addr[e->set] + (uint64_t)((head & 1) != 0 ? cur_sv(&w->in) : 0);
    if (w->in.bad || (e->set != SET_ZERO && (e->addr >= ADDR_END || count > ADDR_END - e->addr)))
        return err_set(err, ERR_CORRUPT, "map with an address beyond all packs");
    if (e->set != SET_ZERO && addr_pack(e->addr) != addr_pack(e->addr + count - 1))
        return err_set(err, ERR_CORRUPT, "map with an extent of %llu pages that leaves pack %u",
                       (unsigned long long)count, addr_pack(e->addr));
    w->next_addr[e->set] = e->addr + count;
    w->pages_seen += count;
    return 1;
}

void map_end(struct map_walk *w)
{
    if (w->next_addr != w->few)
        free(w->next_addr);
    w->next_addr = NULL;
}
