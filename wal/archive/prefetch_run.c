/*
 * prefetch_run.c - the process that fetches ahead, at work. See prefetch.h.
 *
 * Threads claim one segment after the other and fetch it; the main thread looks after everything
 * that could change meanwhile. Every RENEW_MS the threads are gathered and the repositories opened
 * anew, which proves that they are the same ones still.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"
#include "wal/archive/ask.h"
#include "wal/archive/left.h"
#include "wal/archive/prefetch.h"

enum {
    TICK_MS = 50,
    RENEW_MS = 30000,
    LEFT_EVERY_MS = 2000,
    NAP_MIN_MS = 5, /* of a thread that has nothing to do: a 16th of how long that has been so */
    NAP_MAX_MS = 250,
};

struct run {
    const struct prefetch *p;
    struct spool *spool;
    struct open_repos repos;
    struct hash128 ids;     /* of the repositories, as first opened */
    bool follows;           /* a standby on its way to the newest timeline */
    int64_t looked_left_us; /* when the archive was last asked whether the timeline was left */
    pthread_mutex_t lock;   /* of what follows */
    uint32_t tli;
    uint64_t position; /* segment number that recovery asked for last */
    uint64_t next;     /* to be claimed */
    uint64_t end;      /* not to be fetched, nor any behind it */
    int64_t moved_us;  /* when position last moved */
    bool jumped;       /* recovery asks for something else now */
    bool round_over;
};

/* ---- where recovery is ---- */

static bool keep_from(void *ctx, const struct wal_file *f)
{
    const struct run *r = ctx;
    uint64_t segno;

    return f->tli == r->tli && wal_file_segno(f, r->p->segment_size, &segno) == 0 &&
           segno >= r->position && segno < r->end;
}

static void start_at(struct run *r, const struct wal_file *f, uint64_t segno)
{
    r->tli = f->tli;
    r->position = segno;
    r->next = segno + 1;
    r->end = UINT64_MAX;
    r->moved_us = clock_monotonic_us();
    r->jumped = false;
}

/* With the lock held. */
static void look(struct run *r)
{
    struct wal_file f;
    uint64_t segno;

    if (!spool_told(r->spool, &f) || wal_file_segno(&f, r->p->segment_size, &segno) != 0)
        return;
    if (f.tli != r->tli || segno < r->position) {
        r->jumped = r->round_over = true;
    } else if (segno > r->position) {
        r->position = segno;
        r->next = MAX_OF(r->next, segno + 1);
        r->moved_us = clock_monotonic_us();
        spool_clean(r->spool, keep_from, r);
    }
}

/* ---- fetching ---- */

/* Waits until there is one to fetch. False: not in this round. */
static bool claim(struct run *r, uint64_t *segno)
{
    bool got = false;

    pthread_mutex_lock(&r->lock);
    for (;;) {
        int64_t nap;

        look(r);
        if (r->round_over || r->next >= r->end)
            break;
        got = r->next <= r->position + r->p->ahead;
        if (got)
            break;
        nap = (clock_monotonic_us() - r->moved_us) / 1000 / 16;
        pthread_mutex_unlock(&r->lock);
        clock_sleep_ms((unsigned)MIN_OF(MAX_OF(nap, NAP_MIN_MS), NAP_MAX_MS));
        pthread_mutex_lock(&r->lock);
    }
    if (got)
        *segno = r->next++;
    pthread_mutex_unlock(&r->lock);
    return got;
}

