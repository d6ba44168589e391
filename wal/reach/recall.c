/*
 * recall.c - see recall.h.
 *
 * The file is a row of records of a fixed size, in this host's own form, each with a checksum; what
 * is new is appended, and of two records of a segment the later one counts. So a file
 * that was cut off, or written by two at once, loses records and nothing else. When more than half
 * of it is of no use any more it is written anew.
 */
#include "wal/reach/recall.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "wal/reach/map_form.h"

enum {
    AT_ONCE = 1024, /* records read or written in one go */
    SPARE = 1000,   /* records that may be of no use */
};

/* No padding: every byte of it is checked and written. */
struct moment_form {
    int64_t time_us;
    uint64_t lsn, xid;
};
struct crossing_form {
    uint64_t commits, aborts;
    struct moment_form commit, abort;
    uint64_t has_xids, xid_low, xid_high;
};
struct head_form {
    uint64_t check; /* of all that follows */
    uint8_t repo[REPO_ID_SIZE];
    uint64_t form; /* version and size of this struct */
    uint64_t timeline, segno, stored_bytes, modified_us;
    uint64_t tail, flags, major;
    uint64_t first_lsn, first_prev, last_lsn, last_prev, end_of_data;
    uint64_t head_len, head_seen, tail_total, tail_seen, whole_lsn;
    uint64_t has_crossing;
    struct crossing_form own, crossing;
    struct moment_form commit_last;
};
#define FORM ((UINT64_C(1) << 32) + sizeof(struct head_form))

static uint64_t check_of(const struct head_form *h)
{
    return hash64((const char *)h + sizeof h->check, sizeof *h - sizeof h->check);
}

char *recall_path(const char *state_dir, const struct wal_map *m, const struct repo *r)
{
    return xasprintf("%s/wal-heads/%s.%s.%016" PRIx64 "-%u", state_dir, repo_cluster(r),
                     repo_name(r), m->system_id, m->major);
}

/* ---- one segment ---- */

static struct moment_form moment_form(const struct wal_moment *m)
{
    return (struct moment_form){m->time_us, m->lsn, m->xid};
}

static struct wal_moment moment_of(const struct moment_form *f)
{
    return (struct wal_moment){f->time_us, f->lsn, (uint32_t)f->xid};
}

static void xacts_to(const struct segment_note *n, struct crossing_form *f)
{
    *f = (struct crossing_form){n->commits,
                                n->aborts,
                                moment_form(&n->commit_max),
                                moment_form(&n->abort_max),
                                n->has_xids,
                                n->xid_low,
                                n->xid_high};
}

static void xacts_from(const struct crossing_form *f, struct segment_note *n)
{
    n->known = true;
    n->commits = f->commits;
    n->aborts = f->aborts;
    n->commit_max = moment_of(&f->commit);
    n->abort_max = moment_of(&f->abort);
    n->has_xids = f->has_xids != 0;
    n->xid_low = (uint32_t)f->xid_low;
    n->xid_high = (uint32_t)f->xid_high;
}

/* Names and reasons are rare, and so is doubt: such segments are read each time. */
static bool is_plain(const struct segment_note *n)
{
    return !n->broken && n->known && n->tail != TAIL_NOT_SEEN && n->why == NULL &&
           n->n_points == 0 && !n->points_cut;
}

/* Of a segment that is remembered this may have been found since, and not be plain. */
static const struct segment_note *crossing_of(const struct segment_note *n)
{
    return n->crossing != NULL && is_plain(n->crossing) ? n->crossing : NULL;
}

static bool is_worth_it(const struct map_segment *s)
{
    const struct segment_note *n = s->note;

    return n != NULL && is_plain(n) && (n->crossing == NULL || is_plain(n->crossing)) &&
           (!s->remembered || (n->crossing != NULL && !s->crossing_remembered));
}

static void to_form(const struct map_segment *s, const struct repo *r, struct head_form *h)
{
    const struct segment_note *n = s->note, *crossing = crossing_of(n);

    *h = (struct head_form){
        .form = FORM,
        .timeline = s->timeline,
        .segno = s->segno,
        .stored_bytes = s->stored_bytes,
        .modified_us = (uint64_t)s->modified_us,
        .tail = n->tail,
        .flags = n->flags,
        .major = n->major,
        .first_lsn = n->first_lsn,
        .first_prev = n->first_prev,
        .last_lsn = n->last_lsn,
        .last_prev = n->last_prev,
        .end_of_data = n->end_of_data,
        .head_len = n->head_len,
        .head_seen = n->head_seen,
        .tail_total = n->tail_total,
        .tail_seen = n->tail_seen,
        .whole_lsn = n->whole_lsn,
        .has_crossing = crossing != NULL,
        .commit_last = moment_form(&n->commit_last),
    };
    memcpy(h->repo, repo_id(r), REPO_ID_SIZE);
    xacts_to(n, &h->own);
    if (crossing != NULL)
        xacts_to(crossing, &h->crossing);
    h->check = check_of(h);
}

static struct segment_note *note_of(const struct head_form *h)
{
    struct segment_note *n = xcalloc(1, sizeof *n);

