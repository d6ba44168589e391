/*
 * pack_read.c - reading chunks of packs. See pack.h. A restore goes through the packs of each set
 * front to back, alternating between as many sets as its backup has: the last packs and a coder per
 * set are kept.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "repo/pack/pack.h"

enum { OPEN_PACKS = 2, CODERS = 8, AHEAD_ALL = 4 << 20, AHEAD_LEAST = 128 << 10 };

struct open_pack {
    char set[LABEL_SIZE + 1];
    uint32_t pack;
    struct object_reader *object;
    uint64_t used; /* when last, by the reader's count */
};
struct pack_reader {
    struct repo *repo;
    uint64_t clock;
    struct open_pack *packs;
    size_t n_packs, n_coders, ahead; /* ahead: bytes, of each pack */
    struct set_coder {
        char set[LABEL_SIZE + 1];
        struct coder *coder;
        uint64_t used;
    } * coders;
};

int pack_reader_new(struct pack_reader **r, struct repo *repo, struct err *err)
{
    struct pack_reader *p = xcalloc(1, sizeof *p);

    (void)err;
    p->repo = repo;
    p->n_packs = OPEN_PACKS;
    p->n_coders = CODERS;
    p->ahead = AHEAD_ALL / OPEN_PACKS;
    p->packs = xcalloc(p->n_packs, sizeof *p->packs);
    p->coders = xcalloc(p->n_coders, sizeof *p->coders);
    *r = p;
    return 0;
}

void pack_reader_widen(struct pack_reader *r, size_t sets)
{
    size_t packs = MAX_OF(r->n_packs, sets), coders = MAX_OF(r->n_coders, sets);

    r->packs = xrealloc(r->packs, packs * sizeof *r->packs);
    memset(r->packs + r->n_packs, 0, (packs - r->n_packs) * sizeof *r->packs);
    r->n_packs = packs;
    r->coders = xrealloc(r->coders, coders * sizeof *r->coders);
    memset(r->coders + r->n_coders, 0, (coders - r->n_coders) * sizeof *r->coders);
    r->n_coders = coders;
    r->ahead = MAX_OF(AHEAD_ALL / MAX_OF(packs, (size_t)1), (size_t)AHEAD_LEAST);
}

void pack_reader_free(struct pack_reader **r)
{
    if (*r == NULL)
        return;
    for (size_t i = 0; i < (*r)->n_packs; i++)
        object_close(&(*r)->packs[i].object);
    for (size_t i = 0; i < (*r)->n_coders; i++)
        coder_free(&(*r)->coders[i].coder);
    free((*r)->packs);
    free((*r)->coders);
    free(*r);
    *r = NULL;
}

/* A pack borrows its coder: packs of a coder that goes must go first. */
static void close_packs_of(struct pack_reader *r, const char *set)
{
    for (size_t i = 0; i < r->n_packs; i++)
        if (r->packs[i].object != NULL && strcmp(r->packs[i].set, set) == 0)
            object_close(&r->packs[i].object);
}

static int coder_of(struct pack_reader *r, const char *set, struct coder **coder, struct err *err)
{
    struct set_coder *oldest = &r->coders[0];

    for (size_t i = 0; i < r->n_coders; i++) {
        struct set_coder *c = &r->coders[i];

        if (c->coder != NULL && strcmp(c->set, set) == 0) {
            c->used = ++r->clock;
            *coder = c->coder;
            return 0;
        }
        if (c->used < oldest->used)
            oldest = c;
    }
    if (oldest->coder != NULL) {
        close_packs_of(r, oldest->set);
        coder_free(&oldest->coder);
    }
    TRY(repo_coder(r->repo, set, &oldest->coder, err));
    memcpy(oldest->set, set, sizeof oldest->set);
    oldest->used = ++r->clock;
    *coder = oldest->coder;
    return 0;
}

