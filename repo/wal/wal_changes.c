/*
 * wal_changes.c - see wal_changes.h.
 *
 * A fork is an array to which blocks are appended as they come. A limit does not walk the array: it
 * is noted as a cut (position, limit), and settling resolves all cuts in one pass from the back.
 * Settling (then sort, then one of each) also runs whenever an array is full, so that an array is
 * never much longer than the number of different blocks in it.
 */
#include "repo/wal/wal_changes.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "repo/wal/fork_table.h"

struct cut {
    uint32_t at;    /* applies to the blocks before this position */
    uint32_t limit; /* that are at or above this one */
};

struct fork_set {
    struct wal_locator rel;
    uint8_t fork, what;
    bool settled;
    uint32_t limit;
    uint32_t n, cap, n_cuts, cap_cuts;
    uint32_t *blocks;
    struct cut *cuts;
};

struct wal_changes {
    struct fork_set *sets;
    uint32_t n, cap;
    struct fork_table table; /* to numbers in sets */
    uint32_t *order;         /* sets in order, after wal_changes_sort() */
    uint32_t *scratch;
    size_t scratch_cap;
};

struct wal_changes *wal_changes_new(void)
{
    struct wal_changes *c = xcalloc(1, sizeof *c);

    fork_table_init(&c->table);
    return c;
}

void wal_changes_free(struct wal_changes **c)
{
    if (*c == NULL)
        return;
    for (uint32_t i = 0; i < (*c)->n; i++) {
        free((*c)->sets[i].blocks);
        free((*c)->sets[i].cuts);
    }
    free((*c)->sets);
    fork_table_free(&(*c)->table);
    free((*c)->order);
    free((*c)->scratch);
    free(*c);
    *c = NULL;
}

/* ---- finding a fork ---- */

static struct fork_set *fork_set(struct wal_changes *c, const struct wal_locator *rel, uint8_t fork)
{
    uint32_t at = fork_table_find(&c->table, rel, fork);
    struct fork_set *s;

    if (at != FORK_TABLE_NONE)
        return &c->sets[at];
    if (c->n == c->cap) {
        c->cap = c->cap == 0 ? 64 : c->cap * 2;
        c->sets = xrealloc(c->sets, c->cap * sizeof *c->sets);
    }
    fork_table_add(&c->table, rel, fork, c->n);
    s = &c->sets[c->n++];
    memset(s, 0, sizeof *s);
    s->rel = *rel;
    s->fork = fork;
    s->limit = WAL_NO_BLOCK;
    return s;
}

/* ---- settling ---- */

/* Removes what later limits made void. Returns how many blocks are left. */
static uint32_t apply_cuts(struct fork_set *s)
{
    uint32_t limit = WAL_NO_BLOCK, cut = s->n_cuts, kept = s->n;

    for (uint32_t i = s->n; i-- > 0;) {
        while (cut > 0 && s->cuts[cut - 1].at > i) {
            cut--;
            limit = MIN_OF(limit, s->cuts[cut].limit);
        }
        if (s->blocks[i] < limit)
            s->blocks[--kept] = s->blocks[i];
    }
    memmove(s->blocks, s->blocks + kept, (s->n - kept) * sizeof *s->blocks);
    s->n_cuts = 0;
    return s->n - kept;
}

