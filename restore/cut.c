/* cut.c - see cut.h. */
#include "restore/cut.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "restore/target_file.h"

enum {
    PART_BYTES = 64 << 20, /* a multiple of any chunk */
    TASK_BYTES = 8 << 20,  /* of small files together */
    TASK_FILES = 256,
    TASK_FILES_SOFT = 192, /* from here on a new bundle begins a new task */
};

struct cutter {
    struct manifest *manifest;
    const struct layout *layout;
    task_taker *take;
    void *ctx;
    struct task *open; /* of files that are not cut; may be NULL */
    struct dir_cache dir;
    uint32_t page;
};

struct cutter *cutter_new(struct manifest *m, const struct layout *l, task_taker *take, void *ctx)
{
    struct cutter *c = xcalloc(1, sizeof *c);

    *c = (struct cutter){
        .manifest = m, .layout = l, .take = take, .ctx = ctx, .dir = DIR_CACHE_INIT};
    c->page = manifest_pub(m)->page_size;
    return c;
}

void cutter_free(struct cutter **c)
{
    if (*c == NULL)
        return;
    task_free(&(*c)->open);
    dir_cache_free(&(*c)->dir);
    free(*c);
    *c = NULL;
}

uint32_t cut_parts(const struct entry *e)
{
    return e->place == PLACE_MAP && e->size > PART_BYTES
               ? (uint32_t)((e->size + PART_BYTES - 1) / PART_BYTES)
               : 1;
}

static int hand_over(struct cutter *c, struct task **t, struct err *err)
{
    if (*t == NULL || c->take(c->ctx, TAKE(*t)))
        return 0;
    return err_set(err, ERR_INTERRUPTED, "the restore was given up");
}

int cutter_finish(struct cutter *c, struct err *err)
{
    return hand_over(c, &c->open, err);
}

static struct item *new_item(struct task *t, const struct cut_file *f, enum item_kind kind)
{
    struct item *i = task_add(t, f->rel);

    i->kind = kind;
    i->exists = f->exists;
    i->made = f->made;
    i->root = f->root;
    i->mode = f->entry->mode & 07777;
    i->uid = f->uid;
    i->gid = f->gid;
    i->size = f->entry->size;
    i->crc = late_crc_hold(f->crc);
    return i;
}

static int too_odd(const struct entry *e, const char *what, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "the backup's file \"%s\" %s", e->path, what);
}

/* ---- small ones ---- */

static bool begins_bundle(const struct task *t, const struct entry *e)
{
    const struct item *last = &t->items[t->n - 1];

    return e->place != PLACE_BUNDLE || last->kind != ITEM_BUNDLE || last->set != e->set ||
           last->pack != e->pack || last->chunk != e->chunk;
}

/* The task that the next small file goes to. */
static int task_for(struct cutter *c, const struct entry *e, struct err *err)
{
    if (c->open != NULL && (c->open->n >= TASK_FILES || c->open->bytes + e->size > TASK_BYTES ||
                            (c->open->n >= TASK_FILES_SOFT && begins_bundle(c->open, e))))
        TRY(hand_over(c, &c->open, err));
    if (c->open == NULL)
        c->open = task_new();
    c->open->bytes += e->size;
    return 0;
}

static int add_small(struct cutter *c, const struct cut_file *f, struct err *err)
{
    const struct entry *e = f->entry;
    struct item *i;

    TRY(task_for(c, e, err));
    i = new_item(c->open, f, e->place == PLACE_BUNDLE ? ITEM_BUNDLE : ITEM_EMPTY);
    i->set = e->set;
    i->pack = e->pack;
    i->chunk = e->chunk;
    i->offset = e->offset;
    return 0;
}

/* ---- pages ---- */

static int begin_map(const struct cutter *c, const struct entry *e, struct map_walk *w,
                     struct err *err)
{
    if (map_begin(w, e->map, e->map_len, manifest_sets(c->manifest), err) != 0)
        return err_context(err, "file \"%s\"", e->path);
    if (w->unit != c->page || w->length != e->size)
        return too_odd(e, "has a map of another page size or length than the file", err);
    return 0;
}

