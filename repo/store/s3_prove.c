/*
 * s3_prove.c - what a store really does, found out by trying.
 *
 * Some stores answer 501 to If-None-Match, some take it and overwrite all the same; some verify
 * checksums, most ignore them. Each proof works with one object of a fixed name below "tmp/", which
 * stays there: neither needs the right to delete, and the second run needs no more than the first.
 * Only what is written and read back lies under one of 4,096 names, so that two hosts that try at
 * the same time do not take each other's for what the store makes of theirs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/store/s3_form.h"

static const char create_key[] = "tmp/probe.create", checksum_key[] = "tmp/probe.checksum";
static const char content[] = "pgbr tries out here what this store can do\n";
enum { CONTENT = sizeof content - 1 };

/* ---- If-None-Match ---- */

enum outcome { CREATED, REFUSED, UNKNOWN_HEADER };

static int try_create(struct s3 *s, enum outcome *outcome, struct err *err)
{
    AUTO(s3_answer_free) struct s3_answer a = {0};
    const struct s3_call c = {.method = "PUT",
                              .key = create_key,
                              .body = content,
                              .body_len = CONTENT,
                              .create_only = true};

    if (s3_send(s, &c, &a, err) == 0) {
        *outcome = CREATED;
        return 0;
    }
    if (err->code == ERR_EXISTS)
        *outcome = REFUSED;
    else if (err->code == ERR_UNSUPPORTED || s3_said(&a, "InvalidArgument") ||
             s3_said(&a, "InvalidRequest"))
        *outcome = UNKNOWN_HEADER;
    else
        return -1;
    err_clear(err);
    return 0;
}

/* Exact: the second of two creators is refused, and not because every one is. */
static int find_out_create(struct s3 *s, bool *exact, struct err *err)
{
    enum outcome outcome;
    struct store_entry entry = {0};

    *exact = false;
    TRY(try_create(s, &outcome, err));
    if (outcome == CREATED)
        TRY(try_create(s, &outcome, err));
    if (outcome != REFUSED)
        return 0;
    if (s3_stat(&s->store, create_key, &entry, err) == 0) {
        *exact = true;
        return 0;
    }
    if (err->code != ERR_NOT_FOUND)
        return -1;
    err_clear(err);
    return 0;
}

/* What was found is noted with its time, so that it is found out anew one day. */
static void note(struct s3 *s, uint8_t *which, bool yes)
{
    pthread_mutex_lock(&s->lock);
    *which = yes ? STORE_PROVED : STORE_REFUTED;
    if (s->proofs.proved_us == 0)
        s->proofs.proved_us = clock_now_us();
    pthread_mutex_unlock(&s->lock);
}

static enum store_proof noted(struct s3 *s, const uint8_t *which)
{
    enum store_proof proof;

    pthread_mutex_lock(&s->lock);
    proof = (enum store_proof) * which;
    pthread_mutex_unlock(&s->lock);
    return proof;
}

static int prove_create(struct s3 *s, struct err *err)
{
    bool exact;

    if (noted(s, &s->proofs.create_only) != STORE_UNPROVED)
        return 0;
    TRY(find_out_create(s, &exact, err));
    note(s, &s->proofs.create_only, exact);
    if (!exact)
        log_info("%s: the store does not honour If-None-Match; objects are read back after they "
                 "are created",
                 s->store.where);
    return 0;
}

int s3_prove_create(struct s3 *s, bool *exact, struct err *err)
{
    int result;

    pthread_mutex_lock(&s->proving);
    result = prove_create(s, err);
    pthread_mutex_unlock(&s->proving);
    *exact = noted(s, &s->proofs.create_only) == STORE_PROVED;
    return result == 0 ? 0
                       : err_context(err, "trying out whether it can create without overwriting");
}

void s3_refute_create(struct s3 *s)
{
    note(s, &s->proofs.create_only, false);
}

/* ---- checksums ---- */

static int put_with_checksum(struct s3 *s, const char *checksum, struct s3_answer *a)
{
    const struct s3_call c = {.method = "PUT",
                              .key = checksum_key,
                              .body = content,
                              .body_len = CONTENT,
                              .checksum = checksum,
                              .once = true};
    struct err ignored = {0};

    return s3_send(s, &c, a, &ignored);
}

/* A wrong one is refused, and the right one is not. */
static bool find_out_checksum(struct s3 *s)
{
    AUTO(s3_answer_free) struct s3_answer a = {0};
    AUTO(buf_free) struct buf right = BUF_INIT, wrong = BUF_INIT;

    s3_crc32c(&right, content, CONTENT);
    s3_crc32c(&wrong, content, CONTENT - 1);
    return put_with_checksum(s, buf_text(&wrong), &a) != 0 && a.http.status == 400 &&
           a.reply.root == S3_ROOT_ERROR && put_with_checksum(s, buf_text(&right), &a) == 0;
}

bool s3_prove_checksum(struct s3 *s)
{
    pthread_mutex_lock(&s->proving);
    if (noted(s, &s->proofs.checksum) == STORE_UNPROVED)
        note(s, &s->proofs.checksum, find_out_checksum(s));
    pthread_mutex_unlock(&s->proving);
    return noted(s, &s->proofs.checksum) == STORE_PROVED;
}

/* ---- what is remembered ---- */

