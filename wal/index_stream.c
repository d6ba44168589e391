/* index_stream.c - see index_stream.h. */
#include "wal/index_stream.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/queue.h"
#include "postgres/lsn.h"
#include "repo/wal_object.h"

struct slot {
    bool done;
    int rc;
    struct err why;
    struct buf bytes;
};
struct index_stream {
    struct segment_place (*place)(void *ctx, uint64_t segno);
    void *ctx;
    uint64_t last;
    struct workers *workers;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t next_read, next_out; /* segments: to be asked for next, handed out next */
    bool over;
    struct slot slots[INDEX_STREAM_WINDOW];
};

/* False: there is nothing more to do. */
static bool take_segment(struct index_stream *s, uint64_t *segno)
{
    bool more;

    pthread_mutex_lock(&s->lock);
    while (!s->over && s->next_read <= s->last && s->next_read >= s->next_out + INDEX_STREAM_WINDOW)
        pthread_cond_wait(&s->changed, &s->lock);
    more = !s->over && s->next_read <= s->last;
    if (more)
        *segno = s->next_read++;
    pthread_mutex_unlock(&s->lock);
    return more;
}

static int read_some(void *ctx, unsigned index, struct err *err)
{
    struct index_stream *s = ctx;
    uint64_t segno;

    (void)index;
    (void)err;
    while (take_segment(s, &segno)) {
        struct segment_place at = s->place(s->ctx, segno);
        struct slot *slot = &s->slots[segno % INDEX_STREAM_WINDOW];
        char name[WAL_SEGMENT_NAME];

        err_clear(&slot->why);
        slot->rc = wal_object_index(at.repo, at.system_id, at.major,
                                    wal_segment_name(at.timeline, segno, at.segment_size, name),
                                    &slot->bytes, &slot->why);
        pthread_mutex_lock(&s->lock);
        slot->done = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
    }
    return 0;
}

int index_stream_new(struct index_stream **out, struct segment_place (*place)(void *ctx, uint64_t),
                     void *ctx, uint64_t first, uint64_t last, struct err *err)
{
    struct index_stream *s = xcalloc(1, sizeof *s);
    unsigned threads = (unsigned)MIN_OF(last - first + 1, (uint64_t)INDEX_STREAM_THREADS);

    s->place = place;
    s->ctx = ctx;
    s->last = last;
    s->next_read = s->next_out = first;
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
    buf_clear(out);
    rc = slot->rc;
    if (rc == 0)
        buf_add(out, slot->bytes.p, slot->bytes.len);
    else
        *err = slot->why;
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