/* Everything in one piece. */
static int add_whole(struct cutter *c, const struct cut_file *f, struct map_walk *w,
                     struct err *err)
{
    const struct entry *e = f->entry;
    struct extent extent;
    struct item *i;
    int more;

    TRY(task_for(c, e, err));
    i = new_item(c->open, f, ITEM_PAGES);
    i->len = e->size;
    while ((more = map_next(w, &extent, err)) == 1)
        task_add_extent(c->open, i, extent);
    return more == 0 ? 0 : err_context(err, "file \"%s\"", e->path);
}

/* A file that is cut is made before its parts are handed out, with its size. */
static int make_file(struct cutter *c, const struct cut_file *f, uint64_t *old_size,
                     struct err *err)
{
    struct file_wish wish = {f->entry->mode & 07777, f->uid, f->gid, f->exists, f->made};
    AUTO(fd_close) int fd = -1;
    const char *name;
    int dirfd;

    TRY(dir_cache_parent(&c->dir, c->layout, f->root, f->rel, &dirfd, &name, err));
    TRY(target_open(dirfd, name, f->rel, &wish, &fd, old_size, err));
    return target_resize(fd, f->rel, f->entry->size, err);
}

struct part {
    struct task *task;
    struct item *item;
    uint64_t pages; /* in it so far */
};

static void begin_part(struct part *p, const struct cut_file *f, uint64_t from, uint64_t old_size)
{
    p->task = task_new();
    p->item = new_item(p->task, f, ITEM_PAGES);
    p->item->part = true;
    p->item->from = from;
    p->item->old_size = old_size;
    p->item->number = (uint32_t)(from / PART_BYTES);
    p->pages = 0;
}

static int end_part(struct cutter *c, struct part *p, struct err *err)
{
    if (p->task == NULL)
        return 0;
    p->item->len = MIN_OF(p->pages * c->page, p->item->size - p->item->from);
    p->task->bytes = p->item->len;
    return hand_over(c, &p->task, err);
}

/* Goes along the map and closes a part whenever it is full. */
static int add_parts(struct cutter *c, const struct cut_file *f, struct map_walk *w,
                     struct part *part, struct err *err)
{
    const uint64_t full = PART_BYTES / c->page;
    uint64_t page = 0, old_size = 0;
    struct extent e;
    int more;

    TRY(make_file(c, f, &old_size, err));
    while ((more = map_next(w, &e, err)) == 1) {
        while (e.count != 0) {
            struct extent piece = e;
            if (part->task == NULL)
                begin_part(part, f, page * c->page, old_size);
            piece.count = (uint32_t)MIN_OF((uint64_t)e.count, full - part->pages);
            task_add_extent(part->task, part->item, piece);
            part->pages += piece.count;
            page += piece.count;
            e.count -= piece.count;
            e.addr += piece.count;
            if (part->pages == full)
                TRY(end_part(c, part, err));
        }
    }
    if (more != 0)
        return err_context(err, "file \"%s\"", f->entry->path);
    return end_part(c, part, err);
}

static int add_mapped(struct cutter *c, const struct cut_file *f, struct err *err)
{
    AUTO(map_end) struct map_walk w = {0};
    struct part part = {0};
    int result;

    TRY(begin_map(c, f->entry, &w, err));
    if (f->entry->size <= PART_BYTES)
        return add_whole(c, f, &w, err);
    result = add_parts(c, f, &w, &part, err);
    task_free(&part.task);
    return result;
}

int cutter_add(struct cutter *c, const struct cut_file *f, struct err *err)
{
    const struct entry *e = f->entry;

    switch (e->place) {
    case PLACE_EMPTY:
        return e->size == 0 ? add_small(c, f, err) : too_odd(e, "has a size but no content", err);
    case PLACE_BUNDLE:
        return add_small(c, f, err);
    case PLACE_MAP:
        return add_mapped(c, f, err);
    }
    return too_odd(e, "is stored in an unknown way", err);
}
