/*
 * s3_pace.h - how many requests may be under way at once: halved when the store says "slow down",
 * one more for each half minute without that. Shared by all threads of one store.
 */
#ifndef PGBR_REPO_STORE_S3_PACE_H
#define PGBR_REPO_STORE_S3_PACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct s3_pace {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    unsigned limit, active;
    int64_t halved_us, raised_us; /* monotonic */
};

void s3_pace_init(struct s3_pace *p);
void s3_pace_free(struct s3_pace *p);
void s3_pace_enter(struct s3_pace *p); /* waits for its turn */
/* slow_down: the store asked for it, in answer to this request. */
void s3_pace_leave(struct s3_pace *p, bool slow_down);

/* The rules, without waiting; now_us is any clock that only goes forward. */
void s3_pace_slower(struct s3_pace *p, int64_t now_us);
void s3_pace_recover(struct s3_pace *p, int64_t now_us);

#endif
