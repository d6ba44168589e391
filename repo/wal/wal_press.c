/*
 * wal_press.c - the chunks of a WAL segment into its object, with several threads. See wal_form.h.
 *
 * Threads take chunks in turn, and each adds its own to the object when it is its turn; so a thread
 * needs memory for one chunk, and what it writes to stays in the processor's cache.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/queue.h"
#include "repo/object/object.h"
#include "repo/wal/wal_form.h"

struct press {
    const struct repo *repo;
    const char *label;
    const struct wal_source *source;
    unsigned chunks;
    atomic_uint next; /* to be taken */
    struct object_writer *writer;
    pthread_mutex_t lock; /* of writer, added and failed */
    pthread_cond_t moved;
    unsigned added;
    bool failed;
};

/* The others need not wait for a chunk that will not come. */
static void give_up(void *ctx)
{
    struct press *p = ctx;

    pthread_mutex_lock(&p->lock);
    p->failed = true;
    pthread_cond_broadcast(&p->moved);
    pthread_mutex_unlock(&p->lock);
}

/* *go_on is false when another thread failed, which tells why. */
static int add(struct press *p, unsigned i, const void *stored, size_t len, bool *go_on,
               struct err *err)
{
    int rc = 0;

    pthread_mutex_lock(&p->lock);
    while (p->added != i && !p->failed)
        pthread_cond_wait(&p->moved, &p->lock);
    *go_on = !p->failed;
    if (*go_on)
        rc = object_add_stored(p->writer, CHUNK_WAL, 1, stored, len, err);
    if (*go_on && rc == 0)
        p->added++;
    pthread_cond_broadcast(&p->moved);
    pthread_mutex_unlock(&p->lock);
    return rc;
}

static int press_chunks(struct press *p, struct err *err)
{
    AUTO(mem_free) uint8_t *stored = xmalloc(chunk_bound(WAL_CHUNK_SIZE));
    AUTO(coder_free) struct coder *coder = NULL;
    bool go_on = true;
    unsigned i;

    TRY(repo_coder(p->repo, p->label, &coder, err));
    while (go_on && (i = atomic_fetch_add(&p->next, 1)) < p->chunks) {
        size_t at = (size_t)i * WAL_CHUNK_SIZE, stored_len;
        size_t len = MIN_OF((size_t)WAL_CHUNK_SIZE, p->source->raw_len - at);

        TRY(chunk_encode(coder, CHUNK_WAL, CHUNK_PRIVATE, 0, i, 1,
                         (const uint8_t *)p->source->raw + at, len, stored, &stored_len, err));
        TRY(add(p, i, stored, stored_len, &go_on, err));
    }
    return 0;
}

static int work(void *ctx, unsigned index, struct err *err)
{
    (void)index;
    return press_chunks(ctx, err);
}

/* The calling thread works too. */
static int press_all(struct press *p, unsigned threads, struct err *err)
{
    struct workers *workers = NULL;
    struct err other = {0};
    int rc;

    if (threads > 1)
        TRY(workers_start(&workers, threads - 1, work, p, give_up, err));
    rc = press_chunks(p, err);
    if (rc != 0)
        give_up(p);
    if (workers != NULL && workers_join(&workers, &other) != 0 && rc == 0) {
        *err = other;
        rc = -1;
    }
    return rc;
}

int wal_press(struct object_writer *w, const struct repo *r, const char *label,
              const struct wal_source *s, unsigned threads, struct err *err)
{
    struct press p = {
        .repo = r,
        .label = label,
        .source = s,
        .chunks = (unsigned)((s->raw_len + WAL_CHUNK_SIZE - 1) / WAL_CHUNK_SIZE),
        .writer = w,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .moved = PTHREAD_COND_INITIALIZER,
    };
    int rc = press_all(&p, MIN_OF(threads, p.chunks), err);

    pthread_cond_destroy(&p.moved);
    pthread_mutex_destroy(&p.lock);
    return rc;
}
