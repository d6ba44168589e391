/*
 * guard.c - see guard.h.
 *
 * A record may lie in two segments, and each is looked at for itself. What shows which kind of
 * record it is stands in its header, of which eight or sixteen bytes may be in the first segment;
 * so the beginning of a segment is looked at as what may follow those, too. (commands/tablespace.h:
 * xl_tblspc_create_rec, an OID and a path.)
 */
#include "wal/guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
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

static void close_list(DIR **d)
{
    if (*d != NULL)
        closedir(*d);
    *d = NULL;
}

/* A tablespace of the present data directory: recovery that starts anew finds what it has made. */
static bool is_own(const char *location)
{
    AUTO(close_list) DIR *list = opendir("pg_tblspc");
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

/* bytes: the record at lsn without its first `gone` ones, as far as it is here. */
static int look(const struct guarding *g, const uint8_t *bytes, size_t len, size_t gone,
                uint64_t lsn, struct err *err)
{
    size_t data, end;

    if (len + gone <= AT_DATA + 2 || bytes[AT_RMID - gone] != RM_TABLESPACE ||
        (bytes[AT_INFO - gone] & WAL_INFO_OPCODE) != TABLESPACE_CREATE)
        return 0;
    data = AT_DATA - gone + (bytes[AT_DATA - gone] == DATA_SHORT ? 2 : 5) + OID_SIZE;
    if (bytes[AT_DATA - gone] != DATA_SHORT && bytes[AT_DATA - gone] != DATA_LONG)
        return 0;
    if (data >= len)
        return gone != 0 ? 0 : refuse(g, lsn, "?", 1, false, err); /* the path comes next */
    if (bytes[data] != '/')
        return 0; /* in place: below the data directory */
    end = data;
    while (end < len && bytes[end] != '\0')
        end++;
    return refuse(g, lsn, (const char *)bytes + data, end - data, end < len, err);
}

/* The record that began in the segment before. */
static int look_at_head(const struct guarding *g, const struct wal_walk *w, struct err *err)
{
    const uint8_t *bytes = (const uint8_t *)w->head.p;

    if (w->head_len == 0 || bytes == NULL)
        return 0;
    TRY(look(g, bytes, w->head.len, 8, g->start - 8, err));
    return look(g, bytes, w->head.len, 16, g->start - 16, err);
}

/* The record that goes on in the next segment. */
static int look_at_part(const struct guarding *g, const struct wal_walk *w, struct err *err)
{
    const uint8_t *bytes = (const uint8_t *)w->part.p;

    if (w->part_total == 0 || w->part.len <= AT_RMID)
        return 0;
    if (w->part.len > AT_DATA + 2)
        return look(g, bytes, w->part.len, 0, w->part_lsn, err);
    if (bytes[AT_RMID] != RM_TABLESPACE || (bytes[AT_INFO] & WAL_INFO_OPCODE) != TABLESPACE_CREATE)
        return 0;
    return refuse(g, w->part_lsn, "?", 1, false, err);
}

static int walk(struct wal_walk *w, const struct wal_guard *want, size_t *cut, struct err *err)
{
    struct guarding g = {want, w->segment.start, w->segment.major, cut};
    struct wal_record rec;
    enum wal_step step;

    while ((step = wal_walk_next(w, &rec)) == WAL_RECORD)
        TRY(look(&g, rec.bytes, rec.total_len, 0, rec.lsn, err));
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
