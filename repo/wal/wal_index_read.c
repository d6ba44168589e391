/* wal_index_read.c - from the stored form to a WAL index, believing nothing. See wal_index.h. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/wal/wal_index_form.h"

/* Bytes of WAL that the index tells of. */
static uint64_t told(const struct wal_index *ix)
{
    return wal_index_end(ix) - ix->start;
}

/* An LSN inside them, stored as its distance from base. */
static uint64_t take_lsn(struct cursor *c, const struct wal_index *ix, uint64_t base)
{
    return base + cur_uv_max(c, wal_index_end(ix) - 1 - base);
}

static bool take_segment(struct cursor *c, struct wal_index *ix)
{
    unsigned log2;

    ix->magic = cur_u16(c);
    ix->major = cur_u8(c);
    log2 = cur_u8(c);
    ix->tli = cur_u32(c);
    ix->system_id = cur_u64(c);
    ix->start = cur_u64(c);
    ix->flags = (uint32_t)cur_uv_max(c, UINT32_MAX);
    if (log2 > 31 || !wal_segsz_valid(UINT64_C(1) << log2))
        return false;
    ix->segment_size = UINT32_C(1) << log2;
    ix->end_of_data = ix->start + cur_uv_max(c, told(ix));
    return ix->start % ix->segment_size == 0 &&
           ix->start <= UINT64_MAX - MAX_OF(told(ix), (uint64_t)WAL_SEGSZ_MAX);
}

static bool take_timelines(struct cursor *c, struct wal_index *ix)
{
    uint64_t last_tli = 0;

    while (cur_left(c) > 0 && ix->n_timelines < WAL_TIMELINES_MAX) {
        struct wal_timeline *t = &ix->timelines[ix->n_timelines++];
        t->tli = (uint32_t)cur_uv_max(c, UINT32_MAX);
        t->start = ix->start + cur_uv_max(c, told(ix) / WAL_PAGE - 1) * WAL_PAGE;
        if (t->tli <= last_tli || (ix->n_timelines > 1 && t->start <= t[-1].start))
            return false;
        last_tli = t->tli;
    }
    return true;
}

static uint64_t take_prev(struct cursor *c, uint64_t lsn)
{
    uint64_t distance = cur_uv_max(c, lsn);

    return distance == 0 ? 0 : lsn - distance;
}

static bool take_records(struct cursor *c, struct wal_index *ix)
{
    ix->first_lsn = take_lsn(c, ix, ix->start);
    ix->first_prev = take_prev(c, ix->first_lsn);
    ix->last_lsn = take_lsn(c, ix, ix->first_lsn);
    ix->last_prev = take_prev(c, ix->last_lsn);
    ix->records = cur_uv_max(c, told(ix) / WAL_RECORD_HEADER);
    ix->images = cur_uv_max(c, told(ix));
    return ix->first_lsn != 0;
}

static void take_moment(struct cursor *c, const struct wal_index *ix, int64_t base,
                        struct wal_moment *m)
{
    m->time_us = (int64_t)((uint64_t)cur_sv(c) + (uint64_t)base);
    m->lsn = take_lsn(c, ix, ix->start);
    m->xid = (uint32_t)cur_uv_max(c, UINT32_MAX);
}

static bool take_xacts(struct cursor *c, struct wal_index *ix)
{
    uint64_t span;

    ix->commits = cur_uv_max(c, told(ix));
    ix->aborts = cur_uv_max(c, told(ix));
    ix->prepares = cur_uv_max(c, told(ix));
    span = cur_uv_max(c, UINT64_C(1) << 31);
    ix->has_xids = span != 0;
    if (ix->has_xids) {
        ix->xid_low = (uint32_t)cur_uv_max(c, UINT32_MAX);
        ix->xid_high = ix->xid_low + (uint32_t)(span - 1);
    }
    if (ix->commits > 0) {
        take_moment(c, ix, PG_EPOCH_US, &ix->commit_first);
        take_moment(c, ix, ix->commit_first.time_us, &ix->commit_last);
        take_moment(c, ix, ix->commit_first.time_us, &ix->commit_min);
        take_moment(c, ix, ix->commit_first.time_us, &ix->commit_max);
    }
    if (ix->aborts > 0) {
        take_moment(c, ix, PG_EPOCH_US, &ix->abort_min);
        take_moment(c, ix, ix->abort_min.time_us, &ix->abort_max);
    }
    return true;
}

