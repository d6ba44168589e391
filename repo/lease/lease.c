/*
 * lease.c - holding a lease: taking it, renewing it by a thread of its own, letting it go. What
 * others see of it is in lease_read.c, fences and tombstones are in marks.c. See lease.h.
 */
#include "repo/lease/lease.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/lease/lease_form.h"
#include "repo/object/fields.h"

/* After a failure the next attempt comes after this part of a heartbeat. */
enum { RETRY_PART = 4, US_PER_S = 1000000 };

struct lease {
    struct repo *repo; /* borrowed, like stop */
    struct stop *stop;
    char set[LABEL_SIZE + 1];
    char label[OBJECT_LABEL + 1];
    char *key;
    int64_t heartbeat_us, ttl_us;
    struct workers *thread;

    pthread_mutex_t writing; /* of the bodies and the coder, held while the object is written: so
                                what is stored last is never older terms */
    struct coder *coder;
    struct buf body, released_body;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wake;  /* ending has changed; by CLOCK_MONOTONIC */
    bool ending;
    int64_t renewed_us; /* monotonic: when the last renewal that succeeded began */
    struct err lost;    /* why this lease is worth nothing any more; ERR_NONE: it is held */
};

void lease_label(char out[OBJECT_LABEL + 1], const char *set)
{
    snprintf(out, OBJECT_LABEL + 1, "lease/%.*s", LABEL_SIZE, set);
}

void lease_format(const struct lease_terms *t, enum lease_state state, struct buf *out)
{
    AUTO(buf_free) struct buf adopted = BUF_INIT;

    field_uv(out, LEASE_STATE, state);
    if (t->host != NULL)
        field_bytes(out, LEASE_HOST, t->host, strnlen(t->host, LEASE_HOST_MAX));
    field_u64(out, LEASE_SYSTEM, t->id.system_id);
    field_uv(out, LEASE_PID, t->pid);
    field_uv(out, LEASE_MAJOR, t->id.major);
    if (t->wal_lsn != 0)
        field_u64(out, LEASE_WAL, t->wal_lsn);
    field_uv(out, LEASE_TIMELINE, t->id.timeline);
    if (t->base != NULL)
        field_text(out, LEASE_BASE, t->base);
    for (size_t i = 0; i < t->n_adopted; i++)
        buf_adds(&adopted, t->adopted[i]);
    if (adopted.len != 0)
        field_bytes(out, LEASE_ADOPTED, adopted.p, adopted.len);
}

/* ---- the object ---- */

/* With `writing` held. The random object id of this write is left in *head. */
static int put(struct lease *l, enum store_mode mode, const struct buf *body,
               struct object_head *head, struct err *err)
{
    *head = (struct object_head){.kind = OBJECT_LEASE};
    memcpy(head->label, l->label, sizeof head->label);
    memcpy(head->repo_id, repo_id(l->repo), sizeof head->repo_id);
    return object_put_small(repo_store(l->repo), l->key, mode, head, l->coder, CHUNK_TEXT,
                            CHUNK_PUBLIC, body->p, body->len, err);
}

/* Whether what is stored is this very write, whose reply was lost. */
static bool is_stored(struct lease *l, const struct object_head *head)
{
    uint8_t bytes[OBJECT_HEADER];
    struct object_head there;
    struct err ignored;
    size_t got;

    return store_get(repo_store(l->repo), l->key, 0, sizeof bytes, bytes, &got, NULL, &ignored) ==
               0 &&
           got == sizeof bytes && object_head_parse(bytes, &there, &ignored) == 0 &&
           memcmp(there.object_id, head->object_id, sizeof there.object_id) == 0;
}

static int create(struct lease *l, struct err *err)
{
    int64_t began_us = clock_monotonic_us();
    struct object_head head;

    if (put(l, STORE_CREATE_ONLY, &l->body, &head, err) != 0 &&
        (err->code != ERR_EXISTS || !is_stored(l, &head)))
        return err_context(err, "lease of set \"%s\"", l->set);
    crash_point("lease-made");
    err_clear(err);
    l->renewed_us = began_us;
    return 0;
}

static int renew(struct lease *l, struct err *err)
{
    int64_t began_us = clock_monotonic_us();
    struct object_head head;
    int result;

    pthread_mutex_lock(&l->writing);
    result = put(l, STORE_REPLACE, &l->body, &head, err);
    pthread_mutex_unlock(&l->writing);
    crash_point("lease-renewed");
    if (result != 0)
        return result;
    pthread_mutex_lock(&l->lock);
    l->renewed_us = began_us;
    pthread_mutex_unlock(&l->lock);
    return 0;
}

