/*
 * s3_request.c - one call of the store: signed, sent, judged, repeated.
 *
 * What can be mended at once is, one time for each call: a clock that differs, keys that were
 * renewed, another region. What passes is repeated after a pause, from the third attempt on over a
 * new connection.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/store/s3_form.h"

enum {
    FIRST_CONTACT_S = 30, /* how long to try a store that never answered: it may be a wrong name */
    PAUSE_FIRST_MS = 100,
    PAUSE_MAX_MS = 20000,
    WARN_AT = 3, /* attempts; fewer are no news */
    FRESH_AT = 2,
    CHECKSUM_MIN = 1 << 20, /* bytes; below, the SHA-256 costs nothing */
    HEADERS_MAX = 10,
};

void s3_answer_free(struct s3_answer *a)
{
    http_answer_free(&a->http);
    s3_reply_free(&a->reply);
    a->uncertain = false;
}

void s3_keys_wipe(struct s3_keys *k)
{
    char **texts[] = {&k->key, &k->secret, &k->token};

    for (size_t i = 0; i < LENGTH(texts); i++) {
        if (*texts[i] != NULL)
            mem_wipe(*texts[i], strlen(*texts[i]));
        mem_free(texts[i]);
    }
}

/* ---- signing ---- */

/* A request in the making. */
struct draft {
    const struct s3_call *call;
    struct buf path, url, range, authorization;
    char payload[S3_HASH_TEXT], date[S3_DATE_TEXT];
    struct buf checksum, token;
    struct s3_pair headers[HEADERS_MAX];
    size_t n;
};

static void wipe_text(struct buf *b)
{
    if (b->p != NULL)
        mem_wipe(b->p, b->cap);
    buf_free(b);
}

static void draft_free(struct draft *d)
{
    buf_free(&d->path);
    buf_free(&d->url);
    buf_free(&d->range);
    buf_free(&d->checksum);
    buf_free(&d->authorization);
    wipe_text(&d->token);
}

static void add_header(struct draft *d, const char *name, const char *value)
{
    d->headers[d->n++] = (struct s3_pair){name, value};
}

static void make_url(const struct s3 *s, struct draft *d)
{
    const struct s3_call *c = d->call;

    buf_adds(&d->path, s->bucket_path);
    buf_addc(&d->path, '/');
    if (c->key != NULL)
        buf_addf(&d->path, "%s%s", s->prefix, c->key);
    buf_adds(&d->url, s->url);
    s3_encode(&d->url, buf_text(&d->path), true);
    if (c->n_query != 0) {
        buf_addc(&d->url, '?');
        s3_query(&d->url, c->query, c->n_query);
    }
    buf_text(&d->url);
}

/* The bytes of a large body are read once less when the store is known to verify a CRC, and the
 * request is covered by TLS. */
static void make_payload(struct s3 *s, struct draft *d)
{
    const struct s3_call *c = d->call;

    if (c->checksum != NULL) {
        buf_adds(&d->checksum, c->checksum);
    } else if (s->tls && c->body_len >= CHECKSUM_MIN && s3_prove_checksum(s)) {
        s3_crc32c(&d->checksum, c->body, c->body_len);
    }
    if (d->checksum.len != 0 && s->tls)
        snprintf(d->payload, sizeof d->payload, "UNSIGNED-PAYLOAD");
    else
        s3_hash(c->body_len != 0 ? c->body : "", c->body_len, d->payload);
}

static void make_range(struct draft *d)
{
    const struct http_part *p = d->call->part;

    if (p == NULL)
        return;
    if (p->from_end)
        buf_addf(&d->range, "bytes=-%zu", p->len);
    else
        buf_addf(&d->range, "bytes=%llu-%llu", (unsigned long long)p->offset,
                 (unsigned long long)(p->offset + p->len - 1));
}

/* What does not change between attempts. */
static void draft_make(struct s3 *s, const struct s3_call *c, struct draft *d)
{
    d->call = c;
    make_url(s, d);
    make_payload(s, d);
    make_range(d);
}

