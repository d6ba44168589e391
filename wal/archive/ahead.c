/*
 * ahead.c - pushing the segments behind the one that PostgreSQL asks for. See ahead.h.
 *
 * One thread for each, because each waits for the network most of the time. They are read, not
 * mapped: a disk that cannot read one of them is an error of its thread here, while with a mapping
 * it would be a signal that ends the call for another segment.
 */
#include "wal/archive/ahead.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"
#include "wal/archive/local.h"

#define AHEAD_BUDGET (UINT64_C(256) << 20) /* bytes of segments under way at once */
static const char ready[] = ".ready";

struct ahead {
    const struct config *c;
    const struct cluster_config *cluster;
    const struct open_repos *repos;
    char *dir; /* that the segments are in, with the slash; "" */
    uint64_t system_id;
    size_t len; /* of each segment */
    char (*names)[WAL_SEGMENT_NAME];
    unsigned n;
    ahead_push_fn *push;
    void *ctx;
    struct workers *workers;
    pthread_mutex_t lock; /* of memory */
    struct ahead_memory memory;
};

static void ahead_free(struct ahead **a)
{
    if (*a == NULL)
        return;
    pthread_mutex_destroy(&(*a)->lock);
    ahead_memory_free(&(*a)->memory);
    free((*a)->dir);
    free((*a)->names);
    free(*a);
    *a = NULL;
}

/* ---- which ones ---- */

static bool remembered(const struct ahead_memory *m, const char *name)
{
    for (size_t i = 0; i < m->n_segments; i++)
        if (strcmp(m->segments[i].name, name) == 0)
            return true;
    return false;
}

/* Keeps the max first names in order, as the archiver takes them. */
static void note(struct ahead *a, const char *name, unsigned max)
{
    unsigned at = a->n;

    if (a->n == max && strcmp(name, a->names[max - 1]) > 0)
        return;
    if (a->n < max)
        a->n++;
    else
        at = max - 1;
    for (; at > 0 && strcmp(name, a->names[at - 1]) < 0; at--)
        memcpy(a->names[at], a->names[at - 1], WAL_SEGMENT_NAME);
    memcpy(a->names[at], name, WAL_SEGMENT_NAME - 1);
    a->names[at][WAL_SEGMENT_NAME - 1] = '\0';
}

/* A ".ready" file says that the segment is complete and on disk. */
static void find_ready(struct ahead *a, const char *file, unsigned max)
{
    AUTO(mem_free) char *path = xasprintf("%sarchive_status", a->dir);
    DIR *d = opendir(path);

    if (d == NULL)
        return; /* not a pg_wal */
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t len = strlen(e->d_name);
        struct wal_file f;

        if (len != WAL_SEGMENT_NAME - 1 + sizeof ready - 1 ||
            strcmp(e->d_name + WAL_SEGMENT_NAME - 1, ready) != 0)
            continue;
        e->d_name[WAL_SEGMENT_NAME - 1] = '\0';
        if (wal_file_parse(e->d_name, &f) == 0 && f.kind == WAL_SEGMENT &&
            strcmp(e->d_name, file) > 0 && !remembered(&a->memory, e->d_name))
            note(a, e->d_name, max);
    }
    closedir(d);
}

/* ---- pushing them ---- */

static void remember(struct ahead *a, const char *name, const void *raw, size_t len)
{
    struct ahead_memory *m = &a->memory;
    struct ahead_segment s = {.system_id = a->system_id,
                              .len = len,
                              .hash = hash128(raw, len),
                              .stored_us = clock_now_us()};

    memcpy(s.name, name, sizeof s.name);
    pthread_mutex_lock(&a->lock);
    m->segments = xrealloc(m->segments, (m->n_segments + 1) * sizeof *m->segments);
    m->segments[m->n_segments++] = s;
    pthread_mutex_unlock(&a->lock);
}

/* Never fails as a worker: the others go on. */
static int push_one(void *ctx, unsigned index, struct err *err)
{
    struct ahead *a = ctx;
    const char *name = a->names[index];
    AUTO(mem_free) char *path = xasprintf("%s%s", a->dir, name);
    AUTO(buf_free) struct buf raw = BUF_INIT;

    crash_point("ahead-pushing");
    if (fs_read_file(AT_FDCWD, path, a->len, &raw, err) != 0 ||
        a->push(a->ctx, name, raw.p, raw.len, err) != 0) {
        log_debug("\"%s\" is not pushed ahead: %s", name, err->msg);
        return 0;
    }
    crash_point("ahead-pushed");
    remember(a, name, raw.p, raw.len);
    return 0;
}