/* ---- fences ---- */

static int look_for_fence(struct lease *l, struct err *err)
{
    bool intent, final_fence;

    TRY(fence_seen(l->repo, l->set, &intent, &final_fence, err));
    if (!intent && !final_fence)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "set \"%s\" was fenced (%s): another host took its writer for dead, so it "
                   "cannot become a backup; start the backup again",
                   l->set, final_fence ? "final" : "intent");
}

/* The first reason stays. */
static void lose(struct lease *l, const struct err *why)
{
    pthread_mutex_lock(&l->lock);
    if (l->lost.code == ERR_NONE)
        l->lost = *why;
    pthread_mutex_unlock(&l->lock);
}

/* True: *why tells why it is lost. */
static bool is_lost(struct lease *l, struct err *why)
{
    bool lost;

    pthread_mutex_lock(&l->lock);
    lost = l->lost.code != ERR_NONE;
    if (lost)
        *why = l->lost;
    pthread_mutex_unlock(&l->lock);
    return lost;
}

int lease_check(struct lease *l, struct err *err)
{
    if (is_lost(l, err))
        return -1;
    if (look_for_fence(l, err) == 0)
        return 0;
    if (err->code == ERR_CONFLICT)
        lose(l, err);
    return -1;
}

/* ---- the thread ---- */

static int64_t silence_us(struct lease *l)
{
    int64_t renewed_us;

    pthread_mutex_lock(&l->lock);
    renewed_us = l->renewed_us;
    pthread_mutex_unlock(&l->lock);
    return clock_monotonic_us() - renewed_us;
}

/* False: the lease is being let go. */
static bool wait_a_while(struct lease *l, int64_t us)
{
    int64_t until_us = clock_monotonic_us() + us;
    struct timespec until = {.tv_sec = until_us / US_PER_S, .tv_nsec = until_us % US_PER_S * 1000};
    bool ending;
    int result = 0;

    pthread_mutex_lock(&l->lock);
    while (!l->ending && result == 0)
        result = pthread_cond_timedwait(&l->wake, &l->lock, &until);
    ending = l->ending;
    pthread_mutex_unlock(&l->lock);
    return !ending;
}

/* Tells the writer to stop; whoever asked before (a signal) keeps the first word. */
static void give_up(struct lease *l, const struct err *why)
{
    int none = 0;

    lose(l, why);
    if (l->stop != NULL)
        atomic_compare_exchange_strong(&l->stop->signal, &none, -1);
}

/* True: go on, after *pause_us. */
static bool beat(struct lease *l, int64_t *pause_us)
{
    struct err err = {0};
    int64_t silence;

    if (look_for_fence(l, &err) == 0 && renew(l, &err) == 0) {
        *pause_us = l->heartbeat_us;
        return true;
    }
    silence = silence_us(l);
    if (err.code != ERR_CONFLICT && silence < l->ttl_us) {
        log_warning("lease of set \"%s\" is not renewed since %lld s (it is lost after %lld s): %s",
                    l->set, (long long)(silence / US_PER_S), (long long)(l->ttl_us / US_PER_S),
                    err.msg);
        *pause_us = MIN_OF(l->heartbeat_us / RETRY_PART, l->ttl_us - silence);
        return true;
    }
    if (err.code != ERR_CONFLICT)
        err_context(&err, "lease of set \"%s\" could not be renewed for %lld s", l->set,
                    (long long)(silence / US_PER_S));
    give_up(l, &err);
    return false;
}

static int keep_renewing(void *ctx, unsigned index, struct err *err)
{
    struct lease *l = ctx;
    int64_t pause_us = l->heartbeat_us;

    (void)index;
    (void)err;
    while (wait_a_while(l, pause_us))
        if (!beat(l, &pause_us))
            break;
    return 0;
}

/* ---- taking and letting go ---- */

static struct lease *lease_new(struct repo *r, const char *set, struct stop *stop)
{
    struct lease *l = xcalloc(1, sizeof *l);
    AUTO(buf_free) struct buf key = BUF_INIT;
    pthread_condattr_t attr;

