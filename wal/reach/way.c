/* way.c - see way.h. */
#include "wal/reach/way.h"

#include <stdlib.h>

#include "base/mem.h"
#include "postgres/lsn.h"

enum { LOT_FIRST = 2, LOT_MAX = 256, THREADS_MAX = 8 };

void way_begin(struct way *w, const struct wal_map *m, struct repo *r, const struct history *line,
               uint64_t first_segno, const struct stop *stop)
{
    *w = (struct way){.map = m,
                      .repo = r,
                      .stop = stop,
                      .line = line,
                      .limit = UINT64_MAX,
                      .first = first_segno,
                      .lot = LOT_FIRST};
    wal_chain_init(&w->chain);
}

void way_finish(struct way *w)
{
    wal_chain_free(&w->chain);
}

struct segment_place way_place(const struct way *w, uint64_t segno)
{
    const struct wal_map *m = w->map;

    return (struct segment_place){
        w->repo, m->system_id, m->major, m->segment_size, map_file_tli(m, w->line, segno), segno};
}

static const char *name_at(const struct way *w, uint64_t segno, char name[WAL_SEGMENT_NAME])
{
    return wal_segment_name(map_file_tli(w->map, w->line, segno), segno, w->map->segment_size,
                            name);
}

/* Always 0: way_next() has come to an end. */
static int ends(struct way *w, enum way_end how, uint64_t segno)
{
    w->end = how;
    w->end_segno = segno;
    return 0;
}

void way_break(struct way *w, uint64_t last_lsn, uint64_t end_lsn, const char *why)
{
    char name[WAL_SEGMENT_NAME];

    if (last_lsn != 0)
        w->last_lsn = last_lsn;
    w->end_lsn = end_lsn;
    err_set(&w->why, ERR_NOT_FOUND, "WAL segment \"%s\" is not understood: %s",
            name_at(w, w->segno, name), why);
    ends(w, WAY_DAMAGED, w->segno);
}

/* ---- reading ahead ---- */

struct lot {
    const struct way *way;
    uint64_t first;
    size_t n;
    atomic_size_t next;
};

static int load_one(const struct way *w, uint64_t segno, struct err *err)
{
    struct segment_place at = way_place(w, segno);
    struct map_segment *s = map_segment(w->map, at.timeline, segno);

    if (s->note != NULL)
        return 0;
    TRY(stop_check(w->stop, err));
    return segment_load(&at, &s->note, err);
}

/* Each segment is one worker's alone, so its note needs no lock. */
static int load_some(void *ctx, unsigned index, struct err *err)
{
    struct lot *l = ctx;
    size_t i;

    (void)index;
    while ((i = atomic_fetch_add(&l->next, 1)) < l->n)
        TRY(load_one(l->way, l->first + i, err));
    return 0;
}

static void give_up(void *ctx)
{
    struct lot *l = ctx;

    atomic_store(&l->next, l->n);
}

/* How many segments from here on can be loaded in one go. */
static size_t lot_size(const struct way *w, uint64_t segno)
{
    size_t n = 0;

    while (n < w->lot && segno + n <= w->limit &&
           map_segment(w->map, map_file_tli(w->map, w->line, segno + n), segno + n) != NULL)
        n++;
    return n;
}

static int load_from(struct way *w, uint64_t segno, struct err *err)
{
    struct lot l = {.way = w, .first = segno, .n = lot_size(w, segno)};
    struct workers *workers = NULL;

    w->lot = MIN_OF(w->lot * 4, (unsigned)LOT_MAX);
    if (l.n == 1)
        return load_one(w, segno, err);
    TRY(workers_start(&workers, (unsigned)MIN_OF(l.n, (size_t)THREADS_MAX), load_some, &l, give_up,
                      err));
    return workers_join(&workers, err);
}

/* ---- the record that crosses ---- */

/* From the indexes of all the segments that it touches; an answer "not known" means that they must
 * be read. */
static int find_crossing(const struct way *w, struct segment_note **out, struct err *err)
{
    AUTO(wal_chain_free) struct wal_chain chain;
    AUTO(wal_index_free) struct wal_index crossing;
    enum wal_crossing what = WAL_CROSSING_NONE;
    struct err why = {0};
    bool readable = true, follows = true;

    wal_chain_init(&chain);
    wal_index_init(&crossing);
    for (uint64_t s = lsn_segno(w->crossing_lsn, w->map->segment_size);
         s <= w->segno && readable && follows; s++) {
        AUTO(wal_index_free) struct wal_index ix;
        struct segment_place at = way_place(w, s);

        wal_index_init(&ix);
        TRY(segment_index(&at, &ix, &readable, &why, err));
        if (readable)
            follows = wal_chain_add(&chain, &ix, &what, &crossing, &why) == 0;
    }
    if (what != WAL_CROSSING_DONE || !readable || !follows) {
        crossing.flags |= WAL_INDEX_NO_HISTORY;
        crossing.last_lsn = w->crossing_lsn;
    }
    *out = segment_note_of(&crossing);
    return 0;
}

/* The segment before, in which the record began, may have had too much of it to tell. */
static int look_at_carry(struct way *w, struct err *err)
{
    uint64_t segno = lsn_segno(w->crossing_lsn, w->map->segment_size);
    struct segment_place at = way_place(w, segno);
    struct map_segment *s = map_segment(w->map, at.timeline, segno);

    if (s == NULL || s->note == NULL || s->note->tail_total == 0)
        w->carry = TAIL_MATTERS;
    else if (s->note->tail == TAIL_NOT_SEEN)
        TRY(segment_look_at_tail(&at, s->note, err));
    if (w->carry == TAIL_NOT_SEEN)
        w->carry = s->note->tail;
    return 0;
}

