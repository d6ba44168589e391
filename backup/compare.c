/*
 * compare.c - pages that were read although the base may hold the same: where a slice of a file is
 * exactly one chunk of the base, that one is referenced.
 *
 * Nothing but the content decides: XXH3-128 and length, as the base's pack has them. What became
 * scattered over several chunks is stored anew, and lies together again.
 */
#include <stdlib.h>

#include "backup/base.h"
#include "backup/worker.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/page.h"
#include "repo/reuse/fingerprints.h"

struct comparer {
    struct pack_reader *packs;
    struct fingerprints *known;
};

void comparer_free(struct comparer **pc)
{
    if (*pc == NULL)
        return;
    fingerprints_free(&(*pc)->known);
    pack_reader_free(&(*pc)->packs);
    free(*pc);
    *pc = NULL;
}

static int want_comparer(struct worker *w, struct err *err)
{
    struct comparer *c;

    if (w->comparer != NULL)
        return 0;
    c = w->comparer = xcalloc(1, sizeof *c);
    TRY(pack_reader_new(&c->packs, set_repo(w->c->q->set), err));
    c->known = fingerprints_new(c->packs, &w->c->parsing);
    return 0;
}

/* The chunk in which the base has just these pages, one behind the other from the first on, and
 * zeros between them where the slice has them. False: there is none. */
static int find_chunk(const struct large *l, const struct slice *s, uint32_t block, uint32_t blocks,
                      struct extent *chunk, bool *found, struct err *err)
{
    AUTO(map_end) struct map_walk walk = {0};
    uint64_t page = 0, end = (uint64_t)block + blocks;
    uint32_t stored = 0;
    unsigned run = 0;
    struct extent e;
    int more = 0;

    *found = false;
    TRY(map_begin(&walk, l->map, l->map_len, l->n_sets, err));
    while (page < end && (more = map_next(&walk, &e, err)) == 1) {
        uint64_t from = MAX_OF(page, (uint64_t)block), to = MIN_OF(page + e.count, end);

        page += e.count;
        if (from >= to || e.set == SET_ZERO)
            continue;
        e.addr += from - (page - e.count);
        for (; from < to; from++, e.addr++, stored++) {
            while (run < s->n_runs && from >= s->runs[run].first + s->runs[run].count)
                run++;
            if (run == s->n_runs || from < s->runs[run].first)
                return 0; /* it has become zeros */
            if (stored == 0)
                *chunk = e;
            if (addr_page(chunk->addr) != 0 || e.set != chunk->set ||
                e.addr != chunk->addr + stored)
                return 0;
        }
    }
    *found = more >= 0 && stored != 0 && stored == s->pages;
    return more < 0 ? -1 : 0;
}

/* ---- packs that are damaged ---- */

static bool is_known(const struct bad_packs *b, uint32_t set, uint32_t pack)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->items[i].set == set && b->items[i].pack == pack)
            return true;
    return false;
}

static bool is_bad(struct bad_packs *b, uint32_t set, uint32_t pack)
{
    bool bad;

    pthread_mutex_lock(&b->lock);
    bad = is_known(b, set, pack);
    pthread_mutex_unlock(&b->lock);
    return bad;
}

/* False: it is known already. */
static bool note_bad(struct bad_packs *b, uint32_t set, uint32_t pack)
{
    bool known;

    pthread_mutex_lock(&b->lock);
    known = is_known(b, set, pack);
    if (!known) {
        b->items = xrealloc(b->items, (b->n + 1) * sizeof *b->items);
        b->items[b->n++] = (struct bad_pack){set, pack};
    }
    pthread_mutex_unlock(&b->lock);
    return !known;
}

/* Where everything is read, what a damaged pack holds is stored anew. Otherwise the backup would
 * need that pack for what nobody reads, and could not be restored: so it cannot be made. */
static int give_up_pack(struct copy *c, uint32_t set, uint32_t pack, struct err *err)
{
    if (!base_fault(err->code) || c->q->increment->changed != NULL)
        return copy_blame_base(c, err);
    if (note_bad(&c->bad, set, pack)) {
        log_warning(
            "what pack %u of set \"%s\" holds is stored anew: %s; \"pgbr verify\" tells which "
            "backups need it",
            pack, c->q->increment->labels[set], err->msg);
        atomic_fetch_add(&c->made->bad_packs, 1);
    }
    err_clear(err);
    return 0;
}

/* ---- comparing ---- */

int compare_slice(struct worker *w, const struct large *l, const struct slice *s, uint32_t block,
                  uint32_t blocks, uint32_t *set, struct place *at, bool *same, struct err *err)
{
    struct hash128 theirs, ours;
    struct extent chunk = {0};
    uint32_t raw_len;
    bool found;

    *same = false;
    TRY(find_chunk(l, s, block, blocks, &chunk, &found, err));
    if (!found || is_bad(&w->c->bad, chunk.set, addr_pack(chunk.addr)))
        return 0;
    TRY(want_comparer(w, err));
    *set = chunk.set;
    *at = (struct place){addr_pack(chunk.addr), addr_chunk(chunk.addr)};
    if (fingerprints_get(w->comparer->known, chunk.set, w->c->q->increment->labels[chunk.set], *at,
                         &theirs, &raw_len, err) != 0)
        return give_up_pack(w->c, chunk.set, at->pack, err);
    ours = hash128(s->data, s->len);
    *same = raw_len == s->len && memcmp(&ours, &theirs, sizeof ours) == 0;
    return 0;
}
