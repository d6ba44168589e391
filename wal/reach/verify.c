/* verify.c - see verify.h. */
#include "wal/reach/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "wal/index/prove.h"
#include "wal/reach/map_form.h"

struct search {
    const struct wal_map *map;
    const struct pubinfo *backup; /* of the map's identity */
    struct wal_gap *gaps;
    size_t n;
};

static void add_gap(struct search *s, uint32_t timeline, uint64_t first, uint64_t last,
                    const char *label)
{
    struct wal_gap *g;

    for (size_t i = 0; i < s->n; i++) { /* grows, or is known */
        g = &s->gaps[i];
        if (g->system_id != s->backup->system_id || g->major != s->backup->pg_version / 10000 ||
            g->timeline != timeline || strcmp(g->label, label) != 0)
            continue;
        if (g->last_segno + 1 == first) {
            g->last_segno = last;
            return;
        }
    }
    s->gaps = xrealloc(s->gaps, (s->n + 1) * sizeof *s->gaps);
    g = &s->gaps[s->n++];
    *g = (struct wal_gap){.system_id = s->backup->system_id,
                          .major = s->backup->pg_version / 10000,
                          .timeline = timeline,
                          .first_segno = first,
                          .last_segno = last,
                          .segment_size = s->backup->wal_segment_size};
    memcpy(g->label, label, strlen(label) + 1);
}

static void gaps_between(struct search *s)
{
    size_t n;
    const struct wal_stretch *w = wal_map_stretches(s->map, &n);

    for (size_t i = 1; i < n; i++)
        if (w[i].timeline == w[i - 1].timeline)
            add_gap(s, w[i].timeline, w[i - 1].last_segno + 1, w[i].first_segno - 1, "");
}

static int needs(void *ctx, uint32_t timeline, uint64_t segno, struct err *err)
{
    struct search *s = ctx;

    (void)err;
    if (!wal_map_has(s->map, timeline, segno))
        add_gap(s, timeline, segno, segno, s->backup->label);
    return 0;
}

static bool same_cluster(const struct pubinfo *a, const struct pubinfo *b)
{
    return a->system_id == b->system_id && a->pg_version / 10000 == b->pg_version / 10000;
}

int wal_map_gaps(const struct wal_map *m, const struct backup_list *backups, struct wal_gap **gaps,
                 size_t *n, struct err *err)
{
    struct search s = {.map = m, .gaps = *gaps, .n = *n};
    bool begun = false;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < backups->n; i++) {
        s.backup = &backups->items[i];
        if (s.backup->system_id != m->system_id || s.backup->pg_version / 10000 != m->major)
            continue;
        if (!begun)
            gaps_between(&s);
        begun = true;
        rc = wal_spans_each(s.backup->spans, s.backup->n_spans, s.backup->wal_segment_size, needs,
                            &s, err);
    }
    *gaps = s.gaps;
    *n = s.n;
    return rc;
}

static int search_identity(struct repo *r, const struct backup_list *backups, size_t first,
                           struct wal_gap **gaps, size_t *n, struct err *err)
{
    AUTO(wal_map_free) struct wal_map *map = NULL;
    const struct pubinfo *one = &backups->items[first];

    TRY(wal_map_load(&map, r, one->system_id, one->pg_version / 10000, one->wal_segment_size, err));
    return wal_map_gaps(map, backups, gaps, n, err);
}

int wal_find_gaps(struct repo *r, const struct backup_list *backups, struct wal_gap **out,
                  size_t *n, struct err *err)
{
    AUTO(mem_free) struct wal_gap *gaps = NULL;
    size_t found = 0;

    for (size_t i = 0; i < backups->n; i++) {
        bool seen = false;

        for (size_t k = 0; k < i; k++)
            seen |= same_cluster(&backups->items[k], &backups->items[i]);
        if (!seen)
            TRY(search_identity(r, backups, i, &gaps, &found, err));
    }
    *out = TAKE(gaps);
    *n = found;
    return 0;
}
