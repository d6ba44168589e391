/*
 * ask.c - see ask.h.
 *
 * Files are asked for in the configuration's order, the default repository first. A repository that
 * is damaged or away does not matter as long as another one delivers; it does matter for "absent",
 * which must be certain.
 */
#include "wal/archive/ask.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "repo/wal/wal_object.h"

/*
 * Only what a failed attempt left is cut off: ext4 takes cutting a file to nothing for the
 * beginning of a replacement, and writes the file out when it is closed (auto_da_alloc in ext4(5)),
 * which costs more than everything else here and which nobody waits for.
 */
static int empty(const struct wal_landing *to, struct err *err)
{
    struct stat st;

    if (fstat(to->fd, &st) != 0)
        return err_sys(err, "\"%s\"", to->path);
    if (st.st_size != 0 && ftruncate(to->fd, 0) != 0)
        return err_sys(err, "cannot empty \"%s\"", to->path);
    return 0;
}

/* Into the file, which is empty again after a failure. */
static int receive(struct repo *r, const struct wal_identity *id, const char *file,
                   unsigned threads, const struct wal_landing *to, struct err *err)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct wal_file f;
    uint64_t len;

    TRY(empty(to, err));
    if (wal_file_parse(file, &f) == 0 && (f.kind == WAL_SEGMENT || f.kind == WAL_PARTIAL))
        return wal_object_extract(r, id->system_id, id->major, file, WAL_SEGSZ_MAX, threads, to->fd,
                                  to->path, &len, err);
    TRY(wal_object_get(r, id->system_id, id->major, file, WAL_SMALL_MAX, 1, &bytes, err));
    return fs_pwrite_all(to->fd, bytes.p, bytes.len, 0, to->path, err);
}

/* One repository, under the identities it may be stored under: the data directory's, else the
 * newest known. */
static int ask(const struct open_repo *o, const struct wal_identity *id, const char *file,
               unsigned threads, const struct wal_landing *to, struct err *err)
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
    if (receive(o->repo, &use, file, threads, to, err) != 0)
        return err_context(err, "repository \"%s\"", o->name);
    return 0;
}

int wal_ask(const struct open_repos *repos, const struct wal_identity *id, const char *file,
            unsigned threads, const struct wal_landing *to, bool *absent, struct err *err)
{
    struct err why = {0};
    bool sure = true;

    *absent = false;
    for (size_t i = 0; i < repos->n; i++) {
        err_clear(&why);
        if (ask(&repos->items[i], id, file, threads, to, &why) == 0)
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

bool wal_ask_ready(struct open_repos *repos, const struct wal_identity *id)
{
    bool any = false;

    for (size_t i = 0; i < repos->n; i++) {
        struct open_repo *o = &repos->items[i];

        if (o->repo == NULL)
            continue;
        if (!repo_knows(o->repo, id->system_id, id->major) && repo_refresh(o->repo, &o->why) == 0 &&
            !repo_knows(o->repo, id->system_id, id->major))
            err_set(&o->why, ERR_FOREIGN, "repository \"%s\" does not know the cluster", o->name);
        if (repo_knows(o->repo, id->system_id, id->major))
            any = true;
        else
            repo_close(&o->repo);
    }
    return any;
}
