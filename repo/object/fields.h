/*
 * fields.h - the bodies of small objects: `uv tag, uv length, bytes`, tags ascending. Odd tags are
 * critical: a reader that does not know one refuses the whole; even ones may be ignored.
 *
 * Some bodies end in a MAC: a field of 32 bytes, HMAC-SHA-256 over purpose || 0 || all bytes before
 * that field.
 */
#ifndef PGBR_REPO_OBJECT_FIELDS_H
#define PGBR_REPO_OBJECT_FIELDS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { FIELDS_TAG_MAX = 255 };

void field_bytes(struct buf *b, unsigned tag, const void *data, size_t len);
void field_text(struct buf *b, unsigned tag, const char *text);
void field_uv(struct buf *b, unsigned tag, uint64_t value);  /* as a varint */
void field_u64(struct buf *b, unsigned tag, uint64_t value); /* 8 bytes */

struct field {
    unsigned tag;
    const uint8_t *p;
    size_t len;
};
struct fields {
    struct cursor in;
    const char *what; /* for messages; borrowed */
    unsigned last;
    uint8_t seen[FIELDS_TAG_MAX / 8 + 1];
};
void fields_begin(struct fields *f, const void *data, size_t len, const char *what);
/* 1 and a field, 0 at the end, -1 ERR_CORRUPT (tags must ascend). */
int fields_next(struct fields *f, struct field *out, struct err *err) MUST_CHECK;
/* What to do with a tag that is not known: 0, or ERR_UNSUPPORTED for a critical one. */
int field_unknown(const struct field *f, const char *what, struct err *err) MUST_CHECK;
/* ERR_CORRUPT when one of the tags was not there. */
int fields_need(const struct fields *f, const unsigned *tags, size_t n, struct err *err) MUST_CHECK;

struct mac_fields {
    const uint8_t *body; /* the fields before the MAC */
    size_t body_len;
    const uint8_t *tag; /* 32 bytes, or NULL: there is none */
};
/* Finds the MAC, which must be the last field. */
int mac_fields_split(const void *data, size_t len, unsigned tag, const char *what,
                     struct mac_fields *out, struct err *err) MUST_CHECK;
int mac_fields_add(struct buf *body, unsigned tag, const uint8_t key[32], const char *purpose,
                   struct err *err) MUST_CHECK;
/* ERR_KEY when it does not fit: another key, or altered bytes; nobody can tell which. */
int mac_fields_check(const struct mac_fields *m, const uint8_t key[32], const char *purpose,
                     const char *what, struct err *err) MUST_CHECK;

#endif
