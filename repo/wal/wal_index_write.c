/* wal_index_write.c - from a WAL index to its stored form. See wal_index.h. */
#include "base/clock.h"
#include "repo/wal/wal_index_form.h"

static void put_segment(const struct wal_index *ix, struct buf *b)
{
    buf_u8(b, INDEX_VERSION);
    buf_u16(b, ix->magic);
    buf_u8(b, (uint8_t)ix->major);
    buf_u8(b, (uint8_t)__builtin_ctz(ix->segment_size));
    buf_u32(b, ix->tli);
    buf_u64(b, ix->system_id);
    buf_u64(b, ix->start);
    buf_uv(b, ix->flags);
    buf_uv(b, ix->end_of_data - ix->start);
}

static void put_timelines(const struct wal_index *ix, struct buf *b)
{
    for (unsigned i = 0; i < ix->n_timelines; i++) {
        buf_uv(b, ix->timelines[i].tli);
        buf_uv(b, (ix->timelines[i].start - ix->start) / WAL_PAGE);
    }
}

static void put_records(const struct wal_index *ix, struct buf *b)
{
    if (ix->first_lsn == 0)
        return;
    buf_uv(b, ix->first_lsn - ix->start);
    buf_uv(b, ix->first_prev == 0 ? 0 : ix->first_lsn - ix->first_prev);
    buf_uv(b, ix->last_lsn - ix->first_lsn);
    buf_uv(b, ix->last_prev == 0 ? 0 : ix->last_lsn - ix->last_prev);
    buf_uv(b, ix->records);
    buf_uv(b, ix->images);
}

static void put_moment(const struct wal_index *ix, const struct wal_moment *m, int64_t base,
                       struct buf *b)
{
    buf_sv(b, (int64_t)((uint64_t)m->time_us - (uint64_t)base));
    buf_uv(b, m->lsn - ix->start);
    buf_uv(b, m->xid);
}

static void put_xacts(const struct wal_index *ix, struct buf *b)
{
    if (ix->commits + ix->aborts + ix->prepares == 0)
        return;
    buf_uv(b, ix->commits);
    buf_uv(b, ix->aborts);
    buf_uv(b, ix->prepares);
    buf_uv(b, ix->has_xids ? (uint64_t)(ix->xid_high - ix->xid_low) + 1 : 0);
    if (ix->has_xids)
        buf_uv(b, ix->xid_low);
    if (ix->commits > 0) {
        put_moment(ix, &ix->commit_first, PG_EPOCH_US, b);
        put_moment(ix, &ix->commit_last, ix->commit_first.time_us, b);
        put_moment(ix, &ix->commit_min, ix->commit_first.time_us, b);
        put_moment(ix, &ix->commit_max, ix->commit_first.time_us, b);
    }
    if (ix->aborts > 0) {
        put_moment(ix, &ix->abort_min, PG_EPOCH_US, b);
        put_moment(ix, &ix->abort_max, ix->abort_min.time_us, b);
    }
}

static void put_event(const struct wal_event *e, struct buf *b)
{
    switch (e->kind) {
    case WAL_EVENT_RESTORE_POINT:
        buf_sv(b, e->time_us);
        buf_adds(b, e->name);
        break;
    case WAL_EVENT_CHECKPOINT_SHUTDOWN:
    case WAL_EVENT_CHECKPOINT_ONLINE:
        buf_u64(b, e->redo); /* fall through */
    case WAL_EVENT_END_OF_RECOVERY:
        buf_uv(b, e->tli);
        buf_uv(b, e->prev_tli);
        buf_uv(b, (uint64_t)(e->wal_level + 1));
        buf_sv(b, e->time_us);
        break;
    case WAL_EVENT_CHECKPOINT_REDO:
    case WAL_EVENT_PARAMETERS:
        buf_uv(b, (uint64_t)(e->wal_level + 1));
        break;
    case WAL_EVENT_FULL_PAGE_WRITES:
        buf_u8(b, e->on);
        break;
    case WAL_EVENT_OVERWRITE:
        buf_sv(b, e->time_us); /* fall through */
    case WAL_EVENT_BACKUP_END:
        buf_u64(b, e->redo);
        break;
    case WAL_EVENT_DB_CREATE_COPY:
    case WAL_EVENT_DB_CREATE_LOGGED:
    case WAL_EVENT_DB_DROP:
        buf_uv(b, e->xid);
        buf_uv(b, e->db);
        buf_uv(b, e->spc);
        if (e->kind == WAL_EVENT_DB_CREATE_COPY) {
            buf_uv(b, e->src_db);
            buf_uv(b, e->src_spc);
        }
        break;
    case WAL_EVENT_NONE:
        break;
    }
}

