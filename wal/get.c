/*
 * get.c - see get.h.
 *
 * Files are asked for in the configuration's order, the default repository first. A repository that
 * is damaged or away does not matter as long as another one delivers; it does matter for "absent",
 * which must be certain.
 */
#include "wal/get.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/wal_object.h"
#include "wal/pin.h"
#include "wal/source.h"

enum { GET_THREADS = 2, PAUSE_MIN_MS = 250, PAUSE_MAX_MS = 10000 };

static bool is_standby(const char *dest)
{
    const char *slash = strrchr(dest, '/');
    AUTO(mem_free) char *beside = NULL;

    if (dest[0] != '/')
        return fs_exists(AT_FDCWD, "standby.signal");
    beside = xasprintf("%.*s/../standby.signal", (int)(slash - dest), dest);
    return fs_exists(AT_FDCWD, beside) || fs_exists(AT_FDCWD, "standby.signal");
}

int wal_get_failure_status(const char *dest)
{
    return is_standby(dest) ? WAL_GET_ABSENT : WAL_GET_FAILED;
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

/* Into the temporary file, which is empty again after a failure. */
static int receive(struct repo *r, const struct wal_identity *id, const char *file,
                   struct delivery *d, struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct wal_file f;
    uint64_t len;

    if (ftruncate(d->fd, 0) != 0)
        return err_sys(err, "cannot empty \"%s\"", d->temporary);
    if (wal_file_parse(file, &f) == 0 && (f.kind == WAL_SEGMENT || f.kind == WAL_PARTIAL))
        return wal_object_extract(r, id->system_id, id->major, file, WAL_SEGSZ_MAX, GET_THREADS,
                                  d->fd, d->temporary, &len, err);
    TRY(wal_object_get(r, id->system_id, id->major, file, WAL_SMALL_MAX, 1, &bytes, err));
    return fs_pwrite_all(d->fd, bytes.p, bytes.len, 0, d->temporary, err);
}

/* One repository, under the identities it may be stored under: the data directory's, else the
 * newest known. */
static int ask(struct open_repo *o, const struct wal_identity *id, const char *file,
               struct delivery *d, struct err *err)
{
    const struct identity *known;
    struct wal_identity use = *id;
    size_t n;

    if (o->repo == NULL) {
        *err = o->why;
        return -1;
    }
    known = repo_identities(o->repo, &n);
    if (use.system_id == 0 && n != 0)
        use = (struct wal_identity){known[n - 1].system_id, known[n - 1].major};
    if (!repo_knows(o->repo, use.system_id, use.major))
        TRY(repo_refresh(o->repo, err));
    if (!repo_knows(o->repo, use.system_id, use.major))
        return err_set(err, ERR_FOREIGN,
                       "repository \"%s\" does not know system identifier %llu (PostgreSQL %u) for "
                       "cluster \"%s\"",
                       o->name, (unsigned long long)use.system_id, use.major,
                       repo_cluster(o->repo));
    if (receive(o->repo, &use, file, d, err) != 0)
        return err_context(err, "repository \"%s\"", o->name);
    return 0;
}

/* One round over all repositories. absent: all of them answered that the file does not exist. */
static int ask_all(struct open_repos *repos, const struct wal_identity *id, const char *file,
                   struct delivery *d, bool *absent, struct err *err)
{
    struct err why = {0};
    bool sure = true;

    for (size_t i = 0; i < repos->n; i++) {
        err_clear(&why);
        if (ask(&repos->items[i], id, file, d, &why) == 0)
            return 0;
        if (why.code == ERR_NOT_FOUND && repos->items[i].repo != NULL) {
            if (sure)
                *err = why;
            continue;
        }
        if (!sure)
            log_error("%s", why.msg);
        else
            *err = why;
        sure = false;
    }
    *absent = sure;
    return -1;
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

static int fetch(const struct config *c, const struct cluster_config *cluster, const char *repo,
                 const struct wal_identity *id, const char *file, struct delivery *d, bool *absent,
                 struct err *err)
{
    AUTO(open_repos_close) struct open_repos repos = {0};
    int64_t end = clock_monotonic_us() + cluster->archive_get_timeout_ms * 1000;
    unsigned pause = PAUSE_MIN_MS;

    TRY(config_open_repos(c, cluster, repo, REPO_OPEN_QUICK, &repos, err));
    while (ask_all(&repos, id, file, d, absent, err) != 0) {
        if (*absent || !may_pass(err->code) || clock_monotonic_us() + pause * 1000 > end)
            return -1;
        log_warning("WAL file \"%s\": %s; trying again", file, err->msg);
        clock_sleep_ms(pause);
        pause = MIN_OF(pause * 2, (unsigned)PAUSE_MAX_MS);
        TRY(reopen(c, cluster, repo, &repos, err));
    }
    pin_renew(c->state_dir, cluster->name, &repos);
    return 0;
}

/* Whose WAL: the data directory's in which PostgreSQL runs the command. Elsewhere (by hand): the
 * newest known. */
static void identify(const struct cluster_config *cluster, const char *dest,
                     struct wal_identity *id)
{
    struct err ignored = {0};

    *id = (struct wal_identity){0, 0};
    if (wal_identity_near("pg_wal/x", NULL, id, &ignored) != 0 &&
        wal_identity_near(dest, cluster->data, id, &ignored) != 0)
        *id = (struct wal_identity){0, 0};
}

int wal_get(const struct config *c, const struct cluster_config *cluster, const char *repo,
            const char *file, const char *dest, struct err *err)
{
    AUTO(delivery_abandon) struct delivery d = {.fd = -1};
    struct wal_identity id;
    struct wal_file f;
    bool absent = false;

    if (wal_file_parse(file, &f) != 0) {
        err_set(err, ERR_USAGE, "\"%s\" is not the name of a WAL file", file);
        return wal_get_failure_status(dest);
    }
    identify(cluster, dest, &id);
    if (delivery_begin(&d, dest, err) == 0 &&
        fetch(c, cluster, repo, &id, file, &d, &absent, err) == 0 && delivery_commit(&d, err) == 0)
        return WAL_GET_DELIVERED;
    if (absent) {
        err_set(err, ERR_NOT_FOUND, "\"%s\" is not archived", file);
        return WAL_GET_ABSENT;
    }
    if (err->code ==
        ERR_NOT_FOUND) /* of a repository or a directory: callers take it for absence */
        err->code = ERR_FAILED;
    return wal_get_failure_status(dest);
}
