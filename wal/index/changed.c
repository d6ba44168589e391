/* changed.c - the set of changed blocks. See changed.h; changed_collect.c fills it. */
#include "wal/index/changed.h"

#include <stdlib.h>

#include "base/mem.h"
#include "postgres/page.h"
#include "repo/wal/fork_table.h"
#include "wal/index/bit_store.h"

enum {
    FILE_BLOCKS = PG_RELSEG_PAGES,
    FEW = 512, /* blocks kept as a list; beyond, a bit each */
    BITS_WORDS = FILE_BLOCKS / 64,
};

struct file_set {
    uint32_t segno, n, cap; /* n: blocks in the list */
    uint32_t turn;          /* in which bits in the file were used last */
    bool in_file;           /* the bits */
    uint32_t *list;
    uint64_t *bits; /* instead of the list; the store's */
};
struct fork_set {
    struct wal_locator rel;
    uint8_t fork;
    bool dropped;
    uint32_t limit;
    struct file_set *files; /* ascending */
    uint32_t n_files, last; /* last: used most recently */
};
struct database {
    uint32_t spc, db;
};
struct changed {
    struct fork_set *forks;
    uint32_t n, cap;
    struct fork_table table;    /* to numbers in forks */
    struct database *databases; /* void as a whole */
    uint32_t n_databases;
    struct bit_store *store;
};

struct changed *changed_new(const char *dir)
{
    return changed_new_within(&(struct bit_store_room){dir, CHANGED_IN_MEMORY, CHANGED_WINDOW});
}

struct changed *changed_new_within(const struct bit_store_room *room)
{
    struct changed *c = xcalloc(1, sizeof *c);

    c->store = bit_store_new(BITS_WORDS * sizeof(uint64_t), room);
    fork_table_init(&c->table);
    return c;
}

void changed_free(struct changed **pc)
{
    struct changed *c = *pc;

    if (c == NULL)
        return;
    for (uint32_t i = 0; i < c->n; i++) {
        for (uint32_t k = 0; k < c->forks[i].n_files; k++)
            free(c->forks[i].files[k].list);
        free(c->forks[i].files);
    }
    free(c->forks);
    fork_table_free(&c->table);
    free(c->databases);
    bit_store_free(&c->store);
    free(c);
    *pc = NULL;
}

/* ---- finding ---- */

static struct fork_set *fork_of(struct changed *c, const struct wal_locator *rel, uint8_t fork)
{
    uint32_t at = fork_table_find(&c->table, rel, fork);

    if (at != FORK_TABLE_NONE)
        return &c->forks[at];
    if (c->n == c->cap) {
        c->cap = c->cap == 0 ? 64 : c->cap * 2;
        c->forks = xrealloc(c->forks, c->cap * sizeof *c->forks);
    }
    c->forks[c->n] = (struct fork_set){.rel = *rel, .fork = fork, .limit = WAL_NO_BLOCK};
    fork_table_add(&c->table, rel, fork, c->n);
    return &c->forks[c->n++];
}

/* Blocks come in ascending runs, so it is nearly always the last one or a new one. */
static struct file_set *file_of(struct fork_set *s, uint32_t segno)
{
    uint32_t low = 0, high = s->n_files;

    if (s->n_files != 0 && s->files[s->last].segno == segno)
        return &s->files[s->last];
    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (s->files[middle].segno < segno)
            low = middle + 1;
        else
            high = middle;
    }
    s->last = low;
    if (low < s->n_files && s->files[low].segno == segno)
        return &s->files[low];
    if ((s->n_files & (s->n_files - 1)) == 0)
        s->files = xrealloc(s->files, MAX_OF(1u, s->n_files * 2) * sizeof *s->files);
    memmove(s->files + low + 1, s->files + low, (s->n_files - low) * sizeof *s->files);
    s->files[low] = (struct file_set){.segno = segno};
    s->n_files++;
    return &s->files[low];
}

