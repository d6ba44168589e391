/*
 * manifest_write.c - the tables of a manifest while it is built. See manifest.h; manifest_commit.c
 * makes the object.
 *
 * Blocks of the file table and chunks of maps are kept in memory up to 8 MiB and then go into the
 * manifest; beyond that all of them go into metadata packs as they fill, and the manifest only says
 * where they are.
 */
#include <stdlib.h>

#include "base/crash.h"
#include "base/mem.h"
#include "repo/manifest/manifest_build.h"

int manifest_begin(struct manifest_writer **out, struct set *own, struct err *err)
{
    struct manifest_writer *w = xcalloc(1, sizeof *w);

    (void)err;
    w->set = own;
    w->repo = set_repo(own);
    w->sets.sets = xcalloc(2, sizeof *w->sets.sets);
    w->sets.n = 2;
    memcpy(w->sets.sets[1].label, set_label(own), LABEL_SIZE + 1);
    *out = w;
    return 0;
}

static void drop_held(struct manifest_writer *w)
{
    for (size_t i = 0; i < w->n_held; i++)
        buf_free(&w->held[i].raw);
    free(w->held);
    w->held = NULL;
    w->n_held = 0;
    w->held_bytes = 0;
}

void manifest_abandon(struct manifest_writer **pw)
{
    struct manifest_writer *w = *pw;

    if (w == NULL)
        return;
    drop_held(w);
    packer_free(&w->packer);
    set_table_free(&w->sets);
    attributes_free(&w->attributes);
    filetab_free(&w->table);
    buf_free(&w->block);
    buf_free(&w->last_path);
    buf_free(&w->maps);
    file_index_free(&w->index);
    free(w);
    *pw = NULL;
}

/* A set that is known already, of which other packs are named now: adopted by the base of this
 * backup, and offered for adoption once more. */
static void widen_set(struct set_packs *s, const struct pack_info *packs, size_t n)
{
    struct pack_info *all = xcalloc(s->n + n, sizeof *all);
    uint8_t **live = xcalloc(s->n + n, sizeof *live);
    size_t old = 0, k = 0;

    for (size_t i = 0; i < n || old < s->n; k++) {
        bool keep = old < s->n && (i == n || s->packs[old].number <= packs[i].number);

        if (i < n && (!keep || s->packs[old].number == packs[i].number))
            all[k] = packs[i++];
        if (keep) {
            all[k] = s->packs[old];
            live[k] = s->live[old++];
        } else {
            live[k] = xcalloc(1, OBJECT_CHUNKS_MAX / 8);
        }
    }
    free(s->packs);
    free(s->live);
    s->packs = all;
    s->live = live;
    s->n = k;
}

int manifest_add_set(struct manifest_writer *w, const char *label, const struct pack_info *packs,
                     size_t n, uint32_t *index, struct err *err)
{
    struct set_packs *s;

    if (!label_valid(label))
        return err_set(err, ERR_FAILED, "\"%s\" is no label of a set", label);
    if (w->sets.n > SETTAB_MAX)
        return err_set(err, ERR_FAILED, "a backup can build on at most %d other sets", SETTAB_MAX);
    for (size_t i = 1; i < n; i++)
        if (packs[i].number <= packs[i - 1].number)
            return err_set(err, ERR_FAILED, "set \"%s\": pack %u comes after pack %u", label,
                           packs[i].number, packs[i - 1].number);
    for (uint32_t i = 2; i < w->sets.n; i++)
        if (strcmp(w->sets.sets[i].label, label) == 0) {
            widen_set(&w->sets.sets[i], packs, n);
            *index = i;
            return 0;
        }
    w->sets.sets = xrealloc(w->sets.sets, (w->sets.n + 1) * sizeof *w->sets.sets);
    s = &w->sets.sets[w->sets.n];
    *s = (struct set_packs){
        .packs = xcalloc(n, sizeof *packs), .n = n, .live = xcalloc(n, sizeof *s->live)};
    memcpy(s->label, label, LABEL_SIZE + 1);
    for (size_t i = 0; i < n; i++) {
        s->packs[i] = packs[i];
        s->live[i] = xcalloc(1, OBJECT_CHUNKS_MAX / 8);
    }
    *index = w->sets.n++;
    return 0;
}