static void draft_sign(struct s3 *s, struct draft *d)
{
    const struct s3_call *c = d->call;
    struct s3_request_text text = {.method = c->method, .query = c->query, .n_query = c->n_query};
    struct s3_scope scope = {.service = "s3", .date = d->date};

    d->n = 0;
    pthread_mutex_lock(&s->lock);
    s3_date(clock_now_us() + s->clock_offset_us, d->date);
    wipe_text(&d->token);
    add_header(d, "host", s->host);
    add_header(d, "x-amz-content-sha256", d->payload);
    add_header(d, "x-amz-date", d->date);
    if (s->keys.token != NULL) {
        buf_adds(&d->token, s->keys.token);
        add_header(d, "x-amz-security-token", buf_text(&d->token));
    }
    if (d->range.len != 0)
        add_header(d, "range", buf_text(&d->range));
    if (d->checksum.len != 0)
        add_header(d, "x-amz-checksum-crc32c", buf_text(&d->checksum));
    if (c->content_md5 != NULL)
        add_header(d, "content-md5", c->content_md5);
    if (c->create_only)
        add_header(d, "if-none-match", "*");
    text.path = buf_text(&d->path);
    text.headers = d->headers;
    text.n_headers = d->n;
    text.payload = d->payload;
    scope.key = s->keys.key;
    scope.secret = s->keys.secret;
    scope.region = s->region;
    buf_clear(&d->authorization);
    s3_authorization(&d->authorization, &text, &scope);
    pthread_mutex_unlock(&s->lock);
    add_header(d, "authorization", buf_text(&d->authorization));
}

/* ---- mending ---- */

static bool learn_clock(struct s3 *s, const struct s3_answer *a)
{
    int64_t offset = a->http.date_us - clock_now_us();

    if (a->http.date_us == 0)
        return false;
    pthread_mutex_lock(&s->lock);
    s->clock_offset_us = offset;
    pthread_mutex_unlock(&s->lock);
    log_warning("%s: this host's clock is %lld s %s the store's; requests are dated by the store's "
                "clock: synchronise this host's",
                s->store.where, llabs(offset / 1000000), offset > 0 ? "behind" : "ahead of");
    return true;
}

