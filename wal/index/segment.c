/* segment.c - see segment.h. */
#include "wal/index/segment.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/wal/wal_object.h"
#include "wal/index/index.h"

enum { INFO_RESTORE_POINT = 0x70 }; /* XLOG_RESTORE_POINT, catalog/pg_control.h */

void segment_note_free(struct segment_note **note)
{
    struct segment_note *n = *note;

    if (n == NULL)
        return;
    if (n->crossing != NULL)
        segment_note_free(&n->crossing);
    free(n->why);
    free(n->points);
    free(n);
    *note = NULL;
}

/* ---- reading ---- */

static bool own_fault(enum err_code code)
{
    return code == ERR_CORRUPT || code == ERR_NOT_FOUND || code == ERR_UNSUPPORTED ||
           code == ERR_FOREIGN;
}

static int judge(const struct err *why, struct err *err)
{
    if (own_fault(why->code))
        return 0;
    *err = *why;
    return -1;
}

static const char *name_of(const struct segment_place *at, char name[WAL_SEGMENT_NAME])
{
    return wal_segment_name(at->timeline, at->segno, at->segment_size, name);
}

int segment_bytes(const struct segment_place *at, unsigned threads, struct buf *out, bool *readable,
                  struct err *why, struct err *err)
{
    char name[WAL_SEGMENT_NAME];

    *readable = wal_object_get(at->repo, at->system_id, at->major, name_of(at, name),
                               at->segment_size, threads, out, why) == 0;
    return *readable ? 0 : judge(why, err);
}

/* What was pushed as this segment must say that it is this segment. */
static bool belongs(const struct segment_place *at, const struct wal_index *ix)
{
    return ix->system_id == at->system_id && ix->segment_size == at->segment_size &&
           ix->start == segno_lsn(at->segno, at->segment_size);
}

static int stored_index(const struct segment_place *at, struct wal_index *ix, bool *good,
                        struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    char name[WAL_SEGMENT_NAME];
    struct err why = {0};

    *good = false;
    if (wal_object_index(at->repo, at->system_id, at->major, name_of(at, name), &bytes, NULL,
                         &why) != 0)
        return judge(&why, err);
    *good = wal_index_read(bytes.p, bytes.len, WAL_INDEX_SUMMARY, ix, &why) == 0 &&
            belongs(at, ix) && wal_index_has_history(ix);
    return 0;
}

int segment_index(const struct segment_place *at, struct wal_index *ix, bool *readable,
                  struct err *why, struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct wal_expect want = {.system_id = at->system_id,
                              .start = segno_lsn(at->segno, at->segment_size),
                              .tli = at->timeline};

    TRY(stored_index(at, ix, readable, err));
    if (*readable)
        return 0;
    TRY(segment_bytes(at, 1, &bytes, readable, why, err));
    if (!*readable)
        return 0;
    *readable = wal_index_build(bytes.p, bytes.len, &want, ix, why) == 0;
    return *readable ? 0 : judge(why, err);
}

int segment_load(const struct segment_place *at, struct segment_note **note, struct err *err)
{
    AUTO(wal_index_free) struct wal_index ix;
    struct err why = {0};
    bool readable;

    wal_index_init(&ix);
    TRY(segment_index(at, &ix, &readable, &why, err));
    if (!readable)
        *note = segment_note_broken(why.msg);
    else if (ix.major == 0)
        *note = segment_note_broken(ix.reason);
    else
        *note = segment_note_of(&ix);
    return 0;
}

/* ---- what is kept ---- */

struct segment_note *segment_note_broken(const char *why)
{
    struct segment_note *n = xcalloc(1, sizeof *n);

    n->broken = true;
    n->why = xstrdup(why);
    return n;
}

static enum segment_tail tail_of(uint8_t info, uint8_t rmid)
{
    if (rmid == WAL_RM_XACT ||
        (rmid == WAL_RM_XLOG && (info & WAL_INFO_OPCODE) == INFO_RESTORE_POINT))
        return TAIL_MATTERS;
    return TAIL_PLAIN;
}

