/* read_ahead.c - see read_ahead.h. */
#include "base/read_ahead.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/mem.h"

struct read_ahead {
    bool busy;  /* of the owner's thread only */
    bool begun; /* the thread was started */
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t moved;
    bool wanted, done, ends;
    struct quiet_file *file;
    void *buf;
    size_t len, got;
    uint64_t offset;
    int result;
    struct err err;
};

struct read_ahead *read_ahead_new(void)
{
    struct read_ahead *a = xcalloc(1, sizeof *a);

    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->moved, NULL);
    return a;
}

static void *serve(void *arg)
{
    struct read_ahead *a = arg;

    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (!a->wanted && !a->ends)
            pthread_cond_wait(&a->moved, &a->lock);
        if (!a->wanted)
            break;
        pthread_mutex_unlock(&a->lock);
        a->result = quiet_read(a->file, a->buf, a->len, a->offset, &a->got, &a->err);
        pthread_mutex_lock(&a->lock);
        a->wanted = false;
        a->done = true;
        pthread_cond_signal(&a->moved);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* Signals are the main thread's. */
static int start(struct read_ahead *a, struct err *err)
{
    sigset_t all, before;

    if (a->begun)
        return 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&a->thread, NULL, serve, a);
    a->begun = errno == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return a->begun ? 0 : err_sys(err, "cannot start a thread that reads ahead");
}

int read_ahead_begin(struct read_ahead *a, struct quiet_file *f, void *buf, size_t len,
                     uint64_t offset, struct err *err)
{
    TRY(start(a, err));
    pthread_mutex_lock(&a->lock);
    a->file = f;
    a->buf = buf;
    a->len = len;
    a->offset = offset;
    a->done = false;
    a->wanted = true;
    pthread_cond_signal(&a->moved);
    pthread_mutex_unlock(&a->lock);
    a->busy = true;
    return 0;
}

bool read_ahead_busy(const struct read_ahead *a)
{
    return a->busy;
}

int read_ahead_wait(struct read_ahead *a, size_t *got, struct err *err)
{
    pthread_mutex_lock(&a->lock);
    while (!a->done)
        pthread_cond_wait(&a->moved, &a->lock);
    pthread_mutex_unlock(&a->lock);
    a->busy = false;
    *got = a->got;
    if (a->result != 0)
        *err = a->err;
    return a->result;
}

void read_ahead_free(struct read_ahead **pa)
{
    struct read_ahead *a = *pa;

    if (a == NULL)
        return;
    if (a->begun) {
        pthread_mutex_lock(&a->lock);
        a->ends = true; /* after what is wanted still */
        pthread_cond_signal(&a->moved);
        pthread_mutex_unlock(&a->lock);
        pthread_join(a->thread, NULL);
    }
    pthread_cond_destroy(&a->moved);
    pthread_mutex_destroy(&a->lock);
    free(a);
    *pa = NULL;
}
