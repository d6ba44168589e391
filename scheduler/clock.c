/* clock.c - see clock.h. */
#include "scheduler/clock.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

int sched_clock_open(struct sched_clock *c, struct err *err)
{
    const char *text = getenv("PGBR_TEST_CLOCK");
    double start, factor, real;
    char rest;

    *c = (struct sched_clock){.factor = 1};
    if (text == NULL || *text == '\0')
        return 0;
    if (sscanf(text, "%lf:%lf:%lf%c", &start, &factor, &real, &rest) != 3 || start < 0 ||
        start > 1e11 || real < 0 || real > 1e11 || !(factor >= 0.01 && factor <= 1e6))
        return err_set(err, ERR_USAGE,
                       "PGBR_TEST_CLOCK=\"%.60s\" is not <start>:<factor>:<real start>; unset it: "
                       "it is for tests only",
                       text);
    *c = (struct sched_clock){(int64_t)(start * 1e6), (int64_t)(real * 1e6), factor};
    return 0;
}

int64_t sched_from_real_us(const struct sched_clock *c, int64_t real_us)
{
    if (c->real_us == 0)
        return real_us;
    return c->start_us + (int64_t)((double)(real_us - c->real_us) * c->factor);
}

int64_t sched_to_real_us(const struct sched_clock *c, int64_t us)
{
    if (c->real_us == 0)
        return us;
    return c->real_us + (int64_t)((double)(us - c->start_us) / c->factor);
}

int64_t sched_now_us(const struct sched_clock *c)
{
    return sched_from_real_us(c, clock_now_us());
}

int64_t sched_wait_us(const struct sched_clock *c, int64_t duration_us)
{
    return c->real_us == 0 ? duration_us : (int64_t)((double)duration_us / c->factor);
}
