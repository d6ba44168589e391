/* s3_http.c - see s3_http.h. */
#include "repo/store/s3_http.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/curl.h"
#include "base/mem.h"
#include "base/version.h"
#include "repo/store/s3_xml.h"

enum {
    CONNECT_S = 10,
    STALL_S = 30,            /* without a byte; what lies in the socket's buffers counts as sent */
    STOP_GRACE_US = 5000000, /* a transfer goes on for so long when the program is to stop */
    HANDLES_MAX = 256,
};

struct http_pool {
    const struct curl_lib *lib;
    struct curl_slist *connect_to;
    char *ca_file, *ca_path;
    bool no_verify;
    unsigned timeout_s;
    const struct stop *stop;
    pthread_mutex_t lock; /* of the two below */
    CURL *idle[HANDLES_MAX];
    unsigned n_idle;
};

/* One request under way. */
struct exchange {
    struct http_pool *pool;
    const struct http_request *request;
    struct http_answer *answer;
    size_t sent;
    uint64_t skip; /* bytes of a 200 that come before the part */
    bool begun, enough;
    const char *refused; /* why the answer was not read to its end */
    int64_t stop_seen_us;
    char message[CURL_ERROR_SIZE];
};

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;

    http_header(x->answer, line, size * n);
    return size * n;
}

/* ---- bodies ---- */

static const char *begin_part(struct exchange *x)
{
    const struct http_part *p = x->request->part;
    struct http_answer *a = x->answer;
    uint64_t wanted = p->offset;

    x->begun = true;
    if (!a->has_size)
        return "it does not say how large the object is";
    if (p->from_end)
        wanted = a->size > p->len ? a->size - p->len : 0;
    if (a->status == 200)
        x->skip = wanted; /* the whole object came */
    else if (a->first != wanted)
        return "it is of another part of the object";
    return NULL;
}

/* Returns how many bytes were taken; fewer than len end the transfer. */
static size_t take_part(struct exchange *x, const char *data, size_t len)
{
    const struct http_part *p = x->request->part;
    struct http_answer *a = x->answer;
    size_t skipped, n;

    if (!x->begun && (x->refused = begin_part(x)) != NULL)
        return 0;
    skipped = (size_t)MIN_OF((uint64_t)len, x->skip);
    x->skip -= skipped;
    n = MIN_OF(len - skipped, p->len - a->got);
    if (n != 0)
        memcpy((char *)p->dst + a->got, data + skipped, n);
    a->got += n;
    if (skipped + n == len)
        return len;
    if (a->status == 206)
        x->refused = "it is longer than what was asked for";
    x->enough = a->status == 200;
    return 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    struct http_answer *a = x->answer;
    size_t len = size * n;

    if (x->request->part != NULL && (a->status == 200 || a->status == 206))
        return take_part(x, data, len);
    if (a->text.len + len > S3_XML_MAX) {
        x->refused = "it is longer than any answer should be";
        return 0;
    }
    buf_add(&a->text, data, len);
    return len;
}

static size_t on_read(char *to, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    size_t len = MIN_OF(size * n, x->request->body_len - x->sent);

    if (len != 0)
        memcpy(to, (const char *)x->request->body + x->sent, len);
    x->sent += len;
    return len;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct exchange *x = ctx;

    (void)a, (void)b, (void)c, (void)d;
    if (!stop_wanted(x->pool->stop))
        return 0;
    if (x->stop_seen_us == 0)
        x->stop_seen_us = clock_monotonic_us();
    return clock_monotonic_us() - x->stop_seen_us > STOP_GRACE_US;
}

/* ---- one request ---- */

