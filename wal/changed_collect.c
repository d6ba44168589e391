/*
 * changed_collect.c - changed blocks of a range of the archive. See changed.h.
 *
 * The indexes of consecutive segments are followed by a wal_chain, which proves that nothing is
 * missing between them; records that cross from one into the next are finished by it, or, where
 * their pieces were too long to be kept, read from the segments. Segments that are not archived yet
 * are read from pg_wal, the last one while the server writes behind the end of the range.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/crash.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/wal_object.h"
#include "wal/changed.h"
#include "wal/index.h"
#include "wal/index_record.h"
#include "wal/index_stream.h"
#include "wal/segment.h"

struct collector {
    const struct changed_range *range;
    struct changed *changed;
    struct index_stream *indexes;
    struct wal_chain chain;
    uint64_t carry_segno; /* in which the record under way started */
    bool proved;          /* the backup's end record was seen */
};

static bool is_doubt(enum err_code code)
{
    return code == ERR_CORRUPT || code == ERR_NOT_FOUND || code == ERR_UNSUPPORTED ||
           code == ERR_FOREIGN;
}

static struct segment_place place_of(const struct changed_range *q, uint64_t segno)
{
    return (struct segment_place){
        .repo = q->place.repo,
        .system_id = q->place.system_id,
        .major = q->place.major,
        .segment_size = q->place.segment_size,
        .timeline = history_segment_tli(q->history, segno, q->place.segment_size),
        .segno = segno,
    };
}

/* ---- one segment ---- */

/* The server may reuse the file under another name at any time, but not while it is open. */
static int read_pg_wal(const struct changed_range *q, const char *name, struct buf *out,
                       struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("pg_wal/%s", name);
    AUTO(fd_close) int fd = openat(q->data_fd, path, O_RDONLY | O_CLOEXEC);
    size_t got;

    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "it is neither in repository \"%s\" nor in pg_wal",
                       repo_name(q->place.repo));
    if (fd < 0)
        return err_sys(err, "cannot open \"%s\"", path);
    buf_clear(out);
    buf_reserve(out, q->place.segment_size);
    TRY(fs_pread_all(fd, out->p, q->place.segment_size, 0, &got, path, err));
    out->len = got;
    if (got != q->place.segment_size)
        return err_set(err, ERR_NOT_FOUND, "in pg_wal it has %zu bytes", got);
    return 0;
}

static int build_index(const struct segment_place *at, const struct buf *bytes,
                       struct wal_index *ix, struct err *err)
{
    struct wal_expect want = {.system_id = at->system_id,
                              .start = segno_lsn(at->segno, at->segment_size),
                              .tli = at->timeline};

    return wal_index_build(bytes->p, bytes->len, &want, ix, err);
}

/* Of a segment without an index that can be read: made from its bytes. */
static int archived_bytes(const struct segment_place *at, struct wal_index *ix, struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err why = {0};
    bool readable;

    TRY(segment_bytes(at, 1, &bytes, &readable, &why, err));
    if (!readable) {
        *err = why;
        return -1;
    }
    return build_index(at, &bytes, ix, err);
}

/* Between the looks into the archive and into pg_wal the server may have archived and recycled it,
 * so the archive is asked again. That a store does not answer then is no doubt, but an error. */
static int find_index(struct collector *c, const struct segment_place *at, const char *name,
                      struct wal_index *ix, struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err again = {0};

    if (index_stream_next(c->indexes, &bytes, err) == 0 &&
        wal_index_read(bytes.p, bytes.len, WAL_INDEX_ALL, ix, err) == 0)
        return 0;
    if (!is_doubt(err->code))
        return -1;
    err_clear(err);
    if (archived_bytes(at, ix, err) == 0)
        return 0;
    if (err->code != ERR_NOT_FOUND)
        return -1;
    err_clear(err);
    if (read_pg_wal(c->range, name, &bytes, err) == 0 && build_index(at, &bytes, ix, err) == 0)
        return 0;
    if (!is_doubt(err->code))
        return -1;
    if (archived_bytes(at, ix, &again) == 0) {
        err_clear(err);
        return 0;
    }
    if (!is_doubt(again.code))
        *err = again;
    return -1;
}

/* Whether the index tells everything about its records up to where it is needed. */
static int check_index(const struct changed_range *q, const struct wal_index *ix, uint64_t start,
                       struct err *err)
{
    uint64_t needed = MIN_OF(q->to, start + q->place.segment_size);

    if (ix->system_id != q->place.system_id || ix->start != start ||
        ix->segment_size != q->place.segment_size || ix->major != q->place.major)
        return err_set(err, ERR_FOREIGN, "it holds other WAL than its name says");
    if ((ix->flags & (WAL_INDEX_STOPPED | WAL_INDEX_ENDS)) != 0 && ix->end_of_data < needed)
        return err_set(err, ERR_CORRUPT, "its records break off: %s",
                       ix->reason[0] != '\0' ? ix->reason : "WAL ends inside");
    if (ix->flags & (WAL_INDEX_NO_BLOCKS | WAL_INDEX_NO_HISTORY | WAL_INDEX_MINIMAL))
        return err_set(err, ERR_UNSUPPORTED, "%s", ix->reason);
    return 0;
}

static void look_for_proof(struct collector *c, const struct wal_index *ix)
{
    for (uint32_t i = 0; i < ix->n_events && !c->proved; i++)
        c->proved = ix->events[i].kind == WAL_EVENT_BACKUP_END &&
                    ix->events[i].redo == c->range->backup_lsn;
}

static void take(struct collector *c, const struct wal_index *ix)
{
    look_for_proof(c, ix);
    changed_add(c->changed, ix);
}

/* ---- a record that crosses, and whose pieces are not in the indexes ---- */

