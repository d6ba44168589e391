/* marks.c - fences, tombstones, holds: tiny objects that count by being there. See lease.h and
 * marks.h. */
#include "repo/lease/marks.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/lease/lease.h"
#include "repo/object/fields.h"

enum { MARK_TIME = 2, MARK_REASON = 4, MARK_UNTIL = 6, MARK_REASON_MAX = 2000, MARK_TRIES = 5 };

/* The label field: the key below the cluster. */
static const char *mark_label(const struct repo *r, const char *key)
{
    return key + strlen(repo_cluster(r)) + 1;
}

static int put_new(struct repo *r, const char *key, const char *reason, int64_t until_us,
                   struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct object_head head = {.kind = OBJECT_MARK};

    snprintf(head.label, sizeof head.label, "%s", mark_label(r, key));
    memcpy(head.repo_id, repo_id(r), sizeof head.repo_id);
    TRY(repo_coder(r, head.label, &coder, err));
    field_u64(&body, MARK_TIME, (uint64_t)clock_now_us());
    if (reason != NULL)
        field_bytes(&body, MARK_REASON, reason, strnlen(reason, MARK_REASON_MAX));
    if (until_us != 0)
        field_u64(&body, MARK_UNTIL, (uint64_t)until_us);
    return object_put_small(repo_store(r), key, STORE_CREATE_ONLY, &head, coder, CHUNK_TEXT,
                            CHUNK_PUBLIC, body.p, body.len, err);
}

/* Another host's mark is as good, but may not have reached its disk yet. It may also be gone again
 * by then, because that host is done with what it marked: then it is made anew, and does no harm.
 */
static int put_mark(struct repo *r, const char *key, const char *reason, int64_t until_us,
                    struct err *err)
{
    for (int tries = 0;; tries++) {
        if (put_new(r, key, reason, until_us, err) == 0)
            return 0;
        if (err->code != ERR_EXISTS)
            return -1;
        err_clear(err);
        if (store_confirm(repo_store(r), key, err) == 0)
            return 0;
        if (err->code != ERR_NOT_FOUND || tries == MARK_TRIES)
            return -1;
        err_clear(err);
    }
}

static int remove_mark(struct repo *r, const char *key, struct err *err)
{
    return store_delete(repo_store(r), &key, 1, err);
}

static int seen(struct repo *r, const char *key, bool *there, struct err *err)
{
    struct store_entry ignored;

    *there = store_stat(repo_store(r), key, &ignored, err) == 0;
    if (!*there && err->code != ERR_NOT_FOUND)
        return -1;
    if (!*there)
        err_clear(err);
    return 0;
}

int fence_intent(struct repo *r, const char *set, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    return put_mark(r, name_fence_intent(&key, repo_cluster(r), set), NULL, 0, err);
}

int fence_withdraw(struct repo *r, const char *set, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    return remove_mark(r, name_fence_intent(&key, repo_cluster(r), set), err);
}

int fence_final(struct repo *r, const char *set, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    return put_mark(r, name_fence_final(&key, repo_cluster(r), set), NULL, 0, err);
}

/* The intent is asked for first: should it be removed meanwhile because the fence became final,
 * then the final one is found. */
int fence_seen(struct repo *r, const char *set, bool *intent, bool *final_fence, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;

    TRY(seen(r, name_fence_intent(&key, repo_cluster(r), set), intent, err));
    return seen(r, name_fence_final(&key, repo_cluster(r), set), final_fence, err);
}

int expired_mark(struct repo *r, const char *label, const char *reason, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    return put_mark(r, name_expired(&key, repo_cluster(r), label), reason, 0, err);
}

int expired_withdraw(struct repo *r, const char *label, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    return remove_mark(r, name_expired(&key, repo_cluster(r), label), err);
}

int expired_seen(struct repo *r, const char *label, bool *expired, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    return seen(r, name_expired(&key, repo_cluster(r), label), expired, err);
}

int hold_mark(struct repo *r, const char *label, const char *note, int64_t until_us,
              struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    return put_mark(r, name_hold(&key, repo_cluster(r), label), note, until_us, err);
}

int hold_withdraw(struct repo *r, const char *label, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    return remove_mark(r, name_hold(&key, repo_cluster(r), label), err);
}

int hold_seen(struct repo *r, const char *label, bool *held, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    return seen(r, name_hold(&key, repo_cluster(r), label), held, err);
}

/* ---- what they say ---- */

void mark_free(struct mark *m)
{
    free(m->reason);
    *m = (struct mark){0};
}

static int take_field(const struct field *f, struct mark *m, struct err *err)
{
    if (f->tag == MARK_TIME && f->len == 8) {
        m->time_us = (int64_t)get_u64(f->p);
        return 0;
    }
    if (f->tag == MARK_UNTIL && f->len == 8) {
        m->until_us = (int64_t)get_u64(f->p);
        return 0;
    }
    if (f->tag == MARK_REASON && f->len <= MARK_REASON_MAX && memchr(f->p, '\0', f->len) == NULL) {
        m->reason = xstrndup((const char *)f->p, f->len);
        return 0;
    }
    if (f->tag == MARK_TIME || f->tag == MARK_REASON || f->tag == MARK_UNTIL)
        return err_set(err, ERR_CORRUPT, "mark: field %u of %zu bytes is malformed", f->tag,
                       f->len);
    return field_unknown(f, "mark", err);
}

int mark_parse(const void *bytes, size_t len, struct mark *out, struct err *err)
{
    AUTO(mark_free) struct mark m = {0};
    struct fields in;
    struct field f;
    int more;

    fields_begin(&in, bytes, len, "mark");
    while ((more = fields_next(&in, &f, err)) > 0)
        TRY(take_field(&f, &m, err));
    TRY(more);
    if (m.reason == NULL)
        m.reason = xstrdup("");
    *out = m;
    m = (struct mark){0};
    return 0;
}

int mark_read(struct repo *r, const char *key, struct mark *m, struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(buf_free) struct buf body = BUF_INIT;

    TRY(repo_coder(r, mark_label(r, key), &coder, err));
    TRY(object_get_small(repo_store(r), key, OBJECT_MARK, repo_id(r), coder, CHUNK_TEXT, &body,
                         err));
    if (mark_parse(body.p, body.len, m, err) != 0)
        return err_context(err, "object \"%s\"", key);
    return 0;
}
