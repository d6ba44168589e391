/* get.c - see get.h. */
#include "wal/archive/get.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "wal/archive/ask.h"
#include "wal/archive/guard.h"
#include "wal/archive/left.h"
#include "wal/archive/local.h"
#include "wal/archive/pin.h"
#include "wal/archive/prefetch.h"

enum { GET_THREADS = 2, PAUSE_MIN_MS = 250, PAUSE_MAX_MS = 10000 };

/* The data directory of a standby: the present one, or the one that dest's pg_wal is in. NULL: it
 * is none. */
static char *standby_dir(const char *dest)
{
    const char *slash = strrchr(dest, '/');
    AUTO(mem_free) char *beside = NULL;

    if (dest[0] == '/') {
        beside = xasprintf("%.*s/../standby.signal", (int)(slash - dest), dest);
        if (fs_exists(AT_FDCWD, beside))
            return xasprintf("%.*s/..", (int)(slash - dest), dest);
    }
    return fs_exists(AT_FDCWD, "standby.signal") ? xstrdup(".") : NULL;
}

int wal_get_failure_status(const char *dest)
{
    AUTO(mem_free) char *standby = standby_dir(dest);

    return standby != NULL ? WAL_GET_ABSENT : WAL_GET_FAILED;
}

/* The file on its way: beside the destination, so that PostgreSQL never sees half of it. PostgreSQL
 * syncs it itself. */
struct delivery {
    const char *dest;
    char *temporary;
    int fd;
};

static void delivery_abandon(struct delivery *d)
{
    if (d->fd >= 0)
        unlink(d->temporary);
    fd_close(&d->fd);
    mem_free(&d->temporary);
}

static int delivery_begin(struct delivery *d, const char *dest, struct err *err)
{
    d->dest = dest;
    d->temporary = xasprintf("%s.pgbr-%ld", dest, (long)getpid());
    d->fd = open(d->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->fd < 0)
        return err_sys(err, "cannot create \"%s\"", d->temporary);
    return 0;
}

static int delivery_commit(struct delivery *d, struct err *err)
{
    crash_point("get-fetched");
    if (rename(d->temporary, d->dest) != 0)
        return err_sys(err, "cannot rename \"%s\" to \"%s\"", d->temporary, d->dest);
    fd_close(&d->fd);
    return 0;
}

static bool may_pass(enum err_code code)
{
    return code == ERR_UNREACHABLE || code == ERR_BUSY || code == ERR_IO;
}

/* Opens once more what could not be opened: it may have come back. */
static int reopen(const struct config *c, const struct cluster_config *cluster, const char *repo,
                  struct open_repos *repos, struct err *err)
{
    open_repos_close(repos);
    return config_open_repos(c, cluster, repo, REPO_OPEN_QUICK, repos, err);
}

/* One call of restore_command. */
struct call {
    const struct config *c;
    const struct cluster_config *cluster;
    const char *repo, *file;
    struct wal_guard guard;
    struct wal_file f;
    struct wal_identity id;
    char *standby;  /* data directory, if it is one */
    char *data_dir; /* absolute, if a server recovers in the present directory; else NULL */
    struct delivery d;
    struct open_repos repos;
    bool absent;
};

static void call_end(struct call *k)
{
    open_repos_close(&k->repos);
    delivery_abandon(&k->d);
    mem_free(&k->standby);
    mem_free(&k->data_dir);
}

