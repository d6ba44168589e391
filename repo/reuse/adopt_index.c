/*
 * adopt_index.c - see adopt_index.h.
 *
 * The table is open addressing in blocks of 4 KiB, 128 entries each and half of them free on
 * average: the upper bits of a key choose the block, the lower ones the first slot; a full block
 * goes on in the next. More than two blocks are never looked at, so that keys chosen by an attacker
 * cost no more than others.
 *
 * A table that does not fit into memory is built part by part: entries are first collected in one
 * file, in runs that belong to one part (the upper bits of the key) each; then each part is made in
 * memory and written in one go.
 */
#include "repo/reuse/adopt_index.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    BLOCK_SIZE = 4096,
    BLOCK_SLOTS = 128,
    BLOCK_FILL = BLOCK_SLOTS / 2,
    BLOCKS_TRIED = 2,
    PART_BITS = 10,
    PARTS = 1 << PART_BITS,
    RUN = 512, /* entries written at once: 16 KiB */
};
_Static_assert(sizeof(struct adopt_entry) * BLOCK_SLOTS == BLOCK_SIZE, "slots fill a block");

struct part {
    struct adopt_entry run[RUN]; /* the one that is filled */
    unsigned used;
    uint32_t *runs; /* those in the file, by number */
    size_t n_runs, cap;
};
struct spill {
    int fd;
    uint32_t next_run;
    bool broken; /* a write failed */
    struct part parts[PARTS];
};

struct adopt_index {
    char *dir; /* NULL: no files */
    size_t in_memory, without_files;

    pthread_mutex_t lock; /* of these, while entries are added */
    size_t n;
    bool full;                 /* some were dropped for want of memory, which was said */
    struct adopt_entry *small; /* until there is a spill */
    size_t small_cap;
    struct spill *spill;

    /* The table; nothing changes once it is built. */
    unsigned block_bits;
    uint64_t part_mask;        /* a block goes on in the next one of these */
    struct adopt_entry *table; /* NULL: in the file */
    int fd;                    /* -1: none */
};

struct adopt_index *adopt_index_new(const char *dir, size_t in_memory, size_t without_files)
{
    struct adopt_index *ix = xcalloc(1, sizeof *ix);

    ix->dir = xstrdup(dir);
    ix->in_memory = in_memory;
    ix->without_files = without_files;
    ix->fd = -1;
    pthread_mutex_init(&ix->lock, NULL);
    return ix;
}

static void spill_free(struct spill **spill)
{
    struct spill *s = TAKE(*spill);

    if (s == NULL)
        return;
    for (size_t i = 0; i < PARTS; i++)
        free(s->parts[i].runs);
    fd_close(&s->fd);
    free(s);
}

void adopt_index_free(struct adopt_index **out)
{
    struct adopt_index *ix = TAKE(*out);

    if (ix == NULL)
        return;
    pthread_mutex_destroy(&ix->lock);
    spill_free(&ix->spill);
    free(ix->small);
    free(ix->table);
    fd_close(&ix->fd);
    free(ix->dir);
    free(ix);
}

/* ---- files ---- */

static int open_unnamed(const char *dir, struct err *err)
{
    AUTO(mem_free) char *name = xasprintf("%s/adopt.XXXXXX", dir);
    int fd;

    if (fs_mkdirs(dir, 0700, err) != 0)
        return -1;
    fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    fd = mkostemp(name, O_CLOEXEC); /* not every file system knows O_TMPFILE */
    if (fd < 0)
        return err_sys(err, "cannot create a temporary file in \"%s\"", dir);
    unlink(name);
    return fd;
}

static bool write_run(struct spill *s, struct part *p)
{
    struct err err = {0};
    size_t size = p->used * sizeof p->run[0];

    if (s->broken)
        return false;
    if (fs_pwrite_all(s->fd, p->run, size, (uint64_t)s->next_run * sizeof p->run,
                      "file of chunks to adopt", &err) != 0) {
        log_warning("not all chunks of interrupted backups are remembered: %s", err.msg);
        s->broken = true;
        return false;
    }
    if (p->n_runs == p->cap) {
        p->cap = p->cap * 2 + 4;
        p->runs = xrealloc(p->runs, p->cap * sizeof *p->runs);
    }
    p->runs[p->n_runs++] = s->next_run++;
    p->used = 0;
    return true;
}