/* ---- adding ---- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void tidy_list(struct file_set *f)
{
    uint32_t kept = 0;

    if (f->n != 0)
        qsort(f->list, f->n, sizeof *f->list, by_number);
    for (uint32_t i = 0; i < f->n; i++)
        if (kept == 0 || f->list[kept - 1] != f->list[i])
            f->list[kept++] = f->list[i];
    f->n = kept;
}

static void set_bit(struct file_set *f, uint32_t block)
{
    f->bits[block / 64] |= UINT64_C(1) << (block % 64);
}

static void set_bits(struct file_set *f, uint32_t first, uint32_t count)
{
    uint32_t block = first, end = first + count;

    for (; block < end && block % 64 != 0; block++)
        set_bit(f, block);
    for (; end - block >= 64; block += 64)
        f->bits[block / 64] = UINT64_MAX;
    for (; block < end; block++)
        set_bit(f, block);
}

/* Before bits are looked at or set. */
static void use(struct changed *c, struct file_set *f)
{
    if (f->in_file && f->turn != bit_store_turn(c->store))
        f->turn = bit_store_use(c->store);
}

static void to_bits(struct changed *c, struct file_set *f)
{
    f->bits = bit_store_add(c->store, &f->in_file);
    f->turn = f->in_file ? bit_store_use(c->store) : 0;
    for (uint32_t i = 0; i < f->n; i++)
        set_bit(f, f->list[i]);
    free(f->list);
    f->list = NULL;
    f->n = 0;
}

/* A full list first loses what it holds twice; if it stays long, it becomes bits. */
static void make_room(struct changed *c, struct file_set *f, uint32_t count)
{
    if (f->bits != NULL || f->n + count <= f->cap)
        return;
    if (f->n + count > FEW) {
        tidy_list(f);
        if (f->n + count > FEW / 2) {
            to_bits(c, f);
            return;
        }
    }
    while (f->cap < f->n + count)
        f->cap = f->cap == 0 ? 8 : f->cap * 2;
    f->list = xrealloc(f->list, f->cap * sizeof *f->list);
}

static void add_to_file(struct changed *c, struct file_set *f, uint32_t first, uint32_t count)
{
    make_room(c, f, count);
    if (f->bits != NULL) {
        use(c, f);
        set_bits(f, first, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        f->list[f->n++] = first + i;
}

static void add_run(struct changed *c, struct fork_set *s, struct wal_run run)
{
    while (run.count != 0) {
        uint32_t within = run.first % FILE_BLOCKS, n = MIN_OF(run.count, FILE_BLOCKS - within);

        add_to_file(c, file_of(s, run.first / FILE_BLOCKS), within, n);
        run.first += n;
        run.count -= n;
    }
}

static void add_database(struct changed *c, uint32_t spc, uint32_t db)
{
    for (uint32_t i = c->n_databases; i-- > 0;)
        if (c->databases[i].spc == spc && c->databases[i].db == db)
            return;
    if ((c->n_databases & (c->n_databases - 1)) == 0)
        c->databases =
            xrealloc(c->databases, MAX_OF(1u, c->n_databases * 2) * sizeof *c->databases);
    c->databases[c->n_databases++] = (struct database){spc, db};
}

/* Bits of a relation are noted on its main fork, which is made for that. */
static void add_relation(struct changed *c, const struct wal_index *ix,
                         const struct wal_index_rel *r)
{
    if (r->what & WAL_REL_DROPPED)
        fork_of(c, &r->rel, FORK_MAIN)->dropped = true;
    for (uint8_t fork = 0; fork < WAL_FORKS; fork++) {
        const struct wal_index_fork *f = &r->fork[fork];
        struct fork_set *s;

        if (!(r->forks & 1 << fork))
            continue;
        s = fork_of(c, &r->rel, fork);
        s->limit = MIN_OF(s->limit, f->limit);
        for (uint32_t i = 0; i < f->n_runs; i++)
            add_run(c, s, ix->runs[f->first_run + i]);
    }
}

void changed_add(struct changed *c, const struct wal_index *ix)
{
    for (uint32_t i = 0; i < ix->n_rels; i++)
        add_relation(c, ix, &ix->rels[i]);
    for (uint32_t i = 0; i < ix->n_events; i++) {
        const struct wal_event *e = &ix->events[i];

        if (e->kind == WAL_EVENT_DB_CREATE_COPY || e->kind == WAL_EVENT_DB_CREATE_LOGGED ||
            e->kind == WAL_EVENT_DB_DROP)
            add_database(c, e->spc, e->db);
    }
}

static int by_segno(const void *a, const void *b)
{
    const struct file_set *x = a, *y = b;

    return (x->segno > y->segno) - (x->segno < y->segno);
}

int changed_finish(struct changed *c, struct err *err)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct fork_set *s = &c->forks[i];

        for (uint32_t k = 0; k < s->n_files; k++)
            if (s->files[k].bits == NULL)
                tidy_list(&s->files[k]);
    }
    return bit_store_sync(c->store, err);
}

