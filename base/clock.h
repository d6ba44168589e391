/*
 * clock.h - moments as microseconds since 1970-01-01 00:00:00 UTC, and their text.
 *
 * PostgreSQL counts microseconds since 2000-01-01 (src/include/datatype/timestamp.h): see
 * PG_EPOCH_US.
 */
#ifndef PGBR_BASE_CLOCK_H
#define PGBR_BASE_CLOCK_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define PG_EPOCH_US INT64_C(946684800000000) /* 2000-01-01 in Unix microseconds */

int64_t clock_now_us(void);       /* wall clock */
int64_t clock_monotonic_us(void); /* for durations */
void clock_sleep_ms(unsigned ms);

/* "2026-11-22 14:05:33.12+00", as PostgreSQL writes and reads it: a fraction only where there is
 * one. ISO form, always of this length: "2026-11-22T14:05:33.120000Z". */
const char *clock_format_utc(int64_t us, char out[40]);
const char *clock_format_iso(int64_t us, char out[40]);
/* The clock of a place that many seconds east of UTC: "2026-11-22 19:35:33.12+05:30". */
const char *clock_format_offset(int64_t us, int32_t offset_s, char out[48]);
/* In a time zone named as in the tz database ("Europe/Berlin", or "" / NULL for the process's local
 * zone), with offset and zone name: "2026-11-22 15:05:33.12+01 (CET)". Unknown zone: ERR_CONFIG. */
int clock_format_zone(int64_t us, const char *zone, char out[80], struct err *err) MUST_CHECK;

/*
 * Parses what people type as a moment: "2026-11-22 14:05[:33[.120456]]", a "T" for the space, a
 * date alone (midnight), an offset ("Z", "UTC", "+01", "+01:00", "+0530") or a zone name behind it
 * ("Europe/Berlin"); without one, in the named zone (NULL: the process's local zone). A name in
 * parentheses behind an offset is a comment, so what the functions above and now() in psql print
 * can be given back. Digits of the fraction beyond microseconds are cut off. Local times that do
 * not exist or exist twice (daylight saving) are refused with both readings in the message. All of
 * that is ERR_USAGE; an unknown zone in the argument is ERR_CONFIG.
 */
int clock_parse(const char *text, const char *zone, int64_t *us, struct err *err) MUST_CHECK;

/* "00:12", "1:02:03", "3 d 04:05": a duration for people. */
const char *clock_format_duration(int64_t us, char out[40]);

/* "7.6 GB" (decimal units, three digits) for people. */
const char *format_bytes(uint64_t bytes, char out[24]);

#endif
