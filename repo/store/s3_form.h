/* s3_form.h - what the files of the S3 driver share. */
#ifndef PGBR_REPO_STORE_S3_FORM_H
#define PGBR_REPO_STORE_S3_FORM_H

#include <pthread.h>
#include <stdatomic.h>

#include "repo/store/s3.h"
#include "repo/store/s3_http.h"
#include "repo/store/s3_pace.h"
#include "repo/store/s3_xml.h"
#include "repo/store/store_driver.h"

struct s3 {
    struct store store;
    struct http_pool *http;
    struct s3_pace pace;
    char *url;         /* "https://host:port" */
    char *host;        /* header Host: with the port where it is not the scheme's */
    char *bucket;      /* for messages */
    char *bucket_path; /* "/bucket", or "" in host style */
    char *prefix;      /* of all keys: "" or "some/path/" */
    bool tls;
    unsigned deadline_s;
    const struct stop *stop;
    atomic_bool answered; /* it is an S3 store, and it is there */
    atomic_bool no_batch; /* it does not know DeleteObjects */

    pthread_mutex_t lock; /* of all below */
    char *region;
    int64_t clock_offset_us; /* the store's clock less ours */
    struct s3_keys keys;
    unsigned changes; /* of region and keys, so far */
    s3_keys_fn *read_keys;
    void *keys_ctx;
    void (*keys_free)(void **ctx);
    struct store_proofs proofs;

    pthread_mutex_t proving; /* held while a proof is made, so that it is made once */
};

static inline struct s3 *s3_of(struct store *s)
{
    return (struct s3 *)s;
}

/* ---- one request, repeated as long as that may help: s3_request.c ---- */

struct s3_call {
    const char *method;
    const char *key; /* NULL: the bucket */
    const struct s3_pair *query;
    size_t n_query;
    const void *body;
    size_t body_len;
    bool create_only;        /* If-None-Match: * */
    const char *checksum;    /* x-amz-checksum-crc32c; NULL: where it is proved to be verified */
    const char *content_md5; /* base64, or NULL */
    const struct http_part *part; /* the bytes of an object that are wanted */
    bool once;                    /* do not repeat what may have taken effect */
};

struct s3_answer {
    struct http_answer http;
    struct s3_reply reply; /* of an answer in XML */
    bool uncertain;        /* an attempt before the last may have taken effect */
};
void s3_answer_free(struct s3_answer *a);

/* 0: a 2xx without an error inside. Otherwise *a tells what the store said, if it did:
 * a->http.status and a->reply.code. */
int s3_send(struct s3 *s, const struct s3_call *c, struct s3_answer *a, struct err *err) MUST_CHECK;
bool s3_said(const struct s3_answer *a, const char *code);

/* Pauses between attempts: full jitter, 100 ms doubling to 20 s, until the deadline. */
struct s3_retry {
    unsigned attempts;
    int64_t begun_us;
};
/* False: no more attempts; the error then says how many there were. */
bool s3_retry_wait(struct s3 *s, struct s3_retry *r, const struct s3_call *c, struct err *err);

/* ---- what the answer means: s3_judge.c ---- */

enum s3_verdict {
    S3_FINE,
    S3_FAILED,
    S3_AGAIN,   /* after a pause */
    S3_SKEWED,  /* sign with the store's time */
    S3_EXPIRED, /* read the keys again */
    S3_REGION,  /* sign for the region that it named */
};
/* Sets *err unless it is fine. Pure. */
enum s3_verdict s3_judge(const struct s3 *s, const struct s3_call *c, const struct s3_answer *a,
                         struct err *err);
bool s3_slows_down(const struct s3_answer *a);

/* ---- the parts of the driver ---- */

/* s3_write.c */
int s3_create(struct store *s, const char *key, enum store_mode mode, struct store_writer **w,
              struct err *err);
int s3_write(struct store_writer *w, const void *data, size_t len, struct err *err);
int s3_commit(struct store_writer *w, enum store_commit_mode mode, struct err *err);
void s3_drop(struct store_writer *w);
int s3_put(struct store *s, const char *key, enum store_mode mode, const void *data, size_t len,
           struct err *err);

/* s3_prove.c: proved once for a store, remembered by the repository's state file. */
int s3_prove_create(struct s3 *s, bool *exact, struct err *err) MUST_CHECK;
/* Whatever goes wrong, the answer is no. */
bool s3_prove_checksum(struct s3 *s);
void s3_refute_create(struct s3 *s);
void s3_recall(struct store *s, const struct store_proofs *p);
void s3_proofs(struct store *s, struct store_proofs *p);
int s3_probe(struct store *s, struct store_traits *traits, struct err *err);

/* s3_list.c, s3_delete.c */
int s3_list(struct store *s, const char *prefix, enum store_depth depth, store_entry_fn *fn,
            void *ctx, int64_t *now_us, struct err *err);
int s3_now(struct store *s, int64_t *now_us, struct err *err);
int s3_remove(struct store *s, const char *const *keys, size_t n, struct err *err);

/* s3.c */
int s3_get(struct store *s, const char *key, uint64_t offset, size_t len, void *dst, size_t *got,
           uint64_t *size, struct err *err);
int s3_stat(struct store *s, const char *key, struct store_entry *entry, struct err *err);

#endif
