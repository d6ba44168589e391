/*
 * reach.c - where recovery of one backup towards a target stops: target_reach() of target.h.
 *
 * Every record from the backup's start LSN on can stop recovery, also those before it is
 * consistent: PostgreSQL then ends with "requested recovery stop point is before consistent
 * recovery point". So the first record that stops is looked for, and only then judged.
 */
#include "wal/reach/reach.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "config/suggest.h"
#include "postgres/lsn.h"

/* ---- along which timeline ---- */

/* NULL with the reason said. */
static const struct history *choose_line(struct search *s)
{
    const struct pubinfo *b = s->backup;
    const struct target *t = s->t;
    const struct history *line;
    const char *problem;

    s->r->timeline = t->line == LINE_NUMBER    ? t->timeline
                     : t->line == LINE_CURRENT ? b->timeline
                     : t->kind == TARGET_IMMEDIATE
                         ? wal_map_latest(s->map, b->timeline, b->stop_lsn)
                         : map_newest(s->map, b->timeline);
    line = map_history(s->map, s->r->timeline, &problem);
    if (line != NULL && map_backup_fits(line, b))
        return line;
    reach_say_line(s, line == NULL ? problem : NULL);
    return NULL;
}

/* ---- what a segment may hold ---- */

static bool has_name(const struct segment_note *n, const char *name)
{
    for (uint32_t i = 0; i < n->n_points; i++)
        if (strcmp(n->points[i].name, name) == 0)
            return true;
    return n->points_cut;
}

/* Compared as PostgreSQL does, modulo 2^32. */
static bool has_xid(const struct segment_note *n, uint32_t xid)
{
    return n->has_xids && (int32_t)(xid - n->xid_low) >= 0 && (int32_t)(n->xid_high - xid) >= 0;
}

static bool may_hold(const struct segment_note *n, const struct target *t)
{
    switch (t->kind) {
    case TARGET_TIME:
        return !n->known || (n->commits > 0 && time_is_behind(t, n->commit_max.time_us)) ||
               (n->aborts > 0 && time_is_behind(t, n->abort_max.time_us));
    case TARGET_XID:
        return (!n->known || has_xid(n, t->xid)) && n->absent_xid != t->xid;
    case TARGET_NAME:
        return !n->known || has_name(n, t->name);
    case TARGET_LSN:
        return n->whole_lsn >= t->lsn;
    default:
        return false;
    }
}

static bool moment_is_early(const struct search *s, uint64_t count, const struct wal_moment *m)
{
    return count > 0 && m->lsn < s->backup->stop_lsn && time_is_behind(s->t, m->time_us);
}

/* The note alone tells that a time target stops recovery before the backup is consistent, or that
 * the backup holds something later than the target: clocks may differ, LSNs do not. */
static bool is_early(const struct search *s, const struct segment_note *n)
{
    return s->t->kind == TARGET_TIME && n->known &&
           (moment_is_early(s, n->commits, &n->commit_max) ||
            moment_is_early(s, n->aborts, &n->abort_max));
}

/* ---- what is passed ---- */

static void pass_moment(struct search *s, const struct wal_moment *m, bool last_commit)
{
    struct times_seen now = {.commit_us = last_commit ? m->time_us : 0, .newest = *m};

    if (m->lsn >= s->backup->start_lsn)
        times_add(&s->seen, &now);
}

static void pass_names(struct search *s, const struct segment_note *n)
{
    struct suggestion near = suggest_for(s->t->name);

    if (s->t->kind != TARGET_NAME)
        return;
    suggest_offer(&near, s->near_name);
    for (uint32_t i = 0; i < n->n_points; i++) {
        if (n->points[i].lsn < s->backup->start_lsn)
            continue;
        suggest_offer(&near, n->points[i].name);
        s->names[s->n_names++ % NAMES_KEPT] = n->points[i];
    }
    if (near.best != NULL && near.best != s->near_name)
        memcpy(s->near_name, near.best, sizeof s->near_name); /* of the same size */
}

