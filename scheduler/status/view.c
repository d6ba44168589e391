/* view.c - see view.h. */
#include "scheduler/status/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "wal/reach/recall.h"

enum { DRILLS_READ = 50, SEGMENT_HEADER = 40 };

int view_open(const struct config *c, const struct cluster_config *cluster, const char *name,
              struct repo **r, struct err *err)
{
    struct err why = {0};

    if (config_open_repo(c, cluster, name, REPO_OPEN_QUICK, r, err) == 0)
        return 0;
    if (err->code != ERR_KEY)
        return -1;
    why = *err;
    TRY(config_open_repo(c, cluster, name, REPO_OPEN_NO_KEY, r, err));
    log_warning("%s; without the key the moments one can go back to are not known", why.msg);
    return 0;
}

static void broken(void *ctx, const char *label, const struct err *why)
{
    struct view *v = ctx;

    log_warning("backup %s cannot be read: %s", label, why->msg);
    snprintf(v->broken_why, sizeof v->broken_why, "%s: %.400s", label, why->msg);
    v->broken++;
}

/* Segments are named by their size, which only a backup tells; WAL without any backup is measured
 * in 16 MiB. */
static uint32_t segment_size_of(const struct view *v, const struct identity *id)
{
    for (size_t i = v->backups.n; i-- > 0;)
        if (v->backups.items[i].system_id == id->system_id)
            return v->backups.items[i].wal_segment_size;
    return 16 << 20;
}

static void add_lines(struct view *v, const struct wal_map *map, const struct identity *id,
                      uint32_t segment_size)
{
    size_t n;
    const struct wal_stretch *s = wal_map_stretches(map, &n);

    v->lines = xrealloc(v->lines, (v->n_lines + n) * sizeof *v->lines);
    for (size_t i = 0; i < n; i++)
        v->lines[v->n_lines++] = (struct view_line){*id, segment_size, s[i]};
}

/* The backups of one identity, borrowed: those that are known to be damaged, or the others. */
static struct backup_list backups_of(const struct view *v, const struct repo *r,
                                     const struct identity *id, bool harmed)
{
    struct backup_list some = {xcalloc(v->backups.n, sizeof *some.items), NULL, 0};

    for (size_t i = 0; i < v->backups.n; i++) {
        const struct pubinfo *b = &v->backups.items[i];

        if (b->system_id == id->system_id && b->pg_version / 10000 == id->major &&
            (catalog_harm(&v->known, repo_name(r), b->label) != NULL) == harmed)
            some.items[some.n++] = *b;
    }
    return some;
}

/* They are told of behind what the others reach. */
static void add_harmed(struct view *v, const struct repo *r, const struct identity *id,
                       struct windows *w)
{
    struct backup_list harmed = backups_of(v, r, id, true);
    AUTO(buf_free) struct buf why = BUF_INIT;

    for (size_t i = 0; i < harmed.n; i++) {
        const struct pubinfo *b = &harmed.items[i];

        buf_clear(&why);
        catalog_harm_text(catalog_harm(&v->known, repo_name(r), b->label), &why);
        windows_add_backup(w, b, buf_text(&why));
    }
    free(harmed.items);
    v->harmed += harmed.n;
}

/* ---- windows of several identities ---- */

/* How many windows need no timeline to be named; they come first. */
static size_t plain_windows(const struct windows *w)
{
    size_t n = 0;

    while (n < w->n && !w->items[n].aside)
        n++;
    return n;
}

/* How many holes lie between windows; backups of no use come behind them. */
static size_t holes_in_time(const struct windows *w)
{
    size_t n = 0;

    while (n < w->n_holes && w->holes[n].kind != HOLE_BACKUP)
        n++;
    return n;
}

/* What was open is not any more, once another identity has begun. Returns where its end is. */
static int64_t close_last(struct windows *w, int64_t begun_us)
{
    size_t n = plain_windows(w);
    bool was_open = w->items[n - 1].open;

    for (size_t i = 0; i < holes_in_time(w); i++)
        if (w->holes[i].to_us == 0)
            w->holes[i].to_us = begun_us;
    w->items[n - 1].open = false;
    return was_open ? w->items[n - 1].end_us : begun_us;
}

/* Nothing leads from one identity to the next: a hole lies between. */
static void part(struct windows *w, struct windows *next)
{
    struct hole *h = &next->holes[0];

    h->kind = HOLE_CLUSTER;
    h->from_us = close_last(w, next->items[0].start_us);
    snprintf(h->why, sizeof h->why,
             "system identifier %llu (PostgreSQL %u) begins, whose first backup is %s",
             (unsigned long long)next->items[0].system_id, next->items[0].major,
             next->items[0].first_backup);
}

