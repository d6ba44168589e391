/*
 * harm.c - see harm.h. A pack whose directory can still be read is narrowed down to its bad chunks;
 * else all of it counts as lost.
 *
 * Bad packs are sorted by set and number: each manifest looks up its sets once and then passes over
 * every extent of a set without damage, so that tracing one bad pack costs reading the maps.
 */
#include "repo/verify/harm.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/verify/place.h"

enum { HARMS_MAX = 10000 }; /* listed per object */

/* A damaged pack. */
struct bad_pack {
    struct damage *damage;
    char set[LABEL_SIZE + 1];
    uint32_t pack;
    bool has_data; /* known to hold no tables of manifests */
    uint8_t *bad;  /* a bit per chunk; NULL: all are */
};
struct bad_packs {
    struct bad_pack *items;
    size_t n;
};

static void bad_packs_free(struct bad_packs *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->items[i].bad);
    free(b->items);
}

static bool chunk_is_bad(const struct bad_pack *b, uint32_t chunk)
{
    return b->bad == NULL || (b->bad[chunk / 8] >> (chunk % 8) & 1) != 0;
}

static bool means_damage(const struct err *err)
{
    return err->code == ERR_CORRUPT || err->code == ERR_FOREIGN || err->code == ERR_UNSUPPORTED ||
           err->code == ERR_NOT_FOUND;
}

/* ---- which chunks are bad ---- */

static int read_chunks(struct bad_pack *b, struct object_reader *reader, struct err *err)
{
    AUTO(buf_free) struct buf raw = BUF_INIT;

    b->bad = xmalloc(OBJECT_CHUNKS_MAX / 8);
    memset(b->bad, 0xff, OBJECT_CHUNKS_MAX / 8);
    for (uint32_t i = 0; i < object_chunks(reader); i++) {
        if (object_read(reader, i, &raw, NULL, err) == 0)
            b->bad[i / 8] &= (uint8_t) ~(1u << (i % 8));
        else if (!means_damage(err))
            return -1;
        err_clear(err);
    }
    return 0;
}

/* One that lies under another's name is of no use, however whole it is. */
static int narrow_down(struct repo *r, struct bad_pack *b, struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(object_close) struct object_reader *reader = NULL;

    TRY(repo_coder(r, b->set, &coder, err));
    if (object_open(&reader, repo_store(r), b->damage->object, OBJECT_PACK, repo_id(r), coder,
                    err) != 0) {
        if (!means_damage(err))
            return -1;
        err_clear(err);
        return 0;
    }
    if (object_head(reader)->pack != b->pack)
        return 0;
    b->has_data = true;
    return read_chunks(b, reader, err);
}

static int by_place(const void *a, const void *b)
{
    const struct bad_pack *x = a, *y = b;
    int order = strcmp(x->set, y->set);

    if (order != 0)
        return order;
    return x->pack < y->pack ? -1 : x->pack > y->pack;
}

static int find_bad(struct repo *r, struct verify_made *made, struct bad_packs *out,
                    struct err *err)
{
    out->items = xcalloc(made->n_damages, sizeof *out->items);
    for (size_t i = 0; i < made->n_damages; i++) {
        struct bad_pack *b = &out->items[out->n];

        if (!place_pack(repo_cluster(r), made->damages[i].object, b->set, &b->pack))
            continue;
        b->damage = &made->damages[i];
        out->n++;
        TRY(narrow_down(r, b, err));
    }
    if (out->n != 0)
        qsort(out->items, out->n, sizeof *out->items, by_place);
    return 0;
}

/* ---- what needs them ---- */

static void add_harm(struct damage *d, const char *label, const char *path, uint32_t first,
                     uint32_t blocks)
{
    struct harm *last = d->n_harms != 0 ? &d->harms[d->n_harms - 1] : NULL;

    if (last != NULL && blocks != 0 && last->first_block + last->blocks == first &&
        strcmp(last->path, path) == 0 && strcmp(last->label, label) == 0) {
        last->blocks += blocks;
        return;
    }
    if (last != NULL && d->n_harms >= HARMS_MAX && strcmp(last->label, label) == 0)
        return; /* but each backup is named */
    if (d->n_harms % 16 == 0)
        d->harms = xrealloc(d->harms, (d->n_harms + 16) * sizeof *d->harms);
    last = &d->harms[d->n_harms++];
    *last = (struct harm){.path = xstrdup(path), .first_block = first, .blocks = blocks};
    memcpy(last->label, label, sizeof last->label);
}

/* The bad packs of one set of a manifest. */
struct range {
    const struct bad_pack *from;
    size_t n;
};
struct trace {
    struct manifest *manifest;
    const char *label;
    struct range *sets; /* by index in SETTAB */
};

static void find_ranges(struct trace *t, const struct bad_packs *all)
{
    t->sets = xcalloc(manifest_sets(t->manifest), sizeof *t->sets);
    for (uint32_t s = 1; s < manifest_sets(t->manifest); s++)
        for (size_t i = 0; i < all->n; i++) {
            if (strcmp(all->items[i].set, manifest_set(t->manifest, s)) != 0)
                continue;
            if (t->sets[s].n++ == 0)
                t->sets[s].from = &all->items[i];
        }
}

