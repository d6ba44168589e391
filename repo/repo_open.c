/*
 * repo_open.c - opening a repository: all the way, or by the state file. See repo.h.
 *
 * Nothing that the store says is believed before it is authenticated, but the fact that there is a
 * key slot to try; what an attacker with the store in his hands can reach is a refusal.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/key_slots.h"
#include "repo/repo_form.h"
#include "repo/state.h"

int repo_read_plain(struct store *store, const char *key, enum object_kind kind,
                    const uint8_t repo_id[8], struct buf *body, struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;

    TRY(coder_new(&coder, NULL, key, 1, err));
    return object_get_small(store, key, kind, repo_id, coder, CHUNK_TEXT, body, err);
}

int repo_put_plain(struct store *store, const char *key, enum object_kind kind,
                   const uint8_t repo_id[REPO_ID_SIZE], const struct buf *body, struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    struct object_head head = {.kind = kind};

    memcpy(head.label, key, strlen(key) + 1);
    memcpy(head.repo_id, repo_id, sizeof head.repo_id);
    TRY(coder_new(&coder, NULL, key, 1, err));
    return object_put_small(store, key, STORE_CREATE_ONLY, &head, coder, CHUNK_TEXT, CHUNK_PUBLIC,
                            body->p, body->len, err);
}

int repo_read_descriptor(struct store *store, struct buf *body, struct err *err)
{
    if (repo_read_plain(store, name_descriptor(), OBJECT_DESCRIPTOR, NULL, body, err) == 0)
        return 0;
    if (err->code != ERR_NOT_FOUND)
        return -1;
    return err_set(err, ERR_NOT_FOUND,
                   "there is no repository at \"%s\": create it with \"pgbr init\"",
                   store_where(store));
}

/* ---- key slots ---- */

struct slots {
    struct store *store;
    const struct key_secret *secret;
    struct repo_key *key;
    uint8_t *id;
    unsigned seen;
    struct err
        why; /* of the first slot that did not open; damage counts more than a wrong secret */
};

enum { SLOT_OPENED = 1 };

static int try_slot(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct slots *s = ctx;
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct err why = {0};

    (void)err;
    if (entry->is_prefix || s->seen == KEY_SLOTS_MAX)
        return 0;
    s->seen++;
    if (repo_read_plain(s->store, entry->key, OBJECT_KEY_SLOT, NULL, &body, &why) == 0) {
        if (key_slot_open(body.p, body.len, s->secret, s->key, s->id, &why) == 0)
            return SLOT_OPENED;
        err_context(&why, "object \"%s\"", entry->key);
    }
    if (s->why.code == ERR_NONE || (s->why.code == ERR_KEY && why.code != ERR_KEY))
        s->why = why;
    return 0;
}

int repo_open_slots(struct store *store, const struct key_secret *secret, struct repo_key *key,
                    uint8_t id[REPO_ID_SIZE], struct err *err)
{
    struct slots s = {.store = store, .secret = secret, .key = key, .id = id};
    int result = store_list(store, "keys/", STORE_SHALLOW, try_slot, &s, NULL, err);

    if (result == SLOT_OPENED)
        return 0;
    TRY(result);
    if (s.seen == 0)
        return err_set(err, ERR_NOT_FOUND, "no key slot in \"%s\": the repository cannot be opened",
                       store_where(store));
    if (s.why.code != ERR_KEY) {
        *err = s.why;
        return -1;
    }
    return err_set(
        err, ERR_KEY,
        "the %s given opens none of the %u key slots in \"%s\": check \"cipher_pass\" or "
        "the key file configured for this repository (%s)",
        secret->passphrase != NULL ? "passphrase" : "key file", s.seen, store_where(store),
        s.why.msg);
}

/* ---- the descriptor ---- */

static int check_cipher(const struct repo *r, const struct repo_options *o, struct err *err)
{
    if (r->encrypted == o->encrypted)
        return 0;
    if (o->encrypted)
        return err_set(
            err, ERR_KEY,
            "the repository at \"%s\" is not encrypted, but the configuration says it is: "
            "refused, since somebody may have replaced it (if it is meant to be plain, "
            "set \"cipher_type: none\")",
            store_where(r->store));
    return err_set(
        err, ERR_KEY,
        "the repository at \"%s\" is encrypted, but the configuration says it is not: set "
        "\"cipher_type: aes-256-cbc\" and \"cipher_pass\"",
        store_where(r->store));
}

