/* verify.c - see verify.h. */
#include "wal/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "wal/prove.h"

struct search {
    const struct wal_map *map;
    const struct pubinfo *backup; /* whose identity and segment size the map is for */
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

/* All backups of one identity, whose first one is `first`. */
static int search_identity(struct search *s, struct repo *r, const struct backup_list *backups,
                           size_t first, struct err *err)
{
    AUTO(wal_map_free) struct wal_map *map = NULL;
    const struct pubinfo *one = &backups->items[first];
    int rc = 0;

    TRY(wal_map_load(&map, r, one->system_id, one->pg_version / 10000, one->wal_segment_size, err));
    s->map = map;
    s->backup = one;
    gaps_between(s);
    for (size_t i = first; rc == 0 && i < backups->n; i++) {
        s->backup = &backups->items[i];
        if (same_cluster(one, s->backup))
            rc = wal_spans_each(s->backup->spans, s->backup->n_spans, s->backup->wal_segment_size,
                                needs, s, err);
    }
    return rc;
}

int wal_find_gaps(struct repo *r, const struct backup_list *backups, struct wal_gap **out,
                  size_t *n, struct err *err)
{
    struct search s = {0};

    for (size_t i = 0; i < backups->n; i++) {
        bool seen = false;

        for (size_t k = 0; k < i; k++)
            seen |= same_cluster(&backups->items[k], &backups->items[i]);
        if (!seen && search_identity(&s, r, backups, i, err) != 0) {
            free(s.gaps);
            return -1;
        }
    }
    *out = s.gaps;
    *n = s.n;
    return 0;
}
