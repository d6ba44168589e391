/*
 * s3_delete.c - deleting: a thousand keys with one request, or one by one where the store does not
 * know DeleteObjects. Content-MD5 goes with it, because several stores accept no other checksum.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "repo/store/s3_form.h"

enum { BATCH = 1000, ROUNDS_MAX = 8 };

static int delete_one(struct s3 *s, const char *key, struct err *err)
{
    AUTO(s3_answer_free) struct s3_answer a = {0};
    const struct s3_call c = {.method = "DELETE", .key = key};

    if (s3_send(s, &c, &a, err) == 0)
        return 0;
    if (err->code != ERR_NOT_FOUND)
        return -1;
    err_clear(err);
    return 0;
}

/* Keys of a store need no escaping, but the prefix is a person's. */
static void add_escaped(struct buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("&<>\"'", *text) != NULL)
            buf_addf(b, "&#%d;", *text);
        else
            buf_addc(b, *text);
    }
}

static void format_batch(const struct s3 *s, const char *const *keys, size_t n, struct buf *b)
{
    buf_adds(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
                "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
    for (size_t i = 0; i < n; i++) {
        buf_adds(b, "<Object><Key>");
        add_escaped(b, s->prefix);
        add_escaped(b, keys[i]);
        buf_adds(b, "</Key></Object>");
    }
    buf_adds(b, "</Delete>");
}

static bool passes(const struct s3_refusal *f)
{
    return strcmp(f->code, "InternalError") == 0 || strcmp(f->code, "SlowDown") == 0 ||
           strcmp(f->code, "ServiceUnavailable") == 0 || strcmp(f->code, "OperationAborted") == 0;
}

/* The first key that was not deleted, and why. */
static int judge(const struct s3_reply *r, struct err *err)
{
    for (size_t i = 0; i < r->n_refusals; i++) {
        const struct s3_refusal *f = &r->refusals[i];
        enum err_code code = ERR_FAILED;

        if (strcmp(f->code, "NoSuchKey") == 0)
            continue;
        if (passes(f))
            code = ERR_UNREACHABLE;
        else if (strcmp(f->code, "AccessDenied") == 0)
            code = ERR_DENIED;
        return err_set(err, code, "\"%.200s\" was not deleted: %s: %s",
                       f->key != NULL ? f->key : "?", f->code, f->message);
    }
    return 0;
}

static int send_batch(struct s3 *s, const struct buf *body, const char *md5, struct err *err)
{
    AUTO(s3_answer_free) struct s3_answer a = {0};
    const struct s3_pair query[] = {{"delete", ""}};
    const struct s3_call c = {.method = "POST",
                              .query = query,
                              .n_query = 1,
                              .body = body->p,
                              .body_len = body->len,
                              .content_md5 = md5};

    TRY(s3_send(s, &c, &a, err));
    if (a.reply.root != S3_ROOT_DELETED)
        return err_set(err, ERR_UNSUPPORTED, "the answer does not say what was deleted");
    return judge(&a.reply, err);
}

static int delete_batch(struct s3 *s, const char *const *keys, size_t n, struct err *err)
{
    AUTO(buf_free) struct buf body = BUF_INIT;
    AUTO(buf_free) struct buf text = BUF_INIT;
    const struct s3_call c = {.method = "POST"};
    struct s3_retry retry = {0};
    uint8_t digest[16];

    format_batch(s, keys, n, &body);
    md5(body.p, body.len, digest);
    s3_base64(&text, digest, sizeof digest);
    /* Deleting again what is gone is fine, so a part that failed is asked for with the rest. */
    while (send_batch(s, &body, buf_text(&text), err) != 0) {
        if (err->code != ERR_UNREACHABLE || retry.attempts == ROUNDS_MAX ||
            !s3_retry_wait(s, &retry, &c, err))
            return -1;
        err_clear(err);
    }
    return 0;
}

static int delete_singly(struct s3 *s, const char *const *keys, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (delete_one(s, keys[i], err) != 0)
            return err_context(err, "\"%s\"", keys[i]);
    return 0;
}

static int delete_some(struct s3 *s, const char *const *keys, size_t n, struct err *err)
{
    if (n == 1 || atomic_load(&s->no_batch))
        return delete_singly(s, keys, n, err);
    if (delete_batch(s, keys, n, err) == 0)
        return 0;
    if (err->code != ERR_UNSUPPORTED)
        return -1;
    err_clear(err);
    atomic_store(&s->no_batch, true);
    return delete_singly(s, keys, n, err);
}

int s3_remove(struct store *store, const char *const *keys, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i += BATCH)
        TRY(delete_some(s3_of(store), keys + i, MIN_OF((size_t)BATCH, n - i), err));
    return 0;
}
