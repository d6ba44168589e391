/* sums.c - see sums.h. */
#include "wal/index/sums.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "wal/index/index_walk.h"

/* Where WAL cannot be understood, each run would read in vain what the one before read in vain. */
enum { REFUSED_MAX = 4 };

struct archived {
    uint32_t timeline;
    uint64_t segno;
};
struct maker {
    const struct sums_request *q;
    struct sums_made *made;
    int64_t begun_us;
    struct archived *segments; /* in order */
    size_t n_segments;
    struct sum_list sums; /* in order */
};

/* ---- what is there ---- */

static int note_segment(void *ctx, const struct wal_entry *e, struct err *err)
{
    struct maker *m = ctx;
    struct wal_file f;
    uint64_t segno, size = m->q->place.segment_size;

    (void)err;
    if (wal_file_parse(e->file, &f) != 0 || f.kind != WAL_SEGMENT ||
        wal_file_segno(&f, (uint32_t)size, &segno) != 0 || segno < m->q->from / size)
        return 0;
    if (m->n_segments % 1024 == 0)
        m->segments = xrealloc(m->segments, (m->n_segments + 1024) * sizeof *m->segments);
    m->segments[m->n_segments++] = (struct archived){f.tli, segno};
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct archived *x = a, *y = b;

    if (x->timeline != y->timeline)
        return x->timeline < y->timeline ? -1 : 1;
    return (x->segno > y->segno) - (x->segno < y->segno);
}

static int look(struct maker *m, struct err *err)
{
    const struct wal_place *p = &m->q->place;

    TRY(wal_objects_list(p->repo, p->system_id, p->major, 0, (uint32_t)(m->q->from >> 32),
                         note_segment, m, err));
    if (m->n_segments < m->q->small)
        return 0;
    qsort(m->segments, m->n_segments, sizeof *m->segments, by_place);
    return wal_sums_list(p->repo, p->system_id, p->major, &m->sums, err);
}

/* Of n segments of which the i-th of the list is the first: all there? */
static bool is_complete(const struct maker *m, size_t i, uint32_t n)
{
    const struct archived *first = &m->segments[i];

    return n <= m->n_segments - i && first[n - 1].timeline == first->timeline &&
           first[n - 1].segno == first->segno + n - 1;
}

static struct sum_name name_of(const struct maker *m, const struct archived *first, uint32_t n)
{
    uint32_t size = m->q->place.segment_size;

    return (struct sum_name){first->timeline, segno_lsn(first->segno, size),
                             segno_lsn(first->segno + n, size)};
}

static bool is_made(const struct maker *m, const struct sum_name *s)
{
    return m->sums.n != 0 &&
           bsearch(s, m->sums.items, m->sums.n, sizeof *s, sum_name_compare) != NULL;
}

/* A large one is made when all that it consists of is: so what was refused is not read again. */
static bool has_parts(const struct maker *m, const struct archived *first)
{
    for (uint32_t i = 0; i < m->q->large; i += m->q->small) {
        struct sum_name part = name_of(m, first + i, m->q->small);

        if (!is_made(m, &part))
            return false;
    }
    return true;
}

/* ---- making ---- */

static void add_name(struct maker *m, const struct sum_name *s)
{
    m->sums.items = xrealloc(m->sums.items, (m->sums.n + 1) * sizeof *m->sums.items);
    m->sums.items[m->sums.n++] = *s;
    qsort(m->sums.items, m->sums.n, sizeof *m->sums.items, sum_name_compare);
}

static int make(struct maker *m, const struct sum_name *name, struct err *err)
{
    AUTO(wal_sum_free) struct wal_sum sum;
    const struct wal_place *p = &m->q->place;
    uint64_t first = name->start / p->segment_size, last = name->end / p->segment_size - 1;
    bool made;

    wal_sum_init(&sum);
    TRY(sum_merge(p, name->timeline, first, last, &m->sums, m->q->stop, &sum, err));
    crash_point("sum-merged");
    TRY(wal_sum_put(p->repo, &sum, &made, err));
    crash_point("sum-stored");
    m->made->made += made;
    add_name(m, name);
    return 0;
}

static bool is_over(struct maker *m)
{
    const int64_t limit = m->q->time_limit_us;

    m->made->cut_short = m->made->refused >= REFUSED_MAX ||
                         (limit != 0 && clock_monotonic_us() - m->begun_us >= limit);
    return m->made->cut_short;
}

static int make_if_possible(struct maker *m, const struct sum_name *name, struct err *err)
{
    if (make(m, name, err) == 0)
        return 0;
    if (!is_doubt(err->code))
        return -1;
    m->made->refused++;
    m->made->why = *err;
    err_clear(err);
    return 0;
}