static bool same_text(const char *a, const char *b)
{
    return (a == NULL && b == NULL) || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* True: they are others than those that were refused. */
static bool renew_keys(struct s3 *s)
{
    AUTO(s3_keys_wipe) struct s3_keys fresh = {0};
    struct s3_keys old;
    struct err err = {0};
    bool other = false;

    pthread_mutex_lock(&s->lock);
    if (s->read_keys(s->keys_ctx, &fresh, &err) != 0)
        log_warning("%s: keys cannot be read again: %s", s->store.where, err.msg);
    else
        other = !same_text(fresh.key, s->keys.key) || !same_text(fresh.secret, s->keys.secret) ||
                !same_text(fresh.token, s->keys.token);
    if (other) {
        old = s->keys;
        s->keys = fresh;
        fresh = old;
    }
    pthread_mutex_unlock(&s->lock);
    if (other)
        log_info("%s: the store's keys were renewed", s->store.where);
    return other;
}

static bool change_region(struct s3 *s, const struct s3_answer *a)
{
    const char *region = a->reply.region[0] != '\0' ? a->reply.region : a->http.region;

    bool other;

    pthread_mutex_lock(&s->lock);
    other = strcmp(region, s->region) != 0;
    if (other) {
        log_warning("%s: the bucket is in region \"%s\", not \"%s\": set \"s3_region\"",
                    s->store.where, region, s->region);
        free(s->region);
        s->region = xstrdup(region);
    }
    pthread_mutex_unlock(&s->lock);
    return other;
}

static bool mend(struct s3 *s, enum s3_verdict verdict, const struct s3_answer *a)
{
    switch (verdict) {
    case S3_SKEWED:
        return learn_clock(s, a);
    case S3_EXPIRED:
        return renew_keys(s);
    case S3_REGION:
        return change_region(s, a);
    default:
        return false;
    }
}

/* ---- pauses ---- */

static unsigned random_below(unsigned limit)
{
    uint32_t v = 0;
    struct err ignored = {0};

    return crypt_random(&v, sizeof v, &ignored) == 0 ? v % limit : limit / 2;
}

/* False when it was cut short because the program is to stop. */
static bool pause_ms(const struct s3 *s, unsigned ms)
{
    for (unsigned done = 0; done < ms && !stop_wanted(s->stop); done += 100)
        clock_sleep_ms(MIN_OF(100U, ms - done));
    return !stop_wanted(s->stop);
}

bool s3_retry_wait(struct s3 *s, struct s3_retry *r, const struct s3_call *c, struct err *err)
{
    int64_t now = clock_monotonic_us(), left_ms;
    unsigned limit_s = atomic_load(&s->answered) ? s->deadline_s
                                                 : MIN_OF(s->deadline_s, (unsigned)FIRST_CONTACT_S);
    unsigned most = r->attempts < 8 ? PAUSE_FIRST_MS << r->attempts : PAUSE_MAX_MS;
    unsigned ms = 1 + random_below(MIN_OF(most, (unsigned)PAUSE_MAX_MS));

    if (r->begun_us == 0)
        r->begun_us = now;
    r->attempts++;
    left_ms = (r->begun_us - now) / 1000 + (int64_t)limit_s * 1000;
    if (left_ms <= (int64_t)ms || stop_wanted(s->stop)) {
        err_context(err, "gave up after %u attempts in %lld s", r->attempts,
                    (long long)(now - r->begun_us) / 1000000);
        return false;
    }
    if (r->attempts == WARN_AT)
        log_warning("%s: %s \"%s\" failed %u times and is tried again: %s", s->store.where,
                    c->method, c->key != NULL ? c->key : "", r->attempts, err->msg);
    else
        log_debug("%s: %s \"%s\", attempt %u: %s", s->store.where, c->method,
                  c->key != NULL ? c->key : "", r->attempts, err->msg);
    return pause_ms(s, ms);
}

/* ---- one call ---- */

/* An answer that should be XML and is not is judged by its status alone. */
static void read_reply(struct s3_answer *a)
{
    struct err ignored = {0};

    s3_reply_free(&a->reply);
    if (a->http.text.len != 0 &&
        s3_xml_parse(a->http.text.p, a->http.text.len, &a->reply, &ignored) != 0)
        s3_reply_free(&a->reply);
}

static enum s3_verdict attempt(struct s3 *s, struct draft *d, bool fresh, struct s3_answer *a,
                               struct err *err)
{
    struct http_request request = {.method = d->call->method,
                                   .url = d->url.p,
                                   .body = d->call->body,
                                   .body_len = d->call->body_len,
                                   .part = d->call->part,
                                   .fresh = fresh};
    int result;

    draft_sign(s, d);
    request.headers = d->headers;
    request.n_headers = d->n;
    s3_reply_free(&a->reply);
    s3_pace_enter(&s->pace);
    result = http_send(s->http, &request, &a->http, err);
    if (result == 0)
        read_reply(a);
    s3_pace_leave(&s->pace, result == 0 && s3_slows_down(a));
    if (result == 0) {
        if (a->reply.root != S3_ROOT_OTHER || a->http.status < 300)
            atomic_store(&s->answered, true);
        return s3_judge(s, d->call, a, err);
    }
    a->http.status = 0;
    return err->code == ERR_UNREACHABLE ? S3_AGAIN : S3_FAILED;
}

/* The operators of a store find a request by its id. */
static int failed(const struct s3 *s, const struct s3_answer *a, struct err *err)
{
    if (strstr(err->msg, "resolve host") != NULL && s->bucket_path[0] == '\0')
        err_context(err,
                    "the bucket is part of the host's name (\"s3_uri_style: path\" would put it "
                    "into the path)");
    if (a->http.request_id[0] != '\0' && err->code != ERR_NOT_FOUND && err->code != ERR_EXISTS)
        log_debug("%s: request id %s", s->store.where, a->http.request_id);
    return -1;
}

int s3_send(struct s3 *s, const struct s3_call *c, struct s3_answer *a, struct err *err)
{
    AUTO(draft_free) struct draft d = {0};
    struct s3_retry retry = {.begun_us = clock_monotonic_us()};
    unsigned mended = 0;

    s3_answer_free(a);
    draft_make(s, c, &d);
    for (;;) {
        enum s3_verdict verdict = attempt(s, &d, retry.attempts >= FRESH_AT, a, err);

        if (verdict == S3_FINE)
            return 0;
        if (verdict == S3_AGAIN) {
            a->uncertain = true;
            if (c->once || !s3_retry_wait(s, &retry, c, err))
                return failed(s, a, err);
        } else if ((mended & 1U << verdict) != 0 || !mend(s, verdict, a)) {
            return failed(s, a, err);
        }
        if (verdict != S3_AGAIN)
            mended |= 1U << verdict;
        err_clear(err);
    }
}