static int fetch(struct call *k, struct err *err)
{
    int64_t end = clock_monotonic_us() + k->cluster->archive_get_timeout_ms * 1000;
    struct wal_landing to = {k->d.fd, k->d.temporary};
    unsigned pause = PAUSE_MIN_MS;

    TRY(config_open_repos(k->c, k->cluster, k->repo, REPO_OPEN_QUICK, &k->repos, err));
    while (wal_ask(&k->repos, &k->id, k->file, GET_THREADS, &to, &k->absent, err) != 0) {
        if (k->absent || !may_pass(err->code) || clock_monotonic_us() + pause * 1000 > end)
            return -1;
        log_warning("WAL file \"%s\": %s; trying again", k->file, err->msg);
        clock_sleep_ms(pause);
        pause = MIN_OF(pause * 2, (unsigned)PAUSE_MAX_MS);
        TRY(reopen(k->c, k->cluster, k->repo, &k->repos, err));
    }
    pin_renew(k->c->state_dir, k->cluster->name, &k->repos);
    return 0;
}

/* ---- what a standby must not get ---- */

/* See left.h. To the server it looks like a segment that is not there yet. */
static int withhold(struct call *k, struct err *err)
{
    char at[LSN_TEXT];
    uint64_t segno, left;
    uint32_t newest;
    struct stat st;

    if (k->f.kind != WAL_SEGMENT || k->standby == NULL || k->id.system_id == 0 ||
        fstat(k->d.fd, &st) != 0 || !wal_segsz_valid((uint64_t)st.st_size) ||
        wal_file_segno(&k->f, (uint32_t)st.st_size, &segno) != 0 ||
        !left_follows_newest(k->standby))
        return 0;
    TRY(left_at(&k->repos, &k->id, k->f.tli, &left, &newest, err));
    if (left == 0 || segno < lsn_segno(left, (uint32_t)st.st_size))
        return 0;
    k->absent = true;
    err_set(err, ERR_NOT_FOUND,
            "\"%s\" is withheld from this standby: timeline %u left timeline %u at %s", k->file,
            newest, k->f.tli, lsn_format(left, at));
    log_info("%s", err->msg);
    return -1;
}

/* ---- what a recovery must not replay ---- */

/* The segment behind the one that is delivered, of the same timeline. */
static int fetch_following(void *ctx, struct buf *out, struct err *err)
{
    struct call *k = ctx;
    AUTO(delivery_abandon) struct delivery d = {.fd = -1};
    AUTO(mem_free) char *beside = xasprintf("%s.next", k->d.dest);
    struct wal_landing to;
    char name[WAL_SEGMENT_NAME];
    uint64_t segno;
    struct stat st;
    bool absent;

    if (fstat(k->d.fd, &st) != 0 || !wal_segsz_valid((uint64_t)st.st_size) ||
        wal_file_segno(&k->f, (uint32_t)st.st_size, &segno) != 0)
        return err_set(err, ERR_CORRUPT, "\"%s\" has no size of a segment", k->file);
    wal_segment_name(k->f.tli, segno + 1, (uint32_t)st.st_size, name);
    if (k->repos.n == 0)
        TRY(config_open_repos(k->c, k->cluster, k->repo, REPO_OPEN_QUICK, &k->repos, err));
    TRY(delivery_begin(&d, beside, err));
    to = (struct wal_landing){d.fd, d.temporary};
    TRY(wal_ask(&k->repos, &k->id, name, GET_THREADS, &to, &absent, err));
    return fs_read_file(AT_FDCWD, d.temporary, WAL_SEGSZ_MAX, out, err);
}

static int guard(struct call *k, struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct wal_guard g = k->guard;
    size_t cut;

    if (g.kind == WAL_GUARD_NONE || k->f.kind != WAL_SEGMENT)
        return 0;
    g.next = fetch_following;
    g.ctx = k;
    TRY(fs_read_file(AT_FDCWD, k->d.temporary, WAL_SEGSZ_MAX, &bytes, err));
    if (wal_guard(bytes.p, bytes.len, &g, &cut, err) != 0)
        return err_context(err, "\"%s\"", k->file);
    if (cut == bytes.len)
        return 0;
    memset(bytes.p + cut, 0, bytes.len - cut);
    return fs_pwrite_all(k->d.fd, bytes.p + cut, bytes.len - cut, cut, k->d.temporary, err);
}