static void take_level(struct cursor *c, struct wal_event *e)
{
    e->wal_level = (int)cur_uv_max(c, WAL_LEVEL_LOGICAL + 1) - 1;
}

static void take_name(struct cursor *c, struct wal_event *e)
{
    size_t len = cur_left(c);

    if (len > WAL_NAME_MAX || c->bad || memchr(c->p, '\0', len) != NULL)
        c->bad = true;
    else
        memcpy(e->name, cur_bytes(c, len), len);
}

/* The payload of an event; one of an unknown kind is left as WAL_EVENT_NONE. */
static bool take_event(struct cursor *c, struct wal_event *e)
{
    switch (e->kind) {
    case WAL_EVENT_RESTORE_POINT:
        e->time_us = cur_sv(c);
        take_name(c, e);
        break;
    case WAL_EVENT_CHECKPOINT_SHUTDOWN:
    case WAL_EVENT_CHECKPOINT_ONLINE:
        e->redo = cur_u64(c); /* fall through */
    case WAL_EVENT_END_OF_RECOVERY:
        e->tli = (uint32_t)cur_uv_max(c, UINT32_MAX);
        e->prev_tli = (uint32_t)cur_uv_max(c, UINT32_MAX);
        take_level(c, e);
        e->time_us = cur_sv(c);
        break;
    case WAL_EVENT_CHECKPOINT_REDO:
    case WAL_EVENT_PARAMETERS:
        take_level(c, e);
        break;
    case WAL_EVENT_FULL_PAGE_WRITES:
        e->on = cur_u8(c) != 0;
        break;
    case WAL_EVENT_OVERWRITE:
        e->time_us = cur_sv(c); /* fall through */
    case WAL_EVENT_BACKUP_END:
        e->redo = cur_u64(c);
        break;
    case WAL_EVENT_DB_CREATE_COPY:
    case WAL_EVENT_DB_CREATE_LOGGED:
    case WAL_EVENT_DB_DROP:
        e->xid = (uint32_t)cur_uv_max(c, UINT32_MAX);
        e->db = (uint32_t)cur_uv_max(c, UINT32_MAX);
        e->spc = (uint32_t)cur_uv_max(c, UINT32_MAX);
        if (e->kind == WAL_EVENT_DB_CREATE_COPY) {
            e->src_db = (uint32_t)cur_uv_max(c, UINT32_MAX);
            e->src_spc = (uint32_t)cur_uv_max(c, UINT32_MAX);
        }
        break;
    default:
        e->kind = WAL_EVENT_NONE;
        return true;
    }
    return cur_done(c);
}

static bool take_events(struct cursor *c, struct wal_index *ix)
{
    uint64_t last = ix->start;

    while (cur_left(c) > 0) {
        struct wal_event e = {.wal_level = -1};
        struct cursor payload;
        const uint8_t *p;
        size_t len;
        e.kind = (enum wal_event_kind)cur_uv_max(c, INT32_MAX);
        e.lsn = last = take_lsn(c, ix, last);
        p = cur_blob(c, &len);
        if (p == NULL || ix->n_events == WAL_INDEX_EVENTS_MAX)
            return false;
        payload = cursor_of(p, len);
        if (!take_event(&payload, &e))
            return false;
        if (e.kind != WAL_EVENT_NONE)
            wal_index_add_event(ix, &e);
    }
    return true;
}