static void pass(struct search *s, const struct segment_note *n)
{
    if (n->commits > 0) {
        pass_moment(s, &n->commit_last, true);
        pass_moment(s, &n->commit_max, false);
    }
    if (n->aborts > 0)
        pass_moment(s, &n->abort_max, false);
    pass_names(s, n);
}

static void pass_segment(struct search *s)
{
    if (s->way.crossing != NULL)
        pass(s, s->way.crossing);
    pass(s, s->way.note);
    if (s->t->kind == TARGET_XID && s->way.note->absent_xid == s->t->xid &&
        s->way.note->absent_parent != 0)
        s->parent = s->way.note->absent_parent;
}

/* ---- where it stops ---- */

static void settle_way(struct search *s)
{
    s->r->first_segno = s->way.first;
    s->r->last_segno = s->way.segments > 0 ? s->way.segno : s->way.first;
    s->r->first_tli = map_file_tli(s->map, s->way.line, s->r->first_segno);
    s->r->last_tli = map_file_tli(s->map, s->way.line, s->r->last_segno);
    s->r->wal_bytes = s->way.bytes;
}

static enum miss early(struct search *s, uint64_t lsn)
{
    s->r->end_lsn = 0;
    s->r->nearest_after_us = s->backup->stop_us;
    s->r->nearest_after_lsn = s->backup->stop_lsn;
    reach_say_early(s, lsn);
    return MISS_EARLY;
}

/* Consistency needs the records before stop_lsn replayed, not only read. */
static enum miss stop_at(struct search *s, const struct scan *found)
{
    const struct target *t = s->t;
    bool before = t->kind == TARGET_TIME || (t->exclusive && t->kind != TARGET_NAME);

    s->r->end_lsn = before ? found->lsn : found->end;
    if (s->r->end_lsn < s->backup->stop_lsn)
        return early(s, found->lsn);
    s->r->reachable = true;
    s->r->stop_xid = found->xid;
    s->r->last_commit_us = s->seen.commit_us;
    settle_way(s);
    return MISS_NONE;
}

static void remember_absent(struct search *s, uint64_t first, const struct scan *scan)
{
    struct segment_note *n = s->way.note;

    if (s->t->kind != TARGET_XID || segno_lsn(first, s->map->segment_size) < s->backup->start_lsn)
        return;
    n->absent_xid = s->t->xid;
    n->absent_parent = scan->parent;
    if (n->crossing != NULL)
        n->crossing->absent_xid = s->t->xid;
}

/* Reads what may hold the target. *done: it does, and *miss is the answer. */
static int read_segment(struct search *s, uint64_t first, bool *done, enum miss *miss,
                        struct err *err)
{
    struct way *w = &s->way;
    struct scan scan;

    TRY(scan_run(w, first, s->t, s->backup->start_lsn, &scan, err));
    times_add(&s->seen, &scan.seen);
    if (scan.parent != 0)
        s->parent = scan.parent;
    if (scan.held_lsn != 0) {
        *done = true;
        *miss = early(s, scan.held_lsn);
    } else if (scan.what == SCAN_FOUND) {
        *done = true;
        *miss = stop_at(s, &scan);
    } else if (scan.what == SCAN_UNKNOWN) {
        way_break(w, scan.last_lsn, scan.lsn, scan.why.msg);
    } else {
        remember_absent(s, first, &scan);
        pass_segment(s);
    }
    return 0;
}

static int look(struct search *s, bool *done, enum miss *miss, struct err *err)
{
    struct way *w = &s->way;
    bool crossing = w->crossing != NULL && may_hold(w->crossing, s->t);

    if (s->t->kind == TARGET_LSN)
        crossing = w->crossing_lsn != 0 && w->crossing_lsn >= s->t->lsn;
    if ((crossing && w->crossing != NULL && is_early(s, w->crossing)) || is_early(s, w->note)) {
        *done = true;
        *miss = early(s, 0);
        return 0;
    }
    if (w->segno == w->limit)
        return 0; /* immediate() reads it */
    if (crossing || may_hold(w->note, s->t))
        return read_segment(s,
                            crossing ? lsn_segno(w->crossing_lsn, s->map->segment_size) : w->segno,
                            done, miss, err);
    pass_segment(s);
    return 0;
}

