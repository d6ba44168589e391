/*
 * pack_write.c - sets and the packs that are written into them. See pack.h.
 *
 * Where the store is far away, a full pack is sent by a thread of its own while the next one fills:
 * otherwise the network idles while the worker reads and compresses, and the other way round. One
 * pack per packer is on its way at most, so that a worker holds two.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/crash.h"
#include "base/mem.h"
#include "base/queue.h"
#include "repo/object/settle.h"
#include "repo/pack/contents_form.h"
#include "repo/pack/pack.h"

/* One chunk of a pack is its CONTENTS. */
enum { DATA_CHUNKS_MAX = OBJECT_CHUNKS_MAX - 1 };

struct set {
    struct repo *repo;
    char label[LABEL_SIZE + 1];
    struct set_identity id;
    pthread_mutex_t lock; /* of all below */
    uint32_t next;
    uint64_t stored;
    struct pack_info *packs;
    size_t n, cap;
};

int set_new(struct set **out, struct repo *r, const char *label, const struct set_identity *id,
            struct err *err)
{
    struct set *s;

    if (!label_valid(label))
        return err_set(err, ERR_FAILED, "\"%s\" is no label of a set", label);
    s = xcalloc(1, sizeof *s);
    s->repo = r;
    s->id = *id;
    memcpy(s->label, label, sizeof s->label);
    pthread_mutex_init(&s->lock, NULL);
    *out = s;
    return 0;
}

void set_free(struct set **s)
{
    if (*s == NULL)
        return;
    pthread_mutex_destroy(&(*s)->lock);
    free((*s)->packs);
    free(*s);
    *s = NULL;
}

const char *set_label(const struct set *s)
{
    return s->label;
}

struct repo *set_repo(const struct set *s)
{
    return s->repo;
}

uint64_t set_stored_bytes(const struct set *s)
{
    return __atomic_load_n(&s->stored, __ATOMIC_RELAXED);
}