static void insertion_sort(uint32_t *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        uint32_t x = v[i], j = i;
        for (; j > 0 && v[j - 1] > x; j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

/* By digits of 8 bits, as many as the highest value has. */
static void radix_sort(uint32_t *v, uint32_t n, uint32_t *other)
{
    uint32_t *from = v, *to = other, all = 0;

    for (uint32_t i = 0; i < n; i++)
        all |= v[i];
    for (unsigned shift = 0; shift < 32 && all >> shift != 0; shift += 8) {
        uint32_t start[256] = {0}, sum = 0, *swap = from;
        for (uint32_t i = 0; i < n; i++)
            start[from[i] >> shift & 255]++;
        for (unsigned digit = 0; digit < 256; digit++) {
            uint32_t count = start[digit];
            start[digit] = sum;
            sum += count;
        }
        for (uint32_t i = 0; i < n; i++)
            to[start[from[i] >> shift & 255]++] = from[i];
        from = to;
        to = swap;
    }
    if (from != v)
        memcpy(v, from, n * sizeof *v);
}

static void settle(struct wal_changes *c, struct fork_set *s)
{
    uint32_t kept = 0;

    if (s->settled)
        return;
    if (s->n_cuts > 0)
        s->n = apply_cuts(s);
    if (s->n <= 48) {
        insertion_sort(s->blocks, s->n);
    } else {
        if (s->n > c->scratch_cap) {
            free(c->scratch);
            c->scratch_cap = s->n * (size_t)2;
            c->scratch = xmalloc(c->scratch_cap * sizeof *c->scratch);
        }
        radix_sort(s->blocks, s->n, c->scratch);
    }
    for (uint32_t i = 0; i < s->n; i++)
        if (kept == 0 || s->blocks[kept - 1] != s->blocks[i])
            s->blocks[kept++] = s->blocks[i];
    s->n = kept;
    s->settled = true;
}

/* ---- telling ---- */

static void make_room(struct wal_changes *c, struct fork_set *s)
{
    if (s->cap >= 1024)
        settle(c, s);
    if (s->n < s->cap / 2)
        return;
    s->cap = s->cap == 0 ? 16 : s->cap * 2;
    s->blocks = xrealloc(s->blocks, s->cap * sizeof *s->blocks);
}

static void add(struct wal_changes *c, struct fork_set *s, uint32_t block)
{
    if (s->n > 0 && s->blocks[s->n - 1] == block && s->n_cuts == 0)
        return;
    if (s->n == s->cap)
        make_room(c, s);
    s->blocks[s->n++] = block;
    s->settled = false;
}

void wal_changes_block(struct wal_changes *c, const struct wal_locator *rel, uint8_t fork,
                       uint32_t block)
{
    struct fork_set *s = fork_set(c, rel, fork);

    if (block < WAL_NO_BLOCK)
        add(c, s, block);
}

void wal_changes_run(struct wal_changes *c, const struct wal_locator *rel, uint8_t fork,
                     struct wal_run run)
{
    struct fork_set *s = fork_set(c, rel, fork);

    for (uint32_t i = 0; i < run.count && run.first + i < WAL_NO_BLOCK; i++)
        add(c, s, run.first + i);
}

void wal_changes_limit(struct wal_changes *c, const struct wal_locator *rel, uint8_t fork,
                       uint32_t limit, uint8_t what)
{
    struct fork_set *s = fork_set(c, rel, fork);
    struct cut *last = s->n_cuts > 0 ? &s->cuts[s->n_cuts - 1] : NULL;

    s->what |= what;
    s->limit = MIN_OF(s->limit, limit);
    if (s->n == 0)
        return;
    s->settled = false;
    if (last != NULL && last->at == s->n) {
        last->limit = MIN_OF(last->limit, limit);
        return;
    }
    if (s->n_cuts == s->cap_cuts) {
        s->cap_cuts = s->cap_cuts == 0 ? 4 : s->cap_cuts * 2;
        s->cuts = xrealloc(s->cuts, s->cap_cuts * sizeof *s->cuts);
    }
    s->cuts[s->n_cuts++] = (struct cut){s->n, limit};
}

/* The other forks get an entry only if they have one already: show() looks at the main fork. */
void wal_changes_drop(struct wal_changes *c, const struct wal_locator *rel)
{
    wal_changes_limit(c, rel, FORK_MAIN, 0, WAL_REL_DROPPED);
    for (uint8_t fork = FORK_MAIN + 1; fork < WAL_FORKS; fork++)
        if (fork_table_find(&c->table, rel, fork) != FORK_TABLE_NONE)
            wal_changes_limit(c, rel, fork, 0, 0);
}

/* ---- results ---- */

static int compare(const void *a, const void *b, void *context)
{
    const struct wal_changes *c = context;
    const struct fork_set *x = &c->sets[*(const uint32_t *)a], *y = &c->sets[*(const uint32_t *)b];

    if (x->rel.spc != y->rel.spc)
        return x->rel.spc < y->rel.spc ? -1 : 1;
    if (x->rel.db != y->rel.db)
        return x->rel.db < y->rel.db ? -1 : 1;
    if (x->rel.rel != y->rel.rel)
        return x->rel.rel < y->rel.rel ? -1 : 1;
    return (x->fork > y->fork) - (x->fork < y->fork);
}

size_t wal_changes_sort(struct wal_changes *c)
{
    c->order = xrealloc(c->order, ((size_t)c->n + 1) * sizeof *c->order);
    for (uint32_t i = 0; i < c->n; i++) {
        settle(c, &c->sets[i]);
        c->order[i] = i;
    }
    qsort_r(c->order, c->n, sizeof *c->order, compare, c);
    return c->n;
}

static bool dropped(const struct wal_changes *c, const struct wal_locator *rel)
{
    uint32_t at = fork_table_find(&c->table, rel, FORK_MAIN);

    return at != FORK_TABLE_NONE && c->sets[at].what & WAL_REL_DROPPED;
}

static void show(const struct wal_changes *c, const struct fork_set *s, struct wal_fork_changes *f)
{
    *f = (struct wal_fork_changes){.rel = s->rel,
                                   .fork = s->fork,
                                   .what = s->what,
                                   .limit = s->limit,
                                   .blocks = s->blocks,
                                   .n_blocks = s->n};
    if (f->limit != 0 && f->fork != FORK_MAIN && dropped(c, &f->rel))
        f->limit = 0;
}

void wal_changes_at(const struct wal_changes *c, size_t i, struct wal_fork_changes *f)
{
    show(c, &c->sets[c->order[i]], f);
}

bool wal_changes_find(struct wal_changes *c, const struct wal_locator *rel, uint8_t fork,
                      struct wal_fork_changes *f)
{
    uint32_t at = fork_table_find(&c->table, rel, fork);

    if (at != FORK_TABLE_NONE) {
        settle(c, &c->sets[at]);
        show(c, &c->sets[at], f);
        return true;
    }
    *f = (struct wal_fork_changes){.rel = *rel, .fork = fork};
    return dropped(c, rel);
}
