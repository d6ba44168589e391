/* clock.c - see clock.h. */
#include "scheduler/jobs/clock.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"

/* A number up to the separator, which is passed. */
static bool read_number(const char **text, char separator, double min, double max, double *out)
{
    char *end;

    *out = strtod(*text, &end);
    if (end == *text || *end != separator || !(*out >= min && *out <= max))
        return false;
    *text = end + 1;
    return true;
}

int sched_clock_open(struct sched_clock *c, struct err *err)
{
    const double last = 1e11, slowest = 0.01, fastest = 1e6, us = 1e6;
    const char *text = getenv("PGBR_TEST_CLOCK"), *p = text;
    double start, factor, real;

    *c = (struct sched_clock){.factor = 1};
    if (text == NULL || *text == '\0')
        return 0;
    if (!read_number(&p, ':', 0, last, &start) ||
        !read_number(&p, ':', slowest, fastest, &factor) || !read_number(&p, '\0', 0, last, &real))
        return err_set(err, ERR_USAGE,
                       "PGBR_TEST_CLOCK=\"%.60s\" is not <start>:<factor>:<real start>; unset it: "
                       "it is for tests only",
                       text);
    *c = (struct sched_clock){(int64_t)(start * us), (int64_t)(real * us), factor};
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
