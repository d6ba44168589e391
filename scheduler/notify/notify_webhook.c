/*
 * notify_webhook.c - a notification as one POST.
 *
 * The server is always verified. Nothing is redirected, no proxy is used, and nothing is read from
 * the environment or ~/.netrc: what is sent goes where the configuration says. What libcurl says of
 * an error names host and port only; where that is not certain, its own words are left out.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/curl.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/version.h"
#include "scheduler/notify/notify_send.h"

enum { HEADER_FILE_MAX = 64 << 10 };

struct post {
    const struct curl_lib *lib;
    CURL *h;
    struct curl_slist *headers; /* hold secrets */
    const struct notify_receiver *r;
    const struct stop *stop;
    struct notify_answer *answer;
    int64_t stop_seen_us; /* monotonic; 0: not yet */
    char message[CURL_ERROR_SIZE];
};

static void post_end(struct post *p)
{
    if (p->lib == NULL)
        return;
    if (p->h != NULL)
        p->lib->curl_easy_cleanup(p->h);
    for (struct curl_slist *s = p->headers; s != NULL; s = s->next)
        mem_wipe(s->data, strlen(s->data));
    p->lib->curl_slist_free_all(p->headers);
}

static size_t on_data(char *data, size_t size, size_t n, void *ctx)
{
    struct post *p = ctx;

    notify_keep(&p->answer->output, data, size * n);
    return size * n;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct post *p = ctx;

    (void)a, (void)b, (void)c, (void)d;
    if (!stop_wanted(p->stop))
        return 0;
    if (p->stop_seen_us == 0)
        p->stop_seen_us = clock_monotonic_us();
    return clock_monotonic_us() - p->stop_seen_us > NOTIFY_STOP_US;
}

/* Children started meanwhile, backups among them, shall not keep the connection. */
static int on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    (void)ctx, (void)purpose;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? CURL_SOCKOPT_ERROR : CURL_SOCKOPT_OK;
}

/* ---- headers ---- */

static void add_header(struct post *p, const char *line)
{
    p->headers = p->lib->curl_slist_append(p->headers, line);
}

static int add_token(struct post *p, struct err *err)
{
    AUTO(secret_free) char *token = xstrdup(p->r->token);
    AUTO(secret_free) char *line = NULL;

    if (token == NULL && p->r->token_file == NULL)
        return 0;
    if (token == NULL && config_read_secret(p->r->token_file, &token, err) != 0)
        return err_context(err, "\"token_file\"");
    if (strpbrk(token, "\r\n") != NULL)
        return err_set(err, ERR_KEY, "the token has more than one line");
    line = xasprintf("Authorization: Bearer %s", token);
    add_header(p, line);
    return 0;
}

/* "Name: value", a line each; empty lines and those with "#" are left out. */
static int add_header_file(struct post *p, struct err *err)
{
    AUTO(secret_free) char *text = NULL;
    unsigned number = 0;

    if (p->r->header_file == NULL)
        return 0;
    if (config_read_secret(p->r->header_file, &text, err) != 0)
        return err_context(err, "\"header_file\"");
    for (char *line = text, *next; line != NULL; line = next) {
        size_t len = strcspn(line, "\r\n");

        number++;
        next = strchr(line, '\n');
        if (next != NULL)
            next++;
        line[len] = '\0';
        if (len == 0 || line[0] == '#')
            continue;
        if (strchr(line, ':') == NULL || line[0] == ':' ||
            strcspn(line, " \t") < strcspn(line, ":"))
            return err_set(err, ERR_CONFIG, "line %u of \"%s\" is no header (\"Name: value\")",
                           number, p->r->header_file);
        add_header(p, line);
    }
    return 0;
}

/* ---- the request ---- */

#define SET(option, value) p->lib->curl_easy_setopt(p->h, option, value)

static void set_connection(struct post *p, const char *url)
{
    SET(CURLOPT_URL, url);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_TIMEOUT_MS, (long)p->r->timeout_ms);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (p->r->ca_file != NULL) { /* the only one that is trusted then */
        SET(CURLOPT_CAINFO, p->r->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    SET(CURLOPT_USERAGENT, "pgbr/" PGBR_VERSION);
    SET(CURLOPT_ERRORBUFFER, p->message);
    SET(CURLOPT_WRITEFUNCTION, on_data);
    SET(CURLOPT_WRITEDATA, p);
    SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, p);
}

static void set_body(struct post *p, const struct buf *body)
{
    SET(CURLOPT_HTTPHEADER, p->headers);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    SET(CURLOPT_POSTFIELDS, body->p);
}

static int judge(const struct post *p, CURLcode code, const char *host, struct err *err)
{
    const char *what = p->message[0] != '\0' ? p->message : p->lib->curl_easy_strerror(code);

    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_ABORTED_BY_CALLBACK:
        return err_set(err, ERR_INTERRUPTED, "interrupted");
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, ERR_UNREACHABLE, "%s has not answered within %lld s (\"timeout\")",
                       host, (long long)(p->r->timeout_ms / 1000));
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return err_set(err, ERR_FAILED,
                       "the certificate of %s is refused: %s (a private authority is named with "
                       "\"ca_file\")",
                       host, what);
    case CURLE_SSL_CACERT_BADFILE:
        return err_set(err, ERR_CONFIG, "\"ca_file\" \"%s\" cannot be used", p->r->ca_file);
    case CURLE_URL_MALFORMAT: /* libcurl might quote it */
    case CURLE_UNSUPPORTED_PROTOCOL:
        return err_set(err, ERR_CONFIG, "libcurl cannot use this URL (of %s)", host);
    default:
        return err_set(err, ERR_UNREACHABLE, "%s: %s", host, what);
    }
}

static int perform(struct post *p, const char *host, struct err *err)
{
    CURLcode code = p->lib->curl_easy_perform(p->h);
    long status = 0;

    TRY(judge(p, code, host, err));
    p->lib->curl_easy_getinfo(p->h, CURLINFO_RESPONSE_CODE, &status);
    p->answer->status = (int)status;
    if (status >= 200 && status < 300)
        return 0;
    return err_set(err, status >= 500 || status == 429 ? ERR_UNREACHABLE : ERR_FAILED,
                   "%s answered %ld, not 2xx", host, status);
}

int notify_webhook(const struct notify_receiver *r, const struct notify_message *m,
                   const struct stop *stop, struct notify_answer *a, struct err *err)
{
    AUTO(buf_free) struct buf body = BUF_INIT;
    AUTO(secret_free) char *url = NULL;
    AUTO(post_end) struct post post = {.r = r, .stop = stop, .answer = a};
    struct post *p = &post;
    char host[128];

    TRY(notify_url(r, &url, err));
    TRY(curl_load(&p->lib, err));
    p->h = p->lib->curl_easy_init();
    if (p->h == NULL)
        return err_set(err, ERR_FAILED, "libcurl cannot make a handle");
    add_header(p, "Content-Type: application/json");
    add_header(p, "Expect:");
    TRY(add_token(p, err));
    TRY(add_header_file(p, err));
    notify_body(m, &body);
    notify_url_shown(url, host);
    set_connection(p, url);
    set_body(p, &body);
    return perform(p, host, err);
}