static void set_connection(const struct http_pool *p, CURL *h, bool fresh)
{
    const struct curl_lib *lib = p->lib;

    lib->curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    lib->curl_easy_setopt(h, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    lib->curl_easy_setopt(h, CURLOPT_PROXY, "");
    lib->curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    lib->curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    lib->curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    lib->curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
    lib->curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    lib->curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
    lib->curl_easy_setopt(h, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
    lib->curl_easy_setopt(h, CURLOPT_BUFFERSIZE, 256L << 10);
    lib->curl_easy_setopt(h, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
    lib->curl_easy_setopt(h, CURLOPT_USERAGENT, "pgbr/" PGBR_VERSION);
    if (p->timeout_s != 0)
        lib->curl_easy_setopt(h, CURLOPT_TIMEOUT, (long)p->timeout_s);
    if (p->connect_to != NULL)
        lib->curl_easy_setopt(h, CURLOPT_CONNECT_TO, p->connect_to);
}

/* A CA that was named is the only one that is trusted. */
static void set_tls(const struct http_pool *p, CURL *h)
{
    const struct curl_lib *lib = p->lib;

    lib->curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    lib->curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, p->no_verify ? 0L : 1L);
    lib->curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, p->no_verify ? 0L : 2L);
    if (p->ca_file == NULL && p->ca_path == NULL)
        return;
    lib->curl_easy_setopt(h, CURLOPT_CAINFO, p->ca_file);
    lib->curl_easy_setopt(h, CURLOPT_CAPATH, p->ca_path);
}

static void set_callbacks(struct exchange *x, CURL *h)
{
    const struct curl_lib *lib = x->pool->lib;

    lib->curl_easy_setopt(h, CURLOPT_ERRORBUFFER, x->message);
    lib->curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    lib->curl_easy_setopt(h, CURLOPT_HEADERDATA, x);
    lib->curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_data);
    lib->curl_easy_setopt(h, CURLOPT_WRITEDATA, x);
    lib->curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    lib->curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
    lib->curl_easy_setopt(h, CURLOPT_XFERINFODATA, x);
}

/* There is no way to rewind, on purpose: when a kept connection breaks, libcurl would send the body
 * a second time without a word, and a PUT that took effect already would look like another's. */
static void set_request(struct exchange *x, CURL *h, struct curl_slist *headers)
{
    const struct curl_lib *lib = x->pool->lib;
    const struct http_request *r = x->request;

    lib->curl_easy_setopt(h, CURLOPT_URL, r->url);
    lib->curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    if (r->body != NULL) {
        lib->curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
        lib->curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body_len);
        lib->curl_easy_setopt(h, CURLOPT_READFUNCTION, on_read);
        lib->curl_easy_setopt(h, CURLOPT_READDATA, x);
    }
    if (strcmp(r->method, "HEAD") == 0)
        lib->curl_easy_setopt(h, CURLOPT_NOBODY, 1L); /* or it would wait for a body */
    lib->curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, r->method);
}

static struct curl_slist *header_list(const struct curl_lib *lib, const struct http_request *r)
{
    struct curl_slist *list = lib->curl_slist_append(NULL, "Expect:");

    for (size_t i = 0; i < r->n_headers; i++) {
        AUTO(mem_free) char *line = xasprintf("%s: %s", r->headers[i].name, r->headers[i].value);
        list = lib->curl_slist_append(list, line);
    }
    return list;
}

/* Certificates go wrong in few ways; each has its own cure. */
static int certificate(const struct exchange *x, struct err *err)
{
    static const struct {
        const char *part, *advice;
    } ways[] = {
        {"expired", "the server needs a new one, unless this host's clock is ahead"},
        {"not yet valid", "this host's clock is behind, or the server's certificate is too new"},
        {"subject name",
         "the server's certificate is for other names than \"s3_endpoint\"; in host "
         "style it must be for the bucket's too: see \"s3_uri_style\""},
        {"issuer", "a private authority is named with \"storage_ca_file\""},
        {"self", "a private authority is named with \"storage_ca_file\""},
    };
    const char *advice = "see \"storage_ca_file\"";

    for (size_t i = 0; i < LENGTH(ways); i++)
        if (strstr(x->message, ways[i].part) != NULL) {
            advice = ways[i].advice;
            break;
        }
    return err_set(err, ERR_FAILED, "the server's certificate is refused: %s (%s)", x->message,
                   advice);
}

static int judge(const struct exchange *x, CURLcode code, struct err *err)
{
    const char *what = x->message[0] != '\0' ? x->message : x->pool->lib->curl_easy_strerror(code);

    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && x->enough))
        return 0;
    if (x->refused != NULL)
        return err_set(err, ERR_FAILED, "the store's answer is refused: %s", x->refused);
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return certificate(x, err);
    case CURLE_SSL_CACERT_BADFILE:
        return err_set(err, ERR_CONFIG, "\"storage_ca_file\" or \"storage_ca_path\": %s", what);
    case CURLE_SSL_CONNECT_ERROR:
        if (strstr(what, "wrong version number") != NULL)
            return err_set(err, ERR_CONFIG,
                           "what listens there does not speak TLS: see "
                           "\"s3_endpoint\" and \"storage_port\" (%s)",
                           what);
        return err_set(err, ERR_UNREACHABLE, "%s", what);
    case CURLE_ABORTED_BY_CALLBACK:
        return err_set(err, ERR_INTERRUPTED, "interrupted during a transfer");
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_NOT_BUILT_IN:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_UNKNOWN_OPTION:
        return err_set(err, ERR_FAILED, "libcurl: %s", what);
    default:
        return err_set(err, ERR_UNREACHABLE, "%s", what);
    }
}