    n->tail = (enum segment_tail)h->tail;
    n->flags = (uint32_t)h->flags;
    n->major = (unsigned)h->major;
    n->first_lsn = h->first_lsn;
    n->first_prev = h->first_prev;
    n->last_lsn = h->last_lsn;
    n->last_prev = h->last_prev;
    n->end_of_data = h->end_of_data;
    n->head_len = (uint32_t)h->head_len;
    n->head_seen = (uint32_t)h->head_seen;
    n->tail_total = (uint32_t)h->tail_total;
    n->tail_seen = (uint32_t)h->tail_seen;
    n->whole_lsn = h->whole_lsn;
    xacts_from(&h->own, n);
    n->commit_last = moment_of(&h->commit_last);
    if (h->has_crossing == 0)
        return n;
    n->crossing = xcalloc(1, sizeof *n->crossing);
    xacts_from(&h->crossing, n->crossing);
    n->crossing->commit_last = n->crossing->commit_max; /* it is one record */
    return n;
}

/* ---- reading ---- */

static void take(struct wal_map *m, const struct repo *r, const struct head_form *h)
{
    struct map_segment *s;

    if (h->form != FORM || h->check != check_of(h) || h->timeline > UINT32_MAX ||
        h->tail > TAIL_NOT_SEEN || memcmp(h->repo, repo_id(r), REPO_ID_SIZE) != 0)
        return;
    s = map_segment(m, (uint32_t)h->timeline, h->segno);
    if (s == NULL || s->stored_bytes != h->stored_bytes ||
        s->modified_us != (int64_t)h->modified_us)
        return;
    segment_note_free(&s->note);
    s->note = note_of(h);
    s->remembered = true;
    s->crossing_remembered = h->has_crossing != 0;
}

void recall_read(const char *path, struct wal_map *m, const struct repo *r)
{
    AUTO(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    AUTO(mem_free) struct head_form *some = xcalloc(AT_ONCE, sizeof *some);
    ssize_t n;

    while (fd >= 0 && (n = read(fd, some, AT_ONCE * sizeof *some)) > 0) {
        for (size_t i = 0; i < (size_t)n / sizeof *some; i++)
            take(m, r, &some[i]);
        m->records_read += (size_t)n / sizeof *some;
        if ((size_t)n % sizeof *some != 0)
            return; /* the end of the file */
    }
}

/* ---- writing ---- */

/* Behind a record that was cut off nothing could be found again. */
static int open_behind_last(const char *path, int *out, struct err *err)
{
    AUTO(fd_close) int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return err_sys(err, "cannot write \"%s\"", path);
    if (st.st_size % (off_t)sizeof(struct head_form) != 0 &&
        ftruncate(fd, st.st_size - st.st_size % (off_t)sizeof(struct head_form)) != 0)
        return err_sys(err, "cannot cut \"%s\"", path);
    *out = fd;
    fd = -1;
    return 0;
}

static int write_out(int fd, struct buf *b, const char *path, struct err *err)
{
    ssize_t n = write(fd, b->p, b->len);

    if (n < 0 || (size_t)n != b->len)
        return err_sys(err, "cannot write \"%s\"", path);
    buf_clear(b);
    return 0;
}

static int append(const char *path, const struct wal_map *m, const struct repo *r, struct err *err)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    AUTO(fd_close) int fd = -1;
    struct head_form h;

    TRY(open_behind_last(path, &fd, err));
    for (size_t i = 0; i < m->n_segments; i++) {
        if (!is_worth_it(&m->segments[i]))
            continue;
        to_form(&m->segments[i], r, &h);
        buf_add(&b, &h, sizeof h);
        if (b.len >= AT_ONCE * sizeof h)
            TRY(write_out(fd, &b, path, err));
    }
    return b.len != 0 ? write_out(fd, &b, path, err) : 0;
}

/* All that is of use, and nothing else. */
static int write_anew(const char *path, const struct wal_map *m, const struct repo *r,
                      struct err *err)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    struct head_form h;

    for (size_t i = 0; i < m->n_segments; i++) {
        if (!is_worth_it(&m->segments[i]) && !m->segments[i].remembered)
            continue;
        to_form(&m->segments[i], r, &h);
        buf_add(&b, &h, sizeof h);
    }
    return fs_replace(AT_FDCWD, path, b.p, b.len, 0600, err);
}

static int make_directory(const char *path, struct err *err)
{
    AUTO(mem_free) char *dir = xstrdup(path);

    *strrchr(dir, '/') = '\0';
    return fs_mkdirs(dir, 0700, err);
}

void recall_write(const char *path, const struct wal_map *m, const struct repo *r)
{
    size_t known = 0, added = 0;
    struct err err = {0};
    bool anew;

    for (size_t i = 0; i < m->n_segments; i++) {
        known += m->segments[i].remembered;
        added += is_worth_it(&m->segments[i]);
    }
    anew = m->records_read > 2 * known + SPARE;
    if (added == 0 && !anew)
        return;
    if (make_directory(path, &err) != 0 ||
        (anew ? write_anew(path, m, r, &err) : append(path, m, r, &err)) != 0)
        log_warning("what was read of WAL is not remembered: %s", err.msg);
}