static bool spill_add(struct spill *s, const struct adopt_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct part *p = &s->parts[entries[i].key >> (64 - PART_BITS)];
        if (p->used == RUN && !write_run(s, p))
            return false;
        p->run[p->used++] = entries[i];
    }
    return true;
}

/* From memory to a file; where that is not possible, memory it stays. */
static void begin_spill(struct adopt_index *ix)
{
    struct err err = {0};
    int fd = open_unnamed(ix->dir, &err);

    if (fd < 0) {
        log_warning("chunks of interrupted backups are kept in memory only: %s", err.msg);
        mem_free(&ix->dir);
        return;
    }
    ix->spill = xcalloc(1, sizeof *ix->spill);
    ix->spill->fd = fd;
    (void)!spill_add(ix->spill, ix->small, ix->n);
    mem_free(&ix->small);
    ix->small_cap = 0;
}

/* ---- adding ---- */

static bool small_add(struct adopt_index *ix, const struct adopt_entry *entries, size_t n)
{
    if (ix->n + n > ix->without_files) {
        if (!ix->full)
            log_warning("more than %zu chunks of interrupted backups: the rest is stored anew "
                        "(a state directory would hold them)",
                        ix->without_files);
        ix->full = true;
        return false;
    }
    if (ix->n + n > ix->small_cap) {
        ix->small_cap = MAX_OF(ix->small_cap * 2, ix->n + n);
        ix->small = xrealloc(ix->small, ix->small_cap * sizeof *ix->small);
    }
    memcpy(ix->small + ix->n, entries, n * sizeof *entries);
    return true;
}

bool adopt_index_add(struct adopt_index *ix, const struct adopt_entry *entries, size_t n)
{
    bool taken;

    if (n == 0)
        return true;
    pthread_mutex_lock(&ix->lock);
    if (ix->spill == NULL && ix->dir != NULL && ix->n + n > ix->in_memory)
        begin_spill(ix);
    taken = ix->spill != NULL ? spill_add(ix->spill, entries, n) : small_add(ix, entries, n);
    if (taken)
        ix->n += n;
    pthread_mutex_unlock(&ix->lock);
    return taken;
}

/* ---- the table ---- */

static uint64_t block_of(unsigned block_bits, uint64_t key)
{
    return block_bits == 0 ? 0 : key >> (64 - block_bits);
}

static uint64_t next_block(uint64_t block, uint64_t part_mask)
{
    return (block & ~part_mask) | ((block + 1) & part_mask);
}

/* An unused slot has the key 0. */
static uint64_t slot_key(uint64_t key)
{
    return key != 0 ? key : 1;
}

/* The slot with this entry, or the first free one behind where it should be; NULL: the block is
 * full of others. */
static struct adopt_entry *probe(struct adopt_entry *block, uint64_t key,
                                 const struct hash128 *hash)
{
    for (uint64_t i = 0; i < BLOCK_SLOTS; i++) {
        struct adopt_entry *slot = &block[(key + i) % BLOCK_SLOTS];
        if (slot->key == 0 ||
            (slot->key == key && memcmp(slot->hash.bytes, hash->bytes, sizeof *hash) == 0))
            return slot;
    }
    return NULL;
}

/* blocks: those of the entry's part. */
static void insert(const struct adopt_index *ix, struct adopt_entry *blocks,
                   const struct adopt_entry *e)
{
    uint64_t block = block_of(ix->block_bits, e->key) & ix->part_mask, key = slot_key(e->key);

    for (int i = 0; i < BLOCKS_TRIED; i++) {
        struct adopt_entry *slot = probe(blocks + block * BLOCK_SLOTS, key, &e->hash);
        if (slot != NULL) {
            if (slot->key == 0)
                *slot = (struct adopt_entry){key, e->hash, e->value};
            return;
        }
        block = next_block(block, ix->part_mask);
    }
}

