/*
 * suggest.h - the known word that a mistyped one probably meant.
 *
 * Start with the word, offer every candidate, take the best. Letters left out, doubled, exchanged
 * or wrong count one each; "-" is "_", case does not matter, and a pgBackRest prefix ("repo1-") is
 * looked through. Too far away: nothing.
 */
#ifndef PGBR_CONFIG_SUGGEST_H
#define PGBR_CONFIG_SUGGEST_H

struct suggestion {
    const char *wanted;
    const char *best; /* NULL: nothing is near */
    unsigned distance;
};

struct suggestion suggest_for(const char *wanted);
void suggest_offer(struct suggestion *s, const char *candidate);

/* ' (did you mean "best"?)' or "". */
const char *suggest_text(const struct suggestion *s, char out[112]);

#endif
