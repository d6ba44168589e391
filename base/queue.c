/* queue.c - see queue.h; workers, stop and rate are in workers.c. */
#include "base/queue.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct queue {
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t room, filled;
    void (*drop)(void *item);
    size_t capacity, first, count; /* the ring's items are first, first + 1, ... */
    bool closed;
    void *items[];
};

struct queue *queue_new(size_t capacity, void (*drop)(void *item))
{
    struct queue *q;

    if (capacity == 0)
        capacity = 1;
    q = xcalloc(1, sizeof *q + capacity * sizeof q->items[0]);
    q->capacity = capacity;
    q->drop = drop;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->room, NULL);
    pthread_cond_init(&q->filled, NULL);
    return q;
}

/* Only with the lock held, or when nobody else is left. */
static void *take_first(struct queue *q)
{
    void *item = q->items[q->first];

    q->first = (q->first + 1) % q->capacity;
    q->count--;
    return item;
}

static void drop_all(struct queue *q)
{
    while (q->count != 0) {
        void *item = take_first(q);
        if (q->drop != NULL)
            q->drop(item);
    }
}

void queue_free(struct queue **q)
{
    if (*q == NULL)
        return;
    drop_all(*q);
    pthread_cond_destroy(&(*q)->filled);
    pthread_cond_destroy(&(*q)->room);
    pthread_mutex_destroy(&(*q)->lock);
    free(*q);
    *q = NULL;
}

bool queue_push(struct queue *q, void *item)
{
    bool taken = false;

    pthread_mutex_lock(&q->lock);
    while (!q->closed && q->count == q->capacity)
        pthread_cond_wait(&q->room, &q->lock);
    if (!q->closed) {
        q->items[(q->first + q->count++) % q->capacity] = item;
        taken = true;
        pthread_cond_signal(&q->filled);
    }
    pthread_mutex_unlock(&q->lock);
    return taken;
}

bool queue_pop(struct queue *q, void **item)
{
    bool got = false;

    pthread_mutex_lock(&q->lock);
    while (!q->closed && q->count == 0)
        pthread_cond_wait(&q->filled, &q->lock);
    if (q->count != 0) {
        *item = take_first(q);
        got = true;
        pthread_cond_signal(&q->room);
    }
    pthread_mutex_unlock(&q->lock);
    return got;
}

static void end(struct queue *q, bool drop)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    if (drop)
        drop_all(q);
    pthread_cond_broadcast(&q->room);
    pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

void queue_close(struct queue *q)
{
    end(q, false);
}

/* A cancelled queue is a closed one with nothing left in it. */
void queue_cancel(struct queue *q)
{
    end(q, true);
}
