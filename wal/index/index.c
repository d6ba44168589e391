/* index.c - making a segment's WAL index. See index.h; following a range is in index_chain.c. */
#include "wal/index/index.h"

#include "postgres/lsn.h"
#include "wal/index/index_record.h"

static void take_xact(struct wal_index *ix, struct wal_changes *changes,
                      const struct wal_record *rec, const struct wal_decoded *d)
{
    struct wal_xact x;
    struct err why;

    if (wal_xact_parse(rec, d, ix->major, &x, &why) != 0) {
        wal_index_doubt(ix, WAL_INDEX_NO_HISTORY | WAL_INDEX_NO_BLOCKS, "%s", why.msg);
        return;
    }
    wal_index_add_xact(ix, rec->lsn, &x);
    for (uint32_t i = 0; i < x.n_dropped; i++) {
        struct wal_locator rel = wal_locator_at(x.dropped, i);
        wal_changes_drop(changes, &rel);
    }
}

/* The visibility and free space maps are made void as a whole: backups copy them whole anyway. */
static void take_smgr(struct wal_index *ix, struct wal_changes *changes,
                      const struct wal_record *rec, const struct wal_decoded *d)
{
    struct wal_smgr s;
    struct err why;

    if (wal_smgr_parse(rec, d, &s, &why) != 0) {
        wal_index_doubt(ix, WAL_INDEX_NO_BLOCKS, "%s", why.msg);
        return;
    }
    if (s.kind == WAL_SMGR_CREATE)
        wal_changes_limit(changes, &s.rel, s.fork, 0, s.fork == FORK_MAIN ? WAL_REL_CREATED : 0);
    if (s.kind != WAL_SMGR_TRUNCATE)
        return;
    if (s.forks & 1 << FORK_MAIN)
        wal_changes_limit(changes, &s.rel, FORK_MAIN, s.block, WAL_REL_TRUNCATED);
    if (s.forks & 1 << FORK_VM)
        wal_changes_limit(changes, &s.rel, FORK_VM, 0, 0);
    if (s.forks & 1 << FORK_FSM)
        wal_changes_limit(changes, &s.rel, FORK_FSM, 0, 0);
}

/* A drop of a database names all its tablespaces: one event for each. */
static void take_event(struct wal_index *ix, const struct wal_record *rec,
                       const struct wal_decoded *d)
{
    struct wal_event e;
    struct err why;

    if (wal_event_parse(rec, d, ix->major, &e, &why) != 0) {
        wal_index_doubt(ix, WAL_INDEX_NO_HISTORY | WAL_INDEX_NO_BLOCKS, "%s", why.msg);
        return;
    }
    if (e.wal_level == WAL_LEVEL_MINIMAL)
        wal_index_doubt(ix, WAL_INDEX_MINIMAL, "wal_level is minimal");
    if (e.kind == WAL_EVENT_DB_DROP) {
        for (uint32_t i = 0; i < e.n_spc; i++) {
            e.spc = get_u32(e.spcs + (size_t)i * 4);
            wal_index_add_event(ix, &e);
        }
    } else if (e.kind != WAL_EVENT_NONE) {
        wal_index_add_event(ix, &e);
    }
}

void wal_index_record(struct wal_index *ix, struct wal_changes *changes,
                      const struct wal_record *rec)
{
    struct wal_decoded d;
    struct err why;

    ix->records++;
    if (wal_decode(rec, ix->major, &d, &why) != 0) {
        wal_index_doubt(ix, WAL_INDEX_NO_HISTORY | WAL_INDEX_NO_BLOCKS, "%s", why.msg);
        return;
    }
    for (unsigned i = 0; i < d.n_blocks; i++) {
        wal_changes_block(changes, &d.blocks[i].rel, d.blocks[i].fork, d.blocks[i].block);
        ix->images += d.blocks[i].has_image;
    }
    switch (rec->rmid) {
    case WAL_RM_XACT:
        take_xact(ix, changes, rec, &d);
        return;
    case WAL_RM_SMGR:
        take_smgr(ix, changes, rec, &d);
        return;
    case WAL_RM_DBASE:
        take_event(ix, rec, &d);
        return;
    case WAL_RM_XLOG:
        take_event(ix, rec, &d);
        break;
    default:
        if (!wal_rmgr_known(rec->rmid, ix->major))
            wal_index_doubt(ix, WAL_INDEX_NO_BLOCKS, "unknown resource manager %u", rec->rmid);
    }
    if (rec->info & WAL_INFO_SPECIAL_REL)
        wal_index_doubt(ix, WAL_INDEX_NO_BLOCKS,
                        "resource manager %u changes relation files in a way of its own",
                        rec->rmid);
}