static bool take_fragment(struct cursor *c, const struct wal_index *ix, bool omitted,
                          uint32_t *total, uint32_t *seen, struct buf *bytes)
{
    size_t len;

    *total = (uint32_t)cur_uv_max(c, UINT32_MAX);
    *seen = (uint32_t)cur_uv_max(c, MIN_OF(*total, told(ix)));
    len = cur_left(c);
    if (c->bad || *total == 0 || len != (omitted ? 0 : *seen) ||
        omitted != (*seen > WAL_FRAGMENT_MAX))
        return false;
    buf_add(bytes, cur_bytes(c, len), len);
    return true;
}

/* What the blocks of a segment can be at most: a reference takes 8 bytes of WAL or more, a dropped
 * relation 12. */
struct room {
    uint64_t rels, blocks;
    size_t cap_rels, cap_runs;
};

static bool take_fork(struct cursor *c, struct wal_index *ix, struct wal_index_fork *f,
                      struct room *room)
{
    uint64_t next = 0, limit = cur_uv_max(c, WAL_NO_BLOCK);

    f->limit = limit == 0 ? WAL_NO_BLOCK : (uint32_t)(limit - 1);
    f->n_runs = (uint32_t)cur_uv_max(c, MIN_OF(cur_left(c), UINT32_MAX));
    f->first_run = ix->n_runs;
    for (uint32_t i = 0; i < f->n_runs; i++) {
        uint64_t head = cur_uv_max(c, UINT64_C(1) << 33), first = next + (head >> 1);
        uint64_t count = head & 1 ? cur_uv_max(c, WAL_NO_BLOCK) + 2 : 1;
        if (c->bad || first + count > WAL_NO_BLOCK || count > room->blocks)
            return false;
        room->blocks -= count;
        if (ix->n_runs == room->cap_runs) {
            room->cap_runs = room->cap_runs * 2 + 256;
            ix->runs = xrealloc(ix->runs, room->cap_runs * sizeof *ix->runs);
        }
        ix->runs[ix->n_runs++] = (struct wal_run){(uint32_t)first, (uint32_t)count};
        next = first + count + 1;
    }
    return !c->bad;
}

static bool take_rel(struct cursor *c, struct wal_index *ix, struct wal_locator rel,
                     struct room *room)
{
    struct wal_index_rel *r;
    uint8_t bits = cur_u8(c);

    if (c->bad || room->rels == 0 || (bits & ~(WHAT_KNOWN | FORKS_KNOWN)) != 0 || bits == 0)
        return false;
    room->rels--;
    if (ix->n_rels == room->cap_rels) {
        room->cap_rels = room->cap_rels * 2 + 64;
        ix->rels = xrealloc(ix->rels, room->cap_rels * sizeof *ix->rels);
    }
    r = &ix->rels[ix->n_rels++];
    memset(r, 0, sizeof *r);
    r->rel = rel;
    r->what = bits & WHAT_KNOWN;
    r->forks = bits & FORKS_KNOWN;
    for (unsigned fork = 0; fork < WAL_FORKS; fork++)
        if (r->forks & 1 << fork && !take_fork(c, ix, &r->fork[fork], room))
            return false;
    return true;
}

static bool take_blocks(struct cursor *c, struct wal_index *ix)
{
    struct room room = {.rels = told(ix) / 8, .blocks = told(ix) / 8};
    uint64_t place, last = 0;

    for (bool first = true; cur_left(c) > 0; first = false) {
        struct wal_locator rel = {.spc = (uint32_t)cur_uv_max(c, UINT32_MAX)};
        uint64_t n, next = 0;
        rel.db = (uint32_t)cur_uv_max(c, UINT32_MAX);
        place = (uint64_t)rel.spc << 32 | rel.db;
        n = cur_uv_max(c, cur_left(c));
        if (c->bad || n == 0 || (!first && place <= last))
            return false;
        last = place;
        for (uint64_t i = 0; i < n; i++) {
            uint64_t number = next + cur_uv_max(c, UINT32_MAX);
            if (number > UINT32_MAX)
                return false;
            rel.rel = (uint32_t)number;
            if (!take_rel(c, ix, rel, &room))
                return false;
            next = number + 1;
        }
    }
    return true;
}