static enum segment_tail index_tail(const struct wal_index *ix)
{
    if (ix->tail_total == 0)
        return TAIL_PLAIN;
    if (ix->flags & WAL_INDEX_TAIL_OMITTED)
        return TAIL_NOT_SEEN;
    if (ix->tail.len < WAL_RECORD_HEADER)
        return TAIL_MATTERS;
    return tail_of((uint8_t)ix->tail.p[16], (uint8_t)ix->tail.p[17]);
}

static void keep_points(struct segment_note *n, const struct wal_index *ix)
{
    for (uint32_t i = 0; i < ix->n_events; i++) {
        const struct wal_event *e = &ix->events[i];

        if (e->kind != WAL_EVENT_RESTORE_POINT)
            continue;
        if (n->n_points == SEGMENT_POINTS_MAX) {
            n->points_cut = true;
            return;
        }
        n->points = xrealloc(n->points, (n->n_points + 1) * sizeof *n->points);
        struct segment_point *p = &n->points[n->n_points++];
        *p = (struct segment_point){.lsn = e->lsn, .time_us = e->time_us};
        memcpy(p->name, e->name, sizeof p->name);
    }
}

/* The last record that starts inside is whole unless it has a tail; then it is the one before, if
 * that one starts inside, too. */
static uint64_t whole_of(const struct wal_index *ix)
{
    if (ix->tail_total == 0)
        return ix->last_lsn;
    return ix->first_lsn != ix->last_lsn ? ix->last_prev : 0;
}

struct segment_note *segment_note_of(const struct wal_index *ix)
{
    struct segment_note *n = xcalloc(1, sizeof *n);

    n->known = !(ix->flags & WAL_INDEX_NO_HISTORY);
    n->tail = index_tail(ix);
    if (ix->reason[0] != '\0')
        n->why = xstrdup(ix->reason);
    n->flags = ix->flags;
    n->major = ix->major;
    n->first_lsn = ix->first_lsn;
    n->first_prev = ix->first_prev;
    n->last_lsn = ix->last_lsn;
    n->last_prev = ix->last_prev;
    n->end_of_data = ix->end_of_data;
    n->head_len = ix->head_len;
    n->head_seen = ix->head_seen;
    n->tail_total = ix->tail_total;
    n->tail_seen = ix->tail_seen;
    n->whole_lsn = whole_of(ix);
    n->commits = ix->commits;
    n->aborts = ix->aborts;
    n->commit_max = ix->commit_max;
    n->commit_last = ix->commit_last;
    n->abort_max = ix->abort_max;
    n->has_xids = ix->has_xids;
    n->xid_low = ix->xid_low;
    n->xid_high = ix->xid_high;
    keep_points(n, ix);
    return n;
}

uint64_t segment_end(const struct segment_place *at, const struct segment_note *n)
{
    if (n->tail_total != 0)
        return n->last_lsn;
    return n->flags & WAL_INDEX_SWITCH ? segno_lsn(at->segno + 1, at->segment_size)
                                       : n->end_of_data;
}

/* ---- long tails ---- */

/* A byte of a record that starts at this offset; its header may continue behind a page header. */
static int record_byte(const struct buf *segment, size_t at, unsigned byte)
{
    size_t off = at + byte;

    if (at / WAL_PAGE != off / WAL_PAGE)
        off += WAL_SHORT_HEADER;
    return off < segment->len ? (uint8_t)segment->p[off] : -1;
}

int segment_look_at_tail(const struct segment_place *at, struct segment_note *note, struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err why = {0};
    bool readable;
    int info, rmid;

    TRY(segment_bytes(at, 2, &bytes, &readable, &why, err));
    note->tail = TAIL_MATTERS;
    if (!readable)
        return 0;
    info = record_byte(&bytes, lsn_offset(note->last_lsn, at->segment_size), 16);
    rmid = record_byte(&bytes, lsn_offset(note->last_lsn, at->segment_size), 17);
    if (info >= 0 && rmid >= 0)
        note->tail = tail_of((uint8_t)info, (uint8_t)rmid);
    return 0;
}
