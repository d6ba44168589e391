/*
 * guard.c - see guard.h.
 *
 * A record may lie in two segments. What shows which kind of record it is stands in its header.
 * Where all of that is in the first segment, the second one is asked for the rest, which is rare.
 * Where only eight or sixteen bytes of it are, nothing is known there yet; so the beginning of a
 * segment is looked at as what may follow those, too. (commands/tablespace.h: xl_tblspc_create_rec,
 * an OID and a path.)
 */
#include "wal/archive/guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "postgres/version.h"
#include "postgres/wal_reader.h"
#include "postgres/wal_record.h"

enum {
    RM_TABLESPACE = 5,
    TABLESPACE_CREATE = 0x00,
    AT_INFO = 16, /* in a record: xl_info, xl_rmid, then (behind the CRC) one block of main data */
    AT_RMID = 17,
    AT_DATA = 24,
    DATA_SHORT = 255, /* XLR_BLOCK_ID_DATA_SHORT, LONG */
    DATA_LONG = 254,
    OID_SIZE = 4,
};

/* ---- whose directory it is ---- */

/* A tablespace of the present data directory: recovery that starts anew finds what it has made. */
static bool is_own(const char *location)
{
    AUTO(dir_close) DIR *list = opendir("pg_tblspc");
    char target[PATH_MAX];

    for (struct dirent *e; list != NULL && (e = readdir(list)) != NULL;) {
        ssize_t n = readlinkat(dirfd(list), e->d_name, target, sizeof target - 1);

        if (n > 0 && (size_t)n == strlen(location) && memcmp(target, location, (size_t)n) == 0)
            return true;
    }
    return false;
}