static int by_number(const void *a, const void *b)
{
    const struct pack_info *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

const struct pack_info *set_packs(const struct set *s, size_t *n)
{
    if (s->n != 0)
        qsort(s->packs, s->n, sizeof *s->packs, by_number);
    *n = s->n;
    return s->packs;
}

static uint32_t take_number(struct set *s)
{
    uint32_t number;

    pthread_mutex_lock(&s->lock);
    number = s->next++;
    pthread_mutex_unlock(&s->lock);
    return number;
}

static void note_pack(struct set *s, const struct pack_info *p)
{
    pthread_mutex_lock(&s->lock);
    if (s->n == s->cap) {
        s->cap = s->cap * 2 + 64;
        s->packs = xrealloc(s->packs, s->cap * sizeof *s->packs);
    }
    s->packs[s->n++] = *p;
    __atomic_store_n(&s->stored, s->stored + p->size, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&s->lock);
}

/* ---- what the store says was written ---- */

struct compare {
    struct set *set;
    const struct pack_info *packs;
    size_t n, at;
};

static int compare_entry(void *ctx, const struct store_entry *e, struct err *err)
{
    struct compare *c = ctx;
    AUTO(buf_free) struct buf name = BUF_INIT;
    const struct pack_info *p = &c->packs[c->at];

    if (c->at == c->n)
        return err_set(err, ERR_CONFLICT,
                       "\"%s\" lies in this session's set, which did not write it", e->key);
    name_pack(&name, repo_cluster(c->set->repo), c->set->label, p->number);
    if (strcmp(e->key, name.p) != 0)
        return err_set(err, ERR_CORRUPT, "\"%s\" was written but is not listed (\"%s\" is)", name.p,
                       e->key);
    if (e->size != p->size)
        return err_set(err, ERR_CORRUPT, "\"%s\" is listed with %llu bytes, %llu were written",
                       e->key, (unsigned long long)e->size, (unsigned long long)p->size);
    c->at++;
    return 0;
}

int set_check_listing(struct set *s, struct err *err)
{
    AUTO(buf_free) struct buf prefix = BUF_INIT;
    struct compare c = {.set = s};

    c.packs = set_packs(s, &c.n);
    name_set(&prefix, repo_cluster(s->repo), s->label);
    TRY(store_list(repo_store(s->repo), prefix.p, STORE_DEEP, compare_entry, &c, NULL, err));
    if (c.at == c.n)
        return 0;
    return err_set(err, ERR_CORRUPT, "pack %u of set \"%s\" was written but is not listed",
                   c.packs[c.at].number, s->label);
}

/* ---- one pack, sealed, on its way into the store ---- */

struct parcel {
    struct set *set;
    struct object_writer *object;
    struct object_head head;
    struct buf key;
    struct pack_info info;
};

static int parcel_store(struct parcel *p, struct err *err)
{
    crash_point("pack-written");
    if (object_commit(&p->object, STORE_LAZY, &p->info.size, err) != 0 &&
        object_settle(repo_store(p->set->repo), p->key.p, &p->head, p->info.size, err) != 0)
        return err_context(err, "pack %u of set \"%s\"", p->info.number, p->set->label);
    note_pack(p->set, &p->info);
    crash_point("pack-stored");
    return 0;
}

static int parcel_send(void *ctx, unsigned index, struct err *err)
{
    (void)index;
    return parcel_store(ctx, err);
}

/* ---- one worker's pack ---- */

struct packer {
    struct set *set;
    enum object_kind kind;
    struct coder *coder;
    struct parcel filling; /* without an object: none is open */
    struct parcel sent;    /* the sender's, while there is one */
    struct workers *sender;
    struct contents_builder contents;
    struct buf raw_contents;
};

int packer_new(struct packer **out, struct set *s, enum object_kind kind, struct err *err)
{
    AUTO(packer_free) struct packer *p = xcalloc(1, sizeof *p);

    p->set = s;
    p->kind = kind;
    TRY(repo_coder(s->repo, s->label, &p->coder, err));
    *out = TAKE(p);
    return 0;
}

void packer_free(struct packer **p)
{
    struct err ignored = {0};

    if (*p == NULL)
        return;
    if (workers_join(&(*p)->sender, &ignored) != 0)
        err_clear(&ignored); /* whoever frees without packer_finish() has given up */
    object_abandon(&(*p)->filling.object);
    object_abandon(&(*p)->sent.object);
    coder_free(&(*p)->coder);
    contents_builder_free(&(*p)->contents);
    buf_free(&(*p)->raw_contents);
    buf_free(&(*p)->filling.key);
    buf_free(&(*p)->sent.key);
    free(*p);
    *p = NULL;
}

static int open_pack(struct packer *p, struct err *err)
{
    struct set *s = p->set;
    struct parcel *f = &p->filling;

    f->set = s;
    f->info = (struct pack_info){.number = take_number(s)};
    f->head = (struct object_head){.kind = p->kind, .pack = f->info.number};
    memcpy(f->head.label, s->label, sizeof s->label);
    memcpy(f->head.repo_id, repo_id(s->repo), sizeof f->head.repo_id);
    contents_builder_reset(&p->contents);
    name_pack(&f->key, repo_cluster(s->repo), s->label, f->info.number);
    return object_create(&f->object, repo_store(s->repo), f->key.p, STORE_CREATE_ONLY, &f->head,
                         p->coder, err);
}

/* Hands the full pack to a sender, once the one before has arrived. */
static int send_pack(struct packer *p, struct err *err)
{
    struct parcel free_one;

    if (!store_is_remote(repo_store(p->set->repo)))
        return parcel_store(&p->filling, err);
    TRY(workers_join(&p->sender, err));
    free_one = p->sent;
    p->sent = p->filling;
    p->filling = (struct parcel){.key = free_one.key};
    return workers_start(&p->sender, 1, parcel_send, &p->sent, NULL, err);
}

static int close_pack(struct packer *p, struct err *err)
{
    struct parcel *f = &p->filling;

    if (f->object == NULL)
        return 0;
    if (p->kind == OBJECT_PACK) {
        contents_finish(&p->contents, &p->set->id, &p->raw_contents);
        TRY(object_add(f->object, CHUNK_CONTENTS, CHUNK_PRIVATE, p->contents.n_chunks,
                       p->raw_contents.p, p->raw_contents.len, NULL, err));
    }
    f->info.chunks = object_chunk_count(f->object);
    TRY(object_seal(f->object, err));
    return send_pack(p, err);
}

int packer_finish(struct packer *p, struct err *err)
{
    TRY(close_pack(p, err));
    return workers_join(&p->sender, err);
}

int packer_add(struct packer *p, enum chunk_type type, uint32_t items, const void *raw, size_t len,
               const struct chunk_note *note, const struct hash128 *hash, struct place *at,
               struct err *err)
{
    struct parcel *f = &p->filling;
    struct hash128 own;

    if (f->object == NULL)
        TRY(open_pack(p, err));
    TRY(object_add(f->object, type, CHUNK_PRIVATE, items, raw, len, &at->chunk, err));
    at->pack = f->info.number;
    if (p->kind == OBJECT_PACK) {
        if (hash == NULL) {
            own = hash128(raw, len);
            hash = &own;
        }
        contents_add(&p->contents, type, (uint32_t)len, hash, note);
    }
    if (object_size(f->object) < repo_pack_size(p->set->repo) &&
        object_chunk_count(f->object) < DATA_CHUNKS_MAX && !contents_full(&p->contents))
        return 0;
    return close_pack(p, err);
}
