/*
 * s3_write.c - objects on their way into the bucket: kept in memory, sent by one PUT.
 *
 * Create-only has two ways. Where the store is proved to honour If-None-Match: * it decides. Where
 * it does not: look, PUT, read back; two writers that meet between one's look and its reading back
 * are told apart unless the second PUT arrives after the first one's reading back. Either way a PUT
 * whose answer was lost is settled by reading back what is there: every object of pgbr begins with
 * a header that holds a random number.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/store/s3_form.h"

#define OBJECT_MAX (UINT64_C(5) << 30) /* of a single PUT */

enum { HEAD_SIZE = 128 }; /* of every object of pgbr: holds its random id */

struct s3_writer {
    struct store_writer writer;
    char *key;
    enum store_mode mode;
    struct buf data;
};

int s3_create(struct store *s, const char *key, enum store_mode mode, struct store_writer **out,
              struct err *err)
{
    struct s3_writer *w = xcalloc(1, sizeof *w);

    (void)s;
    (void)err;
    w->key = xstrdup(key);
    w->mode = mode;
    *out = &w->writer;
    return 0;
}

int s3_write(struct store_writer *sw, const void *data, size_t len, struct err *err)
{
    struct s3_writer *w = (struct s3_writer *)sw;

    if (w->data.len + len > OBJECT_MAX)
        return err_set(err, ERR_UNSUPPORTED, "more than 5 GiB cannot be one object in S3");
    buf_add(&w->data, data, len);
    return 0;
}

void s3_drop(struct store_writer *sw)
{
    struct s3_writer *w = (struct s3_writer *)sw;

    buf_free(&w->data);
    free(w->key);
    free(w);
}

/* ---- what is there ---- */

enum there { THERE_NOTHING, THERE_SAME, THERE_OTHER };

/* Size and first bytes tell whether it is what was sent. */
static int look(struct s3 *s, const char *key, const void *data, size_t len, enum there *there,
                struct err *err)
{
    uint8_t head[HEAD_SIZE];
    size_t got, wanted = MIN_OF(len, sizeof head);
    uint64_t size;

    if (s3_get(&s->store, key, 0, sizeof head, head, &got, &size, err) != 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        err_clear(err);
        *there = THERE_NOTHING;
        return 0;
    }
    *there = size == len && got == wanted && (got == 0 || memcmp(head, data, got) == 0)
                 ? THERE_SAME
                 : THERE_OTHER;
    return 0;
}

static int exists(struct err *err)
{
    return err_set(err, ERR_EXISTS, "there is an object of that name");
}

/* ---- the ways of a PUT ---- */

static struct s3_call put_call(const char *key, const void *data, size_t len)
{
    return (struct s3_call){
        .method = "PUT", .key = key, .body = len != 0 ? data : "", .body_len = len};
}

static int replace(struct s3 *s, const char *key, const void *data, size_t len, struct err *err)
{
    AUTO(s3_answer_free) struct s3_answer a = {0};
    struct s3_call c = put_call(key, data, len);

    return s3_send(s, &c, &a, err);
}

/* ERR_UNSUPPORTED: the store does not know the condition after all. */
static int create_exactly(struct s3 *s, const char *key, const void *data, size_t len,
                          struct err *err)
{
    AUTO(s3_answer_free) struct s3_answer a = {0};
    struct s3_call c = put_call(key, data, len);
    enum there there;

    c.create_only = true;
    if (s3_send(s, &c, &a, err) == 0)
        return 0;
    if (err->code != ERR_EXISTS)
        return -1;
    if (a.uncertain) {
        err_clear(err);
        TRY(look(s, key, data, len, &there, err));
        if (there == THERE_SAME)
            return 0;
    }
    return exists(err);
}

/* One PUT between two looks. *sent: an earlier one may have arrived. *again: try once more. */
static int create_carefully(struct s3 *s, const char *key, const void *data, size_t len, bool *sent,
                            bool *again, struct err *err)
{
    AUTO(s3_answer_free) struct s3_answer a = {0};
    struct s3_call c = put_call(key, data, len);
    enum there there;

    *again = false;
    c.once = true;
    TRY(look(s, key, data, len, &there, err));
    if (there == THERE_SAME && *sent)
        return 0;
    if (there != THERE_NOTHING)
        return exists(err);
    *sent = true;
    if (s3_send(s, &c, &a, err) != 0) {
        *again = err->code == ERR_UNREACHABLE;
        return -1;
    }
    TRY(look(s, key, data, len, &there, err));
    return there == THERE_SAME ? 0 : exists(err);
}

static int create_by_looking(struct s3 *s, const char *key, const void *data, size_t len,
                             struct err *err)
{
    struct s3_call c = put_call(key, data, len);
    struct s3_retry retry = {0};
    bool sent = false, again;

    while (create_carefully(s, key, data, len, &sent, &again, err) != 0) {
        if (!again || !s3_retry_wait(s, &retry, &c, err))
            return -1;
        err_clear(err);
    }
    return 0;
}

int s3_put(struct store *store, const char *key, enum store_mode mode, const void *data, size_t len,
           struct err *err)
{
    struct s3 *s = s3_of(store);
    bool exact;
    int rc;

    if (mode == STORE_REPLACE)
        return replace(s, key, data, len, err);
    TRY(s3_prove_create(s, &exact, err));
    if (exact) {
        rc = create_exactly(s, key, data, len, err);
        if (rc == 0 || err->code != ERR_UNSUPPORTED)
            return rc;
        err_clear(err);
        s3_refute_create(s);
    }
    return create_by_looking(s, key, data, len, err);
}

int s3_commit(struct store_writer *sw, enum store_commit_mode mode, struct err *err)
{
    struct s3_writer *w = (struct s3_writer *)sw;

    (void)mode; /* what is answered is durable */
    return s3_put(sw->store, w->key, w->mode, w->data.p, w->data.len, err);
}
