/*
 * schedule.h - when jobs are to be started: the decisions alone, as a function of time.
 *
 * No clock, no process, no file: whoever calls says what time it is and what happened, and is told
 * what to start and when to come back. So a year can be played through in a second.
 *
 * What holds, whatever the clock does and whenever the owner dies:
 *
 *   A due time is never lost. A job whose time passes while it cannot start - the scheduler was not
 *   there, the last run or another job of its group is not done, its role is not certain - starts
 *   once as soon as it can, however many of its times have passed. (With catch_up false it is
 *   dropped when it is more than SCHEDULE_LATE_US late, and that is told.)
 *   A due time is never taken up twice, also where the clock is set back: times that are past stay
 *   past. Only where it is set back by more than a day, the times before are taken for a mistake of
 *   the clock, and the job goes on from the time that it shows now.
 *   Of a group, one job runs at a time; the others wait, the longest due first.
 *
 * The owner keeps struct schedule_memory of each job somewhere that survives, and saves it after
 * each call that changes it (schedule_start() before the job is really started).
 * Times are microseconds since 1970 UTC.
 */
#ifndef PGBR_SCHEDULER_JOBS_SCHEDULE_H
#define PGBR_SCHEDULER_JOBS_SCHEDULE_H

#include "base/cron.h"

#define SCHEDULE_LATE_US INT64_C(90000000)  /* catch_up false: later than this is too late */
#define SCHEDULE_AGAIN_US INT64_C(30000000) /* between two looks whether it can start, at first */
#define SCHEDULE_AGAIN_MAX_US INT64_C(600000000) /* and later */
#define SCHEDULE_RETRY_MAX_US \
    INT64_C(3600000000) /* back-off ends here, unless retry_delay is more */
#define SCHEDULE_DAY_US INT64_C(86400000000)

struct schedule_memory {
    int64_t due_us;    /* the newest due time that was taken up; all before it are past */
    bool open;         /* and it is not settled: it runs, or is to be tried again */
    int64_t retry_us;  /* when; 0: it runs, or nobody knows how it ended */
    unsigned failures; /* of this due time so far */
};

enum schedule_state { SCHEDULE_IDLE, SCHEDULE_PENDING, SCHEDULE_RUNNING };
struct schedule_job {
    /* what it is */
    struct cron cron;
    const struct zone *zone;
    int64_t jitter_us, retry_delay_us;
    uint64_t seed; /* of the jitter: so that two jobs, or hosts, differ */
    unsigned retries, group;
    bool catch_up;
    struct schedule_memory memory;
    /* where it is */
    enum schedule_state state;
    int64_t due_us;        /* pending, running: the time it is for */
    int64_t not_before_us; /* pending */
    int64_t next_us;       /* the due time that comes next; INT64_MAX: none */
};

enum schedule_outcome {
    SCHEDULE_DONE,
    SCHEDULE_FAILED,
    SCHEDULE_BROKEN,      /* the configuration cannot be used: tried again until it can */
    SCHEDULE_INTERRUPTED, /* stopped from outside, or nobody knows: tried again once at least */
    SCHEDULE_LATER,       /* it could not begin: asked again soon */
    SCHEDULE_SETTLED,     /* nothing to be done here: another host does it */
};

/* What a person may want to know, told by the calls below. */
enum schedule_event {
    SCHEDULE_MISSED,     /* number: due times that passed and are made up for by one run */
    SCHEDULE_DROPPED,    /* number: the due time, too late without catch_up */
    SCHEDULE_CLOCK_BACK, /* number: the time that was taken for a mistake */
    SCHEDULE_RETRY,      /* number: when it is tried again */
    SCHEDULE_GIVEN_UP,   /* number: failures */
};
struct schedule_told {
    void (*tell)(void *ctx, const struct schedule_job *j, enum schedule_event what, int64_t number);
    void *ctx;
};

/* A job never seen before begins now; one that was, where its memory says. running: its last run is
 * known to be still under way. told by schedule_end() what a run without an end leads to. */
void schedule_first(struct schedule_job *j, int64_t now_us);
void schedule_recall(struct schedule_job *j, const struct schedule_memory *m, bool running,
                     int64_t now_us, const struct schedule_told *told);

/* Takes note of the time: due times become pending. True: the memory changed. */
bool schedule_tick(struct schedule_job *j, int64_t now_us, const struct schedule_told *told);

/* The job that is to be started now; NULL: none. Then schedule_start(), save, start it. */
struct schedule_job *schedule_pick(struct schedule_job *jobs, size_t n, int64_t now_us);
void schedule_start(struct schedule_job *j);
void schedule_end(struct schedule_job *j, enum schedule_outcome outcome, int64_t now_us,
                  const struct schedule_told *told);

/* When there is something to do next, if nothing happens before; INT64_MAX: never. */
int64_t schedule_wake(const struct schedule_job *jobs, size_t n, int64_t now_us);

/* How long after its due time this job starts. */
int64_t schedule_jitter(const struct schedule_job *j, int64_t due_us);

#endif
