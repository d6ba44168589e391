/* key_slots.c - see key_slots.h. */
#include "repo/key_slots.h"

#include <string.h>

#include "base/crash.h"
#include "base/crypt.h"
#include "base/mem.h"
#include "repo/repo_form.h"

/* ---- listing ---- */

enum { PREFIX = 5, DIGITS = 8 }; /* "keys/", and the number in the name */

/* False: no name that a key slot has. */
static bool number_of(const char *key, uint32_t *number)
{
    const char *text = key + PREFIX;

    *number = 0;
    if (strlen(text) != DIGITS || strspn(text, "0123456789abcdef") != DIGITS)
        return false;
    for (; *text != '\0'; text++)
        *number = *number << 4 | (uint32_t)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
    return true;
}

static int note_slot(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct key_slots *slots = ctx;
    uint32_t number;

    (void)err;
    if (entry->is_prefix || !number_of(entry->key, &number))
        return 0;
    if (slots->n == KEY_SLOTS_MAX)
        slots->more++;
    else
        slots->items[slots->n++] = (struct key_slot){.number = number};
    return 0;
}

/* Wrapped for this repository: the id is in the sealed part. */
static int open_slot(const struct repo *r, const struct buf *body, const struct key_secret *secret,
                     struct repo_key *key, struct err *err)
{
    uint8_t id[REPO_ID_SIZE];

    TRY(key_slot_open(body->p, body->len, secret, key, id, err));
    if (memcmp(id, r->id, REPO_ID_SIZE) != 0)
        return err_set(err, ERR_FOREIGN, "the key slot is of another repository");
    return 0;
}

static int read_slot(const struct repo *r, uint32_t number, struct buf *body, struct err *err)
{
    AUTO(buf_free) struct buf name = BUF_INIT;

    buf_clear(body);
    return repo_read_plain(r->store, name_key_slot(&name, number), OBJECT_KEY_SLOT, r->id, body,
                           err);
}

static void look_at(const struct repo *r, const struct key_secret *secret, struct key_slot *slot)
{
    AUTO(buf_free) struct buf body = BUF_INIT;
    AUTO(repo_key_wipe) struct repo_key key = {0};
    struct err why = {0};

    slot->state = KEY_SLOT_DAMAGED;
    if (read_slot(r, slot->number, &body, &slot->why) != 0 ||
        key_slot_describe(body.p, body.len, &slot->facts, &slot->why) != 0)
        return;
    slot->state = KEY_SLOT_SHUT;
    if (secret == NULL)
        return;
    if (open_slot(r, &body, secret, &key, &why) == 0) {
        slot->state = KEY_SLOT_OPENS;
    } else if (why.code != ERR_KEY) {
        slot->state = why.code == ERR_FOREIGN ? KEY_SLOT_DAMAGED : KEY_SLOT_SHUT;
        slot->why = why;
    }
}

int key_slots_list(struct repo *r, const struct key_secret *secret, struct key_slots *out,
                   struct err *err)
{
    *out = (struct key_slots){0};
    TRY(store_list(r->store, "keys/", STORE_SHALLOW, note_slot, out, NULL, err));
    for (size_t i = 0; i < out->n; i++)
        look_at(r, secret, &out->items[i]);
    return 0;
}

size_t key_slots_sound(const struct key_slots *slots)
{
    size_t n = 0;

    for (size_t i = 0; i < slots->n; i++)
        n += slots->items[i].state != KEY_SLOT_DAMAGED;
    return n;
}

/* ---- adding ---- */

static int may_change(const struct repo *r, struct err *err)
{
    if (!r->encrypted)
        return err_set(err, ERR_FAILED, "the repository at \"%s\" is not encrypted: it has no keys",
                       store_where(r->store));
    if (r->read_only != NULL && r->read_only_code != ERR_KEY) /* a missing key may be given */
        return err_set(err, r->read_only_code, "%s", r->read_only);
    return 0;
}

static int check_key(const struct repo *r, const struct repo_key *key, struct err *err)
{
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct descriptor d;

    TRY(repo_read_descriptor(r->store, &body, err));
    TRY(descriptor_parse(body.p, body.len, &d, err));
    if (memcmp(d.repo_id, r->id, REPO_ID_SIZE) != 0 ||
        descriptor_authentic(&d, key, name_descriptor(), err) != 0)
        return err_set(err, ERR_KEY, "the key given is not that of the repository at \"%s\"",
                       store_where(r->store));
    return 0;
}

/* The number above all there are: one that was removed is not used again while a later one is
 * there. */
static int choose_number(struct repo *r, uint32_t *number, struct err *err)
{
    struct key_slots slots = {0};
    uint64_t next;

    TRY(store_list(r->store, "keys/", STORE_SHALLOW, note_slot, &slots, NULL, err));
    next = slots.n == 0 ? 0 : (uint64_t)slots.items[slots.n - 1].number + 1;
    if (slots.n == KEY_SLOTS_MAX || next > UINT32_MAX)
        return err_set(err, ERR_UNSUPPORTED,
                       "there are %zu key slots, the last of them %08x, and no room for another: "
                       "remove those that nobody needs",
                       slots.n + slots.more, slots.items[slots.n - 1].number);
    *number = (uint32_t)next;
    return 0;
}

static int put_slot(struct repo *r, uint32_t number, const struct buf *body, struct err *err)
{
    AUTO(buf_free) struct buf name = BUF_INIT;

    return repo_put_plain(r->store, name_key_slot(&name, number), OBJECT_KEY_SLOT, r->id, body,
                          err);
}

