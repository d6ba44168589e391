/*
 * s3.h - a store in a bucket of an S3-compatible object store, over HTTPS.
 *
 * One object is kept in memory until it is committed and then sent by one PUT, so that every retry
 * can send it again. Requests that failed for a reason that passes (no connection, 408, 429, 500,
 * 502, 503, 504, short bodies) are repeated with growing pauses until the deadline; a create-only
 * PUT whose answer was lost is settled by comparing what is there with what was sent.
 *
 * Whether the store honours "If-None-Match: *", and whether it verifies the checksum of a PUT, is
 * proved before it is relied on, by two small objects below "tmp/" that stay there and that no
 * listing shows: nothing here needs the right to delete. Without If-None-Match, create-only is
 * look, PUT, read back: exact but for a window of milliseconds.
 *
 * Errors that callers act on: ERR_NOT_FOUND only when the store itself said that the object is not
 * there (a missing bucket is ERR_CONFIG, an answer that is not S3's ERR_FAILED); ERR_UNREACHABLE
 * when it was still failing at the deadline; ERR_DENIED for rights, keys and clocks; ERR_NO_SPACE.
 */
#ifndef PGBR_REPO_STORE_S3_H
#define PGBR_REPO_STORE_S3_H

#include "base/queue.h"
#include "repo/store/store.h"

/* What requests are signed with. */
struct s3_keys {
    char *key, *secret, *token; /* token NULL: none */
};
void s3_keys_wipe(struct s3_keys *k);

/* Where keys come from: asked when the store is opened, and again when it says that they expired.
 * Fills *out, which is empty. Called by one thread at a time. */
typedef int s3_keys_fn(void *ctx, struct s3_keys *out, struct err *err);

struct s3_options {       /* all borrowed during the call, but stop and keys_ctx */
    const char *endpoint; /* host[:port]; "http://" in front: without TLS */
    unsigned port;        /* when the endpoint names none; 0: the scheme's */
    const char *host;     /* connect to this host instead; the name in requests stays; or NULL */
    const char *bucket, *region;
    const char *prefix;            /* "/" or "/some/path": keys go below it */
    bool path_style;               /* the bucket stands in the path, else in the host's name */
    const char *ca_file, *ca_path; /* NULL: the system's */
    bool no_verify;                /* accept any certificate; warned about at each open */
    s3_keys_fn *keys;
    void *keys_ctx;                /* owned by the store from here on, also on failure */
    void (*keys_free)(void **ctx); /* may be NULL */
    unsigned deadline_s;           /* for one call, its retries included: 600 unless set */
    const struct stop *stop;       /* asked to stop: no more retries; may be NULL */
};

/* Sends nothing yet. */
int store_s3_open(struct store **s, const struct s3_options *o, struct err *err) MUST_CHECK;

#endif