static void put_events(const struct wal_index *ix, struct buf *b)
{
    AUTO(buf_free) struct buf one = BUF_INIT;
    uint64_t last = ix->start;

    for (uint32_t i = 0; i < ix->n_events; i++) {
        buf_clear(&one);
        put_event(&ix->events[i], &one);
        buf_uv(b, ix->events[i].kind);
        buf_uv(b, ix->events[i].lsn - last);
        buf_blob(b, one.p, one.len);
        last = ix->events[i].lsn;
    }
}

static void put_head(const struct wal_index *ix, struct buf *b)
{
    if (ix->head_len == 0)
        return;
    buf_uv(b, ix->head_len);
    buf_uv(b, ix->head_seen);
    if (!(ix->flags & WAL_INDEX_HEAD_OMITTED))
        buf_add(b, ix->head.p, ix->head.len);
}

static void put_tail(const struct wal_index *ix, struct buf *b)
{
    if (ix->tail_total == 0)
        return;
    buf_uv(b, ix->tail_total);
    buf_uv(b, ix->tail_seen);
    if (!(ix->flags & WAL_INDEX_TAIL_OMITTED))
        buf_add(b, ix->tail.p, ix->tail.len);
}

static void put_fork(const struct wal_index *ix, const struct wal_index_fork *f, struct buf *b)
{
    uint64_t next = 0; /* the lowest block at which the next run may start */

    buf_uv(b, f->limit == WAL_NO_BLOCK ? 0 : (uint64_t)f->limit + 1);
    buf_uv(b, f->n_runs);
    for (uint32_t i = 0; i < f->n_runs; i++) {
        const struct wal_run *run = &ix->runs[f->first_run + i];
        uint64_t gap = run->first - next;
        buf_uv(b, gap << 1 | (run->count > 1));
        if (run->count > 1)
            buf_uv(b, run->count - 2);
        next = (uint64_t)run->first + run->count + 1;
    }
}

static void put_blocks(const struct wal_index *ix, struct buf *b)
{
    for (uint32_t i = 0, end; i < ix->n_rels; i = end) {
        const struct wal_index_rel *r = &ix->rels[i];
        uint64_t next = 0;
        for (end = i + 1; end < ix->n_rels && ix->rels[end].rel.spc == r->rel.spc &&
                          ix->rels[end].rel.db == r->rel.db;)
            end++;
        buf_uv(b, r->rel.spc);
        buf_uv(b, r->rel.db);
        buf_uv(b, end - i);
        for (; r < ix->rels + end; r++) {
            buf_uv(b, r->rel.rel - next);
            buf_u8(b, r->what | r->forks);
            for (unsigned fork = 0; fork < WAL_FORKS; fork++)
                if (r->forks & 1 << fork)
                    put_fork(ix, &r->fork[fork], b);
            next = (uint64_t)r->rel.rel + 1;
        }
    }
}

static void put_tlv(struct buf *out, unsigned tag, const struct wal_index *ix,
                    void (*put)(const struct wal_index *ix, struct buf *b), struct buf *scratch)
{
    buf_clear(scratch);
    put(ix, scratch);
    if (scratch->len == 0)
        return;
    buf_uv(out, tag);
    buf_blob(out, scratch->p, scratch->len);
}

static void put_reason(const struct wal_index *ix, struct buf *b)
{
    buf_adds(b, ix->reason);
}

void wal_index_write(const struct wal_index *ix, struct buf *out)
{
    AUTO(buf_free) struct buf scratch = BUF_INIT;

    put_tlv(out, TAG_SEGMENT, ix, put_segment, &scratch);
    put_tlv(out, TAG_REASON, ix, put_reason, &scratch);
    put_tlv(out, TAG_TIMELINES, ix, put_timelines, &scratch);
    put_tlv(out, TAG_RECORDS, ix, put_records, &scratch);
    put_tlv(out, TAG_XACTS, ix, put_xacts, &scratch);
    put_tlv(out, TAG_EVENTS, ix, put_events, &scratch);
    put_tlv(out, TAG_HEAD, ix, put_head, &scratch);
    put_tlv(out, TAG_TAIL, ix, put_tail, &scratch);
    put_tlv(out, TAG_BLOCKS, ix, put_blocks, &scratch);
}