/* ---- at the end of the way ---- */

uint32_t reach_wrong_turn(const struct way *w)
{
    uint32_t own = map_file_tli(w->map, w->line, w->end_segno);
    uint32_t before = w->segments > 0 ? w->tli : 0;

    if (w->end != WAY_MISSING)
        return 0;
    for (size_t i = w->line->count; i-- > 0;) {
        uint32_t tli = w->line->entries[i].tli;
        if (tli < own && tli >= before && wal_map_has(w->map, tli, w->end_segno))
            return tli;
    }
    return 0;
}

static enum miss beyond(struct search *s)
{
    const struct wal_moment *newest = &s->seen.newest;

    settle_way(s);
    if (s->way.end_lsn < s->backup->stop_lsn) {
        reach_say_backup(s);
        return MISS_BACKUP;
    }
    s->r->end_lsn = s->way.end_lsn;
    s->r->last_commit_us = s->seen.commit_us;
    s->r->wal_ends = reach_at_end(&s->way);
    reach_say_beyond(s);
    if (s->r->wal_ends && (s->t->kind == TARGET_XID || s->t->kind == TARGET_NAME))
        return MISS_BEYOND; /* it may be nowhere: nothing is near it */
    s->r->nearest_before_lsn = s->way.last_lsn;
    if (newest->time_us != 0 && newest->lsn >= s->backup->stop_lsn)
        s->r->nearest_before_us = newest->time_us - 1; /* that one must be later than the target */
    return MISS_BEYOND;
}

static enum miss latest(struct search *s)
{
    enum miss miss = beyond(s);
    uint32_t wrong = reach_wrong_turn(&s->way);

    if (miss != MISS_BEYOND)
        return miss;
    if (wrong != 0) {
        reach_say_wrong_turn(s, wrong);
        return miss;
    }
    s->r->why[0] = '\0';
    s->r->nearest_before_us = 0;
    s->r->nearest_before_lsn = 0;
    s->r->wal_ends = false;
    s->r->reachable = true;
    reach_note_latest(s);
    return MISS_NONE;
}

/* The last segment is read for what was committed before that moment. */
static int immediate(struct search *s, enum miss *miss, struct err *err)
{
    struct target here = {.kind = TARGET_LSN, .exclusive = true, .lsn = s->backup->stop_lsn};
    const struct way *w = &s->way;
    struct scan scan;

    *miss = beyond(s);
    if (*miss != MISS_BEYOND)
        return 0;
    TRY(scan_run(w,
                 w->crossing != NULL ? lsn_segno(w->crossing_lsn, s->map->segment_size) : w->segno,
                 &here, s->backup->start_lsn, &scan, err));
    *s->r = (struct reach){.reachable = true,
                           .timeline = s->r->timeline,
                           .end_lsn = s->backup->stop_lsn,
                           .first_segno = s->r->first_segno,
                           .last_segno = s->r->last_segno,
                           .first_tli = s->r->first_tli,
                           .last_tli = s->r->last_tli,
                           .wal_bytes = s->r->wal_bytes};
    s->r->last_commit_us = scan.seen.commit_us != 0 ? scan.seen.commit_us : s->seen.commit_us;
    *miss = MISS_NONE;
    return 0;
}

/* ---- the search ---- */

/* A name may be there again later; who gave it twice must know which one it will be. */
static int count_names(struct search *s, enum miss *miss, struct err *err)
{
    struct segment_point next = {0};
    uint64_t others = 0;
    int more = 1;

    if (s->t->kind != TARGET_NAME || *miss != MISS_NONE)
        return 0;
    for (; more == 1; more = way_next(&s->way, err)) {
        const struct segment_note *n = s->way.note;

        for (uint32_t i = 0; i < n->n_points; i++) {
            if (n->points[i].lsn < s->r->end_lsn || strcmp(n->points[i].name, s->t->name) != 0)
                continue;
            if (others++ == 0)
                next = n->points[i];
        }
    }
    if (others > 0)
        reach_note_names(s, others, &next);
    return more;
}

