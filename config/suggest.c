/* suggest.c - optimal string alignment distance over short words. See suggest.h. */
#include "config/suggest.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"

enum { WORD_MAX = 63 }; /* longer words are nobody's typing mistake */

struct suggestion suggest_for(const char *wanted)
{
    return (struct suggestion){.wanted = wanted, .distance = UINT_MAX};
}

static char plain(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    return MIN_OF(a, MIN_OF(b, c));
}

static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
    unsigned row[3][WORD_MAX + 1]; /* the last three rows of the table */

    for (size_t j = 0; j <= m; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *now = row[i % 3], *above = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            bool same = plain(a[i - 1]) == plain(b[j - 1]);
            now[j] = least(above[j] + 1, now[j - 1] + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && plain(a[i - 1]) == plain(b[j - 2]) &&
                plain(a[i - 2]) == plain(b[j - 1]))
                now[j] = MIN_OF(now[j], before[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

void suggest_offer(struct suggestion *s, const char *candidate)
{
    const char *wanted = s->wanted;
    size_t n, m = strlen(candidate);
    unsigned d;

    if (strncmp(wanted, "repo1", 5) == 0 && (wanted[5] == '-' || wanted[5] == '_'))
        wanted += 6;
    n = strlen(wanted);
    if (n == 0 || n > WORD_MAX || m > WORD_MAX)
        return;
    d = distance(wanted, n, candidate, m);
    if (d >= n || d > MIN_OF(1 + n / 4, 3u) || d >= s->distance)
        return;
    s->distance = d;
    s->best = candidate;
}

const char *suggest_text(const struct suggestion *s, char out[112])
{
    out[0] = '\0';
    if (s->best != NULL)
        snprintf(out, 112, " (did you mean \"%.64s\"?)", s->best);
    return out;
}