/* ---- the segment as a whole ---- */

static void describe(struct wal_index *ix, const struct wal_segment_header *h, uint32_t tli)
{
    ix->major = h->major;
    ix->magic = h->magic;
    ix->system_id = h->system_id;
    ix->start = ix->end_of_data = h->start;
    ix->segment_size = h->segment_size;
    ix->tli = tli != WAL_ANY ? tli : h->tli;
}

static void take_head(struct wal_index *ix, const struct wal_walk *w)
{
    uint32_t announced = w->segment.info & WAL_PAGE_CONTRECORD ? w->segment.rem_len : 0;

    if (w->segment.info & WAL_PAGE_OVERWRITE || (w->abandons > 0 && w->head_seen < announced)) {
        ix->flags |= WAL_INDEX_HEAD_ABANDONED;
        return;
    }
    ix->head_len = w->head_len;
    ix->head_seen = w->head_seen;
    if (ix->head_seen > WAL_FRAGMENT_MAX)
        ix->flags |= WAL_INDEX_HEAD_OMITTED;
    else
        buf_add(&ix->head, w->head.p, w->head.len);
}

static void take_tail(struct wal_index *ix, const struct wal_walk *w)
{
    if (w->part_total == 0)
        return;
    ix->last_lsn = w->part_lsn;
    ix->last_prev = w->last;
    if (ix->last_prev == 0 && w->part.len >= 16)
        ix->last_prev = get_u64(w->part.p + 8);
    if (ix->first_lsn == 0) {
        ix->first_lsn = ix->last_lsn;
        ix->first_prev = ix->last_prev;
    }
    ix->tail_total = w->part_total;
    ix->tail_seen = (uint32_t)w->part.len;
    if (ix->tail_seen > WAL_FRAGMENT_MAX)
        ix->flags |= WAL_INDEX_TAIL_OMITTED;
    else
        buf_add(&ix->tail, w->part.p, w->part.len);
}

static void take_end(struct wal_index *ix, const struct wal_walk *w)
{
    char at[LSN_TEXT];

    memcpy(ix->timelines, w->timelines, sizeof ix->timelines);
    ix->n_timelines = w->n_timelines;
    ix->end_of_data = w->end;
    if (w->stop == WAL_STOP_NONE) {
        ix->end_of_data = w->switched ? w->data_end : ix->start + ix->segment_size;
        ix->flags |= w->switched ? WAL_INDEX_SWITCH : 0;
        take_tail(ix, w);
    } else if (wal_stop_is_end(w->stop)) {
        ix->flags |= WAL_INDEX_ENDS;
    } else {
        wal_index_doubt(ix, WAL_INDEX_STOPPED, "%s at %s", wal_stop_text(w->stop),
                        lsn_format(w->stop_lsn, at));
    }
}

static void walk(struct wal_index *ix, struct wal_walk *w, struct wal_changes *changes)
{
    struct wal_record rec;

    while (wal_walk_next(w, &rec) == WAL_RECORD) {
        if (ix->first_lsn == 0) {
            ix->first_lsn = rec.lsn;
            ix->first_prev = rec.prev;
        }
        ix->last_lsn = rec.lsn;
        ix->last_prev = rec.prev;
        wal_index_record(ix, changes, &rec);
    }
}

int wal_index_build(const void *segment, size_t len, const struct wal_expect *want,
                    struct wal_index *ix, struct err *err)
{
    AUTO(wal_changes_free) struct wal_changes *changes = wal_changes_new();
    AUTO(wal_walk_free) struct wal_walk w;
    struct wal_segment_header h;
    struct err why;

    wal_walk_init(&w);
    TRY(wal_segment_check(segment, len, len, want, &h, err));
    wal_index_free(ix);
    describe(ix, &h, want->tli);
    if (wal_walk_feed(&w, segment, len, want->tli, &why) != 0) {
        ix->major = 0;
        wal_index_doubt(ix, WAL_INDEX_STOPPED, "%s", why.msg);
        return 0;
    }
    walk(ix, &w, changes);
    take_head(ix, &w);
    take_end(ix, &w);
    wal_index_set_blocks(ix, changes);
    return 0;
}