void s3_recall(struct store *store, const struct store_proofs *p)
{
    struct s3 *s = s3_of(store);

    pthread_mutex_lock(&s->lock);
    if (s->proofs.proved_us == 0)
        s->proofs = *p;
    pthread_mutex_unlock(&s->lock);
}

void s3_proofs(struct store *store, struct store_proofs *p)
{
    struct s3 *s = s3_of(store);

    pthread_mutex_lock(&s->lock);
    *p = s->proofs;
    pthread_mutex_unlock(&s->lock);
}

/* ---- the whole probe ---- */

struct search {
    const char *key;
    bool found;
};

/* Listed by the driver itself: "tmp/" is hidden from everybody else. */
static int is_listed(struct s3 *s, const char *key, bool *found, struct err *err)
{
    AUTO(s3_answer_free) struct s3_answer a = {0};
    AUTO(mem_free) char *whole = xasprintf("%s%s", s->prefix, key);
    const struct s3_pair query[] = {
        {"list-type", "2"}, {"prefix", whole}, {"max-keys", "10"}, {"encoding-type", "url"}};
    const struct s3_call c = {.method = "GET", .query = query, .n_query = LENGTH(query)};

    TRY(s3_send(s, &c, &a, err));
    *found = false;
    for (size_t i = 0; i < a.reply.n_items; i++)
        *found |= strcmp(a.reply.items[i].key, whole) == 0;
    return 0;
}

static int put_probe(struct s3 *s, const char *key, const char *text, struct err *err)
{
    return s3_put(&s->store, key, STORE_REPLACE, text, strlen(text), err);
}

enum { PROBE_MAX = 64 };

static int read_probe(struct s3 *s, const char *key, char got[PROBE_MAX], struct err *err)
{
    uint64_t size;
    size_t n;

    TRY(s3_get(&s->store, key, 0, PROBE_MAX - 1, got, &n, &size, err));
    got[n] = '\0';
    return 0;
}

/* A range and the end of what was just read as a whole. */
static int check_parts(struct s3 *s, const char *key, const char *whole, struct err *err)
{
    char middle[5] = "", end[5] = "";
    size_t n, m, len = strlen(whole);
    uint64_t size;

    TRY(s3_get(&s->store, key, 2, sizeof middle - 1, middle, &n, &size, err));
    TRY(s->store.ops->tail(&s->store, key, sizeof end - 1, end, &m, &size, err));
    if (n == sizeof middle - 1 && m == sizeof end - 1 && size == len && len > 6 &&
        memcmp(middle, whole + 2, n) == 0 && memcmp(end, whole + len - m, m) == 0)
        return 0;
    return err_set(
        err, ERR_UNSUPPORTED,
        "parts of an object are read wrongly: of \"%s\" bytes 3 to 6 as \"%s\", the last "
        "four of %llu as \"%s\"",
        whole, middle, (unsigned long long)size, end);
}

/* The right to delete is not needed where only backups are made. */
static int try_delete(struct s3 *s, const char *key, struct store_traits *traits, struct err *err)
{
    const char *keys[] = {key, "tmp/probe.never"};
    bool found;

    if (s3_remove(&s->store, keys, LENGTH(keys), err) != 0) {
        if (err->code != ERR_DENIED)
            return -1;
        err_clear(err);
        traits->may_delete = false;
        return 0;
    }
    traits->may_delete = true;
    TRY(is_listed(s, key, &found, err));
    if (found)
        traits->listing_consistent = false;
    return 0;
}

/* Two contents, so that a store that returns an old one is found out. */
static int try_reading(struct s3 *s, const char *key, const char *mark, struct store_traits *traits,
                       struct err *err)
{
    char first[40], second[40], got[PROBE_MAX];
    bool found, fresh;

    snprintf(first, sizeof first, "first %s", mark);
    snprintf(second, sizeof second, "second %s", mark);
    TRY(put_probe(s, key, first, err));
    TRY(is_listed(s, key, &found, err));
    TRY(read_probe(s, key, got, err));
    fresh = found && strcmp(got, first) == 0;
    TRY(put_probe(s, key, second, err));
    TRY(read_probe(s, key, got, err));
    traits->listing_consistent = fresh && strcmp(got, second) == 0;
    if (!traits->listing_consistent)
        log_warning("%s: the store does not show at once what was written", s->store.where);
    return check_parts(s, key, got, err);
}

int s3_probe(struct store *store, struct store_traits *traits, struct err *err)
{
    struct s3 *s = s3_of(store);
    AUTO(buf_free) struct buf mark = BUF_INIT;
    uint8_t random[8];
    char key[32];

    TRY(crypt_random(random, sizeof random, err));
    buf_hex(&mark, random, sizeof random);
    snprintf(key, sizeof key, "tmp/probe.%.3s", buf_text(&mark));
    pthread_mutex_lock(&s->lock);
    s->proofs = (struct store_proofs){0}; /* a store may have been upgraded */
    pthread_mutex_unlock(&s->lock);
    strcpy(traits->kind, "s3");
    TRY(try_reading(s, key, buf_text(&mark), traits, err));
    TRY(s3_prove_create(s, &traits->exact_create_only, err));
    traits->verifies_uploads = s->tls && s3_prove_checksum(s);
    TRY(try_delete(s, key, traits, err));
    traits->grace_s = traits->listing_consistent ? 0 : 24 * 3600;
    return 0;
}
