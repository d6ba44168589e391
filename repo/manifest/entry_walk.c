/* entry_walk.c - the file table of a manifest as a stream. One block and one MAP chunk are in
 * memory. See manifest.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "repo/manifest/manifest_open.h"

struct entry_walk {
    struct manifest *manifest;
    struct coder *coder;
    struct object_reader *object; /* tables in the manifest itself */
    struct pack_reader *packs;    /* tables in metadata packs; made when needed */
    uint32_t next_block;
    bool in_block, block_begins; /* begins: its first entry is the next */
    struct buf block, maps;
    uint32_t map_chunk; /* which one is in maps; UINT32_MAX: none */
    struct filetab_reader table;
    struct buf last; /* path of the last entry of the block before; empty: not known */
    struct buf from; /* entries before it are passed over */
    bool seeking;
};

int entry_walk_begin(struct entry_walk **out, struct manifest *m, struct err *err)
{
    AUTO(entry_walk_end) struct entry_walk *w = NULL;

    if (!m->has_tables)
        return err_set(err, ERR_KEY, "the files of backup \"%s\" cannot be read without the key",
                       m->pub.label);
    w = xcalloc(1, sizeof *w);
    w->manifest = m;
    w->map_chunk = UINT32_MAX;
    TRY(manifest_object(m, &w->coder, &w->object, err));
    *out = TAKE(w);
    return 0;
}

void entry_walk_end(struct entry_walk **pw)
{
    struct entry_walk *w = *pw;

    if (w == NULL)
        return;
    filetab_end(&w->table);
    object_close(&w->object);
    coder_free(&w->coder);
    pack_reader_free(&w->packs);
    buf_free(&w->block);
    buf_free(&w->maps);
    buf_free(&w->last);
    buf_free(&w->from);
    free(w);
    *pw = NULL;
}

static int read_table(struct entry_walk *w, const struct table_place *at, enum chunk_type type,
                      size_t max, struct buf *out, struct err *err)
{
    size_t len;

    if (at->set == 0) {
        if (at->chunk >= object_chunks(w->object) ||
            object_chunk(w->object, at->chunk)->type != type)
            return err_set(err, ERR_CORRUPT, "chunk %u is not of type %d", at->chunk, type);
        return object_read(w->object, at->chunk, out, NULL, err);
    }
    if (w->packs == NULL)
        TRY(pack_reader_new(&w->packs, w->manifest->repo, err));
    buf_clear(out);
    buf_reserve(out, max);
    TRY(pack_read_chunk(w->packs, manifest_set(w->manifest, at->set), at->pack, at->chunk, type,
                        out->p, max, &len, NULL, err));
    out->len = len;
    return 0;
}

static int next_block(struct entry_walk *w, struct err *err)
{
    const struct table_block *b = &w->manifest->index.blocks[w->next_block++];

    TRY(read_table(w, &b->at, CHUNK_FILETAB, FILETAB_MAX, &w->block, err));
    buf_clear(&w->last);
    if (w->table.path.len != 0)
        buf_add(&w->last, w->table.path.p, w->table.path.len);
    TRY(filetab_begin(&w->table, w->block.p, w->block.len, err));
    if (w->table.left != b->entries)
        return err_set(err, ERR_CORRUPT, "a block of %u entries, its index says %u", w->table.left,
                       b->entries);
    w->in_block = true;
    w->block_begins = true;
    return 0;
}

/* Within a block its reader looks at the order. */
static int check_first(struct entry_walk *w, const struct entry *e, struct err *err)
{
    const char *indexed = w->manifest->index.blocks[w->next_block - 1].first_path;

    w->block_begins = false;
    if (strcmp(e->path, indexed) == 0 &&
        (w->last.len == 0 || path_compare(buf_text(&w->last), e->path) < 0))
        return 0;
    return err_set(err, ERR_CORRUPT, "a block begins with \"%s\", its index says \"%s\"", e->path,
                   indexed);
}

static int fetch_map(struct entry_walk *w, const struct map_ref *ref, struct entry *e,
                     struct err *err)
{
    if (w->map_chunk != ref->map) {
        w->map_chunk = UINT32_MAX;
        TRY(read_table(w, &w->manifest->index.maps[ref->map], CHUNK_MAP, MAP_CHUNK_MAX, &w->maps,
                       err));
        w->map_chunk = ref->map;
    }
    if (ref->offset > w->maps.len || ref->len > w->maps.len - ref->offset)
        return err_set(err, ERR_CORRUPT, "map of \"%s\" lies outside its chunk", e->path);
    e->map = (const uint8_t *)w->maps.p + ref->offset;
    e->map_len = ref->len;
    return 0;
}

static int next_entry(struct entry_walk *w, struct entry *e, struct err *err)
{
    const struct manifest *m = w->manifest;
    struct filetab_limits limits = {&m->attributes, m->sets.n, m->index.n_maps};
    struct map_ref ref;
    int more;

    for (;;) {
        if (!w->in_block) {
            if (w->next_block == m->index.n_blocks)
                return 0;
            TRY(next_block(w, err));
        }
        more = filetab_next(&w->table, &limits, e, &ref, err);
        if (more < 0)
            return -1;
        if (more == 1)
            break;
        w->in_block = false;
    }
    if (w->block_begins)
        TRY(check_first(w, e, err));
    if (ref.len != 0)
        TRY(fetch_map(w, &ref, e, err));
    return 1;
}

int entry_walk_next(struct entry_walk *w, struct entry *e, struct err *err)
{
    int more;

    do
        more = next_entry(w, e, err);
    while (more == 1 && w->seeking && path_compare(e->path, buf_text(&w->from)) < 0);
    w->seeking = false;
    if (more < 0)
        return err_context(err, "file table of backup \"%s\"", w->manifest->pub.label);
    return more;
}

int entry_walk_seek(struct entry_walk *w, const char *from, struct err *err)
{
    const struct file_index *x = &w->manifest->index;
    uint32_t low = 0, high = x->n_blocks;

    (void)err;
    while (low < high) { /* the first block that begins behind `from` */
        uint32_t middle = low + (high - low) / 2;

        if (path_compare(x->blocks[middle].first_path, from) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    w->next_block = low == 0 ? 0 : low - 1;
    w->in_block = false;
    w->seeking = true;
    buf_clear(&w->table.path);
    buf_clear(&w->from);
    buf_adds(&w->from, from);
    return 0;
}