static int segment_of_either(const struct changed_range *q, const struct segment_place *at,
                             struct buf *out, struct err *err)
{
    char name[WAL_SEGMENT_NAME];
    struct err why = {0};
    bool readable;

    TRY(segment_bytes(at, 1, out, &readable, &why, err));
    if (readable)
        return 0;
    wal_segment_name(at->timeline, at->segno, at->segment_size, name);
    return read_pg_wal(q, name, out, err);
}

/* Goes through the segments from the one in which the record starts to the one in which it ends. */
static int find_record(struct collector *c, uint64_t lsn, uint64_t last_segno, struct wal_walk *w,
                       struct buf segments[2], struct wal_record *rec, struct err *err)
{
    for (uint64_t s = c->carry_segno; s <= last_segno; s++) {
        struct segment_place at = place_of(c->range, s);
        struct buf *bytes = &segments[s & 1];
        enum wal_step step;

        TRY(stop_check(c->range->stop, err));
        TRY(segment_of_either(c->range, &at, bytes, err));
        TRY(wal_walk_feed(w, bytes->p, bytes->len, at.timeline, err));
        while ((step = wal_walk_next(w, rec)) == WAL_RECORD)
            if (rec->lsn == lsn)
                return 0;
        if (step == WAL_STOPPED)
            break;
    }
    return err_set(err, ERR_CORRUPT, "its segments do not hold it");
}

static int read_crossing(struct collector *c, uint64_t lsn, uint64_t last_segno, unsigned major,
                         struct wal_index *crossing, struct err *err)
{
    AUTO(wal_changes_free) struct wal_changes *changes = wal_changes_new();
    AUTO(wal_walk_free) struct wal_walk w;
    struct buf segments[2] = {BUF_INIT, BUF_INIT};
    struct wal_record rec;
    char at[LSN_TEXT];
    int rc;

    wal_walk_init(&w);
    rc = find_record(c, lsn, last_segno, &w, segments, &rec, err);
    if (rc == 0) {
        crossing->major = major;
        wal_index_record(crossing, changes, &rec);
        wal_index_set_blocks(crossing, changes);
    } else {
        err_context(err, "the record at %s, which crosses into the next segment",
                    lsn_format(lsn, at));
    }
    buf_free(&segments[0]);
    buf_free(&segments[1]);
    return rc;
}

/* ---- the range ---- */

static int take_crossing(struct collector *c, enum wal_crossing what, uint64_t lsn, uint64_t segno,
                         unsigned major, struct wal_index *crossing, struct err *err)
{
    if (what == WAL_CROSSING_NOT_KEPT)
        TRY(read_crossing(c, lsn, segno, major, crossing, err));
    else if (what != WAL_CROSSING_DONE)
        return 0;
    if (crossing->flags & (WAL_INDEX_NO_BLOCKS | WAL_INDEX_NO_HISTORY | WAL_INDEX_MINIMAL))
        return err_set(err, ERR_UNSUPPORTED, "%s", crossing->reason);
    take(c, crossing);
    return 0;
}

static int add_segment(struct collector *c, uint64_t segno, const char *name, struct err *err)
{
    const struct changed_range *q = c->range;
    AUTO(wal_index_free) struct wal_index ix, crossing;
    struct segment_place at = place_of(q, segno);
    uint64_t carried = c->chain.carry_total != 0 ? c->chain.carry_lsn : 0;
    enum wal_crossing what;

    wal_index_init(&ix);
    wal_index_init(&crossing);
    TRY(find_index(c, &at, name, &ix, err));
    TRY(check_index(q, &ix, segno_lsn(segno, q->place.segment_size), err));
    TRY(wal_chain_add(&c->chain, &ix, &what, &crossing, err));
    TRY(take_crossing(c, what, carried, segno, ix.major, &crossing, err));
    if (c->chain.carry_total != 0 && c->chain.carry_lsn != carried)
        c->carry_segno = segno;
    take(c, &ix);
    return 0;
}

static struct segment_place place_for_stream(void *ctx, uint64_t segno)
{
    const struct collector *c = ctx;

    return place_of(c->range, segno);
}

static int follow(struct collector *c, struct err *err)
{
    const struct changed_range *q = c->range;
    uint64_t first = lsn_segno(q->from, q->place.segment_size);
    uint64_t last = lsn_last_segno(q->to, q->place.segment_size);
    char name[WAL_SEGMENT_NAME];

    TRY(index_stream_new(&c->indexes, place_for_stream, c, first, last, err));
    for (uint64_t s = first; s <= last; s++) {
        struct segment_place at = place_of(q, s);

        TRY(stop_check(q->stop, err));
        wal_segment_name(at.timeline, s, at.segment_size, name);
        if (add_segment(c, s, name, err) != 0)
            return err_context(err, "WAL segment \"%s\"", name);
        crash_point("changed-segment");
    }
    if (q->backup_lsn != 0 && !c->proved)
        return err_set(err, ERR_FOREIGN,
                       "the WAL does not hold the end of the base: it is another history's");
    return 0;
}

int changed_collect(const struct changed_range *range, struct changed **out, struct err *doubt,
                    struct err *err)
{
    AUTO(changed_free) struct changed *changed = changed_new();
    struct collector c = {.range = range, .changed = changed};
    int rc;

    *out = NULL;
    wal_chain_init(&c.chain);
    rc = follow(&c, err);
    index_stream_free(&c.indexes);
    wal_chain_free(&c.chain);
    if (rc != 0 && is_doubt(err->code)) {
        *doubt = *err;
        err_clear(err);
        return 0;
    }
    if (rc != 0)
        return -1;
    changed_finish(changed);
    *out = TAKE(changed);
    return 0;
}
