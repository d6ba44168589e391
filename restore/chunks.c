/* chunks.c - see chunks.h. */
#include "restore/chunks.h"

#include <stdlib.h>

#include "base/mem.h"
#include "repo/reuse/fingerprints.h"

/* A page that changed every day lies in the chunk of another backup than its neighbours, so a walk
 * along a file goes to and fro between as many chunks as there are backups in the chain. */
enum { PAGE_SLOTS = 8, PAGE_SLOTS_MAX = 256, BUNDLE_SLOTS = 4, BUNDLE_MAX = 512 << 10 };

struct slot {
    struct chunk_at at;
    bool used;
    uint64_t last_use;
    uint8_t *data;
    size_t cap, len;
};
struct chunks {
    struct pack_reader *reader;
    const struct manifest *manifest;
    struct fingerprints *fingerprints;
    uint64_t clock;
    struct slot pages[PAGE_SLOTS_MAX], bundles[BUNDLE_SLOTS];
    uint8_t *scratch; /* for a chunk of any size; slots are as large as what they hold */
    size_t scratch_size;
    size_t n_pages;
};

int chunks_new(struct chunks **out, struct repo *r, const struct manifest *m,
               pthread_mutex_t *parsing, struct err *err)
{
    struct chunks *c = xcalloc(1, sizeof *c);
    uint32_t page_size = manifest_pub(m)->page_size;

    c->manifest = m;
    c->n_pages = MIN_OF(PAGE_SLOTS + (size_t)manifest_sets(m), (size_t)PAGE_SLOTS_MAX);
    c->scratch_size = MAX_OF((size_t)page_size * MAP_PAGES, (size_t)BUNDLE_MAX);
    c->scratch = xmalloc(c->scratch_size);
    *out = c;
    if (pack_reader_new(&c->reader, r, err) != 0) {
        chunks_free(out);
        return -1;
    }
    pack_reader_widen(c->reader, MIN_OF((size_t)manifest_sets(m) + 1, (size_t)PAGE_SLOTS_MAX));
    c->fingerprints = fingerprints_new(c->reader, parsing);
    return 0;
}

void chunks_free(struct chunks **c)
{
    if (*c == NULL)
        return;
    fingerprints_free(&(*c)->fingerprints);
    pack_reader_free(&(*c)->reader);
    free((*c)->scratch);
    for (size_t i = 0; i < (*c)->n_pages; i++)
        free((*c)->pages[i].data);
    for (size_t i = 0; i < BUNDLE_SLOTS; i++)
        free((*c)->bundles[i].data);
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

/* What the scratch holds. A slot's memory only grows, in steps of an eighth of a full chunk; with
 * one that is nearly full slot and scratch change places. */
static void keep(struct chunks *c, struct slot *s)
{
    size_t step = CHUNK_DATA_SIZE / 8, need = (s->len + step - 1) / step * step;

    if (s->len >= c->scratch_size / 4 * 3)
        need = c->scratch_size;
    if (s->cap < need) {
        free(s->data);
        s->data = xmalloc(need);
        s->cap = need;
    }
    if (need == c->scratch_size && s->cap == c->scratch_size) {
        uint8_t *full = c->scratch;

        c->scratch = s->data;
        s->data = full;
    } else {
        memcpy(s->data, c->scratch, s->len);
    }
}

int chunks_get(struct chunks *c, enum chunk_type type, struct chunk_at at, const uint8_t **data,
               size_t *len, struct err *err)
{
    struct slot *slots = type == CHUNK_BUNDLE ? c->bundles : c->pages, *s = &slots[0];
    size_t n = type == CHUNK_BUNDLE ? BUNDLE_SLOTS : c->n_pages;

    for (size_t i = 0; i < n; i++) {
        if (slots[i].used && same_chunk(slots[i].at, at)) {
            s = &slots[i];
            break;
        }
        if (slots[i].last_use < s->last_use)
            s = &slots[i];
    }
    if (!s->used || !same_chunk(s->at, at)) {
        s->used = false;
        TRY(decode(c, type, at, c->scratch, c->scratch_size, &s->len, err));
        keep(c, s);
        s->at = at;
        s->used = true;
    }
    s->last_use = ++c->clock;
    *data = s->data;
    *len = s->len;
    return 0;
}

int chunks_hash(struct chunks *c, struct chunk_at at, struct hash128 *hash, uint32_t *raw_len,
                struct err *err)
{
    const char *label;

    TRY(set_of(c, at.set, &label, err));
    return fingerprints_get(c->fingerprints, at.set, label, (struct place){at.pack, at.chunk}, hash,
                            raw_len, err);
}