/* A 206 that ended early without libcurl's noticing it: no Content-Length came with it. */
static int check_part(const struct exchange *x, struct err *err)
{
    const struct http_part *p = x->request->part;
    const struct http_answer *a = x->answer;
    uint64_t first, expected;

    if (p == NULL || (a->status != 200 && a->status != 206))
        return 0;
    if (!a->has_size)
        return err_set(err, ERR_FAILED, "the store does not say how large the object is");
    first = p->from_end ? (a->size > p->len ? a->size - p->len : 0) : p->offset;
    expected = first < a->size ? MIN_OF((uint64_t)p->len, a->size - first) : 0;
    if (a->got == expected)
        return 0;
    return err_set(err, ERR_UNREACHABLE, "the answer ended after %zu of %llu bytes", a->got,
                   (unsigned long long)expected);
}

static int perform(struct exchange *x, CURL *h, struct err *err)
{
    struct curl_slist *headers = header_list(x->pool->lib, x->request);
    CURLcode code;

    x->pool->lib->curl_easy_reset(h);
    set_connection(x->pool, h, x->request->fresh);
    set_tls(x->pool, h);
    set_callbacks(x, h);
    set_request(x, h, headers);
    code = x->pool->lib->curl_easy_perform(h);
    x->pool->lib->curl_easy_setopt(h, CURLOPT_HTTPHEADER, NULL);
    x->pool->lib->curl_slist_free_all(headers);
    TRY(judge(x, code, err));
    return check_part(x, err);
}

/* ---- the pool ---- */

static CURL *take_handle(struct http_pool *p)
{
    CURL *h = NULL;

    pthread_mutex_lock(&p->lock);
    if (p->n_idle != 0)
        h = p->idle[--p->n_idle];
    pthread_mutex_unlock(&p->lock);
    return h != NULL ? h : p->lib->curl_easy_init();
}

static void give_handle(struct http_pool *p, CURL *h)
{
    pthread_mutex_lock(&p->lock);
    if (p->n_idle < HANDLES_MAX) {
        p->idle[p->n_idle++] = h;
        h = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    if (h != NULL)
        p->lib->curl_easy_cleanup(h);
}

int http_send(struct http_pool *pool, const struct http_request *r, struct http_answer *a,
              struct err *err)
{
    struct exchange x = {.pool = pool, .request = r, .answer = a};
    CURL *h = take_handle(pool);
    int result;

    if (h == NULL)
        return err_set(err, ERR_FAILED, "libcurl cannot make a handle");
    http_answer_free(a);
    result = perform(&x, h, err);
    give_handle(pool, h);
    return result;
}

int http_open(struct http_pool **out, const struct http_settings *settings, struct err *err)
{
    const struct curl_lib *lib;
    struct http_pool *p;

    if (curl_load(&lib, err) != 0)
        return err_context(err, "repositories of type \"s3\"");
    p = xcalloc(1, sizeof *p);
    p->lib = lib;
    p->ca_file = xstrdup(settings->ca_file);
    p->ca_path = xstrdup(settings->ca_path);
    p->no_verify = settings->no_verify;
    p->timeout_s = settings->timeout_s;
    p->stop = settings->stop;
    pthread_mutex_init(&p->lock, NULL);
    if (settings->connect_to != NULL) {
        AUTO(mem_free) char *all = xasprintf("::%s", settings->connect_to);
        p->connect_to = lib->curl_slist_append(NULL, all);
    }
    *out = p;
    return 0;
}

void http_close(struct http_pool **pool)
{
    struct http_pool *p = *pool;

    if (p == NULL)
        return;
    while (p->n_idle != 0)
        p->lib->curl_easy_cleanup(p->idle[--p->n_idle]);
    p->lib->curl_slist_free_all(p->connect_to);
    pthread_mutex_destroy(&p->lock);
    free(p->ca_file);
    free(p->ca_path);
    free(p);
    *pool = NULL;
}
