/* json.c - see json.h. */
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/utf8.h"

void json_begin(struct json *j, struct buf *out, bool pretty)
{
    *j = (struct json){.out = out, .pretty = pretty};
}

static void new_line(struct json *j)
{
    if (!j->pretty)
        return;
    buf_addc(j->out, '\n');
    for (unsigned i = 0; i < j->depth; i++)
        buf_adds(j->out, "  ");
}

static void add_quoted(struct buf *out, const char *text)
{
    buf_addc(out, '"');
    json_escape(out, text, strlen(text));
    buf_addc(out, '"');
}

/* What comes before a value: comma, line break, key. */
static void lead(struct json *j, const char *key)
{
    uint32_t bit = UINT32_C(1) << j->depth;

    if (j->started & bit)
        buf_addc(j->out, ',');
    j->started |= bit;
    if (j->depth != 0)
        new_line(j);
    if (key != NULL) {
        add_quoted(j->out, key);
        buf_adds(j->out, j->pretty ? ": " : ":");
    }
}

void json_open(struct json *j, const char *key, char bracket)
{
    assert(j->depth < JSON_DEPTH_MAX);
    lead(j, key);
    buf_addc(j->out, bracket);
    j->depth++;
    j->started &= ~(UINT32_C(1) << j->depth);
}

void json_close(struct json *j, char bracket)
{
    bool empty = (j->started & UINT32_C(1) << j->depth) == 0;

    assert(j->depth > 0);
    j->depth--;
    if (!empty)
        new_line(j);
    buf_addc(j->out, bracket);
    if (j->depth == 0 && j->pretty)
        buf_addc(j->out, '\n');
}

static void literal(struct json *j, const char *key, const char *text)
{
    lead(j, key);
    buf_adds(j->out, text);
}

void json_text(struct json *j, const char *key, const char *value)
{
    if (value == NULL) {
        json_none(j, key);
        return;
    }
    lead(j, key);
    add_quoted(j->out, value);
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
    lead(j, key);
    buf_addf(j->out, "%llu", (unsigned long long)value);
}

void json_int(struct json *j, const char *key, int64_t value)
{
    lead(j, key);
    buf_addf(j->out, "%lld", (long long)value);
}

/* The shortest of 15 to 17 digits that reads back the same. JSON has no infinity and no NaN. */
void json_double(struct json *j, const char *key, double value)
{
    char text[40] = "null";

    for (int digits = 15; isfinite(value) && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    literal(j, key, text);
}

void json_bool(struct json *j, const char *key, bool value)
{
    literal(j, key, value ? "true" : "false");
}

void json_none(struct json *j, const char *key)
{
    literal(j, key, "null");
}

void json_time(struct json *j, const char *key, int64_t us)
{
    char text[40];

    json_text(j, key, us != 0 ? clock_format_iso(us, text) : NULL);
}

/* True when the byte was one that JSON wants escaped. */
static bool escape_ascii(struct buf *out, uint8_t c)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";

    for (const char *pair = letters; *pair != '\0'; pair += 2)
        if (c == (uint8_t)*pair) {
            buf_addc(out, '\\');
            buf_addc(out, pair[1]);
            return true;
        }
    if (c >= 0x20 && c != 0x7f)
        return false;
    buf_addf(out, "\\u%04x", c);
    return true;
}

void json_escape(struct buf *out, const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text;

    for (size_t i = 0; i < len;) {
        size_t n = utf8_length(p + i, len - i);
        if (n == 0)
            buf_adds(out, "\xef\xbf\xbd"); /* U+FFFD */
        else if (n > 1 || !escape_ascii(out, p[i]))
            buf_add(out, p + i, n);
        i += n != 0 ? n : 1;
    }
}
