/* fields.c - see fields.h. */
#include "repo/object/fields.h"

#include <string.h>

#include "base/crypt.h"

void field_bytes(struct buf *b, unsigned tag, const void *data, size_t len)
{
    buf_uv(b, tag);
    buf_blob(b, data, len);
}

void field_text(struct buf *b, unsigned tag, const char *text)
{
    field_bytes(b, tag, text, strlen(text));
}

void field_uv(struct buf *b, unsigned tag, uint64_t value)
{
    AUTO(buf_free) struct buf v = BUF_INIT;

    buf_uv(&v, value);
    field_bytes(b, tag, v.p, v.len);
}

void field_u64(struct buf *b, unsigned tag, uint64_t value)
{
    uint8_t bytes[8];

    put_u64(bytes, value);
    field_bytes(b, tag, bytes, sizeof bytes);
}

void fields_begin(struct fields *f, const void *data, size_t len, const char *what)
{
    *f = (struct fields){.in = cursor_of(data, len), .what = what};
}

int fields_next(struct fields *f, struct field *out, struct err *err)
{
    if (cur_done(&f->in))
        return 0;
    out->tag = (unsigned)cur_uv_max(&f->in, FIELDS_TAG_MAX);
    out->p = cur_blob(&f->in, &out->len);
    if (f->in.bad)
        return err_set(err, ERR_CORRUPT, "%s: field after tag %u is cut off", f->what, f->last);
    if (out->tag <= f->last)
        return err_set(err, ERR_CORRUPT, "%s: tag %u after tag %u, they must ascend", f->what,
                       out->tag, f->last);
    f->last = out->tag;
    f->seen[out->tag / 8] |= (uint8_t)(1u << out->tag % 8);
    return 1;
}

int field_unknown(const struct field *f, const char *what, struct err *err)
{
    if (f->tag % 2 == 0)
        return 0;
    return err_set(err, ERR_UNSUPPORTED, "%s: field %u is not known to this version of pgbr", what,
                   f->tag);
}

int fields_need(const struct fields *f, const unsigned *tags, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if ((f->seen[tags[i] / 8] & 1u << tags[i] % 8) == 0)
            return err_set(err, ERR_CORRUPT, "%s: field %u is missing", f->what, tags[i]);
    return 0;
}

int mac_fields_split(const void *data, size_t len, unsigned tag, const char *what,
                     struct mac_fields *out, struct err *err)
{
    struct fields in;
    struct field f;
    const uint8_t *before = data;
    int more;

    *out = (struct mac_fields){.body = data, .body_len = len};
    fields_begin(&in, data, len, what);
    while ((more = fields_next(&in, &f, err)) > 0) {
        if (f.tag == tag) {
            if (f.len != CRYPT_TAG || in.in.p != in.in.end)
                return err_set(err, ERR_CORRUPT, "%s: the MAC is not its last %d bytes", what,
                               CRYPT_TAG);
            out->tag = f.p;
            out->body_len = (size_t)(before - out->body);
        }
        before = in.in.p;
    }
    return more;
}

static int compute(const void *body, size_t len, const uint8_t key[32], const char *purpose,
                   uint8_t out[CRYPT_TAG], struct err *err)
{
    AUTO(buf_free) struct buf all = BUF_INIT;

    buf_add(&all, purpose, strlen(purpose) + 1);
    buf_add(&all, body, len);
    return crypt_hmac(key, CRYPT_KEY, all.p, all.len, out, err);
}

int mac_fields_add(struct buf *body, unsigned tag, const uint8_t key[32], const char *purpose,
                   struct err *err)
{
    uint8_t mac[CRYPT_TAG];

    TRY(compute(body->p, body->len, key, purpose, mac, err));
    field_bytes(body, tag, mac, sizeof mac);
    return 0;
}

int mac_fields_check(const struct mac_fields *m, const uint8_t key[32], const char *purpose,
                     const char *what, struct err *err)
{
    uint8_t mac[CRYPT_TAG];

    TRY(compute(m->body, m->body_len, key, purpose, mac, err));
    if (m->tag == NULL || !crypt_equal(mac, m->tag, sizeof mac))
        return err_set(err, ERR_KEY, "%s: its MAC does not fit: wrong key, or it was altered",
                       what);
    return 0;
}
