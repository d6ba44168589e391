/*
 * lease_read.c - what stored leases say, and which of them are live. See lease.h.
 *
 * A lease whose writer cannot commit any more, because its set has a final fence, counts as
 * released, whatever it says: a writer that slept may have renewed it late.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "repo/lease/lease_form.h"
#include "repo/object/fields.h"

enum { US_PER_S = 1000000 };

/* ---- the body ---- */

static int bad_field(const struct field *f, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "lease: field %u of %zu bytes is malformed", f->tag, f->len);
}

static int take_number(const struct field *f, uint64_t max, uint64_t *value, struct err *err)
{
    struct cursor in = cursor_of(f->p, f->len);

    *value = cur_uv_max(&in, max);
    return cur_done(&in) ? 0 : bad_field(f, err);
}

static int take_u32(const struct field *f, uint32_t *value, struct err *err)
{
    uint64_t wide;

    TRY(take_number(f, UINT32_MAX, &wide, err));
    *value = (uint32_t)wide;
    return 0;
}

static int take_state(const struct field *f, bool *released, struct err *err)
{
    uint64_t state;

    TRY(take_number(f, UINT64_MAX, &state, err));
    if (state != LEASE_ACTIVE && state != LEASE_RELEASED)
        return err_set(err, ERR_UNSUPPORTED, "lease: state %llu, known are %d and %d",
                       (unsigned long long)state, LEASE_ACTIVE, LEASE_RELEASED);
    *released = state == LEASE_RELEASED;
    return 0;
}

static bool take_label(const uint8_t *p, char out[LABEL_SIZE + 1])
{
    memcpy(out, p, LABEL_SIZE);
    out[LABEL_SIZE] = '\0';
    return label_valid(out);
}

static int take_adopted(const struct field *f, struct lease_seen *s, struct err *err)
{
    size_t n = f->len / LABEL_SIZE;

    if (f->len % LABEL_SIZE != 0 || n > LEASE_ADOPTED_MAX)
        return bad_field(f, err);
    s->adopted = xcalloc(n, sizeof *s->adopted);
    s->n_adopted = n;
    for (size_t i = 0; i < n; i++)
        if (!take_label(f->p + i * LABEL_SIZE, s->adopted[i]))
            return bad_field(f, err);
    return 0;
}

static int take_host(const struct field *f, struct lease_seen *s, struct err *err)
{
    if (f->len > LEASE_HOST_MAX || memchr(f->p, '\0', f->len) != NULL)
        return bad_field(f, err);
    s->host = xstrndup((const char *)f->p, f->len);
    return 0;
}

static int take_field(const struct field *f, struct lease_seen *s, struct err *err)
{
    switch (f->tag) {
    case LEASE_STATE:
        return take_state(f, &s->released, err);
    case LEASE_HOST:
        return take_host(f, s, err);
    case LEASE_SYSTEM:
        if (f->len != 8)
            return bad_field(f, err);
        s->id.system_id = get_u64(f->p);
        return 0;
    case LEASE_MAJOR:
        return take_u32(f, &s->id.major, err);
    case LEASE_WAL:
        if (f->len != 8)
            return bad_field(f, err);
        s->wal_lsn = get_u64(f->p);
        return 0;
    case LEASE_TIMELINE:
        return take_u32(f, &s->id.timeline, err);
    case LEASE_BASE:
        return f->len == LABEL_SIZE && take_label(f->p, s->base) ? 0 : bad_field(f, err);
    case LEASE_ADOPTED:
        return take_adopted(f, s, err);
    default:
        return field_unknown(f, "lease", err);
    }
}

void lease_seen_clear(struct lease_seen *s)
{
    free(s->adopted);
    free(s->host);
    *s = (struct lease_seen){0};
}

int lease_parse(const void *bytes, size_t len, struct lease_seen *out, struct err *err)
{
    static const unsigned needed[] = {LEASE_STATE, LEASE_SYSTEM, LEASE_MAJOR, LEASE_TIMELINE};
    AUTO(lease_seen_clear) struct lease_seen s = {0};
    struct fields in;
    struct field f;
    int more;

    fields_begin(&in, bytes, len, "lease");
    while ((more = fields_next(&in, &f, err)) > 0)
        TRY(take_field(&f, &s, err));
    TRY(more);
    TRY(fields_need(&in, needed, LENGTH(needed), err));
    if (s.host == NULL)
        s.host = xstrdup("");
    lease_seen_clear(out);
    *out = s;
    s = (struct lease_seen){0};
    return 0;
}

/* ---- all of a cluster ---- */

struct lease_list {
    struct lease_seen *items;
    int64_t *modified_us; /* of each */
    size_t n, cap;
};

static void list_free(struct lease_list *l)
{
    leases_free(&l->items, l->n);
    mem_free(&l->modified_us);
}

static const char *last_part(const char *key)
{
    return strrchr(key, '/') + 1;
}

