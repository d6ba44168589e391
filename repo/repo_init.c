/*
 * repo_init.c - creating a repository. See repo.h.
 *
 * The key slot comes first and the descriptor last: a slot wraps repository id and key, so that
 * whoever goes on after a crash, or loses a race, finds both in it and makes the same descriptor.
 * Everything is create-only.
 */
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/crypt.h"
#include "base/mem.h"
#include "repo/object/object.h"
#include "repo/repo_form.h"

/* What a new repository is to be. */
struct birth {
    uint8_t id[REPO_ID_SIZE];
    struct repo_key key;
};

static void birth_wipe(struct birth *b)
{
    mem_wipe(b, sizeof *b);
}

static int make_slot(struct store *store, const struct repo_options *o, struct birth *b,
                     struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT, body = BUF_INIT;

    TRY(crypt_random(b->id, sizeof b->id, err));
    TRY(crypt_random(b->key.bytes, sizeof b->key.bytes, err));
    TRY(key_slot_make(0, &o->secret, &b->key, b->id, &body, err));
    return repo_put_plain(store, name_key_slot(&key, 0), OBJECT_KEY_SLOT, b->id, &body, err);
}

/* Id and key of an encrypted repository: from the slot that is there, else from a new one. */
static int find_or_make_slot(struct store *store, const struct repo_options *o, struct birth *b,
                             struct err *err)
{
    if (repo_open_slots(store, &o->secret, &b->key, b->id, err) == 0)
        return 0;
    if (err->code == ERR_KEY)
        return err_context(err, "an unfinished \"init\" left a key slot of another secret (remove "
                                "\"keys\" in the repository if nothing else is in it)");
    if (err->code != ERR_NOT_FOUND)
        return -1;
    err_clear(err);
    if (make_slot(store, o, b, err) == 0)
        return 0;
    if (err->code != ERR_EXISTS)
        return -1;
    err_clear(err);
    return repo_open_slots(store, &o->secret, &b->key, b->id, err);
}

static int refuse_slots(struct store *store, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    bool found;

    TRY(repo_last_key(store, "keys/", &key, &found, err));
    if (!found)
        return 0;
    return err_set(err, ERR_KEY,
                   "an encrypted repository was begun at \"%s\" (\"%s\" exists), but the "
                   "configuration says it is not encrypted",
                   store_where(store), buf_text(&key));
}

static int put_descriptor(struct store *store, const struct repo_options *o, const struct birth *b,
                          struct err *err)
{
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct descriptor d = {.encrypted = o->encrypted, .created_us = clock_now_us()};

    memcpy(d.repo_id, b->id, REPO_ID_SIZE);
    TRY(descriptor_format(&d, o->encrypted ? &b->key : NULL, name_descriptor(), &body, err));
    return repo_put_plain(store, name_descriptor(), OBJECT_DESCRIPTOR, b->id, &body, err);
}

static int make_descriptor(struct store *store, const struct repo_options *o, bool *created,
                           struct err *err)
{
    AUTO(birth_wipe) struct birth b = {0};

    if (o->encrypted)
        TRY(find_or_make_slot(store, o, &b, err));
    else {
        TRY(refuse_slots(store, err));
        TRY(crypt_random(b.id, sizeof b.id, err));
    }
    crash_point("init-slot");
    if (put_descriptor(store, o, &b, err) == 0) {
        crash_point("init-descriptor");
        *created = true;
        return 0;
    }
    if (err->code != ERR_EXISTS)
        return -1;
    err_clear(err); /* another one was first: what is there is opened next, if it fits */
    return 0;
}

static int ensure_descriptor(struct store *store, const struct repo_options *o, bool *created,
                             struct err *err)
{
    struct store_entry entry;

    if (store_stat(store, name_descriptor(), &entry, err) == 0)
        return store_confirm(store, name_descriptor(), err);
    if (err->code != ERR_NOT_FOUND)
        return -1;
    err_clear(err);
    return make_descriptor(store, o, created, err);
}

static int ensure_info(struct repo *r, struct err *err)
{
    if (r->info_gen != 0)
        return 0;
    if (repo_write_info(r, 1, NULL, 0, err) != 0) {
        if (err->code != ERR_EXISTS)
            return -1;
        err_clear(err);
    }
    return repo_read_info(r, err);
}

int repo_init(struct repo **out, struct store *store, const struct repo_options *o, bool *created,
              struct err *err)
{
    AUTO(repo_close) struct repo *r = repo_new(store, o);
    bool made = false;

    if (!cluster_name_valid(o->cluster))
        return err_set(err, ERR_CONFIG, "\"%.100s\" cannot be the name of a cluster", o->cluster);
    TRY(repo_clear_torn(store, o->cluster, err));
    TRY(ensure_descriptor(store, o, &made, err));
    TRY(repo_open_fully(r, o, true, err)); /* proves that what was written can be opened */
    TRY(ensure_info(r, err));
    crash_point("init-info");
    repo_save_state(r);
    if (created != NULL)
        *created = made;
    *out = TAKE(r);
    return 0;
}
