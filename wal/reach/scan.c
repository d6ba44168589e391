/* scan.c - see scan.h. */
#include "wal/reach/scan.h"

#include <inttypes.h>
#include <string.h>

#include "postgres/lsn.h"

enum { INFO_RESTORE_POINT = 0x70, READ_THREADS = 2 };

void times_add(struct times_seen *seen, const struct times_seen *more)
{
    if (more->commit_us != 0)
        seen->commit_us = more->commit_us;
    if (more->newest.time_us > seen->newest.time_us)
        seen->newest = more->newest;
}

static void see(struct scan *s, const struct wal_record *rec, const struct wal_xact *x)
{
    struct times_seen now = {.commit_us = x->kind == WAL_XACT_COMMIT ? x->time_us : 0,
                             .newest = {x->time_us, rec->lsn, x->xid}};

    times_add(&s->seen, &now);
}

static bool is_subxact(const struct wal_xact *x, uint32_t xid)
{
    for (uint32_t i = 0; i < x->n_subxacts; i++)
        if (get_u32(x->subxacts + (size_t)i * 4) == xid)
            return true;
    return false;
}

static bool not_known(struct scan *s)
{
    s->what = SCAN_UNKNOWN;
    return true;
}

/* The end of a transaction; true: stop. A time stops before it, an xid before or after. */
static bool on_xact(struct scan *s, const struct target *t, const struct wal_record *rec,
                    const struct wal_decoded *d, unsigned major)
{
    bool asked = t->kind == TARGET_TIME || t->kind == TARGET_XID, found = false;
    struct wal_xact x;

    if (wal_xact_parse(rec, d, major, &x, &s->why) != 0)
        return asked && not_known(s);
    if (x.kind != WAL_XACT_COMMIT && x.kind != WAL_XACT_ABORT)
        return false;
    s->xid = x.xid;
    if (t->kind == TARGET_TIME)
        found = time_is_behind(t, x.time_us);
    if (t->kind == TARGET_XID) {
        found = x.xid == t->xid;
        if (is_subxact(&x, t->xid))
            s->parent = x.xid;
    }
    if (!found || (t->kind == TARGET_XID && !t->exclusive))
        see(s, rec, &x);
    return found;
}

static bool on_xlog(struct scan *s, const struct target *t, const struct wal_record *rec,
                    const struct wal_decoded *d, unsigned major)
{
    struct wal_event e;

    if (t->kind != TARGET_NAME || (rec->info & WAL_INFO_OPCODE) != INFO_RESTORE_POINT)
        return false;
    if (wal_event_parse(rec, d, major, &e, &s->why) != 0)
        return not_known(s);
    return e.kind == WAL_EVENT_RESTORE_POINT && strcmp(e.name, t->name) == 0;
}

/* True: recovery stops here, or nobody knows. */
static bool stops(struct scan *s, const struct target *t, const struct wal_record *rec,
                  unsigned major)
{
    struct wal_decoded d;
    bool by_lsn = t->kind == TARGET_LSN && rec->lsn >= t->lsn;

    s->xid = rec->xid;
    if (by_lsn && t->exclusive)
        return true;
    if (rec->rmid != WAL_RM_XACT && rec->rmid != WAL_RM_XLOG)
        return by_lsn;
    if (wal_decode(rec, major, &d, &s->why) != 0)
        return by_lsn || (t->kind != TARGET_LSN && not_known(s));
    if (rec->rmid == WAL_RM_XACT)
        return on_xact(s, t, rec, &d, major) || by_lsn;
    return on_xlog(s, t, rec, &d, major) || by_lsn;
}

/* A record before the first one that counts. */
static void look_behind(struct scan *s, const struct target *t, const struct wal_record *rec,
                        unsigned major)
{
    struct wal_decoded d;
    struct wal_xact x;
    struct err ignored;

    if (t->kind == TARGET_TIME && rec->rmid == WAL_RM_XACT &&
        wal_decode(rec, major, &d, &ignored) == 0 &&
        wal_xact_parse(rec, &d, major, &x, &ignored) == 0 &&
        (x.kind == WAL_XACT_COMMIT || x.kind == WAL_XACT_ABORT) && time_is_behind(t, x.time_us))
        s->held_lsn = rec->lsn;
}

/* The records of one segment that was fed; true: done. */
static bool scan_segment(struct scan *s, struct wal_walk *walk, const struct target *t,
                         uint64_t from_lsn)
{
    struct wal_record rec;

    while (wal_walk_next(walk, &rec) == WAL_RECORD) {
        if (rec.lsn < from_lsn)
            look_behind(s, t, &rec, walk->segment.major);
        else if (stops(s, t, &rec, walk->segment.major)) {
            if (s->what == SCAN_NOTHING)
                s->what = SCAN_FOUND;
            s->lsn = rec.lsn;
            s->end = rec.end;
            return true;
        }
        s->last_lsn = rec.lsn;
    }
    return walk->stop != WAL_STOP_NONE;
}

static int feed(const struct way *w, struct scan *s, struct wal_walk *walk, uint64_t segno,
                struct buf *bytes, bool *fed, struct err *err)
{
    struct segment_place at = way_place(w, segno);

    TRY(segment_bytes(&at, READ_THREADS, bytes, fed, &s->why, err));
    if (*fed && wal_walk_feed(walk, bytes->p, bytes->len, at.timeline, &s->why) == 0)
        return 0;
    *fed = false;
    s->what = SCAN_UNKNOWN;
    s->lsn = s->end = walk->end != 0 ? walk->end : segno_lsn(segno, at.segment_size);
    return 0;
}

int scan_run(const struct way *w, uint64_t first, const struct target *t, uint64_t from_lsn,
             struct scan *s, struct err *err)
{
    AUTO(wal_walk_free) struct wal_walk walk;
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    bool going = true;

    memset(s, 0, sizeof *s);
    wal_walk_init(&walk);
    for (uint64_t segno = first; segno <= w->segno && going; segno++) {
        TRY(stop_check(w->stop, err));
        TRY(feed(w, s, &walk, segno, &bytes, &going, err));
        if (going)
            going = !scan_segment(s, &walk, t, from_lsn);
    }
    if (s->what != SCAN_FOUND)
        s->xid = 0;
    return 0;
}
