/* schedule.c - see schedule.h. */
#include "scheduler/jobs/schedule.h"

#include "base/hash.h"

enum { US = 1000000 };

static void tell(const struct schedule_told *told, const struct schedule_job *j,
                 enum schedule_event what, int64_t number)
{
    if (told != NULL && told->tell != NULL)
        told->tell(told->ctx, j, what, number);
}

/* The same again after a restart, so that no due time gets a second chance to be early. */
int64_t schedule_jitter(const struct schedule_job *j, int64_t due_us)
{
    uint64_t of[2] = {j->seed, (uint64_t)due_us};

    if (j->jitter_us <= 0)
        return 0;
    return (int64_t)(hash64(of, sizeof of) % ((uint64_t)j->jitter_us + 1));
}

/* ---- due times ---- */

static int64_t seconds_of(int64_t us)
{
    return us >= 0 ? us / US : -((-us + US - 1) / US);
}

static void find_next(struct schedule_job *j, int64_t after_us)
{
    int64_t next = cron_next(&j->cron, j->zone, seconds_of(after_us));

    j->next_us = next == CRON_NEVER ? INT64_MAX : next * US;
}

static int64_t taken_up(const struct schedule_job *j)
{
    return j->state == SCHEDULE_IDLE ? j->memory.due_us : MAX_OF(j->due_us, j->memory.due_us);
}

static void become_pending(struct schedule_job *j, int64_t due_us, int64_t not_before_us)
{
    j->state = SCHEDULE_PENDING;
    j->due_us = due_us;
    j->not_before_us = not_before_us;
}

/* A clock that ran far ahead and was set right: what it showed does not count. */
static bool forget_future(struct schedule_job *j, int64_t now_us, const struct schedule_told *told)
{
    int64_t taken = taken_up(j);

    if (j->state == SCHEDULE_RUNNING || taken <= now_us + SCHEDULE_DAY_US)
        return false;
    tell(told, j, SCHEDULE_CLOCK_BACK, taken);
    if (j->state == SCHEDULE_PENDING && j->memory.open) { /* a retry: its run is still owed */
        become_pending(j, now_us, now_us);
        j->memory = (struct schedule_memory){now_us, true, now_us, j->memory.failures};
    } else {
        j->state = SCHEDULE_IDLE;
        j->memory = (struct schedule_memory){.due_us = now_us};
    }
    return true;
}

static void take_due(struct schedule_job *j, int64_t now_us, const struct schedule_told *told)
{
    int64_t after = taken_up(j);
    unsigned n;
    int64_t last = cron_last(&j->cron, j->zone, seconds_of(after), seconds_of(now_us), &n);

    if (last == CRON_NEVER)
        return;
    n -= j->state == SCHEDULE_IDLE;
    if (n > 0)
        tell(told, j, SCHEDULE_MISSED, n);
    last *= US;
    become_pending(j, last, last + schedule_jitter(j, last));
}

static bool drop_late(struct schedule_job *j, int64_t now_us, const struct schedule_told *told)
{
    bool tried = j->memory.open && j->memory.due_us == j->due_us;

    if (j->catch_up || tried || j->state != SCHEDULE_PENDING ||
        now_us <= j->due_us + schedule_jitter(j, j->due_us) + SCHEDULE_LATE_US)
        return false;
    tell(told, j, SCHEDULE_DROPPED, j->due_us);
    j->memory = (struct schedule_memory){.due_us = j->due_us};
    j->state = SCHEDULE_IDLE;
    return true;
}

bool schedule_tick(struct schedule_job *j, int64_t now_us, const struct schedule_told *told)
{
    bool changed = forget_future(j, now_us, told);

    if (j->state == SCHEDULE_RUNNING)
        return changed; /* what falls due meanwhile is found when it is over */
    if (j->state == SCHEDULE_PENDING && j->not_before_us > now_us + SCHEDULE_DAY_US)
        j->not_before_us = now_us; /* the clock was set back since */
    if (changed || now_us >= j->next_us) {
        take_due(j, now_us, told);
        find_next(j, MAX_OF(taken_up(j), now_us));
    }
    return drop_late(j, now_us, told) || changed;
}

/* ---- beginning ---- */

void schedule_first(struct schedule_job *j, int64_t now_us)
{
    j->memory = (struct schedule_memory){.due_us = now_us};
    j->state = SCHEDULE_IDLE;
    find_next(j, now_us);
}

