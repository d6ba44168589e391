/*
 * push.c - see push.h. The hot path of the program: it starts once per segment, so it opens
 * repositories by their state files, never touches the catalog, and reads the segment once.
 */
#include "wal/archive/push.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/wal/wal_object.h"
#include "wal/archive/ahead.h"
#include "wal/archive/missed.h"
#include "wal/archive/source.h"
#include "wal/index/index.h"

enum { PUSH_THREADS = 2, SPEED_UP_FROM = 4 << 20 };

/* A file ready to be stored. */
struct parcel {
    struct wal_source source;
    struct buf index;
};

static void parcel_free(struct parcel *p)
{
    buf_free(&p->index);
}

/* Checks the segment, names its owner, writes its index. What cannot be understood is archived all
 * the same. */
static int parcel_segment(struct parcel *p, const struct wal_file *f, struct err *err)
{
    struct wal_expect want = {.tli = f->tli};
    AUTO(wal_index_free) struct wal_index ix;
    struct wal_segment_header head;
    const void *raw = p->source.raw;
    size_t len = p->source.raw_len;
    uint64_t segno;

    wal_index_init(&ix);
    if (wal_file_segno(f, (uint32_t)len, &segno) != 0)
        return err_set(err, ERR_CORRUPT, "no segment of %zu bytes can have the name \"%s\"", len,
                       p->source.file);
    want.start = segno_lsn(segno, (uint32_t)len);
    if (wal_segment_check(raw, len, len, &want, &head, err) != 0)
        return err_context(err, "WAL segment \"%s\"", p->source.file);
    p->source.system_id = head.system_id;
    if (head.major != 0)
        p->source.major = head.major;
    if (f->kind != WAL_SEGMENT)
        return 0;
    TRY(wal_index_build(raw, len, &want, &ix, err));
    if (ix.reason[0] != '\0')
        log_warning("WAL segment \"%s\" is archived, but cannot be understood: %s", p->source.file,
                    ix.reason);
    wal_index_write(&ix, &p->index);
    p->source.index = p->index.p;
    p->source.index_len = p->index.len;
    return 0;
}

/* id: whose file it is, as far as its surroundings tell; must_match: a segment of another cluster
 * is refused. */
static int parcel_make(struct parcel *p, const char *file, const void *raw, size_t len,
                       const struct wal_identity *id, bool must_match, struct err *err)
{
    struct wal_file f;

    if (wal_file_parse(file, &f) != 0)
        return err_set(err, ERR_USAGE,
                       "\"%s\" is not the name of a WAL segment, history file or backup label",
                       file);
    p->source = (struct wal_source){
        .file = file, .raw = raw, .raw_len = len, .system_id = id->system_id, .major = id->major};
    if (f.kind == WAL_SEGMENT || f.kind == WAL_PARTIAL)
        TRY(parcel_segment(p, &f, err));
    if (must_match && id->system_id != p->source.system_id)
        return err_set(
            err, ERR_FOREIGN,
            "WAL file \"%s\" was written by the cluster with system identifier %llu, the "
            "data directory belongs to %llu",
            file, (unsigned long long)p->source.system_id, (unsigned long long)id->system_id);
    return 0;
}

/* Into one repository. */
static int deliver(struct repo *r, const struct wal_source *s, unsigned threads, bool *stored,
                   struct err *err)
{
    enum wal_put done;

    if (!repo_knows(r, s->system_id, s->major))
        TRY(repo_refresh(r, err));
    if (!repo_knows(r, s->system_id, s->major))
        return err_set(
            err, ERR_FOREIGN,
            "repository \"%s\" does not accept WAL of system identifier %llu (PostgreSQL "
            "%u) for cluster \"%s\"; after pg_upgrade or a new initdb run \"pgbr init "
            "--accept-new-system-id\"",
            repo_name(r), (unsigned long long)s->system_id, s->major, repo_cluster(r));
    if (wal_object_put(r, s, threads, &done, err) != 0)
        return err_context(err, "repository \"%s\"", repo_name(r));
    if (done == WAL_REPLACED_BROKEN)
        log_warning("repository \"%s\": an unfinished copy of \"%s\" was replaced", repo_name(r),
                    s->file);
    if (stored != NULL && done != WAL_WAS_THERE)
        *stored = true;
    return 0;
}

/* All required repositories, or the first of their errors; optional ones that fail are noted for
 * later. */
static int deliver_all(const struct open_repos *repos, const struct wal_source *s, unsigned threads,
                       const struct missed *missed, bool *stored, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < repos->n; i++) {
        const struct open_repo *o = &repos->items[i];
        struct err why = o->why;

        crash_point("push-repo");
        if (o->repo != NULL && deliver(o->repo, s, threads, stored, &why) == 0)
            continue;
        if (!o->required && why.code != ERR_CONFLICT) {
            log_warning("optional repository \"%s\" misses \"%s\": %s", o->name, s->file, why.msg);
            missed_note(missed, o->name, s->file);
        } else if (rc == 0) {
            *err = why;
            rc = -1;
        } else {
            log_error("%s", why.msg);
        }
    }
    return rc;
}

