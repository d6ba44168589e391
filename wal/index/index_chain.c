/* index_chain.c - following the indexes of consecutive segments: struct wal_chain of index.h. */
#include <inttypes.h>

#include "postgres/lsn.h"
#include "wal/index/index.h"
#include "wal/index/index_record.h"

enum { PREV_END = 16 }; /* bytes of a record's header up to the LSN of the one before */

void wal_chain_init(struct wal_chain *c)
{
    memset(c, 0, sizeof *c);
}

void wal_chain_free(struct wal_chain *c)
{
    buf_free(&c->carry);
    wal_chain_init(c);
}

static int check_follows(const struct wal_chain *c, const struct wal_index *ix, struct err *err)
{
    char at[LSN_TEXT], found[LSN_TEXT];

    if (c->end == 0)
        return 0;
    lsn_format(c->end, at);
    if (ix->start != c->end)
        return err_set(err, ERR_NOT_FOUND,
                       "WAL from %s on is missing: the next segment starts at %s", at,
                       lsn_format(ix->start, found));
    if (ix->system_id != c->system_id)
        return err_set(err, ERR_FOREIGN,
                       "the WAL at %s belongs to system identifier %" PRIu64 ", expected %" PRIu64,
                       at, ix->system_id, c->system_id);
    if (c->closed != WAL_CHAIN_OPEN)
        return err_set(err, c->closed == WAL_CHAIN_ENDED ? ERR_NOT_FOUND : ERR_CORRUPT,
                       "the WAL before %s %s", at,
                       c->closed == WAL_CHAIN_ENDED ? "ends inside its last segment"
                                                    : "could not be read to its end");
    if (ix->major != c->major)
        return err_set(err, ERR_CORRUPT, "the WAL at %s is of PostgreSQL %u, expected %u", at,
                       ix->major, c->major);
    return 0;
}

/* The carried record is whole. */
static int finish(struct wal_chain *c, const struct wal_index *ix, enum wal_crossing *what,
                  struct wal_index *crossing, struct err *err)
{
    AUTO(wal_changes_free) struct wal_changes *changes = wal_changes_new();
    struct wal_record rec = {.tli = c->carry_tli};
    enum wal_stop bad;
    char at[LSN_TEXT];

    *what = WAL_CROSSING_NOT_KEPT;
    if (c->carry_kept) {
        bad = wal_record_check((const uint8_t *)c->carry.p, c->carry.len, c->carry_lsn, c->last,
                               &rec);
        if (bad != WAL_STOP_NONE)
            return err_set(err, ERR_CORRUPT,
                           "the record at %s, which crosses into the next "
                           "segment, does not fit: %s",
                           lsn_format(c->carry_lsn, at), wal_stop_text(bad));
        *what = WAL_CROSSING_DONE;
        crossing->major = ix->major;
        crossing->magic = ix->magic;
        crossing->system_id = ix->system_id;
        crossing->segment_size = ix->segment_size;
        crossing->tli = c->carry_tli;
        crossing->start = c->carry_lsn - c->carry_lsn % ix->segment_size;
        crossing->first_lsn = crossing->last_lsn = c->carry_lsn;
        crossing->first_prev = crossing->last_prev = rec.prev;
        crossing->end_of_data = ix->start;
        wal_index_record(crossing, changes, &rec);
        wal_index_set_blocks(crossing, changes);
    }
    c->last = c->carry_lsn;
    return 0;
}

/* What the head of this segment means for the record under way. */
static int take_head(struct wal_chain *c, const struct wal_index *ix, enum wal_crossing *what,
                     struct wal_index *crossing, struct err *err)
{
    uint32_t missing = c->carry_total - c->carry_seen;
    char at[LSN_TEXT];

    *what = WAL_CROSSING_NONE;
    if (c->end == 0 || c->orphan) {
        c->orphan = ix->head_len > ix->head_seen;
        if (ix->head_len != 0)
            *what = WAL_CROSSING_NO_START;
        return 0;
    }
    if (ix->flags & WAL_INDEX_HEAD_ABANDONED) {
        c->carry_total = c->carry_seen = 0;
        return 0;
    }
    if (ix->head_len != missing)
        return err_set(err, ERR_CORRUPT,
                       "the segment at %s begins with %" PRIu32
                       " bytes of an earlier record, expected %" PRIu32,
                       lsn_format(ix->start, at), ix->head_len, missing);
    if (missing == 0)
        return 0;
    c->carry_seen += ix->head_seen;
    if (ix->flags & WAL_INDEX_HEAD_OMITTED)
        c->carry_kept = false;
    if (c->carry_kept)
        buf_add(&c->carry, ix->head.p, ix->head.len);
    if (c->carry_seen < c->carry_total)
        return 0;
    c->carry_total = c->carry_seen = 0;
    return finish(c, ix, what, crossing, err);
}

static void take_tail(struct wal_chain *c, const struct wal_index *ix)
{
    c->carry_total = ix->tail_total;
    c->carry_seen = ix->tail_seen;
    c->carry_lsn = ix->last_lsn;
    c->carry_tli = ix->n_timelines > 0 ? ix->timelines[ix->n_timelines - 1].tli : ix->tli;
    c->carry_kept = !(ix->flags & WAL_INDEX_TAIL_OMITTED);
    buf_clear(&c->carry);
    buf_add(&c->carry, ix->tail.p, ix->tail.len);
    if (ix->last_prev != 0)
        c->last = ix->last_prev;
}

/* The record before the first one that starts here is another than the last one of the chain. That
 * it names none is no answer either: so begins what pg_resetwal leaves, where WAL was thrown away.
 * Only a header that is cut off by the end of the segment does not tell. */
static bool breaks_off(const struct wal_chain *c, const struct wal_index *ix)
{
    bool cut_off = ix->first_lsn == ix->last_lsn && ix->tail_total != 0 && ix->tail_seen < PREV_END;

    if (c->last == 0 || (ix->first_prev == 0 && (ix->first_lsn == 0 || cut_off)))
        return false;
    return ix->first_prev != c->last;
}

int wal_chain_add(struct wal_chain *c, const struct wal_index *ix, enum wal_crossing *what,
                  struct wal_index *crossing, struct err *err)
{
    char at[LSN_TEXT];

    wal_index_free(crossing);
    *what = WAL_CROSSING_NONE;
    TRY(check_follows(c, ix, err));
    if (ix->major != 0)
        TRY(take_head(c, ix, what, crossing, err));
    if (breaks_off(c, ix))
        return err_set(err, ERR_CORRUPT,
                       "the records of the segment at %s do not continue those before it",
                       lsn_format(ix->start, at));
    if (ix->tail_total != 0)
        take_tail(c, ix);
    else if (ix->last_lsn != 0)
        c->last = ix->last_lsn;
    c->end = wal_index_end(ix);
    c->system_id = ix->system_id;
    c->major = ix->major;
    c->closed = ix->flags & WAL_INDEX_STOPPED ? WAL_CHAIN_BROKEN
                : ix->flags & WAL_INDEX_ENDS  ? WAL_CHAIN_ENDED
                                              : WAL_CHAIN_OPEN;
    return 0;
}