/* Bits for so many blocks that n entries fill them by half. */
static unsigned bits_for(uint64_t n)
{
    unsigned bits = 0;

    while ((UINT64_C(1) << bits) * BLOCK_FILL < n)
        bits++;
    return bits;
}

static void build_small(struct adopt_index *ix)
{
    ix->block_bits = bits_for(ix->n);
    ix->part_mask = (UINT64_C(1) << ix->block_bits) - 1;
    ix->table = xcalloc((size_t)1 << ix->block_bits, BLOCK_SIZE);
    for (size_t i = 0; i < ix->n; i++)
        insert(ix, ix->table, &ix->small[i]);
    mem_free(&ix->small);
}

static int build_part(const struct adopt_index *ix, size_t number, struct adopt_entry *run,
                      struct adopt_entry *blocks, struct err *err)
{
    const struct part *p = &ix->spill->parts[number];
    size_t size = ((size_t)ix->part_mask + 1) * BLOCK_SIZE, got;

    memset(blocks, 0, size);
    for (size_t i = 0; i < p->n_runs; i++) {
        TRY(fs_pread_all(ix->spill->fd, run, sizeof p->run, (uint64_t)p->runs[i] * sizeof p->run,
                         &got, "file of chunks to adopt", err));
        for (size_t k = 0; k < got / sizeof *run; k++)
            insert(ix, blocks, &run[k]);
    }
    for (size_t k = 0; k < p->used; k++)
        insert(ix, blocks, &p->run[k]);
    return fs_pwrite_all(ix->fd, blocks, size, (uint64_t)number * size, "table of chunks to adopt",
                         err);
}

static int build_parts(struct adopt_index *ix, struct err *err)
{
    AUTO(mem_free) struct adopt_entry *run = xcalloc(RUN, sizeof *run), *blocks = NULL;
    unsigned bits = bits_for(ix->n / PARTS);

    ix->part_mask = (UINT64_C(1) << bits) - 1;
    ix->block_bits = PART_BITS + bits;
    blocks = xcalloc((size_t)1 << bits, BLOCK_SIZE);
    ix->fd = open_unnamed(ix->dir, err);
    if (ix->fd < 0)
        return -1;
    for (size_t i = 0; i < PARTS; i++)
        TRY(build_part(ix, i, run, blocks, err));
    return 0;
}

void adopt_index_build(struct adopt_index *ix)
{
    struct err err = {0};

    if (ix->n == 0)
        return;
    if (ix->spill == NULL) {
        build_small(ix);
        return;
    }
    if (build_parts(ix, &err) != 0) {
        log_warning("chunks of interrupted backups are stored anew: %s", err.msg);
        fd_close(&ix->fd); /* half a table might give half an answer */
    }
    spill_free(&ix->spill);
}

static struct adopt_entry *get_block(const struct adopt_index *ix, uint64_t block,
                                     struct adopt_entry *room)
{
    if (ix->table != NULL)
        return ix->table + block * BLOCK_SLOTS;
    if (pread(ix->fd, room, BLOCK_SIZE, (off_t)(block * BLOCK_SIZE)) != BLOCK_SIZE)
        return NULL;
    return room;
}

bool adopt_index_find(const struct adopt_index *ix, uint64_t key, const struct hash128 *hash,
                      uint64_t *value)
{
    struct adopt_entry room[BLOCK_SLOTS];
    uint64_t block = block_of(ix->block_bits, key);

    if (ix->table == NULL && ix->fd < 0)
        return false;
    for (int i = 0; i < BLOCKS_TRIED; i++) {
        struct adopt_entry *entries = get_block(ix, block, room), *slot;
        if (entries == NULL)
            return false;
        slot = probe(entries, slot_key(key), hash);
        if (slot != NULL && slot->key != 0)
            *value = slot->value;
        if (slot != NULL)
            return slot->key != 0;
        block = next_block(block, ix->part_mask);
    }
    return false;
}