static int open_object(struct pack_reader *r, const char *set, uint32_t pack, enum object_kind kind,
                       struct object_reader **object, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    AUTO(object_close) struct object_reader *o = NULL;
    struct coder *coder;
    const char *name = name_pack(&key, repo_cluster(r->repo), set, pack);

    TRY(coder_of(r, set, &coder, err));
    TRY(object_open(&o, repo_store(r->repo), name, kind, repo_id(r->repo), coder, err));
    if (object_head(o)->pack != pack || strcmp(object_head(o)->label, set) != 0)
        return err_set(err, ERR_FOREIGN, "object \"%s\" says that it is pack %u of set \"%s\"",
                       name, object_head(o)->pack, object_head(o)->label);
    object_limit_ahead(o, r->ahead);
    *object = TAKE(o);
    return 0;
}

static int pack_of(struct pack_reader *r, const char *set, uint32_t pack, enum object_kind kind,
                   struct object_reader **object, struct err *err)
{
    struct open_pack *oldest = &r->packs[0];

    for (size_t i = 0; i < r->n_packs; i++) {
        struct open_pack *p = &r->packs[i];

        if (p->object != NULL && p->pack == pack && strcmp(p->set, set) == 0) {
            p->used = ++r->clock;
            *object = p->object;
            return 0;
        }
        if (p->used < oldest->used)
            oldest = p;
    }
    object_close(&oldest->object);
    TRY(open_object(r, set, pack, kind, &oldest->object, err));
    memcpy(oldest->set, set, sizeof oldest->set);
    oldest->pack = pack;
    oldest->used = ++r->clock;
    *object = oldest->object;
    return 0;
}

static int check_chunk(const struct object_reader *o, const char *set, uint32_t pack,
                       uint32_t chunk, enum chunk_type type, struct err *err)
{
    if (chunk >= object_chunks(o))
        return err_set(err, ERR_CORRUPT, "set \"%s\", pack %u has %u chunks, chunk %u is wanted",
                       set, pack, object_chunks(o), chunk);
    if (object_chunk(o, chunk)->type != type)
        return err_set(err, ERR_CORRUPT, "set \"%s\", pack %u, chunk %u is of type %d, expected %d",
                       set, pack, chunk, object_chunk(o, chunk)->type, type);
    return 0;
}

/* Tables of a manifest lie in packs of their own kind. */
static enum object_kind kind_of(enum chunk_type type)
{
    return type == CHUNK_PAGES || type == CHUNK_BUNDLE ? OBJECT_PACK : OBJECT_META_PACK;
}

int pack_read_chunk(struct pack_reader *r, const char *set, uint32_t pack, uint32_t chunk,
                    enum chunk_type type, void *dst, size_t cap, size_t *raw_len, uint32_t *items,
                    struct err *err)
{
    struct object_reader *o;

    TRY(pack_of(r, set, pack, kind_of(type), &o, err));
    TRY(check_chunk(o, set, pack, chunk, type, err));
    return object_read_into(o, chunk, dst, cap, raw_len, items, err);
}

int pack_read_contents(struct pack_reader *r, const char *set, uint32_t pack, struct contents *c,
                       struct err *err)
{
    AUTO(buf_free) struct buf raw = BUF_INIT;
    struct object_reader *o;
    int at;

    TRY(pack_of(r, set, pack, OBJECT_PACK, &o, err));
    at = object_find(o, CHUNK_CONTENTS);
    if (at < 0)
        return err_set(err, ERR_CORRUPT, "set \"%s\", pack %u has no contents", set, pack);
    TRY(object_read(o, (uint32_t)at, &raw, NULL, err));
    TRY(contents_parse(raw.p, raw.len, c, err));
    if (c->n_chunks == (uint32_t)at)
        return 0;
    contents_free(c);
    return err_set(err, ERR_CORRUPT, "set \"%s\", pack %u: contents of another number of chunks",
                   set, pack);
}