/* What is not named after a set is none of ours. */
static int note_lease(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct lease_list *l = ctx;

    (void)err;
    if (entry->is_prefix || !label_valid(last_part(entry->key)))
        return 0;
    if (l->n == l->cap) {
        l->cap = l->cap * 2 + 8;
        l->items = xrealloc(l->items, l->cap * sizeof *l->items);
        l->modified_us = xrealloc(l->modified_us, l->cap * sizeof *l->modified_us);
    }
    l->items[l->n] = (struct lease_seen){0};
    memcpy(l->items[l->n].set, last_part(entry->key), LABEL_SIZE);
    l->modified_us[l->n++] = entry->modified_us;
    return 0;
}

/* Listings are in order of keys, so both are in order of labels. */
static int note_fence(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct lease_list *l = ctx;
    const char *name = last_part(entry->key);
    size_t low = 0, high = l->n;

    (void)err;
    if (entry->is_prefix || strlen(name) <= LABEL_SIZE || strcmp(name + LABEL_SIZE, ".final") != 0)
        return 0;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strncmp(l->items[mid].set, name, LABEL_SIZE);
        if (order == 0)
            l->items[mid].released = true;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return 0;
}

static int read_body(struct repo *r, struct coder *coder, const char *set, struct lease_seen *out,
                     struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT, body = BUF_INIT;
    char label[OBJECT_LABEL + 1];

    lease_label(label, set);
    TRY(coder_relabel(coder, label, err));
    TRY(object_get_small(repo_store(r), name_lease(&key, repo_cluster(r), set), OBJECT_LEASE,
                         repo_id(r), coder, CHUNK_TEXT, &body, err));
    return lease_parse(body.p, body.len, out, err);
}

/* The content, not the way to it, is at fault. */
static bool beyond_reading(const struct err *err)
{
    return err->code == ERR_CORRUPT || err->code == ERR_UNSUPPORTED || err->code == ERR_FOREIGN;
}

/*
 * Fills in what the lease says; false in *there when it was removed meanwhile. One that cannot be
 * understood may pin any backup, so while it is young nobody may act on the list. Later, or behind
 * a fence, it is reported without terms: its set can be fenced all the same.
 */
static int read_one(struct repo *r, struct coder *coder, struct lease_seen *s, int64_t ttl_us,
                    bool *there, struct err *err)
{
    AUTO(lease_seen_clear) struct lease_seen said = {.host = xstrdup("")};

    *there = true;
    if (read_body(r, coder, s->set, &said, err) != 0) {
        *there = err->code != ERR_NOT_FOUND;
        if (*there && (!beyond_reading(err) || (!s->released && s->age_us < ttl_us)))
            return err_context(err, "lease of set \"%s\"", s->set);
        if (*there)
            log_warning("lease of set \"%s\" is not in use and cannot be read: %s", s->set,
                        err->msg);
        err_clear(err);
    }
    memcpy(said.set, s->set, sizeof said.set);
    said.age_us = s->age_us;
    said.released |= s->released; /* by a fence */
    said.live = !said.released && said.age_us < ttl_us;
    *s = said;
    said = (struct lease_seen){0};
    return 0;
}

static int read_all(struct repo *r, struct lease_list *l, int64_t now_us, struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    int64_t ttl_us = (int64_t)repo_lease_ttl_s(r) * US_PER_S;
    size_t kept = 0;

    TRY(repo_coder(r, "lease", &coder, err));
    for (size_t i = 0; i < l->n; i++) {
        struct lease_seen *s = &l->items[i];
        bool there;
        s->age_us = MAX_OF(now_us - l->modified_us[i], 0);
        TRY(read_one(r, coder, s, ttl_us, &there, err));
        if (!there)
            lease_seen_clear(s);
        else if (kept++ != i) {
            l->items[kept - 1] = *s;
            *s = (struct lease_seen){0};
        }
    }
    l->n = kept;
    return 0;
}

int leases_list(struct repo *r, struct lease_seen **out, size_t *n, struct err *err)
{
    AUTO(list_free) struct lease_list l = {0};
    AUTO(mem_free) char *leases = xasprintf("%s/lease/", repo_cluster(r));
    AUTO(mem_free) char *fences = xasprintf("%s/fence/", repo_cluster(r));
    int64_t now_us;

    TRY(store_list(repo_store(r), leases, STORE_SHALLOW, note_lease, &l, &now_us, err));
    if (l.n != 0) {
        TRY(store_list(repo_store(r), fences, STORE_SHALLOW, note_fence, &l, NULL, err));
        TRY(read_all(r, &l, now_us, err));
    }
    *n = l.n;
    *out = TAKE(l.items);
    return 0;
}

void leases_free(struct lease_seen **out, size_t n)
{
    for (size_t i = 0; *out != NULL && i < n; i++)
        lease_seen_clear(&(*out)[i]);
    mem_free(out);
}
