/* bit_store.c - see bit_store.h. */
#include "wal/index/bit_store.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

enum { PIECE = 16 << 20 }; /* the file grows by that much, and so does what is mapped */

struct bit_store {
    size_t size;
    struct bit_store_room room;
    size_t in_memory; /* bytes */
    uint64_t **heap;
    size_t n_heap;
    int fd;         /* -1: there is no file (yet) */
    bool full;      /* it cannot grow any more */
    uint8_t **maps; /* pieces of the file */
    size_t n_maps;
    size_t used;        /* bytes of the file */
    atomic_size_t near; /* bytes of it used since the last turn, at most */
    atomic_uint turn;
};

struct bit_store *bit_store_new(size_t size, const struct bit_store_room *room)
{
    struct bit_store *s = xcalloc(1, sizeof *s);

    s->size = size;
    s->room = *room;
    s->fd = -1;
    return s;
}

void bit_store_free(struct bit_store **ps)
{
    struct bit_store *s = *ps;

    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n_heap; i++)
        free(s->heap[i]);
    for (size_t i = 0; i < s->n_maps; i++)
        munmap(s->maps[i], PIECE);
    free(s->heap);
    free(s->maps);
    fd_close(&s->fd);
    free(s);
    *ps = NULL;
}

/* ---- the file ---- */

static void *doubled(void *items, size_t n, size_t size)
{
    return (n & (n - 1)) == 0 ? xrealloc(items, (n == 0 ? 1 : n * 2) * size) : items;
}

/* The blocks are allocated now: a full disk would else be a signal when they are written to. */
static int add_piece(struct bit_store *s, struct err *err)
{
    int rc;
    void *p;

    if (s->fd < 0)
        TRY(fs_temporary(s->room.dir, &s->fd, err));
    rc = posix_fallocate(s->fd, (off_t)(s->n_maps * PIECE), PIECE);
    if (rc != 0)
        return err_set(err, ERR_IO, "no room for more of a temporary file in \"%s\" (error %d)",
                       s->room.dir, rc);
    p = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, (off_t)(s->n_maps * PIECE));
    if (p == MAP_FAILED)
        return err_sys(err, "cannot map a temporary file in \"%s\"", s->room.dir);
    (void)!madvise(p, PIECE, MADV_RANDOM);
    s->maps = doubled(s->maps, s->n_maps, sizeof *s->maps);
    s->maps[s->n_maps++] = p;
    return 0;
}

/* NULL: there is no room in a file, and will be none. */
static uint64_t *add_in_file(struct bit_store *s)
{
    struct err err = {0};

    if (s->room.dir == NULL || s->full)
        return NULL;
    if (s->used + s->size > s->n_maps * PIECE && add_piece(s, &err) != 0) {
        log_warning("changed blocks take more memory than they should: %s", err.msg);
        s->full = true;
        return NULL;
    }
    s->used += s->size;
    return (uint64_t *)(void *)(s->maps[(s->used - 1) / PIECE] + (s->used - s->size) % PIECE);
}

uint64_t *bit_store_add(struct bit_store *s, bool *in_file)
{
    uint64_t *bits = NULL;

    if (s->in_memory + s->size > s->room.in_memory)
        bits = add_in_file(s);
    *in_file = bits != NULL;
    if (bits != NULL)
        return bits;
    s->heap = doubled(s->heap, s->n_heap, sizeof *s->heap);
    s->in_memory += s->size;
    return s->heap[s->n_heap++] = xcalloc(1, s->size);
}

uint32_t bit_store_turn(const struct bit_store *s)
{
    return atomic_load_explicit(&s->turn, memory_order_relaxed);
}

/* Of a shared mapping nothing is lost by that: who uses a page later gets it from the file, or from
 * the page cache where it still is. */
uint32_t bit_store_use(struct bit_store *s)
{
    if (atomic_fetch_add(&s->near, s->size) + s->size < s->room.window)
        return bit_store_turn(s);
    atomic_store(&s->near, s->size);
    for (size_t i = 0; i < s->n_maps; i++)
        (void)!madvise(s->maps[i], PIECE, MADV_DONTNEED);
    return atomic_fetch_add(&s->turn, 1) + 1;
}

int bit_store_sync(struct bit_store *s, struct err *err)
{
    if (s->fd < 0)
        return 0;
    for (size_t i = 0; i < s->n_maps; i++)
        if (msync(s->maps[i], PIECE, MS_SYNC) != 0)
            return err_sys(err, "cannot write a temporary file in \"%s\"", s->room.dir);
    if (fdatasync(s->fd) != 0)
        return err_sys(err, "cannot write a temporary file in \"%s\"", s->room.dir);
    return 0;
}

size_t bit_store_in_file(const struct bit_store *s)
{
    return s->used;
}