/* ---- working ahead ---- */

/* From the spool of a process that fetches ahead; false: to be fetched as usual. */
static bool take_fetched(struct call *k)
{
    AUTO(spool_close) struct spool s = SPOOL_INIT;
    struct err err = {0};

    if (k->cluster->archive_get_ahead == 0 || k->f.kind != WAL_SEGMENT || k->data_dir == NULL)
        return false;
    if (spool_open(&s, k->c, k->cluster, k->repo, k->data_dir, &k->id, SPOOL_FIND, &err) != 0) {
        log_warning("%s", err.msg);
        return false;
    }
    if (s.dir < 0 || spool_own(&s))
        return false; /* whatever is there was left behind */
    spool_tell(&s, k->file);
    return spool_take(&s, k->file, &k->id, k->d.temporary, k->d.fd);
}

/* After a segment was fetched from repositories for which it pays. */
static void fetch_next(struct call *k, uint64_t segment_size)
{
    struct prefetch p = {.c = k->c,
                         .cluster = k->cluster,
                         .only = k->repo,
                         .data_dir = k->data_dir,
                         .id = k->id,
                         .file = k->file,
                         .segment_size = (uint32_t)segment_size};

    if (k->f.kind != WAL_SEGMENT || k->data_dir == NULL || !wal_segsz_valid(segment_size))
        return;
    p.ahead = local_ahead(k->cluster->archive_get_ahead, &k->repos, segment_size, PREFETCH_BUDGET);
    open_repos_close(&k->repos);
    if (p.ahead != 0)
        prefetch_start(&p);
}

/* ---- all of it ---- */

/* Whose WAL: the data directory's in which PostgreSQL runs the command. Elsewhere (by hand): the
 * newest known. */
static void identify(struct call *k, const char *dest)
{
    struct err ignored = {0};

    k->standby = standby_dir(dest);
    if (wal_identity_near("pg_wal/x", NULL, &k->id, &ignored) == 0) {
        if (prefetch_in_recovery("."))
            k->data_dir = getcwd(NULL, 0);
    } else if (wal_identity_near(dest, k->cluster->data, &k->id, &ignored) != 0) {
        k->id = (struct wal_identity){0, 0};
    }
}

static int deliver(struct call *k, const char *dest, struct err *err)
{
    struct stat st = {0};

    TRY(delivery_begin(&k->d, dest, err));
    if (take_fetched(k)) {
        TRY(guard(k, err));
        return delivery_commit(&k->d, err);
    }
    TRY(fetch(k, err));
    TRY(withhold(k, err));
    TRY(guard(k, err));
    if (fstat(k->d.fd, &st) != 0)
        return err_sys(err, "\"%s\"", k->d.temporary);
    TRY(delivery_commit(&k->d, err));
    fetch_next(k, (uint64_t)st.st_size);
    return 0;
}

int wal_get(const struct config *c, const struct cluster_config *cluster, const char *repo,
            const struct wal_guard *guard, const char *file, const char *dest, struct err *err)
{
    AUTO(call_end)
    struct call k = {.c = c, .cluster = cluster, .repo = repo, .file = file, .d = {.fd = -1}};

    if (guard != NULL)
        k.guard = *guard;
    if (wal_file_parse(file, &k.f) != 0) {
        err_set(err, ERR_USAGE, "\"%s\" is not the name of a WAL file", file);
        return wal_get_failure_status(dest);
    }
    identify(&k, dest);
    if (deliver(&k, dest, err) == 0)
        return WAL_GET_DELIVERED;
    if (k.absent) {
        err_set(err, ERR_NOT_FOUND, "\"%s\" is not archived", file);
        return WAL_GET_ABSENT;
    }
    if (err->code ==
        ERR_NOT_FOUND) /* of a repository or a directory: callers take it for absence */
        err->code = ERR_FAILED;
    return wal_get_failure_status(dest);
}
