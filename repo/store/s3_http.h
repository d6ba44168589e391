/*
 * s3_http.h - one HTTP request, one answer, over connections that are kept.
 *
 * A pool holds libcurl's handles; a request takes the one that was used last, so that each of n
 * threads at work keeps a connection of its own. Nothing is retried here, nothing is redirected, no
 * proxy is used and nothing is read from the environment.
 */
#ifndef PGBR_REPO_STORE_S3_HTTP_H
#define PGBR_REPO_STORE_S3_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/queue.h"
#include "repo/store/s3_sign.h"

struct http_settings {      /* copied */
    const char *connect_to; /* "host:port" to connect to instead of the URL's; or NULL */
    const char *ca_file, *ca_path;
    bool no_verify;
    unsigned timeout_s;      /* for a whole request; 0: as long as something moves */
    const struct stop *stop; /* kept */
};

struct http_part {
    uint64_t offset; /* of the first byte that is wanted */
    bool from_end;   /* the last len bytes instead */
    size_t len;
    void *dst;
};

struct http_request {
    const char *method, *url;
    const struct s3_pair *headers;
    size_t n_headers;
    const void *body; /* NULL: none */
    size_t body_len;
    const struct http_part *part; /* what of a 200 or 206 answer is wanted; NULL: it is a text */
    bool fresh;                   /* over a new connection */
};

struct http_answer {
    long status;
    size_t got;     /* bytes put to part->dst */
    uint64_t size;  /* of the whole object, when has_size */
    uint64_t first; /* which byte of it came first */
    bool has_size;
    int64_t date_us, modified_us; /* headers Date and Last-Modified; 0: not there */
    char region[64];              /* x-amz-bucket-region */
    char request_id[80];
    struct buf text; /* the body, where it is no part */
};
void http_answer_free(struct http_answer *a);

struct http_pool;
int http_open(struct http_pool **pool, const struct http_settings *settings,
              struct err *err) MUST_CHECK;
void http_close(struct http_pool **pool);

/* 0: there is an answer, whatever its status. ERR_UNREACHABLE: none, or not all of it; trying again
 * may help. ERR_INTERRUPTED: asked to stop, some time ago. Anything else will not pass: a
 * certificate that is not trusted (ERR_FAILED), a CA file that cannot be read (ERR_CONFIG). */
int http_send(struct http_pool *pool, const struct http_request *r, struct http_answer *a,
              struct err *err) MUST_CHECK;

/* Takes one header line of an answer, with its line end, into *a. Pure, for tests. */
void http_header(struct http_answer *a, const char *line, size_t len);

#endif
