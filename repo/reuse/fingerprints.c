/* fingerprints.c - see fingerprints.h. Of a CONTENTS only what is wanted here is kept: paths take
 * much more. */
#include "repo/reuse/fingerprints.h"

#include <stdlib.h>

#include "base/mem.h"

enum { SLOTS = 4 };

struct slot {
    uint32_t set, pack;
    uint64_t last_use;
    struct fingerprint {
        struct hash128 hash;
        uint32_t raw_len;
    } * chunks; /* NULL: empty */
    uint32_t n;
};
struct fingerprints {
    struct pack_reader *reader;
    pthread_mutex_t *parsing;
    uint64_t clock;
    struct slot slots[SLOTS];
};

struct fingerprints *fingerprints_new(struct pack_reader *reader, pthread_mutex_t *parsing)
{
    struct fingerprints *f = xcalloc(1, sizeof *f);

    f->reader = reader;
    f->parsing = parsing;
    return f;
}

void fingerprints_free(struct fingerprints **f)
{
    if (*f == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        free((*f)->slots[i].chunks);
    free(*f);
    *f = NULL;
}

static void keep(const struct contents *all, struct slot *s)
{
    s->n = all->n_chunks;
    s->chunks = xcalloc(all->n_chunks, sizeof *s->chunks);
    for (uint32_t i = 0; i < all->n_chunks; i++)
        s->chunks[i] = (struct fingerprint){all->chunks[i].hash, all->chunks[i].raw_len};
}

static int load(struct fingerprints *f, const char *label, struct slot *s, struct err *err)
{
    struct contents all = {0};
    int result;

    pthread_mutex_lock(f->parsing);
    result = pack_read_contents(f->reader, label, s->pack, &all, err);
    if (result == 0) {
        keep(&all, s);
        contents_free(&all);
    }
    pthread_mutex_unlock(f->parsing);
    return result;
}

/* The slot of the pack, or the one to be used for it. */
static struct slot *slot_of(struct fingerprints *f, uint32_t set, uint32_t pack)
{
    struct slot *oldest = &f->slots[0];

    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *s = &f->slots[i];

        if (s->chunks != NULL && s->set == set && s->pack == pack)
            return s;
        if (s->last_use < oldest->last_use)
            oldest = s;
    }
    free(oldest->chunks);
    *oldest = (struct slot){.set = set, .pack = pack};
    return oldest;
}

int fingerprints_get(struct fingerprints *f, uint32_t set, const char *label, struct place at,
                     struct hash128 *hash, uint32_t *raw_len, struct err *err)
{
    struct slot *s = slot_of(f, set, at.pack);

    if (s->chunks == NULL)
        TRY(load(f, label, s, err));
    s->last_use = ++f->clock;
    if (at.chunk >= s->n)
        return err_set(
            err, ERR_CORRUPT,
            "the backup refers to chunk %u of pack %u of set \"%s\", which has %u chunks", at.chunk,
            at.pack, label, s->n);
    *hash = s->chunks[at.chunk].hash;
    *raw_len = s->chunks[at.chunk].raw_len;
    return 0;
}