static void set_read_only(struct repo *r, enum err_code code, char *why)
{
    free(r->read_only);
    r->read_only = why;
    r->read_only_code = code;
}

static int check_features(struct repo *r, const struct descriptor *d, struct err *err)
{
    char name[FEATURE_NAME_MAX + 1];

    if (descriptor_unknown(d, FEATURE_INCOMPATIBLE, name))
        return err_set(err, ERR_UNSUPPORTED,
                       "the repository at \"%s\" uses \"%s\", which this version of pgbr does not "
                       "know: use a newer one",
                       store_where(r->store), name);
    if (descriptor_unknown(d, FEATURE_READ_ONLY, name))
        set_read_only(r, ERR_UNSUPPORTED,
                      xasprintf("the repository at \"%s\" uses \"%s\", which this version of pgbr "
                                "does not know: it may only read it",
                                store_where(r->store), name));
    return 0;
}

/* Fills id and encrypted. The MAC is not checked yet: the key may have to be found first. */
static int take_descriptor(struct repo *r, const struct repo_options *o, struct descriptor *d,
                           struct buf *body, struct err *err)
{
    TRY(repo_read_descriptor(r->store, body, err));
    if (descriptor_parse(body->p, body->len, d, err) != 0)
        return err_context(err, "object \"%s\"", name_descriptor());
    memcpy(r->id, d->repo_id, REPO_ID_SIZE);
    r->encrypted = d->encrypted;
    TRY(check_cipher(r, o, err));
    return check_features(r, d, err);
}

static int authenticate(const struct repo *r, const struct descriptor *d, const char *key,
                        struct err *err)
{
    if (r->has_key && descriptor_authentic(d, &r->key, key, err) != 0)
        return err_context(err, "object \"%s\"", key);
    return 0;
}

/* Only the last generation counts: each holds all features. */
static int read_features(struct repo *r, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT, body = BUF_INIT;
    struct descriptor d;
    bool found;

    TRY(repo_last_key(r->store, "features/", &key, &found, err));
    if (!found)
        return 0;
    TRY(repo_read_plain(r->store, buf_text(&key), OBJECT_DESCRIPTOR, r->id, &body, err));
    if (descriptor_parse(body.p, body.len, &d, err) != 0)
        return err_context(err, "object \"%s\"", buf_text(&key));
    if (d.encrypted != r->encrypted || memcmp(d.repo_id, r->id, REPO_ID_SIZE) != 0)
        return err_set(err, ERR_FOREIGN, "object \"%s\" belongs to another repository",
                       buf_text(&key));
    TRY(authenticate(r, &d, buf_text(&key), err));
    return check_features(r, &d, err);
}

static int find_key(struct repo *r, const struct repo_options *o, struct err *err)
{
    uint8_t id[REPO_ID_SIZE];

    TRY(repo_open_slots(r->store, &o->secret, &r->key, id, err));
    if (memcmp(id, r->id, REPO_ID_SIZE) != 0)
        return err_set(err, ERR_FOREIGN,
                       "the key slots in \"%s\" are of another repository than its descriptor",
                       store_where(r->store));
    r->has_key = true;
    return 0;
}

int repo_open_fully(struct repo *r, const struct repo_options *o, bool want_key, struct err *err)
{
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct descriptor d;

    TRY(take_descriptor(r, o, &d, &body, err));
    if (r->encrypted && want_key)
        TRY(find_key(r, o, err));
    if (r->encrypted && !want_key && r->read_only == NULL) /* a feature counts more */
        set_read_only(r, ERR_KEY,
                      xstrdup("the repository was opened without its key, only for reading"));
    TRY(authenticate(r, &d, name_descriptor(), err));
    TRY(read_features(r, err));
    return repo_read_info(r, err);
}

/* ---- the state file ---- */

void repo_save_state(struct repo *r)
{
    struct repo_state s = {
        .written_us = clock_now_us(),
        .encrypted = r->encrypted,
        .has_key = r->has_key && r->keep_key,
        .ids = r->ids, /* borrowed */
        .n_ids = r->n_ids,
        .info_gen = r->info_gen,
        .proofs = store_known(r->store),
    };

    r->opened = true;
    if (r->state_dir == NULL || r->read_only != NULL)
        return;
    memcpy(s.repo_id, r->id, REPO_ID_SIZE);
    if (s.has_key)
        s.key = r->key;
    state_save(r->state_dir, r->name, r->cluster, store_where(r->store), &s);
    r->saved = s.proofs;
    repo_key_wipe(&s.key);
}

