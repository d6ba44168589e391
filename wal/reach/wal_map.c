/*
 * wal_map.c - which WAL a repository holds: one listing and the history files. See target.h.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/wal/wal_object.h"
#include "wal/reach/map_form.h"

/* ---- loading ---- */

struct loading {
    struct wal_map *map;
    struct repo *repo;
    size_t strangers; /* names that cannot belong to segments of this size */
};

/* Doubles at powers of two: the count is all that need be remembered. */
static void *room_for(void *items, size_t n, size_t size)
{
    return (n & (n - 1)) == 0 ? xrealloc(items, (n == 0 ? 1 : 2 * n) * size) : items;
}

static int take_segment(void *ctx, const struct wal_entry *e, struct err *err)
{
    struct loading *l = ctx;
    struct wal_map *m = l->map;
    struct wal_file f;
    uint64_t segno;

    (void)err;
    if (wal_file_parse(e->file, &f) != 0 || f.kind != WAL_SEGMENT)
        return 0;
    if (wal_file_segno(&f, m->segment_size, &segno) != 0) {
        l->strangers++;
        return 0;
    }
    m->segments = room_for(m->segments, m->n_segments, sizeof *m->segments);
    m->segments[m->n_segments++] = (struct map_segment){
        .segno = segno, .stored_bytes = e->size, .timeline = f.tli, .modified_us = e->modified_us};
    return 0;
}

static struct map_history *add_history(struct wal_map *m, uint32_t timeline)
{
    m->histories = room_for(m->histories, m->n_histories, sizeof *m->histories);
    struct map_history *h = &m->histories[m->n_histories++];
    *h = (struct map_history){.timeline = timeline};
    return h;
}

/* What is the object's own fault makes this one history unreadable; so does a missing key, for the
 * listing is of use without. */
static bool own_fault(enum err_code code)
{
    return code == ERR_CORRUPT || code == ERR_NOT_FOUND || code == ERR_KEY ||
           code == ERR_UNSUPPORTED || code == ERR_FOREIGN;
}

static int read_history(const struct loading *l, const char *file, struct map_history *h,
                        struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    const struct wal_map *m = l->map;
    struct err why = {0};

    if (wal_object_get(l->repo, m->system_id, m->major, file, HISTORY_MAX_BYTES, 1, &text, &why) ==
            0 &&
        history_parse(h->timeline, buf_text(&text), text.len, &h->history, &why) == 0) {
        h->readable = true;
        return 0;
    }
    if (!own_fault(why.code)) {
        *err = why;
        return -1;
    }
    h->why = xstrdup(why.msg);
    if (why.code != ERR_KEY)
        log_warning("\"%s\" cannot be read: %s", file, why.msg);
    return 0;
}

static int take_history(void *ctx, const struct wal_entry *e, struct err *err)
{
    struct loading *l = ctx;
    struct wal_file f;

    if (wal_file_parse(e->file, &f) != 0 || f.kind != WAL_HISTORY || f.tli <= 1)
        return 0;
    return read_history(l, e->file, add_history(l->map, f.tli), err);
}

static int by_place(const void *left, const void *right)
{
    const struct map_segment *a = left, *b = right;

    if (a->timeline != b->timeline)
        return a->timeline < b->timeline ? -1 : 1;
    return a->segno < b->segno ? -1 : a->segno > b->segno;
}

static int by_timeline(const void *left, const void *right)
{
    const struct map_history *a = left, *b = right;

    return a->timeline < b->timeline ? -1 : a->timeline > b->timeline;
}

static void find_stretches(struct wal_map *m)
{
    for (size_t i = 0; i < m->n_segments; i++) {
        const struct map_segment *s = &m->segments[i];
        struct wal_stretch *last = m->n_stretches > 0 ? &m->stretches[m->n_stretches - 1] : NULL;

        if (last == NULL || last->timeline != s->timeline || last->last_segno + 1 != s->segno) {
            m->stretches = room_for(m->stretches, m->n_stretches, sizeof *m->stretches);
            m->firsts = room_for(m->firsts, m->n_stretches, sizeof *m->firsts);
            m->firsts[m->n_stretches] = i;
            last = &m->stretches[m->n_stretches++];
            *last = (struct wal_stretch){
                .timeline = s->timeline, .first_segno = s->segno, .first_us = s->modified_us};
        }
        last->last_segno = s->segno;
        last->last_us = s->modified_us;
        last->stored_bytes += s->stored_bytes;
    }
}

/* A store names each object once; a listing that was hit by a retry may not. */
static void sort_segments(struct wal_map *m)
{
    size_t kept = 0;

    if (m->n_segments == 0)
        return;
    qsort(m->segments, m->n_segments, sizeof *m->segments, by_place);
    for (size_t i = 1; i < m->n_segments; i++)
        if (by_place(&m->segments[kept], &m->segments[i]) != 0)
            m->segments[++kept] = m->segments[i];
    m->n_segments = kept + 1;
}