/* One that lives, and of which nothing can be had back. */
static void part_for_good(struct windows *w, const struct identity *id, bool has_backups,
                          int64_t begun_us)
{
    size_t n = holes_in_time(w);
    struct hole h = {.kind = HOLE_CLUSTER, .system_id = id->system_id};

    h.from_us = close_last(w, begun_us);
    snprintf(h.why, sizeof h.why, "system identifier %llu (PostgreSQL %u) begins, of which %s",
             (unsigned long long)id->system_id, id->major,
             has_backups ? "no backup can be restored" : "there is no backup yet");
    w->holes = xrealloc(w->holes, (w->n_holes + 1) * sizeof *w->holes);
    memmove(w->holes + n + 1, w->holes + n, (w->n_holes - n) * sizeof *w->holes);
    w->holes[n] = h;
    w->n_holes++;
}

/* Two lists, each in two parts, to one: first parts, then second ones. */
static void *merge(void *a, size_t n_a, size_t first_a, void *b, size_t n_b, size_t first_b,
                   size_t size)
{
    char *out = xcalloc(n_a + n_b, size), *end = out;
    const struct {
        const void *list;
        size_t from, to;
    } parts[] = {{a, 0, first_a}, {b, 0, first_b}, {a, first_a, n_a}, {b, first_b, n_b}};

    for (size_t i = 0; i < LENGTH(parts); i++) {
        size_t len = (parts[i].to - parts[i].from) * size;

        if (len != 0)
            memcpy(end, (const char *)parts[i].list + parts[i].from * size, len);
        end += len;
    }
    free(a);
    free(b);
    return out;
}

/* The windows of one identity behind those of the identities before it. */
static void append(struct windows *w, struct windows *more)
{
    if (plain_windows(w) != 0 && plain_windows(more) != 0)
        part(w, more);
    w->items = merge(w->items, w->n, plain_windows(w), more->items, more->n, plain_windows(more),
                     sizeof *w->items);
    w->holes = merge(w->holes, w->n_holes, holes_in_time(w), more->holes, more->n_holes,
                     holes_in_time(more), sizeof *w->holes);
    w->n += more->n;
    w->n_holes += more->n_holes;
    *more = (struct windows){0};
}

/* When WAL of an identity was stored first and last; 0: never. */
static void stored(const struct view *v, uint64_t system_id, unsigned major, int64_t *first_us,
                   int64_t *last_us)
{
    *first_us = *last_us = 0;
    for (size_t i = 0; i < v->n_lines; i++) {
        const struct view_line *l = &v->lines[i];

        if (l->id.system_id != system_id || l->id.major != major)
            continue;
        if (*first_us == 0 || l->stretch.first_us < *first_us)
            *first_us = l->stretch.first_us;
        *last_us = MAX_OF(*last_us, l->stretch.last_us);
    }
}

/* The identity lives if its WAL is the newer one: an upgrade may have been taken back. */
static void take_unprotected(struct view *v, const struct identity *id, bool has_backups)
{
    size_t n = plain_windows(&v->windows);
    int64_t first_us, last_us, before_first_us, before_last_us;
    const struct window *last;

    if (n == 0)
        return;
    last = &v->windows.items[n - 1];
    stored(v, last->system_id, last->major, &before_first_us, &before_last_us);
    stored(v, id->system_id, id->major, &first_us, &last_us);
    if (last_us > before_last_us)
        part_for_good(&v->windows, id, has_backups, MAX_OF(first_us, last->end_us));
}

/* Where clusters followed each other, whose backup it is. */
static void name_owners(struct windows *w)
{
    for (size_t i = holes_in_time(w); i < w->n_holes; i++) {
        struct hole *h = &w->holes[i];
        size_t len = strlen(h->why);

        snprintf(h->why + len, sizeof h->why - len, " (it is of system identifier %llu)",
                 (unsigned long long)h->system_id);
    }
}

static int load_identity(struct view *v, struct repo *r, const char *state_dir,
                         const struct identity *id, const struct stop *stop, struct err *err)
{
    AUTO(wal_map_free) struct wal_map *map = NULL;
    AUTO(mem_free) char *heads = NULL;
    struct windows found = {0};
    struct backup_list some;
    uint32_t segment_size = segment_size_of(v, id);
    size_t harmed = v->harmed; /* of those before */
    int rc;

    TRY(wal_map_load(&map, r, id->system_id, id->major, segment_size, err));
    add_lines(v, map, id, segment_size);
    TRY(wal_map_gaps(map, &v->backups, &v->gaps, &v->n_gaps, err));
    if (v->sealed) {
        add_harmed(v, r, id, &v->windows);
        return 0;
    }
    if (state_dir != NULL) {
        heads = recall_path(state_dir, map, r);
        recall_read(heads, map, r);
    }
    some = backups_of(v, r, id, false);
    rc = windows_find(map, r, &some, stop, &found, err);
    free(some.items);
    if (rc == 0)
        add_harmed(v, r, id, &found);
    if (heads != NULL)
        recall_write(heads, map, r); /* the next attempt need not begin anew */
    TRY(rc);
    if (plain_windows(&found) == 0)
        take_unprotected(v, id, some.n + v->harmed != harmed);
    append(&v->windows, &found);
    return 0;
}

static int load(struct view *v, struct repo *r, const char *state_dir, const struct stop *stop,
                struct err *err)
{
    size_t n;
    const struct identity *ids = repo_identities(r, &n);