static int fetch_to(struct run *r, const char *file, const char *part, bool *absent,
                    struct err *err)
{
    AUTO(fd_close)
    int fd = openat(r->spool->dir, part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct wal_landing to = {fd, part};

    *absent = false;
    if (fd < 0)
        return err_sys(err, "cannot create \"%s/%s\"", r->spool->path, part);
    TRY(wal_ask(&r->repos, &r->p->id, file, 1, &to, absent, err));
    TRY(spool_check(fd, file, &r->p->id, err));
    crash_point("prefetch-fetched");
    if (renameat(r->spool->dir, part, r->spool->dir, file) != 0)
        return err_sys(err, "cannot rename \"%s/%s\"", r->spool->path, part);
    return 0;
}

/* What cannot be had ends the run of segments: the call that needs it asks by itself, retries as it
 * should, and says what is wrong. */
static void fetch(struct run *r, uint64_t segno)
{
    char file[WAL_SEGMENT_NAME];
    AUTO(mem_free) char *part = NULL;
    struct err err = {0};
    bool absent;

    wal_segment_name(r->tli, segno, r->p->segment_size, file);
    part = xasprintf("%s.part", file);
    if (fetch_to(r, file, part, &absent, &err) == 0)
        return;
    if (!absent)
        log_debug("\"%s\" is not fetched ahead: %s", file, err.msg);
    unlinkat(r->spool->dir, part, 0);
    pthread_mutex_lock(&r->lock);
    r->end = MIN_OF(r->end, segno);
    pthread_mutex_unlock(&r->lock);
}

static int fetch_some(void *ctx, unsigned index, struct err *err)
{
    struct run *r = ctx;
    uint64_t segno;

    (void)index, (void)err;
    while (claim(r, &segno))
        fetch(r, segno);
    return 0;
}

/* ---- looking after it ---- */

/* A standby must not get what lies behind the point at which its timeline was left: see left.h. */
static void look_left(struct run *r)
{
    int64_t now = clock_monotonic_us();
    uint64_t switch_lsn;
    uint32_t newest;
    struct err err = {0};

    if (!r->follows || now - r->looked_left_us < LEFT_EVERY_MS * INT64_C(1000))
        return;
    r->looked_left_us = now;
    if (left_at(&r->repos, &r->p->id, r->tli, &switch_lsn, &newest, &err) != 0 || switch_lsn == 0)
        return;
    pthread_mutex_lock(&r->lock);
    r->end = MIN_OF(r->end, lsn_segno(switch_lsn, r->p->segment_size));
    spool_clean(r->spool, keep_from, r);
    pthread_mutex_unlock(&r->lock);
}

/* Nothing more to fetch, and what was fetched is taken. */
static bool used_up(const struct run *r)
{
    char file[WAL_SEGMENT_NAME];

    if (r->position + 1 < r->end)
        return false;
    wal_segment_name(r->tli, r->position, r->p->segment_size, file);
    return !fs_exists(r->spool->dir, file);
}

static bool is_over(struct run *r, bool *jumped)
{
    bool over;

    pthread_mutex_lock(&r->lock);
    look(r);
    *jumped = r->jumped;
    over = !r->jumped &&
           (used_up(r) || clock_monotonic_us() - r->moved_us > PREFETCH_IDLE_S * INT64_C(1000000));
    pthread_mutex_unlock(&r->lock);
    return over || !prefetch_in_recovery(r->p->data_dir);
}

/* Until the repositories are to be opened anew. False: for good. */
static bool supervise(struct run *r)
{
    int64_t end = clock_monotonic_us() + RENEW_MS * INT64_C(1000);
    bool jumped = false;

    while (clock_monotonic_us() < end) {
        clock_sleep_ms(TICK_MS);
        look_left(r);
        if (is_over(r, &jumped))
            return false;
        if (jumped)
            return true;
    }
    return true;
}

static bool one_round(struct run *r)
{
    struct workers *workers = NULL;
    struct err err = {0};
    bool more;

    r->round_over = false;
    r->looked_left_us = 0;
    look_left(r);
    if (workers_start(&workers, r->p->ahead, fetch_some, r, NULL, &err) != 0)
        return false;
    more = supervise(r);
    pthread_mutex_lock(&r->lock);
    r->round_over = true;
    pthread_mutex_unlock(&r->lock);
    return workers_join(&workers, &err) == 0 && more;
}

/* ---- from round to round ---- */

/* False: they cannot be used, or are others than at first. */
static bool open_again(struct run *r)
{
    AUTO(buf_free) struct buf ids = BUF_INIT;
    struct hash128 now, none = {0};
    struct err err = {0};

    open_repos_close(&r->repos);
    if (config_open_repos(r->p->c, r->p->cluster, r->p->only, REPO_OPEN_QUICK, &r->repos, &err) !=
            0 ||
        !wal_ask_ready(&r->repos, &r->p->id))
        return false;
    for (size_t i = 0; i < r->repos.n; i++)
        if (r->repos.items[i].repo != NULL)
            buf_add(&ids, repo_id(r->repos.items[i].repo), REPO_ID_SIZE);
    now = hash128(ids.p, ids.len);
    if (memcmp(&r->ids, &none, sizeof none) == 0)
        r->ids = now;
    return memcmp(&r->ids, &now, sizeof now) == 0;
}

/* Recovery went somewhere else: from there. */
static bool follow_jump(struct run *r)
{
    struct wal_file f;
    uint64_t segno;

    if (!r->jumped)
        return true;
    if (!spool_told(r->spool, &f) || wal_file_segno(&f, r->p->segment_size, &segno) != 0)
        return false;
    start_at(r, &f, segno);
    spool_clean(r->spool, NULL, NULL);
    return true;
}

void prefetch_run(const struct prefetch *p, struct spool *s)
{
    AUTO(mem_free) char *standby = xasprintf("%s/standby.signal", p->data_dir);
    struct run r = {.p = p, .spool = s};
    struct wal_file f;
    uint64_t segno;

    if (wal_file_parse(p->file, &f) == 0 && wal_file_segno(&f, p->segment_size, &segno) == 0) {
        pthread_mutex_init(&r.lock, NULL);
        start_at(&r, &f, segno);
        spool_sweep(s);
        r.follows = fs_exists(AT_FDCWD, standby) && left_follows_newest(p->data_dir);
        while (open_again(&r) && one_round(&r) && follow_jump(&r))
            ;
        open_repos_close(&r.repos);
        pthread_mutex_destroy(&r.lock);
    }
    spool_remove(s);
}