static int follow(struct search *s, enum miss *miss, struct err *err)
{
    bool done = false;
    int more;

    while ((more = way_next(&s->way, err)) == 1) {
        TRY(look(s, &done, miss, err));
        if (done)
            return count_names(s, miss, err);
    }
    if (more < 0)
        return -1;
    if (s->t->kind == TARGET_IMMEDIATE)
        return immediate(s, miss, err);
    *miss = s->t->kind == TARGET_LATEST ? latest(s) : beyond(s);
    return 0;
}

/*
 * PostgreSQL would not refuse every time before the backup was complete: what was committed before
 * its start is in it, no record of that stops recovery any more, and where nothing was committed
 * while it ran recovery ends at the first commit behind it, without a word.
 */
static bool is_before_backup(const struct search *s)
{
    const struct target *t = s->t;

    return (t->kind == TARGET_LSN && t->lsn < s->backup->start_lsn) ||
           (t->kind == TARGET_TIME && t->time_us < s->backup->stop_us);
}

static int find(struct search *s, struct repo *r, const struct stop *stop, enum miss *miss,
                struct err *err)
{
    const struct history *line = choose_line(s);
    uint32_t size = s->map->segment_size;

    *miss = MISS_LINE;
    if (line == NULL)
        return 0;
    way_begin(&s->way, s->map, r, line, lsn_segno(s->backup->start_lsn, size), stop);
    if (s->t->kind == TARGET_IMMEDIATE)
        s->way.limit = lsn_last_segno(s->backup->stop_lsn, size);
    if (is_before_backup(s)) {
        *miss = early(s, 0);
        return 0;
    }
    return follow(s, miss, err);
}

int reach_find(const struct wal_map *m, struct repo *r, const struct pubinfo *backup,
               const struct target *t, const struct stop *stop, struct reach *reach,
               enum miss *miss, struct err *err)
{
    struct search s = {.map = m, .backup = backup, .t = t, .r = reach};
    int rc;

    memset(reach, 0, sizeof *reach);
    rc = find(&s, r, stop, miss, err);
    way_finish(&s.way);
    return rc;
}

int target_reach(const struct wal_map *m, struct repo *r, const struct pubinfo *backup,
                 const struct target *t, const struct stop *stop, struct reach *reach,
                 struct err *err)
{
    enum miss miss;

    return reach_find(m, r, backup, t, stop, reach, &miss, err);
}

/* ---- all of the way ---- */

static void take_walk(const struct search *s, struct reach_walk *w)
{
    const struct way *way = &s->way;

    w->first = way->first;
    w->last = way->segments > 0 ? way->first + way->segments - 1 : way->first - 1;
    w->end_lsn = way->end_lsn;
    w->end = way->end;
    w->end_segno = way->end_segno;
    w->later = map_later(way->map, way->line, way->end_segno);
    w->at_end = reach_at_end(way);
    w->wrong_turn = reach_wrong_turn(way);
    w->seen = s->seen;
    w->whole = way->end_lsn >= s->backup->stop_lsn;
    snprintf(w->why, sizeof w->why, "%.400s", way->why.msg);
}

int reach_walk(const struct wal_map *m, struct repo *r, const struct pubinfo *backup,
               const struct history *line, const struct stop *stop, struct reach_walk *w,
               struct err *err)
{
    struct target never = {
        .kind = TARGET_TIME, .time_us = INT64_MAX, .line = LINE_NUMBER, .timeline = line->tli};
    struct reach reach = {0};
    struct search s = {.map = m, .backup = backup, .t = &never, .r = &reach};
    enum miss ignored;
    int rc = find(&s, r, stop, &ignored, err);

    *w = (struct reach_walk){.line = line, .backup = backup};
    if (rc == 0)
        take_walk(&s, w);
    way_finish(&s.way);
    return rc;
}