static int take_crossing(struct way *w, bool finished, uint64_t lsn, struct err *err)
{
    w->crossing = NULL;
    w->crossing_lsn = finished ? lsn : 0;
    if (!finished)
        return 0;
    if (w->carry == TAIL_NOT_SEEN)
        TRY(look_at_carry(w, err));
    if (w->carry != TAIL_MATTERS)
        return 0;
    if (w->note->crossing == NULL)
        TRY(find_crossing(w, &w->note->crossing, err));
    w->crossing = w->note->crossing;
    return 0;
}

/* ---- going on ---- */

/* As much of the index as proves that this segment continues the last one; pieces of records were
 * not kept. */
static void to_index(const struct way *w, const struct segment_note *n, struct wal_index *ix)
{
    ix->major = n->major;
    ix->system_id = w->map->system_id;
    ix->segment_size = w->map->segment_size;
    ix->start = segno_lsn(w->segno, w->map->segment_size);
    ix->tli = w->tli;
    ix->flags = n->flags | WAL_INDEX_HEAD_OMITTED | WAL_INDEX_TAIL_OMITTED;
    ix->first_lsn = n->first_lsn;
    ix->first_prev = n->first_prev;
    ix->last_lsn = n->last_lsn;
    ix->last_prev = n->last_prev;
    ix->head_len = n->head_len;
    ix->head_seen = n->head_seen;
    ix->tail_total = n->tail_total;
    ix->tail_seen = n->tail_seen;
}

static int link_up(struct way *w, bool *follows, struct err *err)
{
    struct wal_index ix = {0}, crossing = {0};
    uint64_t under_way = w->chain.carry_total != 0 ? w->chain.carry_lsn : 0;
    enum wal_crossing what;
    struct err why = {0};

    to_index(w, w->note, &ix);
    *follows = wal_chain_add(&w->chain, &ix, &what, &crossing, &why) == 0;
    if (!*follows) {
        w->why = why;
        return ends(w, WAY_DAMAGED, w->segno);
    }
    TRY(take_crossing(w, what == WAL_CROSSING_NOT_KEPT && under_way != 0, under_way, err));
    if (w->note->tail_total != 0)
        w->carry = w->note->tail;
    return 0;
}

/* Where the last whole record of this segment ends. */
static void take_end(struct way *w)
{
    const struct segment_note *n = w->note;
    struct segment_place at = way_place(w, w->segno);

    if (n->whole_lsn == 0 && w->crossing_lsn == 0)
        return;
    w->end_lsn = segment_end(&at, n);
    w->last_lsn = n->whole_lsn != 0 ? n->whole_lsn : w->crossing_lsn;
}

/* Whether the last segment lets the WAL go on. */
static int check_last(struct way *w)
{
    char name[WAL_SEGMENT_NAME], at[LSN_TEXT];
    const struct segment_note *n = w->note;

    if (w->segments == 0 || !(n->flags & (WAL_INDEX_ENDS | WAL_INDEX_STOPPED)))
        return 1;
    name_at(w, w->segno, name);
    lsn_format(n->end_of_data, at);
    if (n->flags & WAL_INDEX_STOPPED) {
        err_set(&w->why, ERR_NOT_FOUND, "WAL segment \"%s\" is damaged from %s on (%s)", name, at,
                n->why != NULL ? n->why : "no reason kept");
        return ends(w, WAY_DAMAGED, w->segno);
    }
    err_set(&w->why, ERR_NOT_FOUND, "the WAL ends at %s, inside segment \"%s\"", at, name);
    return ends(w, WAY_ENDS, w->segno);
}

static int enter(struct way *w, uint64_t segno, struct err *err)
{
    uint32_t tli = map_file_tli(w->map, w->line, segno);
    struct map_segment *s = map_segment(w->map, tli, segno);
    char name[WAL_SEGMENT_NAME];
    bool follows;

    if (s == NULL) {
        err_set(&w->why, ERR_NOT_FOUND, "WAL segment \"%s\" is missing", name_at(w, segno, name));
        return ends(w, WAY_MISSING, segno);
    }
    if (s->note == NULL)
        TRY(load_from(w, segno, err));
    if (s->note->broken) {
        err_set(&w->why, ERR_NOT_FOUND, "WAL segment \"%s\" cannot be used: %s",
                name_at(w, segno, name), s->note->why);
        return ends(w, WAY_DAMAGED, segno);
    }
    w->segno = segno;
    w->tli = tli;
    w->note = s->note;
    TRY(link_up(w, &follows, err));
    if (!follows)
        return 0;
    w->segments++;
    w->bytes += s->stored_bytes;
    take_end(w);
    return 1;
}

int way_next(struct way *w, struct err *err)
{
    uint64_t segno = w->segments == 0 ? w->first : w->segno + 1;

    if (w->end != WAY_GOES_ON)
        return 0;
    TRY(stop_check(w->stop, err));
    if (check_last(w) == 0)
        return 0;
    return segno > w->limit ? ends(w, WAY_LIMIT, w->segno) : enter(w, segno, err);
}