static unsigned threads_for(size_t len)
{
    return len >= SPEED_UP_FROM ? PUSH_THREADS : 1;
}

int wal_push_bytes(const struct open_repos *repos, const char *file, const void *raw, size_t len,
                   bool *stored, struct err *err)
{
    AUTO(parcel_free) struct parcel p = {0};
    struct wal_identity id;
    const struct identity *known;
    size_t n;

    if (stored != NULL)
        *stored = false;
    for (size_t i = 0; i < repos->n; i++) { /* history files: the newest identity known */
        if (repos->items[i].repo == NULL)
            continue;
        known = repo_identities(repos->items[i].repo, &n);
        if (n != 0)
            id = (struct wal_identity){known[n - 1].system_id, known[n - 1].major};
        else
            continue;
        TRY(parcel_make(&p, file, raw, len, &id, false, err));
        return deliver_all(repos, &p.source, threads_for(len), NULL, stored, err);
    }
    return err_set(err, ERR_UNREACHABLE, "no repository could be opened: %s",
                   repos->n != 0 ? repos->items[0].why.msg : "none is configured");
}

/* One call of archive_command. */
struct call {
    const struct config *c;
    const struct cluster_config *cluster;
    const char *path, *file;
    struct wal_file f;
    struct wal_identity id;
    struct wal_memory m; /* the file, mapped once */
    struct missed missed;
    struct open_repos repos;
    struct ahead_memory ahead;
};

static void call_end(struct call *k)
{
    ahead_memory_free(&k->ahead);
    open_repos_close(&k->repos);
    wal_memory_free(&k->m);
}

/* An earlier call may have pushed it already. */
static int is_there(struct call *k, bool *there, struct err *err)
{
    *there = false;
    if (k->f.kind != WAL_SEGMENT || k->cluster->archive_push_ahead == 0 ||
        !ahead_recall(k->c, k->cluster, &k->ahead))
        return 0;
    TRY(wal_file_read(k->path, k->f.kind, &k->m, err));
    *there = ahead_confirms(&k->ahead, k->c, k->cluster, k->file, k->m.data, k->m.len, &k->id);
    if (*there)
        log_debug("\"%s\" was pushed by an earlier call", k->file);
    return 0;
}

/* One of the segments behind the one that was asked for. */
static int push_further(void *ctx, const char *file, const void *raw, size_t len, struct err *err)
{
    const struct call *k = ctx;
    AUTO(parcel_free) struct parcel p = {0};

    TRY(parcel_make(&p, file, raw, len, &k->id, true, err));
    if (p.source.major != k->id.major) /* is not what the repositories were asked about */
        return err_set(err, ERR_FOREIGN, "written by PostgreSQL %u", p.source.major);
    return deliver_all(&k->repos, &p.source, 1, &k->missed, NULL, err);
}

static int push_it(struct call *k, struct err *err)
{
    AUTO(parcel_free) struct parcel p = {0};
    struct ahead *ahead = NULL;
    int rc;

    TRY(parcel_make(&p, k->file, k->m.data, k->m.len, &k->id, true, err));
    if (k->f.kind == WAL_SEGMENT && k->cluster->archive_push_ahead != 0)
        ahead = ahead_start(k->c, k->cluster, &k->repos, k->path, k->m.len, &k->id, &k->ahead,
                            push_further, k);
    rc = deliver_all(&k->repos, &p.source, threads_for(k->m.len), &k->missed, NULL, err);
    ahead_finish(&ahead);
    return rc;
}

int wal_push(const struct config *c, const struct cluster_config *cluster, const char *path,
             struct err *err)
{
    const char *slash = strrchr(path, '/');
    AUTO(call_end)
    struct call k = {.c = c,
                     .cluster = cluster,
                     .path = path,
                     .file = slash != NULL ? slash + 1 : path,
                     .missed = {c->state_dir, cluster->name}};
    bool there;

    if (wal_file_parse(k.file, &k.f) != 0)
        return err_set(err, ERR_USAGE,
                       "\"%s\" is not the name of a WAL segment, history file or backup label",
                       k.file);
    TRY(wal_identity_near(path, cluster->data, &k.id, err));
    TRY(is_there(&k, &there, err));
    if (there)
        return 0;
    TRY(config_open_repos(c, cluster, NULL, REPO_OPEN_QUICK, &k.repos, err));
    crash_point("push-opened");
    if (k.m.data == NULL)
        TRY(wal_file_read(path, k.f.kind, &k.m, err));
    if (push_it(&k, err) != 0)
        return err_context(err, "WAL file \"%s\" is not archived", k.file);
    crash_point("push-delivered");
    missed_catch_up(&k.missed, &k.repos, path, &k.id);
    crash_point("push-over");
    return 0;
}