    l->repo = r;
    l->stop = stop;
    snprintf(l->set, sizeof l->set, "%s", set);
    lease_label(l->label, set);
    l->key = xstrdup(name_lease(&key, repo_cluster(r), set));
    l->heartbeat_us = (int64_t)repo_lease_heartbeat_s(r) * US_PER_S;
    l->ttl_us = (int64_t)repo_lease_ttl_s(r) * US_PER_S;
    pthread_mutex_init(&l->writing, NULL);
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->wake, &attr);
    pthread_condattr_destroy(&attr);
    return l;
}

static void format_both(const struct lease_terms *terms, struct buf *active, struct buf *released)
{
    lease_format(terms, LEASE_ACTIVE, active);
    lease_format(terms, LEASE_RELEASED, released);
}

int lease_take(struct lease **out, struct repo *r, const char *set, const struct lease_terms *terms,
               struct stop *stop, struct err *err)
{
    AUTO(lease_drop) struct lease *l = NULL;

    if (!label_valid(set))
        return err_set(err, ERR_FAILED, "\"%.100s\" is not the label of a set", set);
    l = lease_new(r, set, stop);
    TRY(repo_coder(r, l->label, &l->coder, err));
    format_both(terms, &l->body, &l->released_body);
    TRY(create(l, err));
    TRY(workers_start(&l->thread, 1, keep_renewing, l, NULL, err));
    *out = TAKE(l);
    return 0;
}

static void swap_bufs(struct buf *a, struct buf *b)
{
    struct buf was = *a;

    *a = *b;
    *b = was;
}

/* On failure the terms stay as they were: should the write have got through, the next heartbeat
 * takes it back. */
int lease_update(struct lease *l, const struct lease_terms *terms, struct err *err)
{
    AUTO(buf_free) struct buf body = BUF_INIT, released = BUF_INIT;
    struct object_head head;
    int result;

    format_both(terms, &body, &released);
    pthread_mutex_lock(&l->writing);
    result = put(l, STORE_REPLACE, &body, &head, err);
    if (result == 0) {
        swap_bufs(&l->body, &body);
        swap_bufs(&l->released_body, &released);
    }
    pthread_mutex_unlock(&l->writing);
    crash_point("lease-updated");
    return result == 0 ? 0 : err_context(err, "lease of set \"%s\"", l->set);
}

static void end_thread(struct lease *l)
{
    struct err ignored;

    pthread_mutex_lock(&l->lock);
    l->ending = true;
    pthread_cond_broadcast(&l->wake);
    pthread_mutex_unlock(&l->lock);
    (void)!workers_join(&l->thread, &ignored);
}

int lease_release(struct lease **out, struct err *err)
{
    AUTO(lease_drop) struct lease *l = TAKE(*out);
    struct object_head head;

    if (l == NULL)
        return 0;
    end_thread(l);
    crash_point("lease-ending");
    if (put(l, STORE_REPLACE, &l->released_body, &head, err) != 0)
        return err_context(err, "release the lease of set \"%s\"", l->set);
    return 0;
}

int lease_withdraw(struct lease **out, struct err *err)
{
    AUTO(lease_drop) struct lease *l = TAKE(*out);
    const char *key;

    if (l == NULL)
        return 0;
    end_thread(l);
    key = l->key;
    if (store_delete(repo_store(l->repo), &key, 1, err) != 0)
        return err_context(err, "take back the lease of set \"%s\"", l->set);
    return 0;
}

void lease_drop(struct lease **out)
{
    struct lease *l = TAKE(*out);

    if (l == NULL)
        return;
    end_thread(l);
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->writing);
    coder_free(&l->coder);
    buf_free(&l->body);
    buf_free(&l->released_body);
    free(l->key);
    free(l);
}

int lease_touch(struct repo *r, const char *set, const struct lease_terms *terms, struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(buf_free) struct buf key = BUF_INIT, body = BUF_INIT;
    struct object_head head = {.kind = OBJECT_LEASE};

    lease_label(head.label, set);
    memcpy(head.repo_id, repo_id(r), sizeof head.repo_id);
    lease_format(terms, LEASE_ACTIVE, &body);
    TRY(repo_coder(r, head.label, &coder, err));
    return object_put_small(repo_store(r), name_lease(&key, repo_cluster(r), set), STORE_REPLACE,
                            &head, coder, CHUNK_TEXT, CHUNK_PUBLIC, body.p, body.len, err);
}
