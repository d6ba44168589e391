/* buf.c - see buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf)BUF_INIT;
}

void buf_reserve(struct buf *b, size_t more)
{
    size_t want = b->len + more + 1; /* one for the NUL of text */

    if (want <= b->cap)
        return;
    if (want < b->cap + b->cap / 2)
        want = b->cap + b->cap / 2;
    if (want < 64)
        want = 64;
    b->p = xrealloc(b->p, want);
    b->cap = want;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    buf_reserve(b, len);
    if (len != 0)
        memcpy(b->p + b->len, data, len);
    b->len += len;
    b->p[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_addc(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list args, again;
    int n;

    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n > 0) {
        buf_reserve(b, (size_t)n);
        vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

const char *buf_text(struct buf *b)
{
    if (b->p == NULL)
        return "";
    b->p[b->len] = '\0';
    return b->p;
}

char *buf_steal(struct buf *b)
{
    char *text;

    buf_reserve(b, 0);
    b->p[b->len] = '\0';
    text = b->p;
    *b = (struct buf)BUF_INIT;
    return text;
}

void buf_u8(struct buf *b, uint8_t v)
{
    buf_add(b, &v, 1);
}

void buf_u16(struct buf *b, uint16_t v)
{
    uint8_t bytes[2];

    put_u16(bytes, v);
    buf_add(b, bytes, sizeof bytes);
}

void buf_u32(struct buf *b, uint32_t v)
{
    uint8_t bytes[4];

    put_u32(bytes, v);
    buf_add(b, bytes, sizeof bytes);
}

void buf_u64(struct buf *b, uint64_t v)
{
    uint8_t bytes[8];

    put_u64(bytes, v);
    buf_add(b, bytes, sizeof bytes);
}

void buf_uv(struct buf *b, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    buf_add(b, bytes, n);
}

void buf_sv(struct buf *b, int64_t v)
{
    buf_uv(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

void buf_blob(struct buf *b, const void *data, size_t len)
{
    buf_uv(b, len);
    buf_add(b, data, len);
}

void buf_hex(struct buf *b, const void *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++) {
        buf_addc(b, digits[p[i] >> 4]);
        buf_addc(b, digits[p[i] & 15]);
    }
}

const uint8_t *cur_bytes(struct cursor *c, size_t n)
{
    const uint8_t *p = c->p;

    if (c->bad || n > cur_left(c)) {
        c->bad = true;
        return NULL;
    }
    c->p += n;
    return p;
}

uint8_t cur_u8(struct cursor *c)
{
    const uint8_t *p = cur_bytes(c, 1);
    return p != NULL ? *p : 0;
}

uint16_t cur_u16(struct cursor *c)
{
    const uint8_t *p = cur_bytes(c, 2);
    return p != NULL ? get_u16(p) : 0;
}

uint32_t cur_u32(struct cursor *c)
{
    const uint8_t *p = cur_bytes(c, 4);
    return p != NULL ? get_u32(p) : 0;
}

uint64_t cur_u64(struct cursor *c)
{
    const uint8_t *p = cur_bytes(c, 8);
    return p != NULL ? get_u64(p) : 0;
}

uint64_t cur_uv(struct cursor *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = cur_u8(c);
        if (c->bad || (shift == 63 && byte > 1))
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    c->bad = true;
    return 0;
}

int64_t cur_sv(struct cursor *c)
{
    uint64_t v = cur_uv(c);
    return (int64_t)(v >> 1 ^ (~(v & 1) + 1));
}

uint64_t cur_uv_max(struct cursor *c, uint64_t max)
{
    uint64_t v = cur_uv(c);

    if (v > max)
        c->bad = true;
    return c->bad ? 0 : v;
}

const uint8_t *cur_blob(struct cursor *c, size_t *len)
{
    *len = (size_t)cur_uv_max(c, cur_left(c));
    return cur_bytes(c, *len);
}

char *cur_text(struct cursor *c, size_t max)
{
    size_t len;
    const uint8_t *p = cur_blob(c, &len);

    if (p == NULL)
        return NULL;
    if (len > max || memchr(p, '\0', len) != NULL) {
        c->bad = true;
        return NULL;
    }
    return xstrndup((const char *)p, len);
}