static int load(struct loading *l, struct err *err)
{
    struct wal_map *m = l->map;
    struct map_history *root = add_history(m, 1);

    root->readable = true;
    history_root(1, &root->history);
    TRY(wal_histories_list(l->repo, m->system_id, m->major, take_history, l, err));
    TRY(wal_objects_list(l->repo, m->system_id, m->major, 0, 0, take_segment, l, err));
    qsort(m->histories, m->n_histories, sizeof *m->histories, by_timeline);
    sort_segments(m);
    find_stretches(m);
    if (l->strangers > 0)
        log_warning("repository \"%s\": %zu WAL files have names that do not go with segments of "
                    "%u MiB, and are left out",
                    repo_name(l->repo), l->strangers, m->segment_size >> 20);
    return 0;
}

int wal_map_load(struct wal_map **out, struct repo *r, uint64_t system_id, unsigned major,
                 uint32_t segment_size, struct err *err)
{
    AUTO(wal_map_free) struct wal_map *m = xcalloc(1, sizeof *m);
    struct loading l = {m, r, 0};

    m->system_id = system_id;
    m->major = major;
    m->segment_size = segment_size;
    if (!wal_segsz_valid(segment_size))
        return err_set(err, ERR_CORRUPT,
                       "WAL segments of %" PRIu32
                       " bytes: expected a power of two from 1 MiB to 1 GiB",
                       segment_size);
    if (load(&l, err) != 0)
        return err_context(err, "repository \"%s\": WAL of system identifier %" PRIu64,
                           repo_name(r), system_id);
    *out = TAKE(m);
    return 0;
}

void wal_map_free(struct wal_map **map)
{
    struct wal_map *m = *map;

    if (m == NULL)
        return;
    for (size_t i = 0; i < m->n_segments; i++)
        segment_note_free(&m->segments[i].note);
    for (size_t i = 0; i < m->n_histories; i++) {
        history_free(&m->histories[i].history);
        free(m->histories[i].why);
    }
    free(m->segments);
    free(m->stretches);
    free(m->firsts);
    free(m->histories);
    free(m);
    *map = NULL;
}

/* ---- asking ---- */

const struct wal_stretch *wal_map_stretches(const struct wal_map *m, size_t *n)
{
    *n = m->n_stretches;
    return m->stretches;
}

/* The place of the stretch that holds the segment, or the number of stretches. */
static size_t stretch_of(const struct wal_map *m, uint32_t timeline, uint64_t segno)
{
    size_t low = 0, high = m->n_stretches;

    while (low < high) { /* the first one that ends at the segment or behind it */
        size_t mid = low + (high - low) / 2;
        const struct wal_stretch *s = &m->stretches[mid];

        if (s->timeline < timeline || (s->timeline == timeline && s->last_segno < segno))
            low = mid + 1;
        else
            high = mid;
    }
    if (low < m->n_stretches && m->stretches[low].timeline == timeline &&
        m->stretches[low].first_segno <= segno)
        return low;
    return m->n_stretches;
}

struct map_segment *map_segment(const struct wal_map *m, uint32_t timeline, uint64_t segno)
{
    size_t i = stretch_of(m, timeline, segno);

    if (i == m->n_stretches)
        return NULL;
    return &m->segments[m->firsts[i] + (segno - m->stretches[i].first_segno)];
}

bool wal_map_has(const struct wal_map *m, uint32_t timeline, uint64_t segno)
{
    return stretch_of(m, timeline, segno) != m->n_stretches;
}

const struct history *map_history(const struct wal_map *m, uint32_t timeline, const char **why)
{
    struct map_history key = {.timeline = timeline};
    const struct map_history *h =
        bsearch(&key, m->histories, m->n_histories, sizeof *m->histories, by_timeline);

    *why = h == NULL ? "its history file is not stored" : h->why;
    return h != NULL && h->readable ? &h->history : NULL;
}

const struct history *wal_map_history(const struct wal_map *m, uint32_t timeline)
{
    const char *ignored;

    return map_history(m, timeline, &ignored);
}

/* One that is stored but cannot be read counts: PostgreSQL would ask for it, and nobody shall take
 * an older timeline for the newest. */
uint32_t map_newest(const struct wal_map *m, uint32_t from)
{
    for (size_t i = 0; i < m->n_histories; i++)
        if (from < UINT32_MAX && m->histories[i].timeline == from + 1)
            from++;
    return from;
}

uint32_t wal_map_latest(const struct wal_map *m, uint32_t from, uint64_t lsn)
{
    uint32_t newest = map_newest(m, from);

    for (uint32_t tli = newest; tli > from; tli--) {
        const struct history *h = wal_map_history(m, tli);
        if (h != NULL && history_reaches(h, from, lsn))
            return tli;
    }
    return from;
}