/* All of one size that are complete and not there yet. */
static int make_all(struct maker *m, uint32_t size, struct err *err)
{
    for (size_t i = m->n_segments; i-- > 0 && !m->made->cut_short;) {
        const struct archived *first = &m->segments[i];
        struct sum_name name;

        if (first->segno % size != 0 || !is_complete(m, i, size))
            continue;
        name = name_of(m, first, size);
        if (is_made(m, &name) || (size != m->q->small && !has_parts(m, first)) || is_over(m))
            continue;
        TRY(stop_check(m->q->stop, err));
        TRY(make_if_possible(m, &name, err));
    }
    return 0;
}

int sums_make(const struct sums_request *q, struct sums_made *made, struct err *err)
{
    struct maker m = {.q = q, .made = made, .begun_us = clock_monotonic_us()};
    int rc;

    *made = (struct sums_made){0};
    rc = look(&m, err);
    if (rc == 0)
        rc = make_all(&m, q->small, err);
    if (rc == 0)
        rc = make_all(&m, q->large, err);
    free(m.segments);
    sum_list_free(&m.sums);
    return rc;
}

/* ---- comparing ---- */

static int load(struct repo *r, const struct identity *id, const struct sum_name *name,
                struct wal_sum *sum, struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    TRY(wal_sum_load(r, id->system_id, id->major, name, &bytes, err));
    return wal_sum_read(bytes.p, bytes.len, name, id->system_id, id->major, sum, err);
}

/* Those that may stand for a part of this one: they are compared themselves. */
static struct sum_list shorter_than(const struct sum_list *all, const struct sum_name *name)
{
    struct sum_list l = {xcalloc(all->n, sizeof *l.items), 0};

    for (size_t i = 0; i < all->n; i++)
        if (all->items[i].end - all->items[i].start < name->end - name->start)
            l.items[l.n++] = all->items[i];
    return l;
}

/* Whether it is what is made of its segments, by way of shorter ones if these are given. */
static int made_anew(const struct wal_place *place, const struct wal_sum *is,
                     const struct sum_list *shorter, const struct stop *stop, bool *same,
                     struct err *err)
{
    AUTO(wal_sum_free) struct wal_sum should;
    AUTO(buf_free) struct buf a = BUF_INIT, b = BUF_INIT;
    uint64_t first = is->ix.start / place->segment_size;

    wal_sum_init(&should);
    if (sum_merge(place, is->ix.tli, first, first + is->ix.further, shorter, stop, &should, err) !=
        0)
        return err_context(err, "it cannot be compared with the indexes of its segments");
    wal_sum_write(is, &a);
    wal_sum_write(&should, &b);
    *same = a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
    return 0;
}

/* A shorter one that is wrong is found itself, and no proof against a longer one. */
static int compare(struct repo *r, const struct identity *id, const struct sum_list *all,
                   const struct sum_name *name, const struct stop *stop, struct err *err)
{
    AUTO(sum_list_free) struct sum_list shorter = shorter_than(all, name);
    AUTO(wal_sum_free) struct wal_sum is;
    struct wal_place place = {r, id->system_id, id->major, 0};
    bool same;

    wal_sum_init(&is);
    TRY(load(r, id, name, &is, err));
    place.segment_size = is.ix.segment_size;
    TRY(made_anew(&place, &is, &shorter, stop, &same, err));
    if (!same && shorter.n != 0)
        TRY(made_anew(&place, &is, NULL, stop, &same, err));
    return same ? 0
                : err_set(err, ERR_CORRUPT, "it does not say what the indexes of its segments say");
}

/* What is not found was expired meanwhile, or is missed by those that look for gaps. */
static int verify_one(struct repo *r, const struct identity *id, const struct sum_list *all,
                      const struct sum_name *name, const struct stop *stop,
                      void (*found)(void *ctx, const char *key, const char *why), void *ctx,
                      struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;

    TRY(stop_check(stop, err));
    if (compare(r, id, all, name, stop, err) == 0)
        return 0;
    if (!is_doubt(err->code))
        return -1;
    if (err->code != ERR_NOT_FOUND)
        found(ctx, name_sum(&key, repo_cluster(r), id->system_id, id->major, name), err->msg);
    err_clear(err);
    return 0;
}

int sums_verify(struct repo *r, const struct stop *stop,
                void (*found)(void *ctx, const char *key, const char *why), void *ctx,
                struct err *err)
{
    size_t n;
    const struct identity *ids = repo_identities(r, &n);

    for (size_t i = 0; i < n; i++) {
        AUTO(sum_list_free) struct sum_list sums = {0};

        TRY(wal_sums_list(r, ids[i].system_id, ids[i].major, &sums, err));
        for (size_t k = 0; k < sums.n; k++)
            TRY(verify_one(r, &ids[i], &sums, &sums.items[k], stop, found, ctx, err));
    }
    return 0;
}
