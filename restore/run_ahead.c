/* run_ahead.c - see run_ahead.h. */
#include "restore/run_ahead.h"

#include "base/buf.h"

/* What an extent says of a chunk that would begin at the page that is wanted now. */
struct piece {
    struct chunk_at at;
    uint32_t pages; /* of it in their places, 0: none */
    uint32_t end;   /* behind the last of them */
};

/* Of the extents ahead, number k, as far as a chunk can reach. 1, 0 at the end of the reach, -1 at
 * the end of the file. */
static int look(const struct run_ahead *a, uint32_t k, uint32_t *pos, struct piece *p)
{
    const struct extent *e = k == 0 ? &a->now : &a->next[k - 1];
    uint32_t pages;

    if (*pos == MAP_PAGES)
        return 0;
    if (k > a->n)
        return -1;
    if (e->set == SET_ZERO)
        return 0;
    pages = MIN_OF(e->count, MAP_PAGES - *pos);
    p->at = (struct chunk_at){e->set, addr_pack(e->addr), addr_chunk(e->addr)};
    p->pages = addr_page(e->addr) == *pos ? pages : 0;
    *pos += pages;
    p->end = *pos;
    return 1;
}

/* The chunk that has the majority of all pages in their places, if any has. */
static struct chunk_at majority(const struct run_ahead *a)
{
    struct chunk_at at = {0};
    struct piece p;

    for (uint32_t k = 0, pos = 0, lead = 0; look(a, k, &pos, &p) == 1; k++) {
        if (same_chunk(p.at, at)) {
            lead += p.pages;
        } else if (p.pages <= lead) {
            lead -= p.pages;
        } else {
            lead = p.pages - lead;
            at = p.at;
        }
    }
    return at;
}

bool run_ahead_chunk(const struct run_ahead *a, struct chunk_at *at)
{
    uint32_t pos = 0, pages = 0, end = 0, whole;
    struct piece p;
    int more;

    *at = majority(a);
    for (uint32_t k = 0; (more = look(a, k, &pos, &p)) == 1; k++)
        if (p.pages != 0 && same_chunk(p.at, *at)) {
            pages += p.pages;
            end = p.end;
        }
    whole = more == 0 ? MAP_PAGES : pos; /* a file's last chunk ends with it */
    return pages * 2 > whole && end >= whole - whole / 8;
}