/* ---- asking ---- */

static bool is_void(const struct changed *c, const struct rel_file *f)
{
    struct wal_locator rel = {f->spc, f->db, f->rel};
    uint32_t main = fork_table_find(&c->table, &rel, FORK_MAIN);

    if (main != FORK_TABLE_NONE && c->forks[main].dropped)
        return true;
    for (uint32_t i = 0; i < c->n_databases; i++)
        if (c->databases[i].spc == f->spc && c->databases[i].db == f->db)
            return true;
    return false;
}

static const struct file_set *find_file(const struct fork_set *s, uint32_t segno)
{
    struct file_set key = {.segno = segno};

    return s->n_files == 0 ? NULL : bsearch(&key, s->files, s->n_files, sizeof *s->files, by_segno);
}

void changed_file(const struct changed *c, const struct rel_file *f, struct changed_file *out)
{
    struct wal_locator rel = {f->spc, f->db, f->rel};
    uint64_t first = (uint64_t)f->segno * FILE_BLOCKS;
    uint32_t at = fork_table_find(&c->table, &rel, (uint8_t)f->fork);
    const struct file_set *set;

    *out = (struct changed_file){.from = UINT32_MAX, .all = is_void(c, f)};
    if (at == FORK_TABLE_NONE || out->all)
        return;
    if (c->forks[at].limit <= first) {
        out->all = true;
        return;
    }
    if (c->forks[at].limit != WAL_NO_BLOCK && c->forks[at].limit < first + FILE_BLOCKS)
        out->from = (uint32_t)(c->forks[at].limit - first);
    set = find_file(&c->forks[at], f->segno);
    if (set == NULL)
        return;
    out->some = set->list;
    out->n = set->n;
    out->bits = set->bits;
    if (set->in_file)
        bit_store_use(c->store);
}

static uint32_t next_in_list(const struct changed_file *f, uint32_t block)
{
    uint32_t low = 0, high = f->n;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (f->some[middle] < block)
            low = middle + 1;
        else
            high = middle;
    }
    return low < f->n ? f->some[low] : UINT32_MAX;
}

static uint32_t next_in_bits(const struct changed_file *f, uint32_t block)
{
    uint64_t word;
    uint32_t i = block / 64;

    if (block >= FILE_BLOCKS)
        return UINT32_MAX;
    word = f->bits[i] & (UINT64_MAX << (block % 64));
    while (word == 0) {
        if (++i == BITS_WORDS)
            return UINT32_MAX;
        word = f->bits[i];
    }
    return i * 64 + (uint32_t)__builtin_ctzll(word);
}

uint32_t changed_next(const struct changed_file *f, uint32_t block)
{
    uint32_t next;

    if (f->all || block >= f->from)
        return block;
    next = f->bits != NULL ? next_in_bits(f, block) : next_in_list(f, block);
    return MIN_OF(next, f->from);
}

struct changed_sum changed_sum(const struct changed *c)
{
    struct changed_sum sum = {.databases = c->n_databases, .in_file = bit_store_in_file(c->store)};

    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t k = 0; k < c->forks[i].n_files; k++) {
            const struct file_set *f = &c->forks[i].files[k];

            sum.files++;
            if (f->in_file)
                bit_store_use(c->store);
            sum.blocks += f->bits == NULL ? f->n : 0;
            for (uint32_t w = 0; f->bits != NULL && w < BITS_WORDS; w++)
                sum.blocks += (uint64_t)__builtin_popcountll(f->bits[w]);
        }
    return sum;
}
