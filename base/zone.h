/*
 * zone.h - time zones: what the clocks of a place show at a moment, and the way back.
 *
 * Read from the tz database's compiled files (RFC 8536) and the POSIX TZ rules in their footers,
 * without the C library's process-wide zone: any thread may use any zone. Times are seconds since
 * 1970-01-01 00:00:00 UTC; "local" ones count the seconds that the wall clock shows.
 */
#ifndef PGBR_BASE_ZONE_H
#define PGBR_BASE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { ZONE_ABBREVIATION = 16, ZONE_TYPES_MAX = 256 };

struct zone_type {
    int32_t offset; /* seconds east of UTC */
    char name[ZONE_ABBREVIATION];
};

/* A day of each year and a time of that day, when the clocks change. */
struct zone_change {
    char kind; /* 'J' day 1-365 never counting Feb 29, 'D' day 0-365, 'M' month, week, weekday */
    int month, week, day;
    int32_t time; /* seconds after midnight, may be negative or more than a day */
};

struct zone_rule {
    bool has_dst;
    struct zone_type standard, dst;
    struct zone_change to_dst, to_standard;
};

struct zone {
    size_t n; /* transitions: from at[i] on, types[type[i]] holds */
    int64_t *at;
    uint8_t *type;
    size_t n_types;
    struct zone_type types[ZONE_TYPES_MAX]; /* [0] before the first transition */
    bool has_rule;                          /* after the last transition */
    struct zone_rule rule;
};
#define ZONE_INIT       \
    {                   \
        .n = 0, .at = 0 \
    }
void zone_free(struct zone *z);

/* A file of the tz database. Not one, or one with leap seconds: ERR_CORRUPT. */
int zone_parse_file(struct zone *z, const void *data, size_t len, struct err *err) MUST_CHECK;
/* A POSIX TZ string: "CET-1CEST,M3.5.0,M10.5.0/3". 0 or -1. */
int zone_parse_rule(struct zone_rule *rule, const char *text) MUST_CHECK;

/* By name ("Europe/Berlin"); NULL or "": the zone of this process, from TZ or /etc/localtime.
 * Unknown, or not a plain name: ERR_CONFIG. */
int zone_load(struct zone *z, const char *name, struct err *err) MUST_CHECK;

/* The type that holds at a moment. */
const struct zone_type *zone_at(const struct zone *z, int64_t seconds);

/*
 * The moments at which the wall clock shows local: one; none where the clocks skip it; two where it
 * is repeated. moments[] has it, or both in order; for a skipped one, the readings by the offset
 * after and before the change.
 */
enum zone_reading { ZONE_ONCE, ZONE_SKIPPED, ZONE_TWICE };
enum zone_reading zone_moments(const struct zone *z, int64_t local, int64_t moments[2]);

#endif