/* ---- what foreign sets are needed for ---- */

static int mark_live(struct manifest_writer *w, uint32_t set, uint32_t pack, uint32_t chunk,
                     struct err *err)
{
    struct set_packs *s = &w->sets.sets[set];
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (s->packs[middle].number < pack)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == s->n || s->packs[low].number != pack || chunk >= s->packs[low].chunks)
        return err_set(err, ERR_FAILED, "an entry names chunk %u of pack %u of set \"%s\": unknown",
                       chunk, pack, s->label);
    s->live[low][chunk / 8] |= (uint8_t)(1u << (chunk % 8));
    return 0;
}

/* Every map is walked before it is written: what a restore would refuse must fail now. */
static int mark_map(struct manifest_writer *w, const struct entry *e, struct err *err)
{
    struct map_walk walk;
    struct extent x;
    int more = -1, rc = 0;

    TRY(map_begin(&walk, e->map, e->map_len, w->sets.n, err));
    if (walk.length != e->size)
        rc = err_set(err, ERR_FAILED, "its map is of %llu bytes, the file has %llu",
                     (unsigned long long)walk.length, (unsigned long long)e->size);
    while (rc == 0 && (more = map_next(&walk, &x, err)) == 1) {
        if (x.set <= 1)
            continue;
        for (uint64_t a = x.addr >> MAP_PAGE_BITS;
             rc == 0 && a <= (x.addr + x.count - 1) >> MAP_PAGE_BITS; a++)
            rc = mark_live(w, x.set, addr_pack(a << MAP_PAGE_BITS), addr_chunk(a << MAP_PAGE_BITS),
                           err);
    }
    map_end(&walk);
    return rc != 0 ? rc : more;
}

static int mark_entry(struct manifest_writer *w, const struct entry *e, struct err *err)
{
    if (e->type != ENTRY_FILE)
        return 0;
    if (e->place == PLACE_BUNDLE && (e->set == SET_ZERO || e->set >= w->sets.n))
        return err_set(err, ERR_FAILED, "file \"%s\" lies in set %u, there are %u", e->path, e->set,
                       w->sets.n - 1);
    if (e->place == PLACE_MAP && mark_map(w, e, err) != 0)
        return err_context(err, "file \"%s\"", e->path);
    if (e->place == PLACE_BUNDLE && e->set > 1)
        return mark_live(w, e->set, e->pack, e->chunk, err);
    return 0;
}

/* ---- tables ---- */

void manifest_note_place(struct manifest_writer *w, enum chunk_type type, uint32_t number,
                         struct table_place at)
{
    if (type == CHUNK_MAP)
        w->index.maps[number] = at;
    else
        w->index.blocks[number].at = at;
}

static int store_table(struct manifest_writer *w, const struct held *h, struct err *err)
{
    struct table_place at = {.set = 1};
    struct place place;

    TRY(packer_add(w->packer, h->type, h->items, h->raw.p, h->raw.len, NULL, NULL, &place, err));
    at.pack = place.pack;
    at.chunk = place.chunk;
    manifest_note_place(w, h->type, h->number, at);
    crash_point("manifest-table");
    return 0;
}

/* Too much for the manifest: from now on into packs. */
static int start_packs(struct manifest_writer *w, struct err *err)
{
    TRY(packer_new(&w->packer, w->set, OBJECT_META_PACK, err));
    for (size_t i = 0; i < w->n_held; i++)
        TRY(store_table(w, &w->held[i], err));
    drop_held(w);
    return 0;
}