    v->sealed = repo_encrypted(r) && repo_key(r) == NULL; /* so is the WAL index */
    TRY(backups_list(r, &v->backups, broken, v, err));
    TRY(backup_marks(r, &v->marks, &v->n_marks, err));
    for (size_t i = 0; i < n; i++)
        TRY(load_identity(v, r, state_dir, &ids[i], stop, err));
    if (n > 1)
        name_owners(&v->windows);
    return 0;
}

/* Since when the catalog knows of a gap in what a hole lacks. */
static void take_noticed(struct hole *h, const struct catalog_wal *known)
{
    uint64_t from = segno_lsn(h->first_segno, h->segment_size),
             to = segno_lsn(h->last_segno + 1, h->segment_size);

    for (size_t i = 0; h->first_segno != 0 && i < known->n_gaps; i++) {
        const struct catalog_gap *g = &known->gaps[i];

        if (g->system_id == h->system_id && g->timeline == h->timeline && g->start_lsn < to &&
            g->end_lsn > from && (h->noticed_us == 0 || g->noticed_us < h->noticed_us))
            h->noticed_us = g->noticed_us;
    }
}

static int load_history(struct view *v, const struct repo *r, struct catalog *c, struct err *err)
{
    AUTO(catalog_wal_free) struct catalog_wal known = {0};
    AUTO(catalog_drills_free) struct catalog_drills drills = {0};

    TRY(catalog_get_wal(c, repo_name(r), repo_cluster(r), &known, err));
    for (size_t i = 0; i < v->windows.n_holes; i++)
        take_noticed(&v->windows.holes[i], &known);
    TRY(catalog_get_drills(c, repo_cluster(r), repo_name(r), DRILLS_READ, &drills, err));
    expected_learn(drills.rows, drills.n, &v->expected);
    return 0;
}

int view_load(struct view *v, struct repo *r, const char *state_dir, struct catalog *c,
              const struct stop *stop, struct err *err)
{
    struct err why = {0};

    *v = (struct view){0};
    if (c != NULL &&
        catalog_get_backups(c, repo_name(r), repo_cluster(r), false, &v->known, &why) != 0)
        log_warning("the catalog cannot be read: %s", why.msg);
    if (load(v, r, state_dir, stop, err) != 0) {
        view_free(v);
        return -1;
    }
    if (c != NULL && load_history(v, r, c, &why) != 0)
        log_warning("the catalog cannot be read: %s", why.msg);
    return 0;
}

void view_free(struct view *v)
{
    backups_free(&v->backups);
    catalog_backups_free(&v->known);
    backup_marks_free(&v->marks, v->n_marks);
    free(v->lines);
    free(v->gaps);
    windows_free(&v->windows);
    *v = (struct view){0};
}

const struct backup_mark *view_mark(const struct view *v, const char *label)
{
    for (size_t i = 0; i < v->n_marks; i++)
        if (strcmp(v->marks[i].label, label) == 0)
            return &v->marks[i];
    return NULL;
}

const struct window *view_newest(const struct view *v)
{
    const struct window *newest = NULL;

    for (size_t i = 0; i < v->windows.n; i++)
        if (!v->windows.items[i].aside && v->windows.items[i].open)
            newest = &v->windows.items[i];
    return newest;
}

const struct hole *view_hole(const struct view *v, int64_t time_us)
{
    for (size_t i = 0; i < v->windows.n_holes; i++) {
        const struct hole *h = &v->windows.holes[i];

        if (h->kind != HOLE_BACKUP && time_us >= h->from_us &&
            (time_us < h->to_us || h->to_us == 0))
            return h;
    }
    return NULL;
}

void view_exposure(const struct view *v, const struct server_state *server, struct exposure *out)
{
    const struct window *w = view_newest(v);

    *out = (struct exposure){.recoverable = w != NULL};
    if (w == NULL)
        return;
    out->commit_us = w->last_commit_us;
    out->lsn = w->end_lsn;
    if (server == NULL || server->wal_lsn == 0)
        return;
    out->elsewhere = server->system_id != w->system_id || server->timeline != w->timeline;
    if (out->elsewhere)
        return;
    out->asked = true;
    /* A segment begins with a header, which is no WAL that somebody wrote. */
    if (server->wal_lsn > w->end_lsn + SEGMENT_HEADER)
        out->bytes = server->wal_lsn - w->end_lsn;
    out->nothing = out->bytes == 0 || (server->last_commit_us != 0 && w->last_commit_us != 0 &&
                                       server->last_commit_us <= w->last_commit_us);
    if (!out->nothing)
        out->since_us = w->last_commit_us;
}

int64_t view_expected_us(const struct view *v, bool *sure)
{
    const struct window *w = view_newest(v);

    *sure = false;
    for (size_t i = v->backups.n; w != NULL && i-- > 0;) {
        const struct pubinfo *b = &v->backups.items[i];

        if (strcmp(b->label, w->last_backup) == 0)
            return expected_us(&v->expected, b->raw_bytes,
                               w->end_lsn > b->start_lsn ? w->end_lsn - b->start_lsn : 0, sure);
    }
    return 0;
}
