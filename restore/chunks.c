/* chunks.c - see chunks.h. */
#include "restore/chunks.h"

#include <stdlib.h>

#include "base/mem.h"

/* A page that changed every day lies in the chunk of another backup than its neighbours, so a walk
 * along a file goes to and fro between as many chunks as there are backups in the chain. */
enum { PAGE_SLOTS = 8, BUNDLE_SLOTS = 2, CONTENTS_SLOTS = 2, BUNDLE_MAX = 512 << 10 };

struct slot {
    struct chunk_at at;
    bool used;
    uint64_t last_use;
    uint8_t *data;
    size_t cap, len;
};
struct fingerprint {
    struct hash128 hash;
    uint32_t raw_len;
};
struct contents_slot { /* of the CONTENTS of a pack only what is wanted here: paths take much more
                        */
    uint32_t set, pack;
    uint64_t last_use;
    struct fingerprint *chunks; /* NULL: empty */
    uint32_t n;
};
struct chunks {
    struct pack_reader *reader;
    const struct manifest *manifest;
    pthread_mutex_t *parsing;
    uint64_t clock;
    struct slot pages[PAGE_SLOTS], bundles[BUNDLE_SLOTS];
    struct contents_slot contents[CONTENTS_SLOTS];
};

int chunks_new(struct chunks **out, struct repo *r, const struct manifest *m,
               pthread_mutex_t *parsing, struct err *err)
{
    struct chunks *c = xcalloc(1, sizeof *c);
    uint32_t page_size = manifest_pub(m)->page_size;

    c->manifest = m;
    c->parsing = parsing;
    for (size_t i = 0; i < PAGE_SLOTS; i++)
        c->pages[i].cap = (size_t)page_size * MAP_PAGES;
    for (size_t i = 0; i < BUNDLE_SLOTS; i++)
        c->bundles[i].cap = BUNDLE_MAX;
    *out = c;
    if (pack_reader_new(&c->reader, r, err) != 0) {
        chunks_free(out);
        return -1;
    }
    return 0;
}

void chunks_free(struct chunks **c)
{
    if (*c == NULL)
        return;
    pack_reader_free(&(*c)->reader);
    for (size_t i = 0; i < PAGE_SLOTS; i++)
        free((*c)->pages[i].data);
    for (size_t i = 0; i < BUNDLE_SLOTS; i++)
        free((*c)->bundles[i].data);
    for (size_t i = 0; i < CONTENTS_SLOTS; i++)
        free((*c)->contents[i].chunks);
    free(*c);
    *c = NULL;
}

/* The label of a set, for numbers that come from a map or an entry. */
static int set_of(const struct chunks *c, uint32_t set, const char **label, struct err *err)
{
    if (set == SET_ZERO || set >= manifest_sets(c->manifest))
        return err_set(err, ERR_CORRUPT, "the backup refers to set %u, but knows %u", set,
                       manifest_sets(c->manifest));
    *label = manifest_set(c->manifest, set);
    return 0;
}

static int decode(struct chunks *c, enum chunk_type type, struct chunk_at at, void *dst, size_t cap,
                  size_t *len, struct err *err)
{
    const char *label;
    uint32_t items;

    TRY(set_of(c, at.set, &label, err));
    return pack_read_chunk(c->reader, label, at.pack, at.chunk, type, dst, cap, len, &items, err);
}

int chunks_read(struct chunks *c, struct chunk_at at, void *dst, size_t cap, size_t *len,
                struct err *err)
{
    return decode(c, CHUNK_PAGES, at, dst, cap, len, err);
}

static bool same_at(struct chunk_at a, struct chunk_at b)
{
    return a.set == b.set && a.pack == b.pack && a.chunk == b.chunk;
}

int chunks_get(struct chunks *c, enum chunk_type type, struct chunk_at at, const uint8_t **data,
               size_t *len, struct err *err)
{
    struct slot *slots = type == CHUNK_BUNDLE ? c->bundles : c->pages, *s = &slots[0];
    size_t n = type == CHUNK_BUNDLE ? BUNDLE_SLOTS : PAGE_SLOTS;

    for (size_t i = 0; i < n; i++) {
        if (slots[i].used && same_at(slots[i].at, at)) {
            s = &slots[i];
            break;
        }
        if (slots[i].last_use < s->last_use)
            s = &slots[i];
    }
    if (!s->used || !same_at(s->at, at)) {
        s->used = false;
        if (s->data == NULL)
            s->data = xmalloc(s->cap);
        TRY(decode(c, type, at, s->data, s->cap, &s->len, err));
        s->at = at;
        s->used = true;
    }
    s->last_use = ++c->clock;
    *data = s->data;
    *len = s->len;
    return 0;
}

static void keep_fingerprints(const struct contents *all, struct contents_slot *s)
{
    s->n = all->n_chunks;
    s->chunks = xcalloc(all->n_chunks, sizeof *s->chunks);
    for (uint32_t i = 0; i < all->n_chunks; i++)
        s->chunks[i] = (struct fingerprint){all->chunks[i].hash, all->chunks[i].raw_len};
}

static int load_contents(struct chunks *c, struct chunk_at at, struct contents_slot *s,
                         struct err *err)
{
    struct contents all = {0};
    const char *label;
    int result;

    free(s->chunks);
    *s = (struct contents_slot){.set = at.set, .pack = at.pack};
    TRY(set_of(c, at.set, &label, err));
    pthread_mutex_lock(c->parsing);
    result = pack_read_contents(c->reader, label, at.pack, &all, err);
    if (result == 0) {
        keep_fingerprints(&all, s);
        contents_free(&all);
    }
    pthread_mutex_unlock(c->parsing);
    return result;
}

int chunks_hash(struct chunks *c, struct chunk_at at, struct hash128 *hash, uint32_t *raw_len,
                struct err *err)
{
    struct contents_slot *s = &c->contents[0];

    for (size_t i = 0; i < CONTENTS_SLOTS; i++) {
        struct contents_slot *this = &c->contents[i];
        if (this->chunks != NULL && this->set == at.set && this->pack == at.pack) {
            s = this;
            break;
        }
        if (this->last_use < s->last_use)
            s = this;
    }
    if (s->chunks == NULL || s->set != at.set || s->pack != at.pack)
        TRY(load_contents(c, at, s, err));
    s->last_use = ++c->clock;
    if (at.chunk >= s->n)
        return err_set(err, ERR_CORRUPT,
                       "the backup refers to chunk %u of pack %u, which has %u chunks", at.chunk,
                       at.pack, s->n);
    *hash = s->chunks[at.chunk].hash;
    *raw_len = s->chunks[at.chunk].raw_len;
    return 0;
}