static int put_table(struct manifest_writer *w, enum chunk_type type, uint32_t items,
                     uint32_t number, const struct buf *raw, struct err *err)
{
    struct held h = {.type = type, .items = items, .number = number, .raw = *raw};

    if (w->packer == NULL && w->held_bytes + raw->len > TABLES_INLINE)
        TRY(start_packs(w, err));
    if (w->packer != NULL)
        return store_table(w, &h, err);
    h.raw = (struct buf)BUF_INIT;
    buf_add(&h.raw, raw->p, raw->len);
    w->held = xrealloc(w->held, (w->n_held + 1) * sizeof *w->held);
    w->held[w->n_held++] = h;
    w->held_bytes += raw->len;
    return 0;
}

static int flush_maps(struct manifest_writer *w, struct err *err)
{
    if (w->maps.len == 0)
        return 0;
    TRY(put_table(w, CHUNK_MAP, 1, w->index.n_maps - 1, &w->maps, err));
    buf_clear(&w->maps);
    return 0;
}

static int flush_block(struct manifest_writer *w, struct err *err)
{
    struct file_index *x = &w->index;

    if (w->table.n == 0)
        return 0;
    x->blocks = xrealloc(x->blocks, (x->n_blocks + 1) * sizeof *x->blocks);
    x->blocks[x->n_blocks++] = (struct table_block){
        .first_path = xstrdup(buf_text(&w->table.first_path)), .entries = w->table.n};
    filetab_finish(&w->table, &w->block);
    TRY(put_table(w, CHUNK_FILETAB, w->table.n, x->n_blocks - 1, &w->block, err));
    filetab_reset(&w->table);
    return 0;
}

/* A long map goes behind the others of the MAP chunk that is being filled. */
static int place_map(struct manifest_writer *w, const struct entry *e, struct map_ref *ref,
                     struct err *err)
{
    if (e->map_len > MAP_CHUNK_MAX)
        return err_set(err, ERR_FAILED, "the map of \"%s\" has %zu bytes, at most %d are possible",
                       e->path, e->map_len, MAP_CHUNK_MAX);
    if (w->maps.len != 0 && w->maps.len + e->map_len > MAP_CHUNK_BYTES)
        TRY(flush_maps(w, err));
    if (w->maps.len == 0) {
        w->index.maps = xrealloc(w->index.maps, (w->index.n_maps + 1) * sizeof *w->index.maps);
        w->index.maps[w->index.n_maps++] = (struct table_place){0};
    }
    *ref = (struct map_ref){w->index.n_maps - 1, (uint32_t)w->maps.len, (uint32_t)e->map_len};
    buf_add(&w->maps, e->map, e->map_len);
    return 0;
}

int manifest_add(struct manifest_writer *w, const struct entry *e, struct err *err)
{
    bool far = e->type == ENTRY_FILE && e->place == PLACE_MAP && e->map_len > MAP_INLINE;
    struct map_ref ref;

    TRY(filetab_check(e, err));
    if (w->last_path.len != 0 && path_compare(w->last_path.p, e->path) >= 0)
        return err_set(err, ERR_FAILED, "\"%s\" comes after \"%s\" but sorts before it", e->path,
                       w->last_path.p);
    TRY(mark_entry(w, e, err));
    if (far)
        TRY(place_map(w, e, &ref, err));
    filetab_add(&w->table, e, attributes_index(&w->attributes, e->mode & 07777, e->user, e->group),
                far ? &ref : NULL);
    buf_clear(&w->last_path);
    buf_adds(&w->last_path, e->path);
    if (w->table.n == FILETAB_ENTRIES || w->table.rows.len >= FILETAB_BYTES)
        return flush_block(w, err);
    return 0;
}

int manifest_flush(struct manifest_writer *w, struct err *err)
{
    TRY(flush_block(w, err));
    TRY(flush_maps(w, err));
    crash_point("manifest-flushed");
    return w->packer != NULL ? packer_finish(w->packer, err) : 0;
}
