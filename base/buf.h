/*
 * buf.h - bytes that grow, and bytes that are read with care.
 *
 * struct buf builds text and binary formats; it cannot fail (out of memory ends the process).
 * struct cursor reads untrusted bytes: a read past the end gives zero and marks the cursor bad, so
 * a parser reads a whole structure and checks once. Integers are little-endian; "uv" is an unsigned
 * LEB128 varint of at most 10 bytes, "sv" the same of the zigzag value.
 */
#ifndef PGBR_BASE_BUF_H
#define PGBR_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/auto.h"

struct buf {
    char *p; /* NULL while nothing was added; text functions keep a NUL behind len */
    size_t len, cap;
};
#define BUF_INIT   \
    {              \
        NULL, 0, 0 \
    }

void buf_free(struct buf *b);
void buf_reserve(struct buf *b, size_t more); /* room for that many bytes behind len */
static inline void buf_clear(struct buf *b)   /* empty, but keep the memory */
{
    b->len = 0;
    if (b->p != NULL)
        b->p[0] = '\0';
}
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *text);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *
buf_text(struct buf *b);        /* NUL-terminated, "" when empty; valid until the next change */
char *buf_steal(struct buf *b); /* the text, now the caller's to free; the buf is empty */

void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_uv(struct buf *b, uint64_t v);
void buf_sv(struct buf *b, int64_t v);
void buf_blob(struct buf *b, const void *data, size_t len); /* uv length, bytes */
void buf_hex(struct buf *b, const void *data, size_t len);  /* lower-case hex digits */

struct cursor {
    const uint8_t *p, *end;
    bool bad; /* something did not fit; every later read gives zero */
};

static inline struct cursor cursor_of(const void *data, size_t len)
{
    const uint8_t *p = data;
    return (struct cursor){p, len != 0 ? p + len : p, false};
}
static inline size_t cur_left(const struct cursor *c)
{
    return (size_t)(c->end - c->p);
}
/* The next n bytes, still in the cursor's memory; NULL (and bad) when fewer are left. */
const uint8_t *cur_bytes(struct cursor *c, size_t n);
uint8_t cur_u8(struct cursor *c);
uint16_t cur_u16(struct cursor *c);
uint32_t cur_u32(struct cursor *c);
uint64_t cur_u64(struct cursor *c);
uint64_t cur_uv(struct cursor *c); /* more than 64 bits: bad */
int64_t cur_sv(struct cursor *c);
/* A varint that must not exceed max (a count, a length): otherwise bad and 0. */
uint64_t cur_uv_max(struct cursor *c, uint64_t max);
/* uv length and that many bytes; *len is set. */
const uint8_t *cur_blob(struct cursor *c, size_t *len);
/* The same as a new NUL-terminated string (caller frees); a NUL inside or more than max: bad, NULL.
 */
char *cur_text(struct cursor *c, size_t max);
/* True when all was read and nothing was bad. */
static inline bool cur_done(const struct cursor *c)
{
    return !c->bad && c->p == c->end;
}

/* Integers at any address. */
static inline uint16_t get_u16(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t get_u32(const void *p)
{
    const uint8_t *b = p;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t get_u64(const void *p)
{
    return get_u32(p) | (uint64_t)get_u32((const uint8_t *)p + 4) << 32;
}
static inline void put_u16(void *p, uint16_t v)
{
    uint8_t *b = p;
    b[0] = (uint8_t)v;
    b[1] = (uint8_t)(v >> 8);
}
static inline void put_u32(void *p, uint32_t v)
{
    put_u16(p, (uint16_t)v);
    put_u16((uint8_t *)p + 2, (uint16_t)(v >> 16));
}
static inline void put_u64(void *p, uint64_t v)
{
    put_u32(p, (uint32_t)v);
    put_u32((uint8_t *)p + 4, (uint32_t)(v >> 32));
}
#endif