void schedule_recall(struct schedule_job *j, const struct schedule_memory *m, bool running,
                     int64_t now_us, const struct schedule_told *told)
{
    j->memory = *m;
    j->state = SCHEDULE_IDLE;
    j->due_us = m->due_us;
    j->next_us = now_us; /* to be looked at by the next tick */
    if (!m->open)
        return;
    if (m->retry_us != 0 && !running) {
        become_pending(j, m->due_us, m->retry_us);
        return;
    }
    j->state = SCHEDULE_RUNNING;
    if (!running)
        schedule_end(j, SCHEDULE_INTERRUPTED, now_us, told);
}

/* ---- running ---- */

static bool is_group_free(const struct schedule_job *jobs, size_t n, unsigned group)
{
    for (size_t i = 0; i < n; i++)
        if (jobs[i].state == SCHEDULE_RUNNING && jobs[i].group == group)
            return false;
    return true;
}

struct schedule_job *schedule_pick(struct schedule_job *jobs, size_t n, int64_t now_us)
{
    struct schedule_job *best = NULL;

    for (size_t i = 0; i < n; i++) {
        struct schedule_job *j = &jobs[i];

        if (j->state == SCHEDULE_PENDING && j->not_before_us <= now_us &&
            (best == NULL || j->due_us < best->due_us) && is_group_free(jobs, n, j->group))
            best = j;
    }
    return best;
}

void schedule_start(struct schedule_job *j)
{
    unsigned failures = j->memory.open && j->memory.due_us == j->due_us ? j->memory.failures : 0;

    j->memory = (struct schedule_memory){.due_us = j->due_us, .open = true, .failures = failures};
    j->state = SCHEDULE_RUNNING;
}

static void try_again(struct schedule_job *j, int64_t at_us)
{
    j->memory.open = true;
    j->memory.retry_us = at_us;
    become_pending(j, j->memory.due_us, at_us);
}

static void settle(struct schedule_job *j)
{
    j->memory = (struct schedule_memory){.due_us = j->memory.due_us};
    j->state = SCHEDULE_IDLE;
}

/* Twice as long after each failure. */
static int64_t back_off(const struct schedule_job *j)
{
    int64_t delay = MAX_OF(j->retry_delay_us, US);
    int64_t most = MAX_OF(delay, SCHEDULE_RETRY_MAX_US);

    for (unsigned i = 1; i < j->memory.failures && delay < most; i++)
        delay *= 2;
    return MIN_OF(delay, most);
}

/* The longer it waits already, the more seldom is it tried. */
static int64_t look_again(const struct schedule_job *j, int64_t now_us)
{
    int64_t delay = (now_us - j->memory.due_us) / 4;

    return MIN_OF(MAX_OF(delay, SCHEDULE_AGAIN_US), SCHEDULE_AGAIN_MAX_US);
}

static void end_badly(struct schedule_job *j, enum schedule_outcome outcome, int64_t now_us,
                      const struct schedule_told *told)
{
    bool interrupted = outcome == SCHEDULE_INTERRUPTED;
    unsigned allowed = interrupted ? MAX_OF(j->retries, 1U) : j->retries;

    j->memory.failures++;
    if (j->memory.failures > allowed && outcome != SCHEDULE_BROKEN) {
        tell(told, j, SCHEDULE_GIVEN_UP, j->memory.failures);
        settle(j);
        return;
    }
    try_again(j, interrupted ? now_us : now_us + back_off(j));
    tell(told, j, SCHEDULE_RETRY, j->not_before_us);
}

void schedule_end(struct schedule_job *j, enum schedule_outcome outcome, int64_t now_us,
                  const struct schedule_told *told)
{
    switch (outcome) {
    case SCHEDULE_DONE:
    case SCHEDULE_SETTLED:
        settle(j);
        break;
    case SCHEDULE_LATER:
        try_again(j, now_us + look_again(j, now_us));
        break;
    default:
        end_badly(j, outcome, now_us, told);
    }
    j->next_us = now_us; /* the next tick looks at what fell due meanwhile */
}

/* ---- waiting ---- */

int64_t schedule_wake(const struct schedule_job *jobs, size_t n, int64_t now_us)
{
    int64_t at = INT64_MAX;

    for (size_t i = 0; i < n; i++) {
        const struct schedule_job *j = &jobs[i];

        if (j->state != SCHEDULE_RUNNING)
            at = MIN_OF(at, j->next_us);
        if (j->state == SCHEDULE_PENDING && j->not_before_us > now_us)
            at = MIN_OF(at, j->not_before_us);
    }
    return at;
}
