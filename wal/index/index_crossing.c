/* index_crossing.c - what is read from segments themselves. See index_walk.h. */
#include <errno.h>
#include <fcntl.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "wal/index/index_record.h"
#include "wal/index/index_walk.h"

/* The server may reuse the file under another name at any time, but not while it is open. */
int walk_read_pg_wal(const struct index_walk *w, const char *name, struct buf *out, struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("pg_wal/%s", name);
    AUTO(fd_close) int fd = -1;
    size_t got;

    if (w->data_fd >= 0)
        fd = openat(w->data_fd, path, O_RDONLY | O_CLOEXEC);
    if (w->data_fd < 0)
        return err_set(err, ERR_NOT_FOUND, "it is not in repository \"%s\"",
                       repo_name(w->place.repo));
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "it is neither in repository \"%s\" nor in pg_wal",
                       repo_name(w->place.repo));
    if (fd < 0)
        return err_sys(err, "cannot open \"%s\"", path);
    buf_clear(out);
    buf_reserve(out, w->place.segment_size);
    TRY(fs_pread_all(fd, out->p, w->place.segment_size, 0, &got, path, err));
    out->len = got;
    if (got != w->place.segment_size)
        return err_set(err, ERR_NOT_FOUND, "in pg_wal it has %zu bytes", got);
    return 0;
}

static int segment_of_either(const struct index_walk *w, const struct segment_place *at,
                             struct buf *out, struct err *err)
{
    char name[WAL_SEGMENT_NAME];
    struct err why = {0};
    bool readable;

    TRY(segment_bytes(at, 1, out, &readable, &why, err));
    if (readable)
        return 0;
    wal_segment_name(at->timeline, at->segno, at->segment_size, name);
    return walk_read_pg_wal(w, name, out, err);
}

/* Goes through the segments from the one in which the record starts to the one in which it ends. */
static int find_record(const struct index_walk *w, uint64_t lsn, uint64_t last, struct wal_walk *in,
                       struct buf segments[2], struct wal_record *rec, struct err *err)
{
    for (uint64_t s = lsn_segno(lsn, w->place.segment_size); s <= last; s++) {
        struct segment_place at = walk_place(w, s);
        struct buf *bytes = &segments[s & 1];
        enum wal_step step;

        TRY(stop_check(w->stop, err));
        TRY(segment_of_either(w, &at, bytes, err));
        TRY(wal_walk_feed(in, bytes->p, bytes->len, at.timeline, err));
        while ((step = wal_walk_next(in, rec)) == WAL_RECORD)
            if (rec->lsn == lsn)
                return 0;
        if (step == WAL_STOPPED)
            break;
    }
    return err_set(err, ERR_CORRUPT, "its segments do not hold it");
}

int walk_read_crossing(const struct index_walk *w, uint64_t lsn, uint64_t last, unsigned major,
                       struct wal_index *crossing, struct err *err)
{
    AUTO(wal_changes_free) struct wal_changes *changes = wal_changes_new();
    AUTO(wal_walk_free) struct wal_walk in;
    struct buf segments[2] = {BUF_INIT, BUF_INIT};
    struct wal_record rec;
    char at[LSN_TEXT];
    int rc;

    wal_walk_init(&in);
    rc = find_record(w, lsn, last, &in, segments, &rec, err);
    if (rc == 0) {
        crossing->major = major;
        crossing->first_lsn = crossing->last_lsn = lsn;
        crossing->first_prev = crossing->last_prev = rec.prev;
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
