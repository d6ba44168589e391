/* expected.c - see expected.h. */
#include "wal/reach/expected.h"

#include <stdlib.h>
#include <string.h>

enum {
    REPLAY_TELLS = 64 << 20, /* bytes: with less, what was measured is the start of the server */
    REPLAY_SURE = 4,         /* times of what was replayed */
};

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return a < b ? -1 : a > b;
}

static double median(double *values, unsigned n)
{
    if (n == 0)
        return 0;
    qsort(values, n, sizeof *values, by_value);
    return n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static bool tells(const struct catalog_drill *d)
{
    return d->outcome != NULL && strcmp(d->outcome, "passed") == 0 && d->restored_bytes != 0 &&
           d->restored_us > d->started_us && d->recovered_us > d->restored_us;
}

void expected_learn(const struct catalog_drill *rows, size_t n, struct expected *out)
{
    double restore[EXPECTED_DRILLS], start[EXPECTED_DRILLS], replay[EXPECTED_DRILLS];
    unsigned n_start = 0, n_replay = 0;

    *out = (struct expected){0};
    for (size_t i = 0; i < n && out->drills < EXPECTED_DRILLS; i++) {
        const struct catalog_drill *d = &rows[i];
        double recovery_us = (double)(d->recovered_us - d->restored_us);

        if (!tells(d))
            continue;
        if (out->drills == 0)
            out->newest_us = d->started_us;
        restore[out->drills++] =
            (double)d->restored_bytes / ((double)(d->restored_us - d->started_us) / 1e6);
        out->most_replayed = MAX_OF(out->most_replayed, d->replayed_bytes);
        if (d->replayed_bytes >= REPLAY_TELLS)
            replay[n_replay++] = (double)d->replayed_bytes / (recovery_us / 1e6);
        else
            start[n_start++] = recovery_us;
    }
    out->restore_rate = median(restore, out->drills);
    out->start_us = (int64_t)median(start, n_start);
    out->replay_rate = median(replay, n_replay);
}

int64_t expected_us(const struct expected *e, uint64_t bytes, uint64_t wal_bytes, bool *sure)
{
    double us;

    *sure = e->replay_rate > 0 || wal_bytes / REPLAY_SURE <= e->most_replayed;
    if (e->drills == 0 || e->restore_rate <= 0)
        return 0;
    us = (double)bytes / e->restore_rate * 1e6 + (double)e->start_us;
    if (e->replay_rate > 0)
        us += (double)wal_bytes / e->replay_rate * 1e6;
    return us < 9e18 ? (int64_t)us : INT64_MAX;
}
