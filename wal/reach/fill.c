/* fill.c - see fill.h. */
#include "wal/reach/fill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/wal/wal_object.h"
#include "wal/archive/push.h"
#include "wal/reach/target.h"

struct side { /* of the comparison: one repository */
    struct open_repo *open;
    struct wal_map *map;
    bool compared;    /* it can be, and has any WAL */
    uint64_t from_no; /* segments before this one are left alone */
};
struct fill {
    const struct pubinfo *made;
    const struct stop *stop;
    struct side *sides;
    size_t n;
    uint64_t copied;
};

static void fill_free(struct fill *f)
{
    for (size_t i = 0; i < f->n; i++)
        wal_map_free(&f->sides[i].map);
    free(f->sides);
    f->sides = NULL;
    f->n = 0;
}

static int find_start(struct side *s, const struct pubinfo *made, struct err *err)
{
    AUTO(backups_free) struct backup_list list = {0};
    const struct wal_stretch *w;
    size_t n;

    TRY(backups_list(s->open->repo, &list, NULL, NULL, err));
    for (size_t i = list.n; i-- > 0;) {
        const struct pubinfo *p = &list.items[i];

        if (p->system_id != made->system_id || p->wal_segment_size != made->wal_segment_size ||
            strcmp(p->label, made->label) == 0)
            continue;
        s->from_no = lsn_segno(p->start_lsn, p->wal_segment_size);
        s->compared = true;
        return 0;
    }
    w = wal_map_stretches(s->map, &n);
    s->compared = n != 0;
    for (size_t i = 0; i < n; i++)
        s->from_no = i == 0 ? w[i].first_segno : MIN_OF(s->from_no, w[i].first_segno);
    return 0;
}

static int copy_file(struct fill *f, const struct side *from, const struct side *to,
                     const char *file, struct err *err)
{
    const struct pubinfo *made = f->made;
    const unsigned major = made->pg_version / 10000;
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct open_repos only = {to->open, 1};
    bool there;

    TRY(stop_check(f->stop, err));
    TRY(wal_object_exists(to->open->repo, made->system_id, major, file, &there, err));
    if (there)
        return 0;
    TRY(wal_object_get(from->open->repo, made->system_id, major, file, WAL_SEGSZ_MAX, 1, &bytes,
                       err));
    TRY(wal_push_bytes(&only, file, bytes.p, bytes.len, NULL, err));
    crash_point("fill-copied");
    f->copied++;
    return 0;
}

static int copy_missing(struct fill *f, const struct side *from, const struct side *to,
                        struct err *err)
{
    size_t n;
    const struct wal_stretch *w = wal_map_stretches(from->map, &n);
    char file[WAL_NAME];

    for (size_t i = 0; i < n; i++) {
        if (w[i].last_segno < to->from_no)
            continue;
        snprintf(file, sizeof file, "%08X.history", w[i].timeline);
        if (w[i].timeline > 1 && wal_map_history(from->map, w[i].timeline) != NULL &&
            wal_map_history(to->map, w[i].timeline) == NULL)
            TRY(copy_file(f, from, to, file, err));
        for (uint64_t s = MAX_OF(w[i].first_segno, to->from_no); s <= w[i].last_segno; s++) {
            if (wal_map_has(to->map, w[i].timeline, s))
                continue;
            wal_segment_name(w[i].timeline, s, f->made->wal_segment_size, file);
            TRY(copy_file(f, from, to, file, err));
        }
    }
    return 0;
}

static int compare(struct fill *f, struct err *err)
{
    const struct pubinfo *made = f->made;

    for (size_t i = 0; i < f->n; i++) {
        struct side *s = &f->sides[i];

        if (s->open->repo == NULL)
            continue;
        TRY(wal_map_load(&s->map, s->open->repo, made->system_id, made->pg_version / 10000,
                         made->wal_segment_size, err));
        TRY(find_start(s, made, err));
    }
    for (size_t to = 0; to < f->n; to++)
        for (size_t from = 0; from < f->n; from++)
            if (from != to && f->sides[from].compared && f->sides[to].compared &&
                copy_missing(f, &f->sides[from], &f->sides[to], err) != 0)
                return err_context(err, "copying WAL from repository \"%s\" to \"%s\"",
                                   f->sides[from].open->name, f->sides[to].open->name);
    return 0;
}

int wal_fill(const struct open_repos *repos, const struct pubinfo *made, const struct stop *stop,
             uint64_t *copied, struct err *err)
{
    AUTO(fill_free) struct fill f = {.made = made, .stop = stop, .n = repos->n};
    int rc;

    f.sides = xcalloc(repos->n, sizeof *f.sides);
    for (size_t i = 0; i < repos->n; i++)
        f.sides[i].open = &repos->items[i];
    rc = compare(&f, err);
    *copied = f.copied;
    return rc;
}
