/* increment.c - see increment.h. */
#include "backup/increment.h"

#include <stdlib.h>

#include "base/mem.h"
#include "postgres/page.h"

enum { FILE_BYTES_MAX = 1 << 30 };

void increment_free(struct increment *inc)
{
    manifest_close(&inc->base);
    changed_free(&inc->changed);
    free(inc->sets);
    inc->sets = NULL;
    free(inc->labels);
    inc->labels = NULL;
}

int increment_register(struct increment *inc, struct manifest_writer *w, struct err *err)
{
    uint32_t n = manifest_sets(inc->base);

    inc->sets = xcalloc(n, sizeof *inc->sets);
    for (uint32_t i = 1; i < n; i++) {
        size_t n_packs;
        const struct pack_info *packs = manifest_packs(inc->base, i, &n_packs);

        TRY(manifest_add_set(w, manifest_set(inc->base, i), packs, n_packs, &inc->sets[i], err));
        inc->n_sets = MAX_OF(inc->n_sets, inc->sets[i] + 1);
    }
    inc->labels = xcalloc(inc->n_sets, sizeof *inc->labels);
    for (uint32_t i = 1; i < n; i++)
        memcpy(inc->labels[inc->sets[i]], manifest_set(inc->base, i), LABEL_SIZE + 1);
    return 0;
}

/* ---- along the base ---- */

int increment_walk_begin(struct increment_walk *w, const struct increment *inc, struct err *err)
{
    *w = (struct increment_walk){.inc = inc};
    return entry_walk_begin(&w->entries, inc->base, err);
}

void increment_walk_end(struct increment_walk *w)
{
    entry_walk_end(&w->entries);
    buf_free(&w->map);
    map_free(&w->builder);
}

static int advance(struct increment_walk *w, struct err *err)
{
    int more = entry_walk_next(w->entries, &w->entry, err);

    w->at_end = more == 0;
    return more < 0 ? -1 : 0;
}

/* *e: what the base has under that path, or NULL. */
static int look_up(struct increment_walk *w, const char *path, const struct entry **e,
                   struct err *err)
{
    *e = NULL;
    if (!w->started)
        TRY(advance(w, err));
    w->started = true;
    while (!w->at_end) {
        int order = path_compare(w->entry.path, path);

        if (order == 0)
            *e = &w->entry;
        if (order >= 0)
            return 0;
        TRY(advance(w, err));
    }
    return 0;
}

/* ---- what to do ---- */

static uint32_t pages_of(uint64_t size)
{
    return (uint32_t)((size + PG_PAGE_SIZE - 1) / PG_PAGE_SIZE);
}

/* Blocks that were damaged in the base must be looked at again. */
static bool has_damage(const struct increment *inc, const char *path)
{
    const struct backup_info *info = manifest_info(inc->base);

    for (uint32_t i = 0; i < info->n_errors; i++)
        if (strcmp(info->errors[i].path, path) == 0)
            return true;
    return false;
}

/* Only of main forks every change that matters is in the WAL, as a block (postgres-internals: bits
 * of the visibility map are cleared without one, the free space map is not logged at all). */
static bool is_vouched_for(struct increment_walk *w, const struct listed *l, const struct entry *e)
{
    struct rel_file rel;

    if (w->inc->changed == NULL || e == NULL || e->type != ENTRY_FILE ||
        strncmp(l->path, "data/", 5) != 0 || !relfile_parse(l->path + 5, &rel) ||
        rel.fork != FORK_MAIN)
        return false;
    if (l->size > FILE_BYTES_MAX || e->size > FILE_BYTES_MAX || l->size % PG_PAGE_SIZE != 0 ||
        e->size % PG_PAGE_SIZE != 0 || has_damage(w->inc, l->path + 5))
        return false;
    changed_file(w->inc->changed, &rel, &w->changed);
    return !w->changed.all;
}

/* The base's map, with the numbers that its sets have here. */
static int translate(struct increment_walk *w, const struct entry *e, struct err *err)
{
    AUTO(map_end) struct map_walk walk = {0};
    struct extent x;
    int more;

    map_reset(&w->builder);
    buf_clear(&w->map);
    TRY(map_begin(&walk, e->map, e->map_len, manifest_sets(w->inc->base), err));
    if (walk.unit != PG_PAGE_SIZE || walk.length != e->size)
        return err_set(err, ERR_CORRUPT, "\"%s\" has a map of another length or page size",
                       e->path);
    while ((more = map_next(&walk, &x, err)) == 1) {
        if (x.set != SET_ZERO)
            x.set = w->inc->sets[x.set];
        map_add(&w->builder, x);
    }
    if (more < 0)
        return err_context(err, "base \"%s\", file \"%s\"", manifest_pub(w->inc->base)->label,
                           e->path);
    map_finish(&w->builder, PG_PAGE_SIZE, e->size, &w->map);
    return 0;
}

static int same(struct increment_walk *w, const struct listed *l, const struct entry *e,
                struct err *err)
{
    w->result = (struct file_result){
        .fate = FATE_EMPTY,
        .size = e->size,
        .mtime_s = l->mtime_s,
        .crc32c = e->crc32c,
        .crc_unknown = e->crc_unknown,
    };
    buf_clear(&w->map);
    if (e->place == PLACE_MAP) {
        w->result.fate = FATE_MAP;
        TRY(translate(w, e, err));
        w->result.map_len = (uint32_t)w->map.len;
    } else if (e->place == PLACE_BUNDLE) {
        w->result.fate = FATE_BUNDLE;
        w->result.set = w->inc->sets[e->set];
        w->result.pack = e->pack;
        w->result.chunk = e->chunk;
        w->result.offset = e->offset;
    }
    return 0;
}

int increment_plan(struct increment_walk *w, const struct listed *l, enum file_plan *plan,
                   struct err *err)
{
    const struct entry *e;

    *plan = PLAN_WHOLE;
    TRY(look_up(w, l->path, &e, err));
    w->changed = (struct changed_file){0};
    if (!is_vouched_for(w, l, e)) {
        if (e == NULL || e->type != ENTRY_FILE || e->place != PLACE_MAP || l->size < SMALL_FILE ||
            w->changed.all)
            return 0;
        *plan = PLAN_COMPARE;
        return translate(w, e, err);
    }
    if (l->size == e->size && changed_next(&w->changed, 0) >= pages_of(e->size)) {
        *plan = PLAN_SAME;
        return same(w, l, e, err);
    }
    if (e->place != PLACE_MAP || l->size < SMALL_FILE)
        return 0;
    *plan = PLAN_PAGES;
    return translate(w, e, err);
}