bool wal_guard_is_free(const char *location, unsigned major)
{
    const struct pg_version *v = pg_version_by_major(major);
    AUTO(mem_free) char *dir = NULL;
    struct stat st;

    if (v == NULL)
        return false;
    dir = xasprintf("%s/%s", location, v->tablespace_dir);
    if (lstat(dir, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return true;
    return is_own(location);
}

/* ---- one record ---- */

struct guarding {
    const struct wal_guard *want;
    uint64_t start; /* of the segment */
    unsigned major;
    size_t *cut;
};

/* whole: all of the path is there. */
static bool is_harmless(const struct guarding *g, const char *path, size_t len, bool whole)
{
    AUTO(mem_free) char *location = xstrndup(path, len);

    return g->want->kind == WAL_GUARD_COPY && whole && wal_guard_is_free(location, g->major);
}

static int refuse(const struct guarding *g, uint64_t lsn, const char *path, size_t len, bool whole,
                  struct err *err)
{
    size_t offset = lsn > g->start ? (size_t)(lsn - g->start) : 0;
    char at[LSN_TEXT];

    if (is_harmless(g, path, len, whole))
        return 0;
    if (lsn == g->want->end)
        return 0; /* to stop before a record PostgreSQL must see it */
    if (lsn > g->want->end) {
        *g->cut = MIN_OF(*g->cut, offset);
        return 0;
    }
    lsn_format(lsn, at);
    if (g->want->kind == WAL_GUARD_SANDBOX)
        return err_set(err, ERR_UNSUPPORTED,
                       "the WAL creates a tablespace in \"%.*s\" (at %s), which a rehearsal must "
                       "not touch; rehearse from a backup that was taken after that",
                       (int)len, path, at);
    return err_set(
        err, ERR_UNSUPPORTED,
        "the WAL creates a tablespace in \"%.*s\" (at %s), %s: this copy would write "
        "into it; restore on another host, or to before it (--target-lsn %s "
        "--exclusive), or from a backup that was taken after it (with --tablespace-map); "
        "or, if no cluster uses that directory any more, empty it and start again",
        (int)len, path, at,
        whole ? "where there is one already, which may be the original's"
              : "whose name cannot be seen as a whole",
        at);
}

static bool is_creation(uint8_t rmid, uint8_t info)
{
    return rmid == RM_TABLESPACE && (info & WAL_INFO_OPCODE) == TABLESPACE_CREATE;
}

/* path: what is there of it. In place, below the data directory, is a tablespace without one. */
static int look_at_path(const struct guarding *g, uint64_t lsn, const char *path, size_t room,
                        struct err *err)
{
    size_t len = strnlen(path, room);

    if (len == 0 && room != 0)
        return 0;
    return refuse(g, lsn, path, len, len < room, err);
}

static int look(const struct guarding *g, const struct wal_record *rec, struct err *err)
{
    struct wal_decoded d;
    struct err ignored = {0};

    if (!is_creation(rec->rmid, rec->info))
        return 0;
    if (wal_decode(rec, g->major, &d, &ignored) != 0 || d.main_len <= OID_SIZE)
        return refuse(g, rec->lsn, "?", 1, false, err);
    return look_at_path(g, rec->lsn, (const char *)d.main + OID_SIZE, d.main_len - OID_SIZE, err);
}

/* ---- one that lies in two segments ---- */

/* head: what follows the first `gone` bytes of a record's header. */
static int look_at_rest(const struct guarding *g, const struct wal_walk *w, size_t gone,
                        struct err *err)
{
    const uint8_t *bytes = (const uint8_t *)w->head.p;
    size_t data = AT_DATA - gone, len = w->head.len, total = w->head_len + gone, main_len;

    if (len <= data + 5 || !is_creation(bytes[AT_RMID - gone], bytes[AT_INFO - gone]))
        return 0;
    if (bytes[data] == DATA_SHORT) {
        main_len = bytes[data + 1];
        data += 2;
    } else if (bytes[data] == DATA_LONG) {
        main_len = get_u32(bytes + data + 1);
        data += 5;
    } else {
        return 0;
    }
    if (data + gone + main_len != total || main_len <= OID_SIZE || len <= data + OID_SIZE)
        return 0;
    return look_at_path(g, g->start - gone, (const char *)bytes + data + OID_SIZE,
                        MIN_OF(len - data, main_len) - OID_SIZE, err);
}

/* The record that began in the segment before. */
static int look_at_head(const struct guarding *g, const struct wal_walk *w, struct err *err)
{
    if (w->head_len == 0 || w->head.p == NULL)
        return 0;
    TRY(look_at_rest(g, w, 8, err));
    return look_at_rest(g, w, 16, err);
}

enum joined {
    JOINED,    /* the record is whole */
    ABANDONED, /* a crash has cut it off: nobody replays it */
    UNKNOWN,
};

/* What the next segment makes of the record that goes on there. */
static int join(const struct guarding *g, struct wal_walk *w, struct buf *next,
                struct wal_record *rec, enum joined *how, struct err *err)
{
    unsigned before = w->abandons;
    struct err ignored = {0};
    bool whole;

    *how = UNKNOWN;
    if (g->want->next == NULL)
        return 0;
    if (g->want->next(g->want->ctx, next, err) != 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        err_clear(err);
        return 0;
    }
    if (wal_walk_feed(w, next->p, next->len, WAL_ANY, &ignored) != 0)
        return 0;
    whole = wal_walk_next(w, rec) == WAL_RECORD;
    *how = w->abandons != before ? ABANDONED : whole ? JOINED : UNKNOWN;
    return 0;
}

/* The record that goes on in the next segment. */
static int look_at_part(const struct guarding *g, struct wal_walk *w, struct err *err)
{
    const uint8_t *bytes = (const uint8_t *)w->part.p;
    uint64_t lsn = w->part_lsn;
    AUTO(buf_free) struct buf next = BUF_INIT;
    struct wal_record rec;
    enum joined how;

    if (w->part_total == 0 || w->part.len <= AT_RMID ||
        !is_creation(bytes[AT_RMID], bytes[AT_INFO]))
        return 0;
    if (lsn >= g->want->end) /* whatever its name is */
        return refuse(g, lsn, "?", 1, false, err);
    TRY(join(g, w, &next, &rec, &how, err));
    if (how == JOINED)
        return look(g, &rec, err);
    return how == ABANDONED ? 0 : refuse(g, lsn, "?", 1, false, err);
}

static int walk(struct wal_walk *w, const struct wal_guard *want, size_t *cut, struct err *err)
{
    struct guarding g = {want, w->segment.start, w->segment.major, cut};
    struct wal_record rec;
    enum wal_step step;

    while ((step = wal_walk_next(w, &rec)) == WAL_RECORD)
        TRY(look(&g, &rec, err));
    TRY(look_at_head(&g, w, err));
    return step == WAL_MORE ? look_at_part(&g, w, err) : 0;
}

int wal_guard(const void *segment, size_t len, const struct wal_guard *g, size_t *cut,
              struct err *err)
{
    AUTO(wal_walk_free) struct wal_walk w;
    struct err ignored = {0};

    *cut = len;
    wal_walk_init(&w);
    if (wal_walk_feed(&w, segment, len, WAL_ANY, &ignored) != 0)
        return 0;
    return walk(&w, g, cut, err);
}
