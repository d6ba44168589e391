/*
 * s3_judge.c - what an answer means: fine, passing, mendable, or final, and then in which words.
 *
 * The message is for a person who has a wrong key, clock, bucket or certificate before him, so it
 * says what to look at. A 404 is "not found" only in S3's own words: what answers it without them
 * is another server or a proxy, and a recovery must not end because of that.
 */
#include <string.h>

#include "repo/store/s3_form.h"

bool s3_said(const struct s3_answer *a, const char *code)
{
    return strcmp(a->reply.code, code) == 0;
}

static bool said_one_of(const struct s3_answer *a, const char *const *codes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s3_said(a, codes[i]))
            return true;
    return false;
}
#define SAID(a, ...)                                   \
    said_one_of(a, (const char *const[]){__VA_ARGS__}, \
                sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

bool s3_slows_down(const struct s3_answer *a)
{
    return a->http.status == 503 || a->http.status == 429 ||
           SAID(a, "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling");
}

static bool passing(const struct s3_answer *a)
{
    switch (a->http.status) {
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return true;
    default:
        return SAID(a, "InternalError", "SlowDown", "SlowDownRead", "SlowDownWrite",
                    "ServiceUnavailable", "RequestTimeout", "OperationAborted",
                    "ConditionalRequestConflict", "BadDigest", "XAmzContentSHA256Mismatch",
                    "XAmzContentChecksumMismatch", "IncompleteBody");
    }
}

static const char *region_of(const struct s3_answer *a)
{
    return a->reply.region[0] != '\0' ? a->reply.region : a->http.region;
}

static bool names_region(const struct s3_answer *a)
{
    bool told = a->http.status == 301 || a->http.status == 307 ||
                SAID(a, "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect",
                     "IncorrectEndpoint", "IllegalLocationConstraintException");

    return told && region_of(a)[0] != '\0';
}

/* ---- words ---- */

/* "403 SignatureDoesNotMatch: the text of the store". */
static int say(const struct s3_answer *a, struct err *err, enum err_code code, const char *hint)
{
    return err_set(err, code, "the store answered %ld%s%s%s%.200s%s%s%s", a->http.status,
                   a->reply.code[0] != '\0' ? " " : "", a->reply.code,
                   a->reply.message[0] != '\0' ? ": " : "", a->reply.message,
                   hint != NULL ? " (" : "", hint != NULL ? hint : "", hint != NULL ? ")" : "");
}

struct explained {
    const char *code;
    enum err_code err;
    const char *hint;
};

static const struct explained known[] = {
    {"NoSuchKey", ERR_NOT_FOUND, NULL},
    {"InvalidAccessKeyId", ERR_DENIED, "the store does not know this \"s3_key\""},
    {"SignatureDoesNotMatch", ERR_DENIED,
     "\"s3_key_secret\" is not that of \"s3_key\", or something on the way changes requests"},
    {"RequestTimeTooSkewed", ERR_DENIED,
     "the clocks differ, and what the store says of its own does not help"},
    {"RequestExpired", ERR_DENIED, "the clocks differ"},
    {"ExpiredToken", ERR_DENIED, "\"s3_token\" has expired, and no newer one was found"},
    {"InvalidToken", ERR_DENIED, "\"s3_token\" is not one of this key's"},
    {"AuthorizationHeaderMalformed", ERR_CONFIG, "see \"s3_region\""},
    {"PermanentRedirect", ERR_CONFIG, "see \"s3_endpoint\" and \"s3_region\""},
    {"TemporaryRedirect", ERR_CONFIG, "see \"s3_endpoint\" and \"s3_region\""},
    {"InvalidBucketName", ERR_CONFIG, "see \"s3_bucket\""},
    {"QuotaExceeded", ERR_NO_SPACE, NULL},
    {"XMinioStorageFull", ERR_NO_SPACE, NULL},
    {"XMinioAdminBucketQuotaExceeded", ERR_NO_SPACE, NULL},
    {"InsufficientStorage", ERR_NO_SPACE, NULL},
    {"NotImplemented", ERR_UNSUPPORTED, NULL},
    {"MethodNotAllowed", ERR_UNSUPPORTED, NULL},
    {"EntityTooLarge", ERR_UNSUPPORTED, "see \"pack_size\""},
};

static int denied(const struct s3_call *c, const struct s3_answer *a, struct err *err)
{
    if (strcmp(c->method, "GET") == 0 && c->key != NULL)
        return say(a, err, ERR_DENIED,
                   "these keys may not read it; the store also says so of an object that is not "
                   "there, when they may not list the bucket");
    return say(a, err, ERR_DENIED,
               c->key == NULL ? "these keys may not list or change this bucket"
                              : "these keys may not write or delete it");
}

static int no_bucket(const struct s3 *s, const struct s3_answer *a, struct err *err)
{
    return err_set(err, ERR_CONFIG,
                   "there is no bucket \"%s\" (the store answered %ld %s): create it, or see "
                   "\"s3_bucket\" and \"s3_uri_style\"",
                   s->bucket, a->http.status, a->reply.code);
}

static int elsewhere(const struct s3_answer *a, struct err *err)
{
    return err_set(err, ERR_CONFIG,
                   "the store answered %ld %s: the bucket is served by another endpoint%s%s%s%s",
                   a->http.status, a->reply.code, a->reply.endpoint[0] != '\0' ? ", " : "",
                   a->reply.endpoint, region_of(a)[0] != '\0' ? ", region " : "", region_of(a));
}

/* Something answered that is no object store, or not one that is asked in the right style. */
static int stranger(const struct s3_answer *a, struct err *err)
{
    return err_set(err, ERR_FAILED,
                   "the answer, %ld, is not that of an S3 store: see \"s3_endpoint\", "
                   "\"storage_port\" and \"s3_uri_style\"",
                   a->http.status);
}

static int explain(const struct s3 *s, const struct s3_call *c, const struct s3_answer *a,
                   struct err *err)
{
    if (SAID(a, "NoSuchBucket"))
        return no_bucket(s, a, err);
    if (a->reply.root == S3_ROOT_ERROR && SAID(a, "AccessDenied"))
        return denied(c, a, err);
    for (size_t i = 0; i < LENGTH(known); i++)
        if (s3_said(a, known[i].code))
            return say(a, err, known[i].err, known[i].hint);
    if (a->http.status == 301 || a->http.status == 307)
        return elsewhere(a, err);
    if (a->http.status == 412 || SAID(a, "PreconditionFailed"))
        return say(a, err, ERR_EXISTS, NULL);
    if (a->http.status == 501)
        return say(a, err, ERR_UNSUPPORTED, NULL);
    if (a->http.status == 507)
        return say(a, err, ERR_NO_SPACE, NULL);
    if (a->reply.root == S3_ROOT_ERROR)
        return say(a, err, ERR_FAILED, NULL);
    return stranger(a, err);
}

enum s3_verdict s3_judge(const struct s3 *s, const struct s3_call *c, const struct s3_answer *a,
                         struct err *err)
{
    bool success = a->http.status >= 200 && a->http.status < 300;

    if (success && a->reply.root != S3_ROOT_ERROR)
        return S3_FINE;
    if (passing(a)) {
        say(a, err, ERR_UNREACHABLE, NULL);
        return S3_AGAIN;
    }
    explain(s, c, a, err);
    if (SAID(a, "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"))
        return S3_SKEWED;
    if (SAID(a, "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken",
             "InvalidAccessKeyId", "SignatureDoesNotMatch"))
        return S3_EXPIRED;
    return names_region(a) ? S3_REGION : S3_FAILED;
}
