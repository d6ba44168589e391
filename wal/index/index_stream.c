/* index_stream.c - see index_stream.h. */
#include "wal/index/index_stream.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/queue.h"

struct slot {
    bool done;
    int rc;
    struct err why;
    struct buf bytes;
};
struct index_stream {
    index_stream_fn *read;
    void *ctx;
    size_t n;
    struct workers *workers;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t next_read, next_out; /* items: to be asked for next, handed out next */
    size_t held;                /* bytes that were read and not handed out */
    bool over;
    struct slot slots[INDEX_STREAM_WINDOW];
};

/* The next one to be handed out may always be read. */
static bool is_far_ahead(const struct index_stream *s)
{
    return s->next_read >= s->next_out + INDEX_STREAM_WINDOW ||
           (s->held > INDEX_STREAM_BYTES && s->next_read != s->next_out);
}

/* False: there is nothing more to do. */
static bool take_item(struct index_stream *s, size_t *item)
{
    bool more;

    pthread_mutex_lock(&s->lock);
    while (!s->over && s->next_read < s->n && is_far_ahead(s))
        pthread_cond_wait(&s->changed, &s->lock);
    more = !s->over && s->next_read < s->n;
    if (more)
        *item = s->next_read++;
    pthread_mutex_unlock(&s->lock);
    return more;
}

static int read_some(void *ctx, unsigned index, struct err *err)
{
    struct index_stream *s = ctx;
    size_t item;

    (void)index;
    (void)err;
    while (take_item(s, &item)) {
        struct slot *slot = &s->slots[item % INDEX_STREAM_WINDOW];

        err_clear(&slot->why);
        slot->rc = s->read(s->ctx, item, &slot->bytes, &slot->why);
        pthread_mutex_lock(&s->lock);
        slot->done = true;
        s->held += slot->bytes.len;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
    }
    return 0;
}

int index_stream_new(struct index_stream **out, index_stream_fn *read, void *ctx, size_t n,
                     struct err *err)
{
    struct index_stream *s = xcalloc(1, sizeof *s);
    unsigned threads = (unsigned)MIN_OF(n, (size_t)INDEX_STREAM_THREADS);

    s->read = read;
    s->ctx = ctx;
    s->n = n;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    *out = s;
    if (workers_start(&s->workers, threads, read_some, s, NULL, err) == 0)
        return 0;
    index_stream_free(out);
    return -1;
}

int index_stream_next(struct index_stream *s, struct buf *out, struct err *err)
{
    struct slot *slot = &s->slots[s->next_out % INDEX_STREAM_WINDOW];
    int rc;

    pthread_mutex_lock(&s->lock);
    while (!slot->done)
        pthread_cond_wait(&s->changed, &s->lock);
    rc = slot->rc;
    if (rc != 0)
        *err = slot->why;
    s->held -= slot->bytes.len;
    buf_free(out);
    *out = slot->bytes;
    slot->bytes = (struct buf)BUF_INIT;
    slot->done = false;
    s->next_out++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void index_stream_free(struct index_stream **ps)
{
    struct index_stream *s = *ps;
    struct err ignored = {0};

    if (s == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    s->over = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (s->workers != NULL)
        (void)!workers_join(&s->workers, &ignored);
    for (size_t i = 0; i < INDEX_STREAM_WINDOW; i++)
        buf_free(&s->slots[i].bytes);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *ps = NULL;
}