static bool take_reason(struct cursor *c, struct wal_index *ix)
{
    size_t len = cur_left(c);

    if (len > WAL_INDEX_REASON_MAX)
        return false;
    memcpy(ix->reason, cur_bytes(c, len), len);
    return memchr(ix->reason, '\0', len) == NULL;
}

static bool take_tag(struct cursor *c, uint64_t tag, struct wal_index *ix)
{
    switch (tag) {
    case TAG_REASON:
        return take_reason(c, ix);
    case TAG_TIMELINES:
        return take_timelines(c, ix);
    case TAG_RECORDS:
        return take_records(c, ix);
    case TAG_XACTS:
        return take_xacts(c, ix);
    case TAG_EVENTS:
        return take_events(c, ix);
    case TAG_HEAD:
        return take_fragment(c, ix, (ix->flags & WAL_INDEX_HEAD_OMITTED) != 0, &ix->head_len,
                             &ix->head_seen, &ix->head);
    case TAG_TAIL:
        return take_fragment(c, ix, (ix->flags & WAL_INDEX_TAIL_OMITTED) != 0, &ix->tail_total,
                             &ix->tail_seen, &ix->tail) &&
               ix->tail_seen < ix->tail_total && ix->last_lsn != 0;
    case TAG_BLOCKS:
        return take_blocks(c, ix);
    default: /* even: to be skipped */
        c->p = c->end;
        return true;
    }
}

static int read_first(struct cursor *all, struct wal_index *ix, struct err *err)
{
    struct cursor c;
    const uint8_t *p;
    size_t len;
    unsigned version;

    if (cur_uv(all) != TAG_SEGMENT || (p = cur_blob(all, &len)) == NULL)
        return err_set(err, ERR_CORRUPT, "WAL index: it does not begin with the segment's part");
    c = cursor_of(p, len);
    version = cur_u8(&c);
    if (version != INDEX_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "WAL index: version %u, this program knows %d",
                       version, (int)INDEX_VERSION);
    if (!take_segment(&c, ix) || !cur_done(&c))
        return err_set(err, ERR_CORRUPT, "WAL index: malformed part 1 (segment)");
    if (ix->flags & ~(uint32_t)FLAGS_KNOWN)
        return err_set(err, ERR_UNSUPPORTED,
                       "WAL index: unknown flags 0x%" PRIx32 ", a newer pgbr wrote it", ix->flags);
    return 0;
}

static int read_parts(struct cursor *all, enum wal_index_part part, struct wal_index *ix,
                      struct err *err)
{
    uint64_t last = TAG_SEGMENT;

    TRY(read_first(all, ix, err));
    while (cur_left(all) > 0) {
        uint64_t tag = cur_uv(all);
        size_t len;
        const uint8_t *p = cur_blob(all, &len);
        struct cursor c;
        if (p == NULL || tag <= last)
            return err_set(err, ERR_CORRUPT, "WAL index: malformed after part %" PRIu64, last);
        if (tag > TAG_BLOCKS && tag % 2 == 1)
            return err_set(err, ERR_UNSUPPORTED,
                           "WAL index: unknown part %" PRIu64 ", a newer pgbr wrote it", tag);
        last = tag;
        if (tag == TAG_BLOCKS && part == WAL_INDEX_SUMMARY)
            continue;
        c = cursor_of(p, len);
        if (!take_tag(&c, tag, ix) || !cur_done(&c))
            return err_set(err, ERR_CORRUPT, "WAL index: malformed part %" PRIu64, tag);
    }
    return 0;
}

int wal_index_read_sum(const void *data, size_t len, enum wal_index_part part, uint32_t further,
                       struct wal_index *ix, struct err *err)
{
    struct cursor all = cursor_of(data, len);

    wal_index_free(ix);
    ix->further = further;
    if (read_parts(&all, part, ix, err) == 0)
        return 0;
    wal_index_free(ix);
    return -1;
}

int wal_index_read(const void *data, size_t len, enum wal_index_part part, struct wal_index *ix,
                   struct err *err)
{
    return wal_index_read_sum(data, len, part, 0, ix, err);
}