void repo_save_proofs(struct repo *r)
{
    struct store_proofs now;

    if (!r->opened)
        return;
    now = store_known(r->store);
    if (now.proved_us != r->saved.proved_us || now.create_only != r->saved.create_only ||
        now.checksum != r->saved.checksum)
        repo_save_state(r);
}

/* What another process found out of the same store, not too long ago. */
static void recall_proofs(struct repo *r, const struct repo_state *s)
{
    int64_t age = clock_now_us() - s->proofs.proved_us;

    if (s->proofs.proved_us == 0 || age < 0 || age >= (int64_t)STATE_STALE_S * 1000000 ||
        memcmp(s->repo_id, r->id, REPO_ID_SIZE) != 0)
        return;
    store_recall(r->store, &s->proofs);
    r->saved = s->proofs;
}

enum quick { QUICK_OPENED, QUICK_NO_STATE, QUICK_OTHER_REPO };

/* What the state file says of a repository that is the same still. */
static void take_state(struct repo *r, struct repo_state *s)
{
    r->has_key = s->has_key;
    r->key = s->key;
    r->ids = s->ids;
    r->n_ids = s->n_ids;
    r->info_gen = s->info_gen;
    s->ids = NULL;
}

/* Whether the state says enough, and is young enough. */
static bool state_usable(const struct repo_state *s, const struct repo_options *o)
{
    int64_t age = clock_now_us() - s->written_us;

    return s->encrypted == o->encrypted && (!s->encrypted || (s->has_key && o->keep_key)) &&
           age >= 0 && age < (int64_t)STATE_STALE_S * 1000000;
}

/* -1 is an answer of the store that the full way would get as well. */
static int open_quickly(struct repo *r, const struct repo_options *o, struct repo_state *s,
                        enum quick *result, struct err *err)
{
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct descriptor d;

    if (!state_usable(s, o))
        return 0;
    TRY(repo_read_descriptor(r->store, &body, err));
    *result = QUICK_OTHER_REPO;
    if (descriptor_parse(body.p, body.len, &d, err) != 0 || d.encrypted != s->encrypted ||
        memcmp(d.repo_id, s->repo_id, REPO_ID_SIZE) != 0 ||
        (s->encrypted && descriptor_authentic(&d, &s->key, name_descriptor(), err) != 0)) {
        err_clear(err);
        return 0;
    }
    memcpy(r->id, d.repo_id, REPO_ID_SIZE);
    r->encrypted = d.encrypted;
    TRY(check_features(r, &d, err));
    take_state(r, s);
    *result = QUICK_OPENED;
    return 0;
}

static int open_in_mode(struct repo *r, const struct repo_options *o, enum repo_open_mode mode,
                        struct err *err)
{
    AUTO(state_free) struct repo_state s = {0};
    enum quick quick = QUICK_NO_STATE;
    bool known = r->state_dir != NULL &&
                 state_load(r->state_dir, r->name, r->cluster, store_where(r->store), &s);

    if (known && mode == REPO_OPEN_QUICK)
        TRY(open_quickly(r, o, &s, &quick, err));
    if (quick != QUICK_OPENED && repo_open_fully(r, o, mode != REPO_OPEN_NO_KEY, err) != 0) {
        if (quick == QUICK_OTHER_REPO && err->code == ERR_KEY)
            err->code = ERR_FOREIGN;
        if (quick == QUICK_OTHER_REPO)
            err_context(err, "another repository than the one used before is at \"%s\"",
                        store_where(r->store));
        return -1;
    }
    if (known)
        recall_proofs(r, &s);
    if (quick == QUICK_OPENED) {
        r->opened = true;
        return 0;
    }
    if (quick == QUICK_OTHER_REPO)
        log_warning("repository \"%s\" at \"%s\" was created anew since it was used last; what it "
                    "held before is not in it",
                    r->name, store_where(r->store));
    repo_save_state(r);
    return 0;
}

int repo_open(struct repo **out, struct store *store, const struct repo_options *o,
              enum repo_open_mode mode, struct err *err)
{
    AUTO(repo_close) struct repo *r = repo_new(store, o);

    if (!cluster_name_valid(o->cluster))
        return err_set(err, ERR_CONFIG, "\"%.100s\" cannot be the name of a cluster", o->cluster);
    TRY(open_in_mode(r, o, mode, err));
    *out = TAKE(r);
    return 0;
}
