/*
 * json.h - writing JSON straight into a buffer. (Reading is jansson's, where it is needed.)
 *
 * The writer keeps track of commas and nesting. Text that is not valid UTF-8 is written with U+FFFD
 * for each bad byte. Integers are exact to 64 bits.
 */
#ifndef PGBR_BASE_JSON_H
#define PGBR_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { JSON_DEPTH_MAX = 30 };

struct json {
    struct buf *out;
    bool pretty;      /* two spaces per level, one value a line */
    unsigned depth;   /* at most JSON_DEPTH_MAX */
    uint32_t started; /* bit per level: a value was already written there */
};
/* None of these names may be one of jansson's (json_null, json_real, ...), which would then call
 * ours. */
void json_begin(struct json *j, struct buf *out, bool pretty);
void json_open(struct json *j, const char *key,
               char bracket);                  /* '{' or '['; key NULL inside an array */
void json_close(struct json *j, char bracket); /* '}' or ']' */
void json_text(struct json *j, const char *key, const char *value); /* NULL value: null */
void json_uint(struct json *j, const char *key, uint64_t value);
void json_int(struct json *j, const char *key, int64_t value);
void json_double(struct json *j, const char *key, double value);
void json_bool(struct json *j, const char *key, bool value);
void json_none(struct json *j, const char *key);
void json_time(struct json *j, const char *key, int64_t us); /* ISO 8601 UTC text; 0: null */
/* The escaped text without quotes. */
void json_escape(struct buf *out, const char *text, size_t len);

#endif