static const struct bad_pack *find_pack(const struct trace *t, uint32_t set, uint32_t pack)
{
    size_t low = 0, high;

    if (set == SET_ZERO || set >= manifest_sets(t->manifest))
        return NULL;
    high = t->sets[set].n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct bad_pack *b = &t->sets[set].from[middle];

        if (b->pack == pack)
            return b;
        if (b->pack < pack)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Chunk by chunk. A run of pages never leaves its pack. */
static void trace_extent(const struct trace *t, const char *path, const struct extent *x,
                         uint32_t block)
{
    const struct bad_pack *b = find_pack(t, x->set, addr_pack(x->addr));

    for (uint32_t i = 0; b != NULL && i < x->count;) {
        uint64_t addr = x->addr + i;
        uint32_t n = MIN_OF(x->count - i, MAP_PAGES - addr_page(addr));

        if (chunk_is_bad(b, addr_chunk(addr)))
            add_harm(b->damage, t->label, path, block + i, n);
        i += n;
    }
}

static int trace_map(const struct trace *t, const struct entry *e, struct err *err)
{
    AUTO(map_end) struct map_walk w;
    struct extent x;
    uint32_t block = 0;
    int more;

    TRY(map_begin(&w, e->map, e->map_len, manifest_sets(t->manifest), err));
    while ((more = map_next(&w, &x, err)) == 1) {
        trace_extent(t, e->path, &x, block);
        block += x.count;
    }
    return more;
}

static int trace_entries(const struct trace *t, struct err *err)
{
    AUTO(entry_walk_end) struct entry_walk *w = NULL;
    struct entry e;
    int more;

    TRY(entry_walk_begin(&w, t->manifest, err));
    while ((more = entry_walk_next(w, &e, err)) == 1) {
        const struct bad_pack *b;

        if (e.type != ENTRY_FILE)
            continue;
        if (e.place == PLACE_MAP)
            TRY(trace_map(t, &e, err));
        if (e.place == PLACE_BUNDLE && (b = find_pack(t, e.set, e.pack)) != NULL &&
            chunk_is_bad(b, e.chunk))
            add_harm(b->damage, t->label, e.path, 0, 0);
    }
    return more;
}

/* Tables of the manifest lie in packs too: when they cannot be read, all of the backup is lost. */
static void trace_tables(const struct trace *t)
{
    for (uint32_t s = 1; s < manifest_sets(t->manifest); s++)
        for (size_t i = 0; i < t->sets[s].n; i++)
            if (!t->sets[s].from[i].has_data)
                add_harm(t->sets[s].from[i].damage, t->label, "", 0, 0);
}

static int trace_backup(struct repo *r, const char *label, const struct bad_packs *all,
                        struct err *err)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    struct trace t = {.label = label};
    int rc;

    if (manifest_open(&m, r, label, err) != 0) {
        if (!means_damage(err))
            return -1;
        err_clear(err); /* the manifest is itself among the damages, or gone */
        return 0;
    }
    t.manifest = m;
    find_ranges(&t, all);
    rc = trace_entries(&t, err);
    if (rc != 0 && means_damage(err)) {
        trace_tables(&t);
        err_clear(err);
        rc = 0;
    }
    free(t.sets);
    return rc;
}

static int trace_all(struct repo *r, const char *label, const struct bad_packs *all,
                     struct err *err)
{
    AUTO(backups_free) struct backup_list list = {0};

    if (label != NULL)
        return trace_backup(r, label, all, err);
    TRY(backups_list(r, &list, NULL, NULL, err));
    for (size_t i = 0; i < list.n; i++)
        TRY(trace_backup(r, list.items[i].label, all, err));
    return 0;
}

/* "<cluster>/backup/<label>/manifest" */
static void trace_manifests(const struct repo *r, struct verify_made *made)
{
    AUTO(buf_free) struct buf name = BUF_INIT;
    size_t n = strlen(repo_cluster(r)) + strlen("/backup/");

    for (size_t i = 0; i < made->n_damages; i++) {
        struct damage *d = &made->damages[i];
        char label[LABEL_SIZE + 1] = {0};

        if (strlen(d->object) < n + LABEL_SIZE)
            continue;
        memcpy(label, d->object + n, LABEL_SIZE);
        if (strcmp(name_manifest(&name, repo_cluster(r), label), d->object) == 0)
            add_harm(d, label, "", 0, 0);
    }
}

int harm_trace(struct repo *r, const char *label, struct verify_made *made, struct err *err)
{
    AUTO(bad_packs_free) struct bad_packs all = {0};

    trace_manifests(r, made);
    if (repo_encrypted(r) && repo_key(r) == NULL)
        return 0;
    TRY(find_bad(r, made, &all, err));
    return all.n == 0 ? 0 : trace_all(r, label, &all, err);
}