/* Threads must not find out whose WAL a repository takes: that changes it. */
static bool all_know(const struct open_repos *repos, const struct wal_identity *id)
{
    for (size_t i = 0; i < repos->n; i++)
        if (repos->items[i].repo != NULL &&
            !repo_knows(repos->items[i].repo, id->system_id, id->major))
            return false;
    return true;
}

/* The repositories as they are open now. What is remembered already was pushed to those it names:
 * true if they are the same. */
static bool name_repos(struct ahead *a)
{
    struct ahead_memory *m = &a->memory;
    struct ahead_memory old = {.repos = m->repos, .n_repos = m->n_repos};
    bool same = true;

    m->repos = xcalloc(a->repos->n, sizeof *m->repos);
    m->n_repos = 0;
    for (size_t i = 0; i < a->repos->n; i++) {
        const struct open_repo *o = &a->repos->items[i];
        struct ahead_repo *r = &m->repos[m->n_repos];
        const struct ahead_repo *was = m->n_repos < old.n_repos ? &old.repos[m->n_repos] : NULL;

        if (o->repo == NULL)
            continue;
        r->name = xstrdup(o->name);
        r->where = xstrdup(store_where(repo_store(o->repo)));
        memcpy(r->id, repo_id(o->repo), REPO_ID_SIZE);
        same &= was != NULL && strcmp(was->name, r->name) == 0 &&
                strcmp(was->where, r->where) == 0 && memcmp(was->id, r->id, REPO_ID_SIZE) == 0;
        m->n_repos++;
    }
    same &= m->n_repos == old.n_repos;
    ahead_memory_free(&old);
    return same;
}

/* Only what is in the same repositories and may still be asked for. */
static void keep_useful(struct ahead *a, const char *file)
{
    struct ahead_memory *m = &a->memory;
    struct hash128 config = local_repos(a->c, a->cluster, NULL);
    int64_t now = clock_now_us();
    size_t n = 0;

    if (!name_repos(a) || memcmp(m->config.bytes, config.bytes, sizeof config) != 0)
        m->n_segments = 0;
    for (size_t i = 0; i < m->n_segments; i++) {
        int64_t age = now - m->segments[i].stored_us;

        if (strcmp(m->segments[i].name, file) > 0 && age >= 0 &&
            age < (int64_t)AHEAD_TRUST_S * 1000000 / 2)
            m->segments[n++] = m->segments[i];
    }
    m->n_segments = n;
    m->config = config;
}

struct ahead *ahead_start(const struct config *c, const struct cluster_config *cluster,
                          const struct open_repos *repos, const char *path, size_t len,
                          const struct wal_identity *id, struct ahead_memory *m,
                          ahead_push_fn *push, void *ctx)
{
    unsigned max = local_ahead(cluster->archive_push_ahead, repos, len, AHEAD_BUDGET);
    const char *slash = strrchr(path, '/');
    size_t dir_len = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    struct err err = {0};
    struct ahead *a;

    if (max == 0 || !all_know(repos, id))
        return NULL;
    a = xcalloc(1, sizeof *a);
    *a = (struct ahead){.c = c, .cluster = cluster, .repos = repos, .push = push, .ctx = ctx};
    a->dir = xstrndup(path, dir_len);
    a->system_id = id->system_id;
    a->len = len;
    a->memory = *m;
    *m = (struct ahead_memory){0};
    a->names = xcalloc(max, sizeof *a->names);
    pthread_mutex_init(&a->lock, NULL);
    keep_useful(a, path + dir_len);
    find_ready(a, path + dir_len, max);
    if (a->n == 0 || workers_start(&a->workers, a->n, push_one, a, NULL, &err) != 0) {
        if (a->n != 0)
            log_debug("nothing is pushed ahead: %s", err.msg);
        ahead_free(&a);
    }
    return a;
}

/* ---- remembering them ---- */

static void save(struct ahead *a)
{
    AUTO(mem_free) char *path = xasprintf("%s/%s.ahead", a->c->state_dir, a->cluster->name);
    AUTO(buf_free) struct buf content = BUF_INIT;
    struct err err = {0};

    crash_point("ahead-saving");
    ahead_format(&a->memory, &content);
    if (fs_mkdirs(a->c->state_dir, 0700, &err) != 0 ||
        fs_replace(AT_FDCWD, path, content.p, content.len, 0600, &err) != 0)
        log_warning("what was pushed ahead is not remembered: %s", err.msg);
    crash_point("ahead-saved");
}

void ahead_finish(struct ahead **a)
{
    struct err err = {0};

    if (*a == NULL)
        return;
    if (workers_join(&(*a)->workers, &err) != 0)
        log_debug("pushing ahead: %s", err.msg);
    save(*a);
    ahead_free(a);
}
