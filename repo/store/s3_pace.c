/* s3_pace.c - see s3_pace.h. */
#include "repo/store/s3_pace.h"

#include <time.h>

#include "base/auto.h"
#include "base/clock.h"

enum {
    LIMIT_MAX = 256,
    RAISE_US = 30000000,
    BURST_US = 1000000, /* many requests are told to slow down at once: that counts as one time */
};

void s3_pace_init(struct s3_pace *p)
{
    *p = (struct s3_pace){.limit = LIMIT_MAX};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
}

void s3_pace_free(struct s3_pace *p)
{
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
}

void s3_pace_slower(struct s3_pace *p, int64_t now_us)
{
    unsigned used = MIN_OF(p->limit, p->active);

    if (p->halved_us != 0 && now_us - p->halved_us < BURST_US)
        return;
    p->limit = MAX_OF(used / 2, 1U);
    p->halved_us = p->raised_us = now_us;
}

void s3_pace_recover(struct s3_pace *p, int64_t now_us)
{
    while (p->limit < LIMIT_MAX && now_us - p->raised_us >= RAISE_US) {
        p->limit++;
        p->raised_us += RAISE_US;
    }
}

/* Looks again each second, because time alone may raise the limit. */
static void wait_a_second(struct s3_pace *p)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_cond_timedwait(&p->changed, &p->lock, &until);
}

void s3_pace_enter(struct s3_pace *p)
{
    pthread_mutex_lock(&p->lock);
    s3_pace_recover(p, clock_monotonic_us());
    while (p->active >= p->limit) {
        wait_a_second(p);
        s3_pace_recover(p, clock_monotonic_us());
    }
    p->active++;
    pthread_mutex_unlock(&p->lock);
}

void s3_pace_leave(struct s3_pace *p, bool slow_down)
{
    pthread_mutex_lock(&p->lock);
    if (slow_down)
        s3_pace_slower(p, clock_monotonic_us());
    p->active--;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
}
