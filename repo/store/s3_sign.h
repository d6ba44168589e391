/*
 * s3_sign.h - AWS Signature Version 4, as S3 wants it. Pure: no clock, no network, no state.
 *
 * Written from "Signature Version 4 signing process" in AWS's S3 API reference, checked in
 * tests/unit/repo/test_s3_sign.c against the examples there and against an independent
 * implementation. What is particular to S3: the path is encoded once and not normalised, and the
 * hash of the payload is a header of its own.
 */
#ifndef PGBR_REPO_STORE_S3_SIGN_H
#define PGBR_REPO_STORE_S3_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { S3_HASH_TEXT = 65, S3_DATE_TEXT = 17 };

/* A header or a query parameter. Values are as they are, not encoded, for parameters; headers are
 * taken without surrounding spaces. */
struct s3_pair {
    const char *name; /* of a header: lower case */
    const char *value;
};

struct s3_request_text {
    const char *method;          /* "GET" */
    const char *path;            /* "/bucket/key", not encoded */
    const struct s3_pair *query; /* in any order */
    size_t n_query;
    const struct s3_pair *headers; /* all that are to be signed, "host" and "x-amz-date" among
                                      them, in any order */
    size_t n_headers;
    const char *payload; /* hex SHA-256 of the body, or "UNSIGNED-PAYLOAD" */
};

struct s3_scope {
    const char *key, *secret, *region, *service; /* service: "s3" */
    const char *date;                            /* "20130524T000000Z" */
};

/* Percent-encodes what is not [A-Za-z0-9._~-]; slashes stay in a path. */
void s3_encode(struct buf *out, const char *text, bool is_path);
/* "a=b&c=d", encoded and sorted, as it must be both signed and sent. */
void s3_query(struct buf *out, const struct s3_pair *query, size_t n);

void s3_date(int64_t us, char out[S3_DATE_TEXT]);                   /* "20130524T000000Z" */
void s3_hash(const void *data, size_t len, char out[S3_HASH_TEXT]); /* hex SHA-256 */
void s3_base64(struct buf *out, const void *data, size_t len);

void s3_crc32c(struct buf *out, const void *data, size_t len); /* base64, as in the header */

/* The text that is hashed into the signature, for tests and for comparing with a server's. */
void s3_canonical(struct buf *out, const struct s3_request_text *r);
/* The value of the Authorization header. */
void s3_authorization(struct buf *out, const struct s3_request_text *r, const struct s3_scope *s);

#endif
