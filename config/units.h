/*
 * units.h - yes and no, numbers, sizes and durations as people write them.
 *
 * Sizes: a whole number and a unit, B kB MB GB TB (powers of 1000) or KiB MiB GiB TiB (powers of
 * 1024), in any case, with or without a space; a bare number is bytes. Durations: ms, s, min, h or
 * d; the unit may be left out for 0 only, since nobody can tell what a bare number was meant to be.
 * Errors: ERR_CONFIG, with the text and examples of what is right.
 */
#ifndef PGBR_CONFIG_UNITS_H
#define PGBR_CONFIG_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

int units_bool(const char *text, bool *out, struct err *err) MUST_CHECK;
int units_number(const char *text, int64_t *out, struct err *err) MUST_CHECK;
int units_size(const char *text, uint64_t *bytes, struct err *err) MUST_CHECK;
int units_duration(const char *text, int64_t *ms, struct err *err) MUST_CHECK;

/* Shortest exact form, for messages: "32 MiB", "10 min". */
const char *units_format_size(uint64_t bytes, char out[32]);
const char *units_format_duration(int64_t ms, char out[32]);

/* The text with control characters as "?" and cut to fit: values go into messages and logs. */
const char *units_printable(const char *text, char out[80]);

#endif
