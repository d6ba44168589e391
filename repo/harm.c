/*
 * harm.c - see harm.h. A pack whose directory can still be read is narrowed down to its bad chunks;
 * else all of it counts as lost.
 */
#include "repo/harm.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { HARMS_MAX = 10000 }; /* listed per object */

/* A damaged pack. */
struct bad_pack {
    struct damage *damage;
    char set[LABEL_SIZE + 1];
    uint32_t pack;
    uint8_t bad[OBJECT_CHUNKS_MAX / 8]; /* a bit per chunk */
};

static bool chunk_is_bad(const struct bad_pack *b, uint32_t chunk)
{
    return (b->bad[chunk / 8] >> (chunk % 8) & 1) != 0;
}

/* "<cluster>/data/<set>/<ppppp>/<pppppppp>" */
static bool parse_pack_name(const char *cluster, const char *key, struct bad_pack *b)
{
    size_t n = strlen(cluster);
    char *end;

    if (strncmp(key, cluster, n) != 0 || strncmp(key + n, "/data/", 6) != 0)
        return false;
    key += n + 6;
    if (strlen(key) != LABEL_SIZE + 1 + 5 + 1 + 8)
        return false;
    memcpy(b->set, key, LABEL_SIZE);
    b->pack = (uint32_t)strtoul(key + LABEL_SIZE + 7, &end, 16);
    return *end == '\0' && label_valid(b->set);
}

/* Which chunks are bad; all, when that cannot be told. */
static void narrow_down(struct repo *r, struct bad_pack *b)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(object_close) struct object_reader *reader = NULL;
    AUTO(buf_free) struct buf raw = BUF_INIT;
    struct err ignored = {0};

    memset(b->bad, 0xff, sizeof b->bad);
    if (repo_coder(r, b->set, &coder, &ignored) != 0 ||
        object_open(&reader, repo_store(r), b->damage->object, OBJECT_PACK, repo_id(r), coder,
                    &ignored) != 0)
        return;
    for (uint32_t i = 0; i < object_chunks(reader); i++)
        if (object_read(reader, i, &raw, NULL, &ignored) == 0)
            b->bad[i / 8] &= (uint8_t) ~(1u << (i % 8));
}

static void add_harm(struct damage *d, const char *label, const char *path, uint32_t first,
                     uint32_t blocks)
{
    struct harm *last = d->n_harms != 0 ? &d->harms[d->n_harms - 1] : NULL;

    if (last != NULL && blocks != 0 && last->first_block + last->blocks == first &&
        strcmp(last->path, path) == 0 && strcmp(last->label, label) == 0) {
        last->blocks += blocks;
        return;
    }
    if (d->n_harms == HARMS_MAX)
        return;
    d->harms = xrealloc(d->harms, (d->n_harms + 1) * sizeof *d->harms);
    last = &d->harms[d->n_harms++];
    *last = (struct harm){.path = xstrdup(path), .first_block = first, .blocks = blocks};
    memcpy(last->label, label, sizeof last->label);
}

struct trace {
    struct manifest *manifest;
    const char *label;
    struct bad_pack *packs;
    size_t n;
};

static struct bad_pack *find_pack(const struct trace *t, uint32_t set, uint32_t pack)
{
    if (set == SET_ZERO || set >= manifest_sets(t->manifest))
        return NULL;
    for (size_t i = 0; i < t->n; i++)
        if (t->packs[i].pack == pack &&
            strcmp(t->packs[i].set, manifest_set(t->manifest, set)) == 0)
            return &t->packs[i];
    return NULL;
}

static int trace_map(const struct trace *t, const struct entry *e, struct err *err)
{
    struct map_walk w;
    struct extent x;
    uint32_t block = 0;
    int more = -1;

    if (map_begin(&w, e->map, e->map_len, manifest_sets(t->manifest), err) == 0) {
        while ((more = map_next(&w, &x, err)) == 1) {
            for (uint32_t i = 0; x.set != SET_ZERO && i < x.count; i++) {
                uint64_t addr = x.addr + i;
                struct bad_pack *b = find_pack(t, x.set, addr_pack(addr));

                if (b != NULL && chunk_is_bad(b, addr_chunk(addr)))
                    add_harm(b->damage, t->label, e->path, block + i, 1);
            }
            block += x.count;
        }
    }
    map_end(&w);
    return more;
}

static int trace_entries(const struct trace *t, struct err *err)
{
    AUTO(entry_walk_end) struct entry_walk *w = NULL;
    struct entry e;
    int more;

    TRY(entry_walk_begin(&w, t->manifest, err));
    while ((more = entry_walk_next(w, &e, err)) == 1) {
        if (e.type != ENTRY_FILE)
            continue;
        if (e.place == PLACE_MAP)
            TRY(trace_map(t, &e, err));
        if (e.place == PLACE_BUNDLE) {
            struct bad_pack *b = find_pack(t, e.set, e.pack);

            if (b != NULL && chunk_is_bad(b, e.chunk))
                add_harm(b->damage, t->label, e.path, 0, 0);
        }
    }
    return more;
}

/* A manifest that cannot be read is itself among the damages. */
static int trace_backup(struct repo *r, const char *label, struct bad_pack *packs, size_t n,
                        struct err *err)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    struct trace t = {.label = label, .packs = packs, .n = n};

    if (manifest_open(&m, r, label, err) == 0) {
        t.manifest = m;
        if (trace_entries(&t, err) == 0)
            return 0;
    }
    if (err->code != ERR_CORRUPT && err->code != ERR_NOT_FOUND && err->code != ERR_FOREIGN)
        return -1;
    err_clear(err);
    return 0;
}

static int trace_all(struct repo *r, const char *label, struct bad_pack *packs, size_t n,
                     struct err *err)
{
    AUTO(backups_free) struct backup_list list = {0};

    if (label != NULL)
        return trace_backup(r, label, packs, n, err);
    TRY(backups_list(r, &list, NULL, NULL, err));
    for (size_t i = 0; i < list.n; i++)
        TRY(trace_backup(r, list.items[i].label, packs, n, err));
    return 0;
}

int harm_trace(struct repo *r, const char *label, struct verify_made *made, struct err *err)
{
    AUTO(mem_free) struct bad_pack *packs = NULL;
    size_t n = 0;

    if (repo_encrypted(r) && repo_key(r) == NULL)
        return 0;
    packs = xcalloc(made->n_damages, sizeof *packs);
    for (size_t i = 0; i < made->n_damages; i++) {
        packs[n].damage = &made->damages[i];
        if (!parse_pack_name(repo_cluster(r), made->damages[i].object, &packs[n]))
            continue;
        narrow_down(r, &packs[n]);
        n++;
    }
    return n == 0 ? 0 : trace_all(r, label, packs, n, err);
}