static int delete_slot(struct repo *r, uint32_t number, struct err *err)
{
    AUTO(buf_free) struct buf name = BUF_INIT;
    const char *key = name_key_slot(&name, number);

    return store_delete(r->store, &key, 1, err);
}

static int make_slot(struct repo *r, const struct repo_key *key, const struct key_secret *secret,
                     uint32_t *number, struct err *err)
{
    for (int attempt = 0;; attempt++) {
        AUTO(buf_free) struct buf body = BUF_INIT;

        TRY(choose_number(r, number, err));
        TRY(key_slot_make(*number, secret, key, r->id, &body, err));
        if (put_slot(r, *number, &body, err) == 0)
            return 0;
        if (err->code != ERR_EXISTS || attempt == KEY_SLOTS_MAX)
            return -1;
        err_clear(err); /* another one adds a slot, too */
    }
}

/* What was stored, not what was meant to be: read back, and opened as any other program would. */
static int prove_slot(struct repo *r, uint32_t number, const struct repo_key *key,
                      const struct key_secret *secret, struct err *err)
{
    AUTO(buf_free) struct buf body = BUF_INIT;
    AUTO(repo_key_wipe) struct repo_key found = {0};

    TRY(read_slot(r, number, &body, err));
    TRY(open_slot(r, &body, secret, &found, err));
    if (!crypt_equal(&found, key, sizeof found))
        return err_set(err, ERR_CORRUPT, "the key slot just made holds another key");
    return 0;
}

int key_slot_add(struct repo *r, const struct repo_key *key, const struct key_secret *secret,
                 uint32_t *number, struct err *err)
{
    struct err ignored = {0};

    TRY(may_change(r, err));
    if (key == NULL && !r->has_key)
        return err_set(err, ERR_KEY, "the repository was opened without its key");
    if (key == NULL)
        key = &r->key;
    TRY(check_key(r, key, err));
    TRY(make_slot(r, key, secret, number, err));
    crash_point("key-added");
    if (prove_slot(r, *number, key, secret, err) == 0)
        return 0;
    if (delete_slot(r, *number, &ignored) != 0)
        return err_context(err, "the new key slot %08x, which could not be removed again (%s)",
                           *number, ignored.msg);
    return err_context(err, "the new key slot %08x, which was removed again", *number);
}

/* ---- removing ---- */

static struct key_slot *find_slot(struct key_slots *slots, uint32_t number)
{
    for (size_t i = 0; i < slots->n; i++)
        if (slots->items[i].number == number)
            return &slots->items[i];
    return NULL;
}

static size_t opened(const struct key_slots *slots)
{
    size_t n = 0;

    for (size_t i = 0; i < slots->n; i++)
        n += slots->items[i].state == KEY_SLOT_OPENS;
    return n;
}

static int may_remove(const struct key_slots *slots, const struct key_slot *slot, bool keep,
                      struct err *err)
{
    if (slot->state == KEY_SLOT_DAMAGED)
        return 0;
    if (key_slots_sound(slots) == 1)
        return err_set(err, ERR_FAILED,
                       "key slot %08x is the last one that is whole: without it nobody could read "
                       "the repository; add another one first",
                       slot->number);
    if (slot->state == KEY_SLOT_OPENS && opened(slots) == 1)
        return err_set(err, ERR_KEY,
                       "key slot %08x is the one that the configuration opens: give the "
                       "configuration another secret first",
                       slot->number);
    if (keep && opened(slots) == 0)
        return err_set(
            err, ERR_KEY,
            "the secret of the configuration opens none of the key slots, so it cannot be "
            "told which one must stay%s%s",
            slot->why.code != ERR_NONE ? ": " : "", slot->why.msg);
    return 0;
}

/* Somebody else may have removed the other one meanwhile: each puts his own back then. */
static int still_open(struct repo *r, uint32_t number, const struct buf *body, struct err *err)
{
    struct key_slots left;

    if (key_slots_list(r, NULL, &left, err) == 0) {
        if (key_slots_sound(&left) != 0)
            return 0;
        err_set(err, ERR_CONFLICT, "another one removed the others at the same time");
    }
    if (put_slot(r, number, body, err) != 0 && err->code != ERR_EXISTS)
        return err_context(err,
                           "key slot %08x was removed, perhaps as the last one, and cannot be "
                           "put back: see \"pgbr key list\"",
                           number);
    return err_set(err, ERR_CONFLICT,
                   "key slot %08x was put back, because it cannot be seen that another one is left",
                   number);
}

int key_slot_remove(struct repo *r, uint32_t number, const struct key_secret *keep, struct err *err)
{
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct key_slots slots;
    struct key_slot *slot;

    TRY(may_change(r, err));
    TRY(key_slots_list(r, keep, &slots, err));
    slot = find_slot(&slots, number);
    if (slot == NULL)
        return err_set(err, ERR_NOT_FOUND, "there is no key slot %08x in \"%s\"", number,
                       store_where(r->store));
    TRY(may_remove(&slots, slot, keep != NULL, err));
    if (slot->state == KEY_SLOT_DAMAGED)
        return delete_slot(r, number, err);
    TRY(read_slot(r, number, &body, err));
    TRY(delete_slot(r, number, err));
    crash_point("key-removed");
    return still_open(r, number, &body, err);
}
