/* s3_sign.c - see s3_sign.h. */
#include "repo/store/s3_sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/crypt.h"
#include "base/hash.h"
#include "base/mem.h"

static bool unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void s3_encode(struct buf *out, const char *text, bool is_path)
{
    for (; *text != '\0'; text++) {
        if (unreserved(*text) || (is_path && *text == '/'))
            buf_addc(out, *text);
        else
            buf_addf(out, "%%%02X", (unsigned char)*text);
    }
}

static int by_name(const void *a, const void *b)
{
    const struct s3_pair *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order != 0 ? order : strcmp(x->value, y->value);
}

/* A sorted copy, the caller's to free. */
static struct s3_pair *sorted(const struct s3_pair *pairs, size_t n)
{
    struct s3_pair *copy = xcalloc(n + 1, sizeof *copy);

    if (n != 0)
        memcpy(copy, pairs, n * sizeof *copy);
    qsort(copy, n, sizeof *copy, by_name);
    return copy;
}

/* Names are such that sorting them before or after encoding is the same. */
void s3_query(struct buf *out, const struct s3_pair *query, size_t n)
{
    AUTO(mem_free) struct s3_pair *pairs = sorted(query, n);

    for (size_t i = 0; i < n; i++) {
        if (i != 0)
            buf_addc(out, '&');
        s3_encode(out, pairs[i].name, false);
        buf_addc(out, '=');
        s3_encode(out, pairs[i].value, false);
    }
}

void s3_date(int64_t us, char out[S3_DATE_TEXT])
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(out, S3_DATE_TEXT, "%Y%m%dT%H%M%SZ", &tm);
}

static void to_hex(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void s3_hash(const void *data, size_t len, char out[S3_HASH_TEXT])
{
    uint8_t digest[32];

    sha256(data, len, digest);
    to_hex(digest, sizeof digest, out);
}

void s3_base64(struct buf *out, const void *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16;

        if (i + 1 < len)
            v |= (uint32_t)p[i + 1] << 8;
        if (i + 2 < len)
            v |= p[i + 2];
        buf_addc(out, digits[v >> 18]);
        buf_addc(out, digits[v >> 12 & 63]);
        buf_addc(out, i + 1 < len ? digits[v >> 6 & 63] : '=');
        buf_addc(out, i + 2 < len ? digits[v & 63] : '=');
    }
}

void s3_crc32c(struct buf *out, const void *data, size_t len)
{
    uint32_t crc = crc32c(0, data, len);
    const uint8_t bytes[] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
                             (uint8_t)crc};

    s3_base64(out, bytes, sizeof bytes);
}

/* Without spaces around it; runs of them inside count as one. */
static void add_trimmed(struct buf *out, const char *value)
{
    bool space = false, begun = false;

    for (; *value != '\0'; value++) {
        if (*value == ' ' || *value == '\t') {
            space = true;
            continue;
        }
        if (space && begun)
            buf_addc(out, ' ');
        buf_addc(out, *value);
        space = false;
        begun = true;
    }
}

static void add_names(struct buf *out, const struct s3_pair *headers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%s%s", i != 0 ? ";" : "", headers[i].name);
}

void s3_canonical(struct buf *out, const struct s3_request_text *r)
{
    AUTO(mem_free) struct s3_pair *headers = sorted(r->headers, r->n_headers);

    buf_addf(out, "%s\n", r->method);
    s3_encode(out, r->path, true);
    buf_addc(out, '\n');
    s3_query(out, r->query, r->n_query);
    buf_addc(out, '\n');
    for (size_t i = 0; i < r->n_headers; i++) {
        buf_addf(out, "%s:", headers[i].name);
        add_trimmed(out, headers[i].value);
        buf_addc(out, '\n');
    }
    buf_addc(out, '\n');
    add_names(out, headers, r->n_headers);
    buf_addf(out, "\n%s", r->payload);
}

/* crypt_hmac() has nothing that could fail. */
static void hmac(const void *key, size_t key_len, const char *text, size_t len, uint8_t out[32])
{
    struct err ignored = {0};

    if (crypt_hmac(key, key_len, text, len, out, &ignored) != 0)
        abort();
}

static void signing_key(const struct s3_scope *s, uint8_t out[32])
{
    AUTO(mem_free) char *first = xasprintf("AWS4%s", s->secret);
    uint8_t a[32], b[32];

    hmac(first, strlen(first), s->date, 8, a);
    hmac(a, sizeof a, s->region, strlen(s->region), b);
    hmac(b, sizeof b, s->service, strlen(s->service), a);
    hmac(a, sizeof a, "aws4_request", 12, out);
    mem_wipe(first, strlen(first));
    mem_wipe(a, sizeof a);
    mem_wipe(b, sizeof b);
}

void s3_authorization(struct buf *out, const struct s3_request_text *r, const struct s3_scope *s)
{
    AUTO(buf_free) struct buf canonical = BUF_INIT;
    AUTO(buf_free) struct buf scope = BUF_INIT;
    AUTO(buf_free) struct buf text = BUF_INIT;
    AUTO(mem_free) struct s3_pair *headers = sorted(r->headers, r->n_headers);
    char hash[S3_HASH_TEXT], signature[S3_HASH_TEXT];
    uint8_t key[32], mac[32];

    s3_canonical(&canonical, r);
    s3_hash(canonical.p, canonical.len, hash);
    buf_addf(&scope, "%.8s/%s/%s/aws4_request", s->date, s->region, s->service);
    buf_addf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", s->date, buf_text(&scope), hash);
    signing_key(s, key);
    hmac(key, sizeof key, text.p, text.len, mac);
    mem_wipe(key, sizeof key);
    to_hex(mac, sizeof mac, signature);
    buf_addf(out, "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=", s->key, buf_text(&scope));
    add_names(out, headers, r->n_headers);
    buf_addf(out, ",Signature=%s", signature);
}
